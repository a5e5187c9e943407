"""Operators that read or write at indices: gathers, scatters, one-hot, masks by position."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value


@onnx_op("Gather")
def gather(b: Builder, node: Node) -> Value:
    x = node.input(0)
    axis = node.axis(node.int("axis", 0), x.rank)
    return b.op(hlt.GatherOp, x, node.input(1), axis=axis)


@onnx_op("GatherElements")
def gather_elements(b: Builder, node: Node) -> Value:
    x = node.input(0)
    axis = node.axis(node.int("axis", 0), x.rank)
    return b.op(hlt.GatherElementsOp, x, node.input(1), axis=axis)


@onnx_op("GatherND")
def gather_nd(b: Builder, node: Node) -> Value:
    return b.op(hlt.GatherNdOp, node.input(0), node.input(1), batch_dims=node.int("batch_dims", 0))


@onnx_op("ReverseSequence")
def reverse_sequence(b: Builder, node: Node) -> Value:
    """Reverses the first ``lengths[i]`` steps of sequence ``i``; the rest stays."""
    x, lengths = node.input(0), b.cast(node.input(1), np.int64)
    time, batch = node.axis(node.int("time_axis", 0), x.rank), node.axis(node.int("batch_axis", 1), x.rank)
    if time == batch or lengths.shape != (x.shape[batch],):
        raise node.invalid(f"lengths {list(lengths.shape)} do not fit {list(x.shape)} along axis {batch}")
    step, length = b.iota(x.shape, time), b.broadcast_to(lengths, x.shape, (batch,))
    mirrored = b.sub(b.sub(length, 1), step)
    source = b.select(b.compare("lt", step, length), mirrored, step)
    return b.op(hlt.GatherElementsOp, x, source, axis=time)


REDUCTIONS = ("none", "add", "mul", "max", "min")


@onnx_op("ScatterElements")
def scatter_elements(b: Builder, node: Node) -> Value:
    x = node.input(0)
    axis = node.axis(node.int("axis", 0), x.rank)
    reduction = node.string("reduction", "none", choices=REDUCTIONS)
    return b.op(hlt.ScatterElementsOp, x, node.input(1), node.input(2), axis=axis, reduction=reduction)


@onnx_op("ScatterND")
def scatter_nd(b: Builder, node: Node) -> Value:
    reduction = node.string("reduction", "none", choices=REDUCTIONS)
    return b.op(hlt.ScatterNdOp, node.input(0), node.input(1), node.input(2), reduction=reduction)


@onnx_op("TensorScatter")
def tensor_scatter(b: Builder, node: Node) -> Value:
    """``update`` over ``past`` along an axis, from ``write_indices: [batch]`` on; circular ones go on at the start."""
    past, update, starts = node.input(0), node.input(1), node.optional(2)
    axis = node.axis(node.int("axis", -2), past.rank)
    circular = node.string("mode", "linear", choices=("linear", "circular")) == "circular"
    if axis == 0 or update.rank != past.rank or update.shape[axis] > past.shape[axis]:
        raise node.invalid(f"an update of shape {list(update.shape)} of {list(past.shape)} along axis {axis}")
    place = b.iota(update.shape, axis)
    if starts is not None:
        if starts.shape != past.shape[:1]:
            raise node.invalid(f"write_indices of shape {list(starts.shape)} for a batch of {past.shape[0]}")
        place = b.add(place, b.broadcast_to(b.cast(starts, np.int64), update.shape, (0,)))
    if circular:
        place = b.elementwise(hlt.RemOp, place, past.shape[axis], mode="floor")
    return b.op(hlt.ScatterElementsOp, past, place, update, axis=axis, reduction="none")


@onnx_op("OneHot")
def one_hot(b: Builder, node: Node) -> Value:
    """``values`` holds [off, on]; negative indices count from ``depth``, those out of range are all off."""
    indices, values = b.cast(node.input(0), np.int64), node.input(2)
    depth = int(node.known_scalar(1, "the depth"))
    if values.shape != (2,) or depth < 0:
        raise node.invalid(f"depth {depth} with values of shape {list(values.shape)}")
    axis = node.axis(node.int("axis", -1), indices.rank + 1)
    wrapped = b.select(b.compare("lt", indices, 0), b.add(indices, depth), indices)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    hit = b.compare("eq", b.expand_dims(wrapped, (axis,)), b.iota(shape, axis))
    off, on = (b.reshape(b.slice(values, (i,), (1,)), ()) for i in (0, 1))
    return b.select(hit, on, off)


def diagonal_offset(b: Builder, rows: int, columns: int) -> Value:
    """``column - row`` at each place of a [rows, columns] matrix."""
    return b.sub(b.iota((rows, columns), 1), b.iota((rows, columns), 0))


@onnx_op("Trilu")
def trilu(b: Builder, node: Node) -> Value:
    x, upper = node.input(0), node.bool("upper", True)
    k = int(node.known_scalar(1, "the diagonal k")) if node.optional(1) is not None else 0
    if x.rank < 2:
        raise node.invalid(f"the input must be a matrix or a batch of them, not of rank {x.rank}")
    keep = b.compare("ge" if upper else "le", diagonal_offset(b, *x.shape[-2:]), k)
    return b.select(keep, x, 0)


@onnx_op("EyeLike")
def eye_like(b: Builder, node: Node) -> Value:
    x = node.input(0)
    if x.rank != 2:
        raise node.invalid(f"the input must be a matrix, not of rank {x.rank}")
    dtype = node.dtype("dtype", x.dtype)
    return b.cast(b.compare("eq", diagonal_offset(b, *x.shape), node.int("k", 0)), dtype)
