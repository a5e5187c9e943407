"""Reductions of little, and reductions that are another operation in disguise."""

from __future__ import annotations

import math

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.match import producer, single_use
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()

_ASSOCIATIVE = ("sum", "prod", "max", "min", "any", "all")


@RULES.on(hlt.ReduceOp)
def reduce_of_units(op: hlt.ReduceOp) -> Value | None:
    """Axes of extent 1 hold nothing to combine."""
    shape = hlt.shape_of(op.x)
    wide = [axis for axis in op.axes if shape[axis] != 1]
    if len(wide) == len(op.axes) and wide:
        return None
    if not wide:
        return op.x if hlt.shape_of(op.result) == shape else hlt.ReshapeOp(op.x, shape=hlt.shape_of(op.result))
    reduced = hlt.ReduceOp(op.x, kind=op.kind, axes=wide, keep_dims=op.keep_dims)
    return reduced if op.keep_dims else hlt.ReshapeOp(reduced, shape=hlt.shape_of(op.result))


@RULES.on(hlt.ReduceOp)
def reduce_of_reduce(op: hlt.ReduceOp) -> Value | None:
    """Two reductions of one kind are one over the axes of both (means, of equally many elements each)."""
    inner = producer(op.x, hlt.ReduceOp)
    if inner is None or inner.kind != op.kind or inner.keep_dims != op.keep_dims or not single_use(inner):
        return None
    if op.kind not in _ASSOCIATIVE and not (op.kind == "mean" and hlt.is_float(hlt.element_of(op.x))):
        return None
    rank = len(hlt.shape_of(inner.x))
    left = range(rank) if op.keep_dims else [dim for dim in range(rank) if dim not in inner.axes]
    axes = sorted({*inner.axes, *(left[axis] for axis in op.axes)})
    return hlt.ReduceOp(inner.x, kind=op.kind, axes=axes, keep_dims=op.keep_dims)


@RULES.on(hlt.ReduceOp)
def reduce_of_transpose(op: hlt.ReduceOp) -> Value | None:
    """The axes are renamed; what is left of the order is a transpose of the smaller result."""
    inner = producer(op.x, hlt.TransposeOp)
    if inner is None:
        return None
    order = inner.permutation
    axes = sorted(order[axis] for axis in op.axes)
    reduced = hlt.ReduceOp(inner.x, kind=op.kind, axes=axes, keep_dims=op.keep_dims)
    if op.keep_dims:
        return hlt.TransposeOp(reduced, permutation=order)
    left = [dim for place, dim in enumerate(order) if place not in op.axes]
    ranks = sorted(left)
    return hlt.TransposeOp(reduced, permutation=[ranks.index(dim) for dim in left])


@RULES.on(hlt.ReduceWindowOp)
def window_of_one(op: hlt.ReduceWindowOp) -> Value | None:
    """A window of one element at every place reads just that; with strides, a slice."""
    shape = hlt.shape_of(op.x)
    padding = (*op.pads_low, *op.pads_high, *op.overhang)
    if math.prod(op.window) != 1 or any(padding) or 0 in shape:
        return None
    result = hlt.shape_of(op.result)
    if result == shape:
        return op.x
    return hlt.SliceOp(op.x, starts=(0,) * len(shape), sizes=result, strides=op.strides)


@RULES.on(hlt.ReduceWindowOp)
def window_of_all(op: hlt.ReduceWindowOp) -> Value | None:
    """A window as large as the tensor, in some dims, and of one element in the others: a reduction."""
    shape = hlt.shape_of(op.x)
    padding = (*op.pads_low, *op.pads_high, *op.overhang)
    axes = [dim for dim, extent in enumerate(op.window) if extent != 1]
    others = [dim for dim, extent in enumerate(op.window) if extent == 1]
    if any(padding) or any(shape[dim] != op.window[dim] or op.dilations[dim] != 1 for dim in axes):
        return None
    if any(op.strides[dim] != 1 for dim in others) or (op.kind == "mean" and not _floats(op)):
        return None
    return hlt.ReduceOp(op.x, kind=op.kind, axes=axes, keep_dims=True)


def _floats(op: hlt.ReduceWindowOp) -> bool:
    return hlt.is_float(hlt.element_of(op.x))


@RULES.on(hlt.ReduceWindowOp)
def window_of_pad(op: hlt.ReduceWindowOp) -> Value | None:
    """A border of the kind's identity is padding: -inf for a maximum of floats, 0 for a sum."""
    pad = producer(op.x, hlt.PadOp)
    if pad is None or pad.mode != "constant" or op.kind == "mean" or not single_use(pad):
        return None
    if pad.value != (0.0 if op.kind == "sum" else -math.inf) or (op.kind == "max" and not _floats(op)):
        return None
    low, high = ([a + b for a, b in zip(*pair)] for pair in ((op.pads_low, pad.low), (op.pads_high, pad.high)))
    return hlt.ReduceWindowOp(
        pad.x,
        kind=op.kind,
        window=op.window,
        strides=op.strides,
        dilations=op.dilations,
        pads_low=low,
        pads_high=high,
        overhang=op.overhang,
    )
