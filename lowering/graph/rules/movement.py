"""Movement that moves nothing, or that one operation can do instead of two.

The forms left over: a broadcast's operand has no extents of 1, a transpose changes the order of extents above 1,
no movement has a splat as its operand.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.match import full_like, is_splat, only_units_differ, producer, splat, without_units
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()


@RULES.on(hlt.BroadcastOp, hlt.ReshapeOp, hlt.TransposeOp, hlt.SliceOp, hlt.ReverseOp)
def movement_of_splat(
    op: hlt.BroadcastOp | hlt.ReshapeOp | hlt.TransposeOp | hlt.SliceOp | hlt.ReverseOp,
) -> Value | None:
    """However a splat is moved, it stays one."""
    value = splat(op.x)
    return None if value is None else full_like(op.result, value)


@RULES.on(hlt.ReshapeOp, hlt.TransposeOp, hlt.SliceOp, hlt.BroadcastOp, hlt.PadOp)
def movement_to_itself(
    op: hlt.ReshapeOp | hlt.TransposeOp | hlt.SliceOp | hlt.BroadcastOp | hlt.PadOp,
) -> Value | None:
    """Same shape, and for a transpose the same order: nothing moves."""
    if hlt.shape_of(op.x) != hlt.shape_of(op.result):
        return None
    if isinstance(op, hlt.TransposeOp) and op.permutation != tuple(range(len(op.permutation))):
        return None
    return op.x


# Reshape


@RULES.on(hlt.ReshapeOp)
def reshape_of_reshape(op: hlt.ReshapeOp) -> Value | None:
    inner = producer(op.x, hlt.ReshapeOp)
    return inner and hlt.ReshapeOp(inner.x, shape=op.shape)


@RULES.on(hlt.ReshapeOp)
def reshape_of_reduce(op: hlt.ReshapeOp) -> Value | None:
    """A reduction drops the dims itself that were kept only to be dropped."""
    inner = producer(op.x, hlt.ReduceOp)
    if inner is None or not inner.keep_dims or not inner.result.has_one_use():
        return None
    kept = tuple(n for dim, n in enumerate(hlt.shape_of(inner.x)) if dim not in inner.axes)
    if op.shape != kept:
        return None
    return hlt.ReduceOp(inner.x, kind=inner.kind, axes=inner.axes, keep_dims=False)


@RULES.on(hlt.ReshapeOp)
def reshape_of_broadcast(op: hlt.ReshapeOp) -> Value | None:
    """A reshape that only adds or drops extents of 1 is part of the broadcast before it."""
    inner = producer(op.x, hlt.BroadcastOp)
    if inner is None or not only_units_differ(inner.shape, op.shape) or 1 in hlt.shape_of(inner.x):
        return None
    wide = [dim for dim, extent in enumerate(inner.shape) if extent != 1]
    places = [dim for dim, extent in enumerate(op.shape) if extent != 1]
    where = dict(zip(wide, places, strict=True))
    return hlt.BroadcastOp(inner.x, shape=op.shape, dims=[where[dim] for dim in inner.dims])


# Broadcast


@RULES.on(hlt.BroadcastOp)
def broadcast_of_units(op: hlt.BroadcastOp) -> Value | None:
    """Extents of 1 are dropped before a broadcast; one that repeats nothing is a reshape."""
    shape = hlt.shape_of(op.x)
    if without_units(shape) == without_units(op.shape):
        return hlt.ReshapeOp(op.x, shape=op.shape)
    if 1 not in shape:
        return None
    dims = [dim for dim, extent in zip(op.dims, shape) if extent != 1]
    return hlt.BroadcastOp(hlt.ReshapeOp(op.x, shape=without_units(shape)), shape=op.shape, dims=dims)


@RULES.on(hlt.BroadcastOp)
def broadcast_of_broadcast(op: hlt.BroadcastOp) -> Value | None:
    inner = producer(op.x, hlt.BroadcastOp)
    if inner is None:
        return None
    return hlt.BroadcastOp(inner.x, shape=op.shape, dims=[op.dims[dim] for dim in inner.dims])


# Transpose


@RULES.on(hlt.TransposeOp)
def transpose_of_transpose(op: hlt.TransposeOp) -> Value | None:
    inner = producer(op.x, hlt.TransposeOp)
    if inner is None:
        return None
    return hlt.TransposeOp(inner.x, permutation=[inner.permutation[dim] for dim in op.permutation])


@RULES.on(hlt.TransposeOp)
def transpose_of_units(op: hlt.TransposeOp) -> Value | None:
    """Moving only extents of 1 about is a reshape."""
    shape = hlt.shape_of(op.x)
    moved = [dim for dim in op.permutation if shape[dim] != 1]
    return hlt.ReshapeOp(op.x, shape=hlt.shape_of(op.result)) if moved == sorted(moved) else None


@RULES.on(hlt.TransposeOp)
def transpose_of_broadcast(op: hlt.TransposeOp) -> Value | None:
    """The smaller tensor is transposed, if it needs to be."""
    inner = producer(op.x, hlt.BroadcastOp)
    if inner is None:
        return None
    places = [op.permutation.index(dim) for dim in inner.dims]
    order = sorted(range(len(places)), key=places.__getitem__)
    small = hlt.TransposeOp(inner.x, permutation=order)
    return hlt.BroadcastOp(small, shape=hlt.shape_of(op.result), dims=sorted(places))


@RULES.on(hlt.TransposeOp)
def transpose_of_iota(op: hlt.TransposeOp) -> Value | None:
    inner = producer(op.x, hlt.IotaOp)
    if inner is None:
        return None
    return hlt.IotaOp(shape=hlt.shape_of(op.result), axis=op.permutation.index(inner.axis), dtype=inner.dtype)


# Slice


@RULES.on(hlt.SliceOp)
def slice_of_slice(op: hlt.SliceOp) -> Value | None:
    inner = producer(op.x, hlt.SliceOp)
    if inner is None:
        return None
    box = zip(inner.starts, inner.strides, op.starts)
    return hlt.SliceOp(
        inner.x,
        starts=[low + stride * start for low, stride, start in box],
        sizes=op.sizes,
        strides=[outer * stride for outer, stride in zip(op.strides, inner.strides)],
    )


@RULES.on(hlt.SliceOp)
def slice_of_broadcast(op: hlt.SliceOp) -> Value | None:
    """The smaller tensor is sliced; repeated dims just get their new extent."""
    inner = producer(op.x, hlt.BroadcastOp)
    if inner is None or 0 in op.sizes:
        return None
    small = hlt.shape_of(inner.x)
    box = [
        (op.starts[dim], op.sizes[dim], op.strides[dim]) if extent == inner.shape[dim] else (0, 1, 1)
        for dim, extent in zip(inner.dims, small)
    ]
    return hlt.BroadcastOp(_slice(inner.x, box), shape=op.sizes, dims=inner.dims)


@RULES.on(hlt.SliceOp)
def slice_of_concat(op: hlt.SliceOp) -> Value | None:
    """A slice that stays within one operand of a concat is a slice of that operand."""
    inner = producer(op.x, hlt.ConcatOp)
    if inner is None or 0 in op.sizes:
        return None
    axis, offset = inner.axis, 0
    first, step = op.starts[axis], op.strides[axis]
    last = first + (op.sizes[axis] - 1) * step
    for value in inner.inputs:
        extent = hlt.shape_of(value)[axis]
        if offset <= first and last < offset + extent:
            box = list(zip(op.starts, op.sizes, op.strides))
            box[axis] = (first - offset, op.sizes[axis], step)
            return _slice(value, box)
        offset += extent
    return None


@RULES.on(hlt.SliceOp)
def slice_of_pad(op: hlt.SliceOp) -> Value | None:
    """A slice of what is not padding is a slice of the source."""
    inner = producer(op.x, hlt.PadOp)
    if inner is None or 0 in op.sizes:
        return None
    box = list(zip(op.starts, op.sizes, op.strides))
    for (start, size, stride), low, extent in zip(box, inner.low, hlt.shape_of(inner.x)):
        if start < low or start + (size - 1) * stride >= low + extent:
            return None
    return _slice(inner.x, [(start - low, *rest) for (start, *rest), low in zip(box, inner.low)])


def _slice(x: SSAValue, box: Sequence[tuple[int, ...]]) -> hlt.SliceOp:
    """The slice with one ``(start, size, stride)`` per dim."""
    starts, sizes, strides = zip(*box) if box else ((), (), ())
    return hlt.SliceOp(x, starts=starts, sizes=sizes, strides=strides)


# Reverse, pad, concat


@RULES.on(hlt.ReverseOp)
def reverse_of_units(op: hlt.ReverseOp) -> Value | None:
    """Axes of extent 0 or 1 have no order."""
    shape = hlt.shape_of(op.x)
    axes = [axis for axis in op.axes if shape[axis] > 1]
    if len(axes) == len(op.axes):
        return None
    return hlt.ReverseOp(op.x, axes=axes) if axes else op.x


@RULES.on(hlt.ReverseOp)
def reverse_of_reverse(op: hlt.ReverseOp) -> Value | None:
    inner = producer(op.x, hlt.ReverseOp)
    if inner is None:
        return None
    axes = sorted({*op.axes} ^ {*inner.axes})
    return hlt.ReverseOp(inner.x, axes=axes) if axes else inner.x


@RULES.on(hlt.PadOp)
def pad_of_pad(op: hlt.PadOp) -> Value | None:
    """Two borders of one constant are one border."""
    inner = producer(op.x, hlt.PadOp)
    if inner is None or op.mode != "constant" or inner.mode != "constant":
        return None
    if repr(op.value) != repr(inner.value):
        return None
    low, high = ([a + b for a, b in zip(getattr(op, side), getattr(inner, side))] for side in ("low", "high"))
    return hlt.PadOp(inner.x, low=low, high=high, value=op.value)


@RULES.on(hlt.PadOp)
def pad_of_splat(op: hlt.PadOp) -> Value | None:
    """Padding a splat with itself, or in a mode that copies, makes a larger splat."""
    value = splat(op.x)
    if value is None or (op.mode == "constant" and not is_splat(op.x, op.value)):
        return None
    return full_like(op.result, value)


@RULES.on(hlt.ConcatOp)
def concat_of_one(op: hlt.ConcatOp) -> Value | None:
    """Operands without elements are left out."""
    parts = [value for value in op.inputs if hlt.shape_of(value)[op.axis]]
    if len(parts) == 1:
        return parts[0]
    return hlt.ConcatOp(parts, axis=op.axis) if 0 < len(parts) < len(op.inputs) else None


@RULES.on(hlt.ConcatOp)
def concat_of_concat(op: hlt.ConcatOp) -> Value | None:
    """An operand that is a concat along the same axis, for this one only, is spliced in."""
    parts: list[SSAValue] = []
    for value in op.inputs:
        inner = producer(value, hlt.ConcatOp)
        nested = inner is not None and inner.axis == op.axis and value.has_one_use()
        parts += inner.inputs if inner is not None and nested else [value]
    return hlt.ConcatOp(parts, axis=op.axis) if len(parts) > len(op.inputs) else None


@RULES.on(hlt.ConcatOp)
def concat_of_splats(op: hlt.ConcatOp) -> Value | None:
    """Equal splats side by side are one."""
    first = splat(op.inputs[0])
    if first is None:
        return None
    bits = first.tobytes()
    for value in op.inputs[1:]:
        other = splat(value)
        if other is None or other.tobytes() != bits:
            return None
    return full_like(op.result, first)


@RULES.on(hlt.ConcatOp)
def concat_of_slices(op: hlt.ConcatOp) -> Value | None:
    """Neighbouring slices of one tensor, put together again, are one slice."""
    parts = [producer(value, hlt.SliceOp) for value in op.inputs]
    slices = [part for part in parts if part is not None]
    first = slices[0] if slices else None
    if first is None or len(slices) < len(parts) or first.strides != (1,) * len(first.strides):
        return None
    end = first.starts[op.axis]
    for part in slices:
        expected = _with(first.starts, op.axis, end)
        if part.x is not first.x or part.strides != first.strides or part.starts != expected:
            return None
        end += part.sizes[op.axis]
    return hlt.SliceOp(first.x, starts=first.starts, sizes=hlt.shape_of(op.result))


def _with(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], value, *values[at + 1 :])
