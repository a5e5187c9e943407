"""log, and what is built on it."""

from __future__ import annotations

from mlc.lowering.loops.polynomials.coefficients import LN2, LOG
from mlc.lowering.loops.polynomials.evaluate import bits_of, format_of, from_bits, horner, scaled
from mlc.lowering.scalar import Scalar
from xdsl.dialects import arith
from xdsl.ir import SSAValue

_ROOT_HALF = 0.7071067811865476


def decompose(s: Scalar, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """``m`` from sqrt(1/2) to sqrt(2) and an integral float ``e`` with ``x = m 2**e``, for finite positive ``x``."""
    form = format_of(x.type)
    tiny = s.compare("lt", x, s.constant(form.smallest_normal, x.type))
    x = s.select(tiny, scaled(s, x, form.integral), x)
    start = bits_of(s, s.constant(_ROOT_HALF, x.type))
    above = s.sub(bits_of(s, x), start)
    digits = s.constant(form.digits, form.integer)
    exponent = s.op(arith.ShRSIOp, [above, digits], form.integer)
    fraction = s.op(arith.AndIOp, [above, s.constant((1 << form.digits) - 1, form.integer)], form.integer)
    offset = s.select(tiny, s.constant(-form.digits, form.integer), s.constant(0, form.integer))
    e = s.op(arith.SIToFPOp, [s.add(exponent, offset)], x.type)
    return from_bits(s, s.add(fraction, start), x.type), e


def log(s: Scalar, x: SSAValue) -> SSAValue:
    """The natural logarithm ``e ln 2 + f - f^2/2 + f^3 P(f)`` with ``x = (1 + f) 2**e``."""
    name = format_of(x.type).name
    high, low = LN2[name]
    m, e = decompose(s, x)
    f = s.sub(m, s.constant(1.0, x.type))
    square = s.mul(f, f)
    tail = s.mul(s.mul(f, square), horner(s, f, LOG[name]))
    tail = s.fma(e, s.constant(low, x.type), tail)
    tail = s.fma(square, s.constant(-0.5, x.type), tail)
    value = s.fma(e, s.constant(high, x.type), s.add(f, tail))
    return _at_the_ends(s, x, value)


def _at_the_ends(s: Scalar, x: SSAValue, value: SSAValue) -> SSAValue:
    """log where ``x`` is no finite positive number."""
    zero, infinity = s.constant(0.0, x.type), s.constant(float("inf"), x.type)
    lowest = s.select(s.compare("eq", x, zero), s.constant(float("-inf"), x.type), s.constant(float("nan"), x.type))
    finite = s.select(s.compare("lt", x, infinity), value, x)
    return s.select(s.compare("gt", x, zero), finite, lowest)
