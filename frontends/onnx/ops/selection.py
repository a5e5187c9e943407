"""Operators whose result is as large as the data say: how many elements they find is known at run time only."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import i64
from xdsl.ir import Block

from mlc.dialects import hlt
from mlc.dialects.extents import is_bounded, undecided
from mlc.errors import UnsupportedError
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
    if x.known is None and not b.finds:
        node.known(0, "the number of distinct elements")
    where = 0 if axis is None else node.axis(axis, x.rank)
    x = b.reshape(x, (x.size,)) if axis is None else x
    if x.rank == 1:
        values, indices = b.ops(hlt.SortOp, x, axis=0, descending=False)
        new = _differs_from_last(b, values)
    else:
        lines = _lines(b, x, where)
        indices = _lexical_order(b, lines)
        new = b.reduce("any", _differs_from_last(b, b.op(hlt.GatherOp, lines, indices, axis=0)), (1,))
    starts = b.positions(new, "unique")
    first = b.op(hlt.GatherOp, indices, starts, axis=0)
    counts = b.sub(_next(b, starts, x.shape[where]), starts)
    group = b.op(hlt.ScanOp, b.cast(new, np.int64), kind="sum", axis=0, exclusive=False, reverse=False)
    inverse = b.op(hlt.GatherOp, b.sub(group, 1), _order(b, indices), axis=0)
    if not node.bool("sorted", True):
        order = _order(b, first)
        first, counts = (b.op(hlt.GatherOp, v, order, axis=0) for v in (first, counts))
        inverse = b.op(hlt.GatherOp, _order(b, order), inverse, axis=0)
    return b.op(hlt.GatherOp, x, first, axis=where), first, inverse, counts


def _lines(b: Builder, x: Value, axis: int) -> Value:
    """The slices of ``x`` along an axis, each as one line of a matrix."""
    if is_bounded(x.shape):
        raise undecided("the shape of slices to compare", *x.shape)
    if not x.size:
        raise UnsupportedError(f"unique slices of a tensor without elements, {list(x.shape)}")
    others = [dim for dim in range(x.rank) if dim != axis]
    moved = b.transpose(x, (axis, *others))
    return b.reshape(moved, (x.shape[axis], x.size // x.shape[axis]))


def _lexical_order(b: Builder, lines: Value) -> Value:
    """The permutation that sorts lines by their first elements, then by their second ones and so on.

    Stable sorts by one column after the other, the last one first.
    """
    rows, columns = lines.shape
    types = [hlt.tensor_type((rows,), element) for element in (i64, hlt.element_type(lines.dtype))]
    block = Block(arg_types=[hlt.tensor_type((), i64), *types])
    order = Value((rows,), np.int64, ssa=block.args[1])
    column = Value((rows,), lines.dtype, ssa=block.args[2])
    with b.nested(block) as inner:
        step = _order(inner, inner.op(hlt.GatherOp, column, order, axis=0))
        inner.append(hlt.YieldOp(inner.ssa(inner.op(hlt.GatherOp, order, step, axis=0))))
    start, slices = b.iota((rows,), 0), b.op(hlt.ReverseOp, b.transpose(lines, (1, 0)), axes=(0,))
    return b.append(hlt.LoopOp(block, limit=columns, inits=[b.ssa(start)], slices=[b.ssa(slices)]))[0]


def _order(b: Builder, keys: Value) -> Value:
    """The permutation that sorts ``keys``; of a permutation, its inverse."""
    return b.ops(hlt.SortOp, keys, axis=0, descending=False)[1]


def _differs_from_last(b: Builder, x: Value) -> Value:
    """Which elements differ from the one before along dim 0; the first ones do."""
    place = b.iota(x.shape, 0)
    last = b.op(hlt.GatherOp, x, b.maximum(b.sub(b.iota(x.shape[:1], 0), 1), 0), axis=0)
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
