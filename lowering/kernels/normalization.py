"""Softmax and the normalisations: several computes over the same rows, which end up sharing their outer loops."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias

import numpy as np
from xdsl.dialects import math
from xdsl.dialects.builtin import FloatAttr, f32, f64
from xdsl.ir import Attribute, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.loop.affine import Expr
from mlc.lowering.kernels.builder import Buffer, Index, KernelBuilder, Source, Splat, ids, lowers, result_dims
from mlc.lowering.kernels.contraction import accumulator
from mlc.lowering.scalar import NONPOSITIVE, Body, Scalar

Operand: TypeAlias = tuple[Source, Index]

_LOWEST: dict[Attribute, float] = {type_: -float(np.finfo(numpy_dtype(type_)).max) for type_ in (f32, f64)}
"""The lowest finite number of each type that rows are folded in."""


class Rows:
    """A tensor seen as rows: dims of its shape, some of them folded along the way.

    ``share`` is the part that one element has in the mean of its row; rows of nothing have none.
    """

    def __init__(self, builder: KernelBuilder, shape: Sequence[int], axes: Sequence[int]) -> None:
        self.builder = builder
        self.dims = result_dims(shape)
        self.index = ids(self.dims)
        self.axes = set(axes)
        self.share = 1.0 / max(prod(shape[a] for a in axes), 1)
        self.folding = [d._replace(kind="r") if i in self.axes else d for i, d in enumerate(self.dims)]
        self.row_shape = [d.extent for i, d in enumerate(self.dims) if i not in self.axes]
        self.row_index: list[Expr] = [e for i, e in enumerate(self.index) if i not in self.axes]

    def per_row(self, element: Attribute) -> Buffer:
        """Scratch with one value per row."""
        return self.builder.scratch(self.row_shape, element)

    def sum(self, ins: Sequence[Operand], out: Buffer, *, map: Body, finish: Body) -> None:
        """Per row, ``finish`` of the sum over ``map`` of the operands' elements."""
        self.builder.compute(
            ins,
            [(out, self.row_index)],
            self.folding,
            start=[Splat(0.0, out.element)],
            map=map,
            combine=Scalar.add,
            finish=finish,
        )


@lowers(hlt.SoftmaxOp)
def lower_softmax(builder: KernelBuilder, op: hlt.SoftmaxOp) -> None:
    """Row maximum; exponentials and their sum in one compute; then the scale (or the logarithm).

    With ``safe``, a row of -inf has a finite maximum, so that its exponentials are 0, and 1 for their sum; that of
    others is at least 1 already, for one of them is exp(0).
    """
    source = builder.source(op.x)
    target = builder.result(op.result)
    rows = Rows(builder, target.shape, [op.axis])
    element = target.element
    acc = accumulator(element)
    peak, total = rows.per_row(acc), rows.per_row(acc)
    x, row = (source, rows.index), rows.row_index
    builder.compute(
        [x],
        [(peak, row)],
        rows.folding,
        start=[Splat(float("-inf"), acc)],
        map=Scalar.widen,
        combine=Scalar.max_number,
        finish=lambda s, a, m: s.maximum(m, s.constant(_LOWEST[acc], acc)) if op.safe else m,
    )
    if op.log:
        _log_softmax(rows, x, peak, total, target, safe=op.safe)
        return
    values = target if element == acc else builder.scratch(target.shape, acc)
    builder.compute(
        [x, (peak, row)],
        [(total, row)],
        rows.folding,
        start=[Splat(0.0, acc)],
        map=lambda s, a, m: [_exp_of_difference(s, a, m)] * 2,
        combine=Scalar.add,
        finish=lambda s, a, m, exponentials: s.div(s.constant(1.0, acc), _total(s, exponentials, safe=op.safe)),
        elems=[(values, rows.index)],
    )
    builder.compute(
        [(values, rows.index), (total, row)],
        [(target, rows.index)],
        rows.dims,
        finish=lambda s, a, scale: s.cast(s.mul(a, scale), element),
    )


def _exp_of_difference(s: Scalar, a: SSAValue, peak: SSAValue) -> SSAValue:
    result = s.unary(math.ExpOp, s.sub(s.widen(a), peak))
    owner = result.owner
    assert isinstance(owner, math.ExpOp)
    owner.attributes[NONPOSITIVE] = FloatAttr(0.0, f32)
    return result


def _total(s: Scalar, exponentials: SSAValue, *, safe: bool) -> SSAValue:
    """A row's sum of exponentials; with ``safe``, 1 for no sum at all. NaN stays."""
    return s.maximum(exponentials, s.constant(1.0, exponentials.type)) if safe else exponentials


def _log_softmax(rows: Rows, x: Operand, peak: Buffer, total: Buffer, target: Buffer, *, safe: bool) -> None:
    """``x - (max + log(sum(exp(x - max))))``."""
    row = rows.row_index
    rows.sum(
        [x, (peak, row)],
        total,
        map=_exp_of_difference,
        finish=lambda s, a, m, exponentials: s.add(m, s.unary(math.LogOp, _total(s, exponentials, safe=safe))),
    )
    rows.builder.compute(
        [x, (total, row)],
        [(target, rows.index)],
        rows.dims,
        finish=lambda s, a, t: s.cast(s.sub(s.widen(a), t), target.element),
    )


@lowers(hlt.LayerNormOp)
def lower_layer_norm(builder: KernelBuilder, op: hlt.LayerNormOp) -> None:
    """Mean; mean of squared differences; then scale and shift. Two passes: no cancellation."""
    target = builder.result(op.result)
    rows = Rows(builder, target.shape, range(op.axis, len(target.shape)))
    acc = accumulator(target.element)
    mean, inverse = rows.per_row(acc), rows.per_row(acc)
    x, row = (builder.source(op.x), rows.index), rows.row_index
    rows.sum([x], mean, map=Scalar.widen, finish=lambda s, a, total: s.mul(total, s.constant(rows.share, acc)))

    def square(s: Scalar, a: SSAValue, m: SSAValue) -> SSAValue:
        difference = s.sub(s.widen(a), m)
        return s.mul(difference, difference)

    rows.sum([x, (mean, row)], inverse, map=square, finish=_inverse_root(rows.share, op.epsilon))
    _scale_and_shift(rows, op, x, mean, inverse, target)


@lowers(hlt.RmsNormOp)
def lower_rms_norm(builder: KernelBuilder, op: hlt.RmsNormOp) -> None:
    """Mean of squares; then scale."""
    target = builder.result(op.result)
    rows = Rows(builder, target.shape, range(op.axis, len(target.shape)))
    acc = accumulator(target.element)
    inverse = rows.per_row(acc)
    x = (builder.source(op.x), rows.index)

    def square(s: Scalar, a: SSAValue) -> SSAValue:
        wide = s.widen(a)
        return s.mul(wide, wide)

    rows.sum([x], inverse, map=square, finish=_inverse_root(rows.share, op.epsilon))
    _scale_and_shift(rows, op, x, None, inverse, target)


def _inverse_root(share: float, epsilon: float) -> Body:
    """``1 / sqrt(sum * share + epsilon)``."""

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        acc = args[-1].type
        variance = s.add(s.mul(args[-1], s.constant(share, acc)), s.constant(epsilon, acc))
        return s.div(s.constant(1.0, acc), s.unary(math.SqrtOp, variance))

    return finish


def _scale_and_shift(
    rows: Rows,
    op: hlt.LayerNormOp | hlt.RmsNormOp,
    x: Operand,
    mean: Buffer | None,
    inverse: Buffer,
    target: Buffer,
) -> None:
    tail = rows.index[op.axis :]
    ins: list[Operand] = [x, (inverse, rows.row_index)]
    if mean is not None:
        ins.append((mean, rows.row_index))
    scale, bias = op.scale, getattr(op, "bias", None)
    if scale is not None:
        ins.append((rows.builder.source(scale), tail))
    if bias is not None:
        ins.append((rows.builder.source(bias), tail))

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        rest = iter(args)
        value, inverse_value = s.widen(next(rest)), next(rest)
        if mean is not None:
            value = s.sub(value, next(rest))
        value = s.mul(value, inverse_value)
        if scale is not None:
            value = s.mul(value, s.widen(next(rest)))
        if bias is not None:
            value = s.add(value, s.widen(next(rest)))
        return s.cast(value, target.element)

    rows.builder.compute(ins, [(target, rows.index)], rows.dims, finish=finish)
