"""Softmax and the normalisations: several computes over the same rows, which end up sharing their outer loops."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mlc.dialects import hlt
from mlc.dialects.loop.affine import Expr
from mlc.lowering.kernels.builder import Buffer, KernelBuilder, Source, ids, lowers, result_dims
from mlc.lowering.kernels.contraction import accumulator
from mlc.lowering.scalar import Scalar
from xdsl.dialects import math
from xdsl.dialects.builtin import FloatAttr, f32
from xdsl.ir import SSAValue

NONPOSITIVE = "nonpositive"
"""Attribute of a `math.exp` whose operand is known to be at most 0."""


class Rows:
    """A tensor seen as rows: dims of its shape, some of them folded along the way."""

    def __init__(self, builder: KernelBuilder, shape: Sequence[int], axes: Sequence[int]) -> None:
        self.builder = builder
        self.dims = result_dims(shape)
        self.index = ids(self.dims)
        self.axes = set(axes)
        self.count = prod(shape[a] for a in axes)
        self.folding = [d._replace(kind="r") if i in self.axes else d for i, d in enumerate(self.dims)]
        self.row_shape = [d.extent for i, d in enumerate(self.dims) if i not in self.axes]
        self.row_index: list[Expr] = [e for i, e in enumerate(self.index) if i not in self.axes]

    def per_row(self, element: object = f32) -> Buffer:
        """Scratch with one value per row."""
        return self.builder.scratch(self.row_shape, element)  # type: ignore[arg-type]


@lowers(hlt.SoftmaxOp)
def lower_softmax(builder: KernelBuilder, op: hlt.SoftmaxOp) -> None:
    """Row maximum; exponentials and their sum in one compute; then the scale (or the logarithm)."""
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
        init=lambda s, *_: s.constant(float("-inf"), acc),
        map=lambda s, a: s.widen(a),
        combine=lambda s, a, b: s.max_number(a, b),
        finish=lambda s, *args: args[-1],
        accumulators=[acc],
    )
    if op.log:
        _log_softmax(rows, x, peak, total, target)
        return
    values = target if element == acc else builder.scratch(target.shape, acc)
    builder.compute(
        [x, (peak, row)],
        [(total, row)],
        rows.folding,
        init=lambda s, *_: s.constant(0.0, acc),
        map=lambda s, a, m: [_exp_of_difference(s, a, m)] * 2,
        combine=lambda s, a, b: s.add(a, b),
        finish=lambda s, *args: s.div(s.constant(1.0, acc), args[-1]),
        accumulators=[acc],
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


def _log_softmax(rows: Rows, x: tuple[Source, list[Expr]], peak: Buffer, total: Buffer, target: Buffer) -> None:
    """``x - (max + log(sum(exp(x - max))))``."""
    row, acc = rows.row_index, peak.element
    rows.builder.compute(
        [x, (peak, row)],
        [(total, row)],
        rows.folding,
        init=lambda s, *_: s.constant(0.0, acc),
        map=_exp_of_difference,
        combine=lambda s, a, b: s.add(a, b),
        finish=lambda s, a, m, acc_value: s.add(m, s.unary(math.LogOp, acc_value)),
        accumulators=[acc],
    )
    rows.builder.compute(
        [x, (total, row)],
        [(target, rows.index)],
        rows.dims,
        finish=lambda s, a, t: s.cast(s.sub(s.widen(a), t), target.element),
    )


def _sum(rows: Rows, ins: list[tuple[Source, list[Expr]]], out: Buffer, value: object, finish: object) -> None:
    acc = out.element
    rows.builder.compute(
        ins,
        [(out, rows.row_index)],
        rows.folding,
        init=lambda s, *_: s.constant(0.0, acc),
        map=value,  # type: ignore[arg-type]
        combine=lambda s, a, b: s.add(a, b),
        finish=finish,  # type: ignore[arg-type]
        accumulators=[acc],
    )


@lowers(hlt.LayerNormOp)
def lower_layer_norm(builder: KernelBuilder, op: hlt.LayerNormOp) -> None:
    """Mean; mean of squared differences; then scale and shift. Two passes: no cancellation."""
    target = builder.result(op.result)
    rows = Rows(builder, target.shape, range(op.axis, len(target.shape)))
    acc = accumulator(target.element)
    mean, inverse = rows.per_row(acc), rows.per_row(acc)
    x, row, share = (builder.source(op.x), rows.index), rows.row_index, 1.0 / rows.count
    _sum(rows, [x], mean, lambda s, a: s.widen(a), lambda s, *args: s.mul(args[-1], s.constant(share, acc)))

    def square(s: Scalar, a: SSAValue, m: SSAValue) -> SSAValue:
        difference = s.sub(s.widen(a), m)
        return s.mul(difference, difference)

    _sum(rows, [x, (mean, row)], inverse, square, _inverse_root(share, op.epsilon))
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

    _sum(rows, [x], inverse, square, _inverse_root(1.0 / rows.count, op.epsilon))
    _scale_and_shift(rows, op, x, None, inverse, target)


def _inverse_root(share: float, epsilon: float) -> object:
    """``1 / sqrt(sum * share + epsilon)``."""

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        acc = args[-1].type
        variance = s.add(s.mul(args[-1], s.constant(share, acc)), s.constant(epsilon, acc))
        return s.div(s.constant(1.0, acc), s.unary(math.SqrtOp, variance))

    return finish


def _scale_and_shift(
    rows: Rows,
    op: hlt.LayerNormOp | hlt.RmsNormOp,
    x: tuple[Source, list[Expr]],
    mean: Buffer | None,
    inverse: Buffer,
    target: Buffer,
) -> None:
    tail = rows.index[op.axis :]
    ins: list[tuple[Source, list[Expr]]] = [x, (inverse, rows.row_index)]
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
