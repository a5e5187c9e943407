"""log and the inverse hyperbolic functions."""

from __future__ import annotations

import math

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from mlc.lowering.loops.polynomials.coefficients import LN2, LOG
from mlc.lowering.loops.polynomials.evaluate import (
    absolute,
    bits_of,
    format_of,
    from_bits,
    horner,
    plus,
    scaled,
    square_root,
    two_sum,
    with_sign,
)
from mlc.lowering.scalar import Scalar


def decompose(s: Scalar, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """``m`` from sqrt(1/2) to sqrt(2) and an integral float ``e`` with ``x = m 2**e``, for finite positive ``x``."""
    form = format_of(x.type)
    tiny = s.compare("lt", x, s.constant(form.smallest_normal, x.type))
    x = s.select(tiny, scaled(s, x, form.integral), x)
    start = bits_of(s, s.constant(math.sqrt(0.5), x.type))
    above = s.sub(bits_of(s, x), start)
    fraction = s.op(arith.AndIOp, [above, s.constant((1 << form.digits) - 1, form.integer)], form.integer)
    e = plus(s, _exponent(s, above, x), -float(form.bias))
    e = s.select(tiny, plus(s, e, -float(form.digits)), e)
    return from_bits(s, s.add(fraction, start), x.type), e


def _exponent(s: Scalar, above: SSAValue, x: SSAValue) -> SSAValue:
    """The exponent field of ``above`` plus the bias, as a float; 32 bits suffice for it in every format."""
    form = format_of(x.type)
    biased = s.add(above, s.constant(form.bias << form.digits, form.integer))
    field = s.op(arith.ShRUIOp, [biased, s.constant(form.digits, form.integer)], form.integer)
    return s.op(arith.SIToFPOp, [s.cast(field, i32)], x.type)


def log_sum(s: Scalar, m: SSAValue, e: SSAValue, rest: SSAValue | None = None) -> SSAValue:
    """``e ln 2 + f - f^2/2 + f^3 P(f) + rest`` with ``f = m - 1``."""
    name = format_of(m.type).name
    high, low = LN2[name]
    f = plus(s, m, -1.0)
    square = s.mul(f, f)
    tail = s.mul(s.mul(f, square), horner(s, f, LOG[name]))
    tail = s.fma(e, s.constant(low, m.type), tail)
    if rest is not None:
        tail = s.add(tail, rest)
    tail = s.fma(square, s.constant(-0.5, m.type), tail)
    return s.fma(e, s.constant(high, m.type), s.add(f, tail))


def log(s: Scalar, x: SSAValue) -> SSAValue:
    """The natural logarithm."""
    return _at_the_ends(s, x, log_sum(s, *decompose(s, x)))


def _at_the_ends(s: Scalar, x: SSAValue, value: SSAValue) -> SSAValue:
    """log where ``x`` is no finite positive number."""
    zero, infinity = s.constant(0.0, x.type), s.constant(math.inf, x.type)
    lowest = s.select(s.compare("eq", x, zero), s.constant(-math.inf, x.type), s.constant(math.nan, x.type))
    finite = s.select(s.compare("lt", x, infinity), value, x)
    return s.select(s.compare("gt", x, zero), finite, lowest)


def _log_one_plus(s: Scalar, x: SSAValue) -> SSAValue:
    """log(1 + x): what rounds off in the sum comes back as ``rest / (1 + x)``."""
    total, rest = two_sum(s, s.constant(1.0, x.type), x)
    return _at_the_ends(s, total, log_sum(s, *decompose(s, total), s.div(rest, total)))


def _inverse(s: Scalar, a: SSAValue, increment: SSAValue) -> SSAValue:
    """log(1 + increment), or log(2 a) where ``a`` is so large that the increment would overflow."""
    large = s.compare("gt", a, s.constant(format_of(a.type).integral, a.type))
    value = _log_one_plus(s, s.select(large, plus(s, a, -1.0), increment))
    return s.select(large, plus(s, value, math.log(2)), value)


def asinh(s: Scalar, x: SSAValue) -> SSAValue:
    """Inverse hyperbolic sine ``log(1 + a + a^2 / (1 + sqrt(1 + a^2)))`` of ``a = |x|``, with the sign of ``x``."""
    a = absolute(s, x)
    square = s.mul(a, a)
    root = square_root(s, plus(s, square, 1.0))
    increment = s.add(a, s.div(square, plus(s, root, 1.0)))
    return with_sign(s, _inverse(s, a, increment), x)


def acosh(s: Scalar, x: SSAValue) -> SSAValue:
    """Inverse hyperbolic cosine ``log(1 + u + sqrt(2 u + u^2))`` with ``u = x - 1``; NaN below one."""
    u = plus(s, x, -1.0)
    increment = s.add(u, square_root(s, s.fma(u, u, s.add(u, u))))
    value = _inverse(s, x, increment)
    below = s.compare("lt", x, s.constant(1.0, x.type))
    return s.select(below, s.constant(math.nan, x.type), value)


def atanh(s: Scalar, x: SSAValue) -> SSAValue:
    """Inverse hyperbolic tangent ``log(1 + 2 a / (1 - a)) / 2`` of ``a = |x|``, with the sign of ``x``."""
    a = absolute(s, x)
    increment = s.div(s.add(a, a), s.sub(s.constant(1.0, x.type), a))
    return with_sign(s, scaled(s, _log_one_plus(s, increment), 0.5), x)
