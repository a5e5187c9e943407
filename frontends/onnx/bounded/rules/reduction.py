"""Reductions and what runs along a dim: beyond the extent stands what doesn't change the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, capacity, undecided
from mlc.frontends.onnx.bounded.builder import BoundedBuilder, Request, bounded_axes, rule, zero_axes
from mlc.frontends.onnx.value import Scalar, Value


def lowest(dtype: np.dtype[Any]) -> Scalar:
    """The number that no other is less than."""
    return _limit(dtype, -1)


def highest(dtype: np.dtype[Any]) -> Scalar:
    """The number that no other is greater than."""
    return _limit(dtype, 1)


def _limit(dtype: np.dtype[Any], sign: int) -> Scalar:
    if dtype == np.bool_:
        return sign > 0
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return int(limits.max if sign > 0 else limits.min)
    return sign * float("inf")


_NEUTRAL: dict[str, Callable[[np.dtype[Any]], Scalar]] = {"max": lowest, "min": highest}
_NUMBERS: dict[str, Scalar] = {"sum": 0, "mean": 0, "prod": 1, "any": False, "all": True}


def neutral(kind: str, dtype: np.dtype[Any]) -> Scalar:
    """What changes no result of a reduction."""
    return _NUMBERS[kind] if kind in _NUMBERS else _NEUTRAL[kind](dtype)


@rule(hlt.ReduceOp)
def reduce(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x, kind, axes, keep = request.x, request.text("kind"), request.numbers("axes"), request.attributes["keep_dims"]
    count = 1
    for axis in axes:
        count = count * x.shape[axis]
    ready = b.filled(x, axes, neutral(kind, x.dtype))
    unknown = kind == "mean" and isinstance(count, Extent)
    result = b.static(hlt.ReduceOp, ready, kind="sum" if unknown else kind, axes=axes, keep_dims=keep)
    if unknown:
        result = b.div(result, b.cast(b.extent(count), x.dtype))
    kept = [axis for axis in range(x.rank) if keep or axis not in axes]
    shape = [1 if axis in axes else x.shape[axis] for axis in kept]
    stays = zero_axes(x) - set(axes) if kind != "prod" else ()
    return (b.bounded(shape, result, [kept.index(axis) for axis in stays]),)


@rule(hlt.ArgReduceOp)
def arg_reduce(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """The index is at most the last of the extent: all elements may be as extreme as what stands beyond."""
    x, axis, keep = request.x, request.number("axis"), request.number("keep_dims")
    ready = b.filled(x, (axis,), (lowest if request.text("kind") == "max" else highest)(x.dtype))
    result = b.static(hlt.ArgReduceOp, ready, **request.attributes)
    if isinstance(x.shape[axis], Extent):
        result = b.minimum(result, b.broadcast_to(b.sub(b.extent(x.shape[axis]), 1), result.shape))
    shape = [1 if i == axis else extent for i, extent in enumerate(x.shape) if keep or i != axis]
    return (b.bounded(shape, result),)


@rule(hlt.SoftmaxOp)
def softmax(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """-inf beyond the extent gets the probability 0."""
    x, axis = request.x, request.number("axis")
    bounded = isinstance(x.shape[axis], Extent)
    ready = b.filled(x, (axis,), lowest(x.dtype))
    result = b.static(hlt.SoftmaxOp, ready, **request.attributes)
    return (b.bounded(x.shape, result, (axis,) if bounded and not request.number("log") else ()),)


@rule(hlt.ScanOp)
def scan(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x = request.x
    ready = (
        b.filled(x, (request.number("axis"),), neutral(request.text("kind"), x.dtype))
        if request.number("reverse")
        else x
    )
    return (b.bounded(x.shape, b.static(hlt.ScanOp, ready, **request.attributes)),)


def _last(b: BoundedBuilder, x: Value, axis: int, *, descending: bool) -> Value:
    """``x`` with what comes last in the order, and after its equals, beyond the extent."""
    if descending:
        return b.filled(x, (axis,), lowest(x.dtype))
    return b.filled(x, (axis,), float("nan") if x.dtype.kind not in "iub" else highest(x.dtype))


@rule(hlt.SortOp)
def sort(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x = request.x
    ready = _last(b, x, request.number("axis"), descending=request.attributes["descending"])
    results = b.all_static(hlt.SortOp, ready, **request.attributes)
    return [b.bounded(x.shape, result) for result in results]


@rule(hlt.TopKOp)
def top_k(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """``k`` may be an extent: as many as it can be are found."""
    x, axis, k = request.x, request.number("axis"), request.number("k")
    if not k <= x.shape[axis]:
        raise undecided(f"k = {k} of {x.shape[axis]}", k, x.shape[axis])
    ready = _last(b, x, axis, descending=request.attributes["largest"])
    results = b.all_static(hlt.TopKOp, ready, **{**request.attributes, "k": capacity(k)})
    shape = [k if i == axis else extent for i, extent in enumerate(x.shape)]
    return [b.bounded(shape, result) for result in results]


@rule(hlt.ReduceWindowOp)
def reduce_window(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Windows see what padding would be; a mean may not reach beyond the extent, for it counts."""
    x, kind = request.x, request.text("kind")
    window, strides, dilations = (request.numbers(name, 1) for name in ("window", "strides", "dilations"))
    low, high, over = (request.numbers(name) for name in ("pads_low", "pads_high", "overhang"))
    axes = [axis for axis in bounded_axes(x) if window[axis] != 1 or strides[axis] != 1]
    if kind == "mean" and any(high[axis] or over[axis] for axis in axes):
        raise request.refused("a mean over a padded end")
    shape = [
        window_extent(*numbers)
        for numbers in zip(x.shape, window, strides, dilations, low, [a + c for a, c in zip(high, over)])
    ]
    ready = b.filled(x, axes, neutral(kind, x.dtype))
    result = b.static(hlt.ReduceWindowOp, ready, **request.attributes)
    return (b.bounded(shape, result),)


def window_extent(extent: int, window: int, stride: int, dilation: int, low: int, high: int) -> int:
    """Positions of a window along a dim."""
    return (extent + low + high - (window - 1) * dilation - 1) // stride + 1


@rule(hlt.LayerNormOp, hlt.RmsNormOp)
def layer_norm(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Along dims that are numbers."""
    x = request.x
    if any(axis >= request.number("axis") for axis in bounded_axes(x)):
        raise request.refused("a bounded dim to normalise along")
    return (b.bounded(x.shape, b.static(request.make, *request.operands, **request.attributes)),)


@rule(hlt.BatchNormOp)
def batch_norm(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Channels are numbers; all else is element-wise."""
    x = request.x
    if 1 in bounded_axes(x):
        raise request.refused("a bounded dim of channels")
    return (b.bounded(x.shape, b.static(hlt.BatchNormOp, *request.operands, **request.attributes)),)


@rule(hlt.GroupNormOp, hlt.LrnOp)
def per_image(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Only the batch may be bounded: everything else is summed over, but what LRN slides along are channels."""
    x = request.x
    free = {0} if request.make is hlt.GroupNormOp else set(range(x.rank)) - {1}
    if not free.issuperset(bounded_axes(x)):
        raise request.refused("a bounded dim to normalise along")
    return (b.bounded(x.shape, b.static(request.make, *request.operands, **request.attributes)),)
