"""exp and the hyperbolic functions."""

from __future__ import annotations

import math

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from mlc.lowering.loops.polynomials.coefficients import EXP, LN2
from mlc.lowering.loops.polynomials.evaluate import (
    absolute,
    format_of,
    horner,
    plus,
    reduce_by,
    round_exponent,
    scaled,
    with_sign,
)
from mlc.lowering.scalar import Scalar

_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
"""Operands of exp below give zero, above infinity."""

_VANISHING = {"f32": -69.0, "f64": -620.0}
"""One plus the exp of operands up to here is one; ranges of exponents from here to overflow need one step only."""

_ONE = {"f32": 9.02, "f64": 19.1}
"""From here on tanh rounds to one."""

_HALF_INFINITE = {"f32": 90.0, "f64": 711.0}
"""Half of exp overflows here."""


def _reduce(s: Scalar, x: SSAValue, sign: int = 1) -> tuple[SSAValue, SSAValue]:
    """``n = round(y / ln 2)`` of ``y = sign x`` as a float, and ``sign (y - n ln 2)``."""
    n = round_exponent(s, scaled(s, x, sign / math.log(2)))
    return n, reduce_by(s, x, n, [sign * part for part in LN2[format_of(x.type).name]])


def exp(s: Scalar, x: SSAValue, *, nonpositive: bool = False, beside_one: bool = False) -> SSAValue:
    """e**x as ``2**n e**r`` with ``n = round(x / ln 2)``; ``nonpositive``: the operand never is above zero.

    Operands are clamped to where the result is zero or infinite already, or lost in a sum with one (``beside_one``).
    A negation of the operand moves into the constants.
    """
    name = format_of(x.type).name
    low, high = _RANGE[name]
    if beside_one:
        low = _VANISHING[name]
    sign = 1
    if isinstance(x.owner, arith.NegfOp):
        x, sign = x.owner.operand, -1
    upper, lower = (s.minimum, s.maximum) if sign > 0 else (s.maximum, s.minimum)
    x = lower(x, s.constant(sign * low, x.type))
    if not nonpositive:
        x = upper(x, s.constant(sign * high, x.type))
    n, r = _reduce(s, x, sign)
    value = horner(s, r, [c * sign**power for power, c in enumerate(EXP[name])])
    within = (round(low / math.log(2)), 0 if nonpositive else round(high / math.log(2)))
    return s.ldexp(value, n, within)


def _reduced_minus_one(s: Scalar, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """``n`` and ``p = e**r - 1``, accurate where it is small, with ``e**x = 2**n (1 + p)``."""
    n, r = _reduce(s, x)
    return n, s.fma(s.mul(r, r), horner(s, r, EXP[format_of(x.type).name][2:]), r)


def tanh(s: Scalar, x: SSAValue) -> SSAValue:
    """Hyperbolic tangent ``(e**2a - 1) / (e**2a + 1)`` of ``a = |x|``, with the sign of ``x``."""
    one = s.constant(1.0, x.type)
    a = s.minimum(absolute(s, x), s.constant(_ONE[format_of(x.type).name], x.type))
    n, p = _reduced_minus_one(s, s.add(a, a))
    power = s.ldexp(one, n, (0, round(2 * _ONE[format_of(x.type).name] / math.log(2))))
    value = s.div(s.fma(power, p, s.sub(power, one)), s.fma(power, p, s.add(power, one)))
    return with_sign(s, value, x)


def sinh(s: Scalar, x: SSAValue) -> SSAValue:
    """Hyperbolic sine ``h + h / (2 h + 1)`` with ``2 h = e**|x| - 1``, and the sign of ``x``."""
    one = s.constant(1.0, x.type)
    a = s.minimum(absolute(s, x), s.constant(_HALF_INFINITE[format_of(x.type).name], x.type))
    n, p = _reduced_minus_one(s, a)
    part = s.add(p, s.sub(one, s.ldexp(one, s.neg(n))))
    half = s.ldexp(part, plus(s, n, -1.0))
    finite = s.minimum(half, s.constant(format_of(x.type).largest, x.type))
    return with_sign(s, s.add(half, s.div(finite, plus(s, s.add(finite, finite), 1.0))), x)


def cosh(s: Scalar, x: SSAValue) -> SSAValue:
    """Hyperbolic cosine ``h + 1 / (4 h)`` with ``2 h = e**|x|``."""
    name = format_of(x.type).name
    a = s.minimum(absolute(s, x), s.constant(_HALF_INFINITE[name], x.type))
    n, r = _reduce(s, a)
    half = s.ldexp(horner(s, r, EXP[name]), plus(s, n, -1.0))
    return s.add(half, s.div(s.constant(0.25, x.type), half))
