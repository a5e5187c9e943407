"""Operators whose result is as large as the data say: how many elements they find is known at run time only."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value, is_float


@onnx_op("NonZero")
def non_zero(b: Builder, node: Node) -> Value:
    """Indices of the elements that are not zero, [rank, count], in row-major order."""
    x = node.input(0)
    if x.known is not None or not b.finds:
        found = np.nonzero(np.atleast_1d(node.known(0, "the number of non-zero elements")))
        return b.constant(np.asarray(found, np.int64))
    x = b.reshape(x, (1,)) if x.rank == 0 else x
    places = b.positions(b.reshape(b.compare("ne", x, 0), (x.size,)), "nonzero")
    rows: list[Value] = []
    for extent in reversed(x.shape):
        rows.append(b.elementwise(hlt.RemOp, places, extent, mode="floor"))
        places = b.div(places, extent)
    return b.concat([b.expand_dims(row, (0,)) for row in reversed(rows)], 0)


@onnx_op("Compress")
def compress(b: Builder, node: Node) -> Value:
    """The slices along ``axis`` whose condition holds."""
    x, axis = node.input(0), node.int("axis", None)
    if axis is None:
        x = b.reshape(x, (x.size,))
    where, condition = node.axis(0 if axis is None else axis, x.rank), node.input(1)
    if condition.rank != 1:
        raise node.invalid(f"the condition must have 1 dim, not {condition.rank}")
    if condition.known is None and b.finds:
        return b.op(hlt.GatherOp, x, b.positions(condition, "compressed"), axis=where)
    picked = np.flatnonzero(node.known(1, "the condition"))
    return b.op(hlt.GatherOp, x, b.constant(picked.astype(np.int64)), axis=where)


@onnx_op("Unique")
def unique(b: Builder, node: Node) -> tuple[Value, ...]:
    """Values, the index of the first of each, for each element which value it has, and how often each occurs.

    Equal elements lie side by side once they are sorted; NaNs count as equal.
    """
    x, axis = node.input(0), node.int("axis", None)
    if axis is not None and x.rank != 1:
        raise node.unsupported("unique slices along an axis")
    if x.known is None and not b.finds:
        node.known(0, "the number of distinct elements")
    x = b.reshape(x, (x.size,))
    values, indices = b.ops(hlt.SortOp, x, axis=0, descending=False)
    new = _differs_from_last(b, values)
    starts = b.positions(new, "unique")
    found, first = (b.op(hlt.GatherOp, v, starts, axis=0) for v in (values, indices))
    counts = b.sub(_next(b, starts, x.shape[0]), starts)
    group = b.op(hlt.ScanOp, b.cast(new, np.int64), kind="sum", axis=0, exclusive=False, reverse=False)
    inverse = b.op(hlt.GatherOp, b.sub(group, 1), _order(b, indices), axis=0)
    if node.bool("sorted", True):
        return found, first, inverse, counts
    order = _order(b, first)
    found, first, counts = (b.op(hlt.GatherOp, v, order, axis=0) for v in (found, first, counts))
    return found, first, b.op(hlt.GatherOp, _order(b, order), inverse, axis=0), counts


def _order(b: Builder, keys: Value) -> Value:
    """The permutation that sorts ``keys``; of a permutation, its inverse."""
    return b.ops(hlt.SortOp, keys, axis=0, descending=False)[1]


def _differs_from_last(b: Builder, x: Value) -> Value:
    """Which elements of a vector differ from the one before; the first does."""
    place = b.iota(x.shape, 0)
    last = b.op(hlt.GatherOp, x, b.maximum(b.sub(place, 1), 0), axis=0)
    differs = b.compare("ne", x, last)
    if is_float(x):
        both = b.elementwise(hlt.AndOp, b.op(hlt.IsNanOp, x), b.op(hlt.IsNanOp, last))
        differs = b.elementwise(hlt.AndOp, differs, b.op(hlt.NotOp, both))
    return b.elementwise(hlt.OrOp, differs, b.compare("eq", place, 0))


def _next(b: Builder, starts: Value, end: int) -> Value:
    """The element after each one of a vector; ``end`` after the last."""
    place, last = b.iota(starts.shape, 0), starts.shape[0] - 1
    following = b.op(hlt.GatherOp, starts, b.minimum(b.add(place, 1), last), axis=0)
    return b.select(b.compare("eq", place, last), end, following)
