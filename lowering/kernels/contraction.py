"""Sums of products: dot_general, conv and conv_transpose as one reduction each."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import shape_of
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr, constant
from mlc.errors import UnsupportedError
from mlc.lowering.kernels.builder import Buffer, KernelBuilder, Source, Splat, ids, lowers, result_dims
from mlc.lowering.scalar import Scalar, is_half

ACCUMULATE = "hlt.accumulate"
"""Attribute of products of halves whose sums are kept in halves, too."""


def accumulator(element: Attribute) -> Attribute:
    """What sums of an element type are kept in: f32 for halves."""
    return f32 if is_half(element) else element


def sum_of_products(
    builder: KernelBuilder,
    ins: Sequence[tuple[Source, Sequence[Expr]]],
    out: tuple[Buffer, Sequence[Expr]],
    dims: Sequence[Dim],
    acc: Attribute | None = None,
) -> None:
    """``out = sum(ins[0] * ins[1])`` over the reduction dims, in ``acc`` or else the type's `accumulator`."""
    element = out[0].element
    acc = acc or accumulator(element)
    native = is_half(acc)

    def product(s: Scalar, a: SSAValue, b: SSAValue) -> SSAValue:
        return s.op(arith.MulfOp, [a, b], acc) if native else s.mul(s.widen(a), s.widen(b))

    def add(s: Scalar, a: SSAValue, b: SSAValue) -> SSAValue:
        return s.op(arith.AddfOp, [a, b], acc) if native else s.add(a, b)

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        return s.cast(args[-1], element)

    builder.compute(
        ins,
        [out],
        dims,
        start=[Splat(0, acc)],
        map=product,
        combine=add,
        finish=finish,
    )


@lowers(hlt.DotGeneralOp)
def lower_dot_general(builder: KernelBuilder, op: hlt.DotGeneralOp) -> None:
    """Result dims ``d0 d1 ..`` (batch, lhs free, rhs free), contracted dims ``k0 k1 ..``."""
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    out = ids(dims)
    lhs_shape, rhs_shape = shape_of(op.lhs), shape_of(op.rhs)
    folds = [Dim(f"k{i}", lhs_shape[d], "r") for i, d in enumerate(op.lhs_contract)]
    batch, lhs_free = len(op.lhs_batch), len(op.lhs_free)
    lhs: list[Expr] = [constant(0)] * len(lhs_shape)
    rhs: list[Expr] = [constant(0)] * len(rhs_shape)
    for i, (left, right) in enumerate(zip(op.lhs_batch, op.rhs_batch)):
        lhs[left] = rhs[right] = out[i]
    for i, axis in enumerate(op.lhs_free):
        lhs[axis] = out[batch + i]
    for i, axis in enumerate(op.rhs_free):
        rhs[axis] = out[batch + lhs_free + i]
    for fold, left, right in zip(ids(folds), op.lhs_contract, op.rhs_contract):
        lhs[left] = rhs[right] = fold
    sum_of_products(
        builder,
        [(builder.source(op.lhs), lhs), (builder.source(op.rhs), rhs)],
        (target, out),
        _reducing(dims, folds),
        _asked(op, target.element),
    )


def _asked(op: hlt.HltOp, element: Attribute) -> Attribute | None:
    """What the operation asks to keep its sums in, if it does."""
    return element if ACCUMULATE in op.attributes else None


def _reducing(dims: list[Dim], folds: list[Dim]) -> list[Dim]:
    """All dims; a reduction over nothing still needs one dim to fold."""
    return [*dims, *(folds or [Dim("k", 1, "r")])]


@lowers(hlt.ConvOp)
def lower_conv(builder: KernelBuilder, op: hlt.ConvOp) -> None:
    """Result dims ``d0`` batch, ``d1`` channel (or ``g`` group, ``d1`` channel in it), ``d2 ..`` space.

    Reduction dims: ``c`` channel in the group, ``k0 k1 ..`` window. The padding is an explicit `hlt.pad` before.
    """
    if any(op.pads_low) or any(op.pads_high):
        raise UnsupportedError("padding must be explicit before lowering", node=hlt.node_name(op))
    target = builder.result(op.result)
    x_shape, w_shape = shape_of(op.x), shape_of(op.w)
    groups, inner, outer = op.groups, w_shape[1], w_shape[0] // op.groups
    space = result_dims(target.shape)[2:]
    window = [Dim(f"k{i}", n, "r") for i, n in enumerate(w_shape[2:])]
    batch, group, channel = Dim("d0", x_shape[0]), Dim("g", groups), Dim("d1", outer)
    fold = Dim("c", inner, "r")
    g, o, c = (ids([d])[0] for d in (group, channel, fold))
    place = [
        e.times(stride).plus(k.times(dilation))
        for e, k, stride, dilation in zip(ids(space), ids(window), op.strides, op.dilations)
    ]
    n = ids([batch])[0]
    x_index = [n, g.times(inner).plus(c), *place]
    w_index = [g.times(outer).plus(o), c, *ids(window)]
    out = [n, g.times(outer).plus(o), *ids(space)]
    dims = [batch, group, channel, *space, fold, *window]
    sum_of_products(
        builder,
        [(builder.source(op.x), x_index), (builder.source(op.w), w_index)],
        (target, out),
        _trim(dims),
        _asked(op, target.element),
    )


def _trim(dims: Sequence[Dim]) -> list[Dim]:
    """Without parallel dims of extent 1, and with at least one reduction dim."""
    kept = [d for d in dims if d.extent != 1]
    if not any(d.kind == "r" for d in kept):
        kept.append(next(d for d in dims if d.kind == "r"))
    return kept
