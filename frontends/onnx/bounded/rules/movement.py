"""Rearranging: most of it moves storage as it is; what has to start at an extent is put there as it runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, capacities, capacity, is_bounded
from mlc.frontends.onnx.bounded.builder import BoundedBuilder, Request, bounded_axes, rule, storage_of, zero_axes
from mlc.frontends.onnx.builder import concat_op
from mlc.frontends.onnx.value import Value


@rule(hlt.BroadcastOp)
def broadcast(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Repeated elements lie everywhere, so that only dims of the operand stay zero beyond their extent."""
    x, shape, dims = request.x, request.numbers("shape"), request.numbers("dims")
    if any(extent not in (1, shape[dim]) for extent, dim in zip(x.shape, dims)):
        raise request.refused(f"{list(x.shape)} repeated to {list(shape)}")
    result = b.static(hlt.BroadcastOp, x, shape=capacities(shape), dims=dims)
    return (b.bounded(shape, result, [dims[axis] for axis in zero_axes(x)]),)


@rule(hlt.TransposeOp)
def transpose(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x, order = request.x, request.numbers("permutation")
    result = b.static(hlt.TransposeOp, x, permutation=order)
    return (b.bounded([x.shape[i] for i in order], result, [order.index(axis) for axis in zero_axes(x)]),)


@rule(hlt.ReverseOp)
def reverse(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """A bounded dim is read from its last element on; what lies beyond repeats the first."""
    x = request.x
    fixed = tuple(axis for axis in request.numbers("axes") if not isinstance(x.shape[axis], Extent))
    storage = b.static(hlt.ReverseOp, x, axes=fixed) if fixed else storage_of(x)
    moved = [axis for axis in request.numbers("axes") if axis not in fixed]
    for axis in moved:
        storage = taken(b, storage, axis, b.sub(b.extent(x.shape[axis]), 1), -1, capacity(x.shape[axis]))
    return (b.bounded(x.shape, storage, zero_axes(x) - set(moved)),)


def taken(b: BoundedBuilder, storage: Value, axis: int, start: Value, stride: int, count: int) -> Value:
    """``count`` elements of ``storage`` along ``axis`` from a run-time ``start`` on, clamped to what is there."""
    steps = b.mul(b.iota((count,), 0), stride)
    places = b.clamp(b.add(steps, b.broadcast_to(start, (count,))), 0, storage.shape[axis] - 1)
    return b.static(hlt.GatherOp, storage, places, axis=axis)


@rule(hlt.SliceOp)
def slice_(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Whole dims and those that start at a number are slices of storage; others are gathered from a run-time start."""
    x, starts, strides = request.x, request.numbers("starts"), request.numbers("strides")
    shape = request.numbers("sizes")
    storage, zero = storage_of(x), set(zero_axes(x))
    begin, sizes, steps = [0] * x.rank, list(storage.shape), [1] * x.rank
    for axis, (start, size, stride) in enumerate(zip(starts, shape, strides)):
        count = capacity(size)
        if not isinstance(size, Extent):
            zero.discard(axis)
        elif start != 0 or stride != 1:
            zero -= set() if (start + size == x.shape[axis] and stride == 1) else {axis}
        elif size != x.shape[axis]:
            zero.discard(axis)
        fits = not isinstance(start, Extent) and start + (count - 1) * stride < storage.shape[axis]
        if fits or count == 0:
            begin[axis], sizes[axis], steps[axis] = (start if fits else 0), count, stride
        else:
            storage = taken(b, storage, axis, b.extent(start), stride, count)
            zero.discard(axis)
            sizes[axis] = count
    result = b.slice(storage, begin, sizes, steps)
    return (b.bounded(shape, result, zero),)


@rule(hlt.PadOp)
def pad(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Beyond the extent of a padded dim stands the padding itself; its amounts may be extents."""
    x, low, high = request.x, request.numbers("low"), request.numbers("high")
    shape = tuple(a + extent + z for a, extent, z in zip(low, x.shape, high))
    axes = [axis for axis in bounded_axes(x) if low[axis] != 0 or high[axis] != 0]
    if is_bounded(low) or (axes and request.text("mode") != "constant"):
        raise request.refused(f"mode {request.text('mode')} and pads {list(low)}, {list(high)}")
    value: float = request.attributes["value"]
    storage = storage_of(b.filled(x, axes, value))
    room = [capacity(extent) - a - capacity(size) for extent, a, size in zip(shape, low, x.shape)]
    result = b.pad(storage, low, room, mode=request.text("mode"), value=value)
    stays = value == 0 or request.text("mode") != "constant" or not (any(low) or any(high))
    return (b.bounded(shape, result, [*zero_axes(x) - set(axes), *(axes if value == 0 else ())] if stays else ()),)


@rule(hlt.IotaOp)
def iota(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    shape = request.numbers("shape")
    storage = b.static(
        hlt.IotaOp, shape=capacities(shape), axis=request.number("axis"), dtype=request.attributes["dtype"]
    )
    return (b.bounded(shape, storage),)


@rule(concat_op)
def concat(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Parts after a bounded one start at a run-time place: each is put there, with zeros beyond its end."""
    axis, operands = request.number("axis"), request.present
    rest = [[e for i, e in enumerate(v.shape) if i != axis] for v in operands]
    if any(shape != rest[0] for shape in rest):
        raise request.refused(f"shapes {', '.join(str(list(v.shape)) for v in operands)}")
    extents = [v.shape[axis] for v in operands]
    total = sum(extents)
    shape = tuple(total if i == axis else extent for i, extent in enumerate(operands[0].shape))
    zero = zero_axes(operands[0]).intersection(*map(zero_axes, operands)) - {axis}
    if not isinstance(total, Extent):
        return (b.bounded(shape, b.static(concat_op, *operands, axis=axis), zero),)
    first = next(place for place, extent in enumerate(extents) if isinstance(extent, Extent))
    starts = list(accumulate(extents, initial=0))
    room = max(capacity(start) + capacity(extent) for start, extent in zip(starts, extents))
    parts = [storage_of(b.filled(value, (axis,), 0)) for value in operands]
    result = _with_room(b, parts[: first + 1], axis, room)
    for part, start in zip(parts[first + 1 :], starts[first + 1 :]):
        result = b.static(hlt.UpdateSliceOp, result, part, b.extent(start), axis=axis)
    storage = b.slice(result, [0] * len(shape), capacities(shape)) if room > capacity(total) else result
    return (b.bounded(shape, storage, [*zero, axis]),)


def _with_room(b: BoundedBuilder, parts: Sequence[Value], axis: int, room: int) -> Value:
    """Parts one after the other, and zeros up to an extent of ``room``."""
    spare = room - sum(part.shape[axis] for part in parts)
    if len(parts) == 1:
        return b.pad(parts[0], [0] * parts[0].rank, [spare if i == axis else 0 for i in range(parts[0].rank)])
    shape = [spare if i == axis else extent for i, extent in enumerate(parts[0].shape)]
    return b.static(concat_op, *parts, *([b.full(shape, 0, parts[0].dtype)] if spare else []), axis=axis)
