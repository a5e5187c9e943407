"""Movement: broadcast, reshape, transpose, slice, reverse, pad, concat, iota as computes with plain maps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import i64

from mlc.dialects import hlt
from mlc.dialects.hlt import numpy_dtype
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.interpreters.numerics import cast
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr, constant, floordiv, linear, mod
from mlc.lowering.kernels.builder import Buffer, KernelBuilder, Source, Splat, ids, lowers, result_dims, splat, splat_of


def copy(
    builder: KernelBuilder,
    source: Source,
    index: Sequence[Expr],
    target: Buffer,
    out: Sequence[Expr],
    dims: Sequence[Dim],
) -> None:
    """``target[out] = source[index]`` over dims."""
    builder.compute([(source, index)], [(target, out)], dims, finish=lambda s, x: x)


@lowers(hlt.ConstantOp)
def lower_constant(builder: KernelBuilder, op: hlt.ConstantOp) -> None:
    """Only splats live inside kernels; other constants are captured as weights."""
    splat = splat_of(op)
    if splat is None:
        raise AssertionError("a constant inside a fusion is a splat")
    builder.alias(op.result, splat)


@lowers(hlt.BroadcastOp)
def lower_broadcast(builder: KernelBuilder, op: hlt.BroadcastOp) -> None:
    """A copy whose index leaves out the dims that are repeated; a splat stays one."""
    source = builder.source(op.x)
    if isinstance(source, Splat):
        builder.alias(op.result, source)
        return
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    all_ids = ids(dims)
    index = [all_ids[d] if n != 1 else constant(0) for n, d in zip(source.shape, op.dims)]
    copy(builder, source, index, target, all_ids, dims)


def reshape_index(index: Sequence[Expr], shape: Sequence[int], to: Sequence[int], ranges: dict[str, int]) -> list[Expr]:
    """The index into a tensor of shape ``to`` that is the same element as ``index`` into one of ``shape``."""
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
    flat = linear(strides, index)
    found: list[Expr] = []
    for i, extent in enumerate(to):
        inner = prod(to[i + 1 :])
        part = floordiv(flat, inner, ranges) if inner > 1 else flat
        found.append(constant(0) if extent <= 1 else mod(part, extent, ranges) if i else part)
    return found


@lowers(hlt.ReshapeOp)
def lower_reshape(builder: KernelBuilder, op: hlt.ReshapeOp) -> None:
    """A copy by quotients and remainders of the flat index; a splat stays one."""
    source = builder.source(op.x)
    if isinstance(source, Splat):
        builder.alias(op.result, source)
        return
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    index = reshape_index(ids(dims), target.shape, source.shape, {d.name: d.extent for d in dims})
    copy(builder, source, index, target, ids(dims), dims)


@lowers(hlt.TransposeOp)
def lower_transpose(builder: KernelBuilder, op: hlt.TransposeOp) -> None:
    """A copy with the index permuted; dims go by their place in the operand, as in the computes that make it."""
    source = builder.buffer(op.x)
    target = builder.result(op.result)
    dims = result_dims(source.shape)
    index = ids(dims)
    order = op.permutation
    copy(builder, source, index, target, [index[axis] for axis in order], [dims[axis] for axis in order])


@lowers(hlt.SliceOp)
def lower_slice(builder: KernelBuilder, op: hlt.SliceOp) -> None:
    """A copy with the index scaled and shifted."""
    source = builder.buffer(op.x)
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    index = [e.times(step).shifted(start) for e, start, step in zip(ids(dims), op.starts, op.strides)]
    copy(builder, source, index, target, ids(dims), dims)


@lowers(hlt.ReverseOp)
def lower_reverse(builder: KernelBuilder, op: hlt.ReverseOp) -> None:
    """A copy with some indices counted from the end."""
    source = builder.buffer(op.x)
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    index = [e.times(-1).shifted(d.extent - 1) if i in op.axes else e for i, (e, d) in enumerate(zip(ids(dims), dims))]
    copy(builder, source, index, target, ids(dims), dims)


@lowers(hlt.ConcatOp)
def lower_concat(builder: KernelBuilder, op: hlt.ConcatOp) -> None:
    """One copy per operand, each into its own part of the result; what was made there needs none."""
    sources = [builder.source(v) for v in op.operands]
    target = builder.result(op.result)
    start = 0
    for value, source in zip(op.operands, sources):
        shape = shape_of(value)
        dims = result_dims(shape)
        out = ids(dims)
        out[op.axis] = out[op.axis].shifted(start)
        if prod(shape):
            copy(builder, source, ids(dims), target, out, dims)
        start += shape[op.axis]


@lowers(hlt.IotaOp)
def lower_iota(builder: KernelBuilder, op: hlt.IotaOp) -> None:
    """The index of a dim as a value."""
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    name = dims[op.axis].name

    builder.compute([], [(target, ids(dims))], dims, finish=lambda s: s.cast(s.index(name, i64), target.element))


@lowers(hlt.PadOp)
def lower_pad(builder: KernelBuilder, op: hlt.PadOp) -> None:
    """The inside is a copy; the border is filled, or copied from where the mode says."""
    source = builder.source(op.x)
    target = builder.result(op.result)
    element = element_of(op.x)
    fill = splat(cast(np.asarray(op.value), numpy_dtype(element)), element)
    extents = shape_of(op.x)
    if op.mode == "constant":
        if prod(extents):
            dims = result_dims(extents)
            out = [e.shifted(low) for e, low in zip(ids(dims), op.low)]
            copy(builder, source, ids(dims), target, out, dims)
        for box in border_boxes(extents, op.low, op.high):
            _fill_box(builder, target, fill, box)
        return
    inner = builder.buffer(op.x)
    for parts in itertools.product(*(_sides(n, a, b) for n, a, b in zip(extents, op.low, op.high))):
        dims = result_dims([count for _, _, count in parts])
        out = [e.shifted(start) for e, (_, start, _) in zip(ids(dims), parts)]
        index = [
            _mirrored(op.mode, side, e, n, low, count)
            for (side, _, count), e, n, low in zip(parts, ids(dims), extents, op.low)
        ]
        copy(builder, inner, index, target, out, dims)


def border_boxes(extents: Sequence[int], low: Sequence[int], high: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Disjoint boxes (start, count per dim) that cover the border of a padded tensor."""
    whole = [(0, n + a + b) for n, a, b in zip(extents, low, high)]
    inside = [(a, n) for n, a in zip(extents, low)]
    boxes: list[list[tuple[int, int]]] = []
    for axis, (n, a, b) in enumerate(zip(extents, low, high)):
        for part in ((0, a), (a + n, b)):
            box = [*inside[:axis], part, *whole[axis + 1 :]]
            if prod(count for _, count in box):
                boxes.append(box)
    return boxes


def _fill_box(builder: KernelBuilder, target: Buffer, fill: Splat, box: Sequence[tuple[int, int]]) -> None:
    dims = result_dims([count for _, count in box])
    out = [e.shifted(start) for e, (start, _) in zip(ids(dims), box)]
    copy(builder, fill, ids(dims), target, out, dims)


def _sides(extent: int, low: int, high: int) -> list[tuple[str, int, int]]:
    """(side, start in the result, count) of a padded dim's non-empty parts."""
    sides = [("low", 0, low), ("inside", low, extent), ("high", low + extent, high)]
    return [s for s in sides if s[2]]


def _mirrored(mode: str, side: str, place: Expr, extent: int, low: int, count: int) -> Expr:
    """Where an element of a padded part comes from; pads never exceed what the mode can give."""
    if side == "inside":
        return place
    if mode == "edge":
        return constant(0 if side == "low" else extent - 1)
    if mode == "wrap":
        return place.shifted(extent - low) if side == "low" else place
    return place.times(-1).shifted(low if side == "low" else extent - 2)
