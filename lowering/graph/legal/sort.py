"""Sorting by ranks: the place of an element is the number of elements that come before it.

Every element is compared with every other, all at once and in vectors. That takes n^2 steps, and beats what branches
on single elements up to some thousands of them; `LIMIT` bounds n.
"""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import i32, i64

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.hlt.dtypes import is_float
from mlc.errors import UnsupportedError
from mlc.lowering.graph.match import full
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()

LIMIT = 1 << 14
"""The most elements along an axis that are sorted."""


@RULES.on(hlt.SortOp)
def sort(op: hlt.SortOp) -> list[Value]:
    """A gather in the order of the ranks."""
    order = _order(op, op.x, op.axis, op.descending)
    return [hlt.GatherElementsOp(op.x, order, axis=op.axis), order]


@RULES.on(hlt.TopKOp)
def top_k(op: hlt.TopKOp) -> list[Value]:
    """The start of the order."""
    order = _order(op, op.x, op.axis, op.largest)
    shape = shape_of(op.x)
    sizes = tuple(op.k if i == op.axis else n for i, n in enumerate(shape))
    best = hlt.SliceOp(order, starts=(0,) * len(shape), sizes=sizes, strides=(1,) * len(shape))
    return [hlt.GatherElementsOp(op.x, best, axis=op.axis), best]


def _order(op: hlt.HltOp, x: Value, axis: int, descending: bool) -> Value:
    """The indices of ``x`` in stable order along ``axis``: each index goes where its rank says."""
    shape = shape_of(x)
    if shape[axis] > LIMIT:
        reason = f"{op.name} of {shape[axis]} elements; at most {LIMIT} can be sorted"
        raise UnsupportedError(reason, node=hlt.node_name(op))
    indices = hlt.IotaOp(shape=shape, axis=axis, dtype=i64)
    nothing = full(0, shape, np.dtype(np.int64))
    return hlt.ScatterElementsOp(nothing, _ranks(x, axis, descending), indices, axis=axis)


def _ranks(x: Value, axis: int, descending: bool) -> Value:
    """How many elements come before each: greater ones (or lesser), equal ones of a lower index; NaN is largest."""
    shape = shape_of(x)
    square = (*shape[: axis + 1], *shape[axis:])
    own = tuple(d for d in range(len(square)) if d != axis + 1)
    others = tuple(d for d in range(len(square)) if d != axis)
    a = hlt.BroadcastOp(x, shape=square, dims=others)
    b = hlt.BroadcastOp(x, shape=square, dims=own)
    high, low = (a, b) if descending else (b, a)
    before: Value = hlt.CompareOp(high, low, predicate="gt")
    tied: Value = hlt.CompareOp(a, b, predicate="eq")
    if is_float(element_of(x)):
        before = hlt.OrOp(before, hlt.AndOp(hlt.IsNanOp(high), hlt.NotOp(hlt.IsNanOp(low))))
        tied = hlt.OrOp(tied, hlt.AndOp(hlt.IsNanOp(a), hlt.IsNanOp(b)))
    earlier = hlt.CompareOp(
        hlt.IotaOp(shape=square, axis=axis + 1, dtype=i32),
        hlt.IotaOp(shape=square, axis=axis, dtype=i32),
        predicate="lt",
    )
    first = hlt.OrOp(before, hlt.AndOp(tied, earlier))
    return hlt.ReduceOp(hlt.CastOp(first, dtype=i32), kind="sum", axes=(axis + 1,), keep_dims=False)
