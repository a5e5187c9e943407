"""Element-wise operations: one scalar form each, one compute for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import IntegerType, i1
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import is_narrow
from mlc.dialects.hlt.base import element_of
from mlc.dialects.loop import GeluOp, RemfOp
from mlc.lowering.kernels.activation import sigmoid
from mlc.lowering.kernels.builder import KernelBuilder, ids, lowers, result_dims, signless
from mlc.lowering.narrow import decode, encode, is_unsigned
from mlc.lowering.scalar import Scalar

Form = Callable[[Scalar, Any, Sequence[SSAValue]], SSAValue]
"""Builds the scalar code of an operation from its operands' elements."""


def _unsigned(op: Operation) -> bool:
    return is_unsigned(element_of(op.operands[0]))


def _math(cls: type[Operation]) -> Form:
    return lambda s, op, a: s.unary(cls, a[0])


def _bits(cls: type[Operation]) -> Form:
    return lambda s, op, a: s.op(cls, a, a[0].type)


def _rem(s: Scalar, op: hlt.RemOp, a: Sequence[SSAValue]) -> SSAValue:
    """C remainder; ``floor`` mode takes the divisor's sign."""
    x, y = a
    if not isinstance(x.type, IntegerType):
        rest = s.binary(RemfOp, x, y)
    else:
        rest = s.op(arith.RemUIOp if _unsigned(op) else arith.RemSIOp, [x, y], x.type)
    if op.mode == "trunc" or _unsigned(op):
        return rest
    zero = s.constant(0, x.type)
    differ = s.op(arith.XOrIOp, [s.compare("lt", rest, zero), s.compare("lt", y, zero)], i1)
    wrong = s.op(arith.AndIOp, [differ, s.compare("ne", rest, zero)], i1)
    return s.select(wrong, s.add(rest, y), rest)


def _shift(s: Scalar, op: Operation, a: Sequence[SSAValue]) -> SSAValue:
    """Shifts by the width or more give 0 (or the sign)."""
    x, count = a
    assert isinstance(x.type, IntegerType)
    width = x.type.width.data
    left = isinstance(op, hlt.ShiftLeftOp)
    signed = not left and not _unsigned(op)
    limit = s.constant(width - 1, x.type)
    bounded = s.minimum(count, limit, unsigned=True)
    cls = arith.ShLIOp if left else arith.ShRSIOp if signed else arith.ShRUIOp
    shifted = s.op(cls, [x, bounded], x.type)
    if signed:
        return shifted
    over = s.compare("gt", count, limit, unsigned=True)
    return s.select(over, s.constant(0, x.type), shifted)


def _absolute(s: Scalar, op: Operation, a: Sequence[SSAValue]) -> SSAValue:
    x = a[0]
    if not isinstance(x.type, IntegerType):
        return s.unary(math.AbsFOp, x)
    return x if _unsigned(op) else s.maximum(x, s.neg(x))


def _sign(s: Scalar, op: Operation, a: Sequence[SSAValue]) -> SSAValue:
    x = a[0]
    zero, one = s.constant(0, x.type), s.constant(1, x.type)
    positive = s.select(s.compare("gt", x, zero, unsigned=_unsigned(op)), one, zero)
    if _unsigned(op):
        return positive
    signed = s.select(s.compare("lt", x, zero), s.constant(-1, x.type), positive)
    return signed if isinstance(x.type, IntegerType) else s.select(s.is_nan(x), x, signed)


def _rsqrt(s: Scalar, op: Operation, a: Sequence[SSAValue]) -> SSAValue:
    wide = s.widen(a[0])
    root = s.unary(math.SqrtOp, wide)
    return s.narrow(s.div(s.constant(1.0, wide.type), root), a[0].type)


def _reciprocal(s: Scalar, op: Operation, a: Sequence[SSAValue]) -> SSAValue:
    return s.div(s.constant(1.0, a[0].type), a[0])


def _sigmoid(s: Scalar, op: Operation, a: Sequence[SSAValue]) -> SSAValue:
    return s.narrow(sigmoid(s, s.widen(a[0])), a[0].type)


def _gelu(s: Scalar, op: hlt.GeluOp, a: Sequence[SSAValue]) -> SSAValue:
    x = s.widen(a[0])
    if op.approximate == "none":
        return s.narrow(s.unary(GeluOp, x), a[0].type)
    half, one = s.constant(0.5, x.type), s.constant(1.0, x.type)
    cube = s.add(s.mul(s.mul(x, x), s.constant(0.044715, x.type)), one)
    inner = s.unary(math.TanhOp, s.mul(s.mul(x, s.constant(0.7978845608028654, x.type)), cube))
    return s.narrow(s.mul(s.mul(x, half), s.add(inner, one)), a[0].type)


def _compare(s: Scalar, op: hlt.CompareOp, a: Sequence[SSAValue]) -> SSAValue:
    unsigned = _unsigned(op) or element_of(op.operands[0]) == i1
    return s.compare(op.predicate, a[0], a[1], unsigned=unsigned)


def _cast(s: Scalar, op: hlt.CastOp, a: Sequence[SSAValue]) -> SSAValue:
    source, to = element_of(op.x), element_of(op.result)
    if source == to:
        return a[0]
    x = decode(s, a[0], source) if is_narrow(source) else a[0]
    if is_narrow(to):
        return encode(s, x, to, saturate=op.saturate, from_unsigned=_unsigned(op))
    return s.cast(x, signless(to), from_unsigned=_unsigned(op), to_unsigned=is_unsigned(to))


def _bitcast(s: Scalar, op: hlt.BitcastOp, a: Sequence[SSAValue]) -> SSAValue:
    target = signless(element_of(op.result))
    return a[0] if a[0].type == target else s.op(arith.BitcastOp, [a[0]], target)


def _is_inf(s: Scalar, op: hlt.IsInfOp, a: Sequence[SSAValue]) -> SSAValue:
    x = s.widen(a[0])
    found: SSAValue | None = None
    for wanted, number in ((op.positive, float("inf")), (op.negative, float("-inf"))):
        if wanted:
            hit = s.compare("eq", x, s.constant(number, x.type))
            found = hit if found is None else s.op(arith.OrIOp, [found, hit], i1)
    return found if found is not None else s.constant(0, i1)


def _pow(s: Scalar, op: hlt.PowOp, a: Sequence[SSAValue]) -> SSAValue:
    if isinstance(a[0].type, IntegerType):
        return _integer_pow(s, a[0], a[1], unsigned=_unsigned(op))
    return s.binary(math.PowFOp, a[0], a[1])


def _integer_pow(s: Scalar, base: SSAValue, exponent: SSAValue, *, unsigned: bool) -> SSAValue:
    """The product of the squares that the exponent's bits choose; below 0 what truncating the quotient leaves."""
    element = base.type
    assert isinstance(element, IntegerType)
    zero, one = s.constant(0, element), s.constant(1, element)
    result, square = one, base
    for bit in range(element.width.data):
        chosen = s.op(arith.AndIOp, [exponent, s.constant(1 << bit, element)], element)
        result = s.mul(result, s.select(s.compare("ne", chosen, zero), square, one))
        square = s.mul(square, square)
    if unsigned:
        return result
    odd = s.compare("ne", s.op(arith.AndIOp, [exponent, one], element), zero)
    minus = s.compare("eq", base, s.constant(-1, element))
    unit = s.select(minus, s.select(odd, base, one), s.select(s.compare("eq", base, one), one, zero))
    return s.select(s.compare("lt", exponent, zero), unit, result)


FORMS: dict[type[Operation], Form] = {
    hlt.AddOp: lambda s, op, a: s.add(*a),
    hlt.SubOp: lambda s, op, a: s.sub(*a),
    hlt.MulOp: lambda s, op, a: s.mul(*a),
    hlt.DivOp: lambda s, op, a: s.div(*a, unsigned=_unsigned(op)),
    hlt.RemOp: _rem,
    hlt.PowOp: _pow,
    hlt.MaximumOp: lambda s, op, a: s.maximum(*a, unsigned=_unsigned(op)),
    hlt.MinimumOp: lambda s, op, a: s.minimum(*a, unsigned=_unsigned(op)),
    hlt.AndOp: _bits(arith.AndIOp),
    hlt.OrOp: _bits(arith.OrIOp),
    hlt.XorOp: _bits(arith.XOrIOp),
    hlt.NotOp: lambda s, op, a: s.op(arith.XOrIOp, [a[0], s.constant(-1, a[0].type)], a[0].type),
    hlt.ShiftLeftOp: _shift,
    hlt.ShiftRightOp: _shift,
    hlt.CompareOp: _compare,
    hlt.SelectOp: lambda s, op, a: s.select(*a),
    hlt.CastOp: _cast,
    hlt.BitcastOp: _bitcast,
    hlt.NegOp: lambda s, op, a: s.neg(a[0]),
    hlt.AbsOp: _absolute,
    hlt.SignOp: _sign,
    hlt.SqrtOp: _math(math.SqrtOp),
    hlt.RsqrtOp: _rsqrt,
    hlt.ReciprocalOp: _reciprocal,
    hlt.SigmoidOp: _sigmoid,
    hlt.GeluOp: _gelu,
    hlt.FloorOp: _math(math.FloorOp),
    hlt.CeilOp: _math(math.CeilOp),
    hlt.RoundOp: _math(math.RoundEvenOp),
    hlt.ExpOp: _math(math.ExpOp),
    hlt.LogOp: _math(math.LogOp),
    hlt.SinOp: _math(math.SinOp),
    hlt.CosOp: _math(math.CosOp),
    hlt.TanOp: _math(math.TanOp),
    hlt.AsinOp: _math(math.AsinOp),
    hlt.AcosOp: _math(math.AcosOp),
    hlt.AtanOp: _math(math.AtanOp),
    hlt.SinhOp: _math(math.SinhOp),
    hlt.CoshOp: _math(math.CoshOp),
    hlt.TanhOp: _math(math.TanhOp),
    hlt.AsinhOp: _math(math.AsinhOp),
    hlt.AcoshOp: _math(math.AcoshOp),
    hlt.AtanhOp: _math(math.AtanhOp),
    hlt.ErfOp: _math(math.ErfOp),
    hlt.IsNanOp: lambda s, op, a: s.is_nan(a[0]),
    hlt.IsInfOp: _is_inf,
}
"""The scalar form of every element-wise operation."""


@lowers(*FORMS)
def lower_elementwise(builder: KernelBuilder, op: Operation) -> None:
    """One compute over the result's dims."""
    result = op.results[0]
    form = FORMS[type(op)]
    sources = [builder.source(v) for v in op.operands]
    target = builder.result(result)
    dims = result_dims(target.shape)

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        return form(s, op, args)

    builder.compute(
        [(s, ids(dims)) for s in sources],
        [(target, ids(dims))],
        dims,
        finish=finish,
    )
