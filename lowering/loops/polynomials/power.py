"""Powers with a float exponent."""

from __future__ import annotations

import math
from typing import TypeAlias

from xdsl.dialects import arith
from xdsl.dialects.builtin import i1
from xdsl.ir import SSAValue

from mlc.lowering.loops.polynomials.coefficients import ARTANH, EXP, LN2
from mlc.lowering.loops.polynomials.evaluate import (
    absolute,
    format_of,
    horner,
    plus,
    reduce_by,
    round_even,
    scaled,
    truncated,
    two_product,
    two_sum,
    with_sign,
)
from mlc.lowering.loops.polynomials.logarithm import decompose
from mlc.lowering.scalar import Scalar

Pair: TypeAlias = tuple[SSAValue, SSAValue]
"""A number in twice the precision: the sum of a float and of what it lacks."""

_RANGE = {"f32": (-110.0, 95.0), "f64": (-800.0, 720.0)}
"""Exponents of e that give zero, and infinity."""


def power(s: Scalar, x: SSAValue, y: SSAValue) -> SSAValue:
    """``x ** y`` with the special cases of C's pow: ``e ** (y log|x|)``, the logarithm in twice the precision."""
    return _signed(s, x, y, _power_of_magnitude(s, absolute(s, x), y))


def _power_of_magnitude(s: Scalar, a: SSAValue, y: SSAValue) -> SSAValue:
    """``a ** y`` for ``a >= 0``; an infinite ``y`` acts as the largest number, so that one stays one."""
    largest = s.constant(format_of(y.type).largest, y.type)
    y = s.minimum(s.maximum(y, s.neg(largest)), largest)
    high, low = _log(s, a)
    product, rest = two_product(s, y, high)
    return _exp(s, product, s.fma(y, low, rest))


def _log(s: Scalar, a: SSAValue) -> Pair:
    """log as ``e ln 2 + 2 z + z^3 P(z^2)`` with ``z = (m - 1) / (m + 1)``, all in pairs but the tail of ``P``."""
    name = format_of(a.type).name
    m, e = decompose(s, a)
    z = _quotient(s, m)
    square = _product(s, z, z)
    first, *others = ARTANH[name]
    p = two_sum(s, s.constant(first, a.type), s.mul(square[0], horner(s, square[0], others)))
    tail = _product(s, z, _product(s, square, p))
    ln2_high, ln2_low = LN2[name]
    high, first_lost = two_sum(s, scaled(s, e, ln2_high), s.add(z[0], z[0]))
    high, then_lost = two_sum(s, high, tail[0])
    low = s.fma(e, s.constant(ln2_low, a.type), s.add(tail[1], s.add(z[1], z[1])))
    return _log_at_the_ends(s, a, *two_sum(s, high, s.add(low, s.add(first_lost, then_lost))))


def _quotient(s: Scalar, m: SSAValue) -> Pair:
    """``(m - 1) / (m + 1)``."""
    above, below = plus(s, m, -1.0), plus(s, m, 1.0)
    lost = s.sub(m, plus(s, below, -1.0))
    z = s.div(above, below)
    product, error = two_product(s, z, below)
    return z, s.div(s.sub(s.sub(s.sub(above, product), error), s.mul(z, lost)), below)


def _product(s: Scalar, a: Pair, b: Pair) -> Pair:
    """The product of two pairs."""
    high, low = two_product(s, a[0], b[0])
    return high, s.fma(a[0], b[1], s.fma(a[1], b[0], low))


def _log_at_the_ends(s: Scalar, a: SSAValue, high: SSAValue, low: SSAValue) -> Pair:
    """The logarithm where ``a`` is zero, infinite or NaN."""
    zero, infinity = s.constant(0.0, a.type), s.constant(math.inf, a.type)
    finite = s.compare("lt", a, infinity)
    high = s.select(finite, high, a)
    high = s.select(s.compare("eq", a, zero), s.constant(-math.inf, a.type), high)
    return high, s.select(finite, low, zero)


def _exp(s: Scalar, x: SSAValue, rest: SSAValue) -> SSAValue:
    """e ** (x + rest) for a small ``rest``, which counts only while the result is finite and not zero."""
    name = format_of(x.type).name
    low, high = (s.constant(bound, x.type) for bound in _RANGE[name])
    bounded = s.minimum(s.maximum(x, low), high)
    rest = s.select(s.compare("eq", bounded, x), rest, s.constant(0.0, x.type))
    n = round_even(s, scaled(s, bounded, 1 / math.log(2)))
    r = s.add(reduce_by(s, bounded, n, LN2[name]), rest)
    return s.ldexp(horner(s, r, EXP[name]), n)


def _signed(s: Scalar, x: SSAValue, y: SSAValue, magnitude: SSAValue) -> SSAValue:
    """The power of ``x`` from that of ``|x|``: odd exponents keep the sign, others of negative bases have none."""
    zero, one = s.constant(0.0, x.type), s.constant(1.0, x.type)
    whole = s.compare("eq", truncated(s, y), y)
    half = scaled(s, y, 0.5)
    odd = s.op(arith.AndIOp, [whole, s.compare("ne", truncated(s, half), half)], i1)
    value = s.select(odd, with_sign(s, magnitude, x), magnitude)
    finite_negative = s.op(
        arith.AndIOp, [s.compare("lt", x, zero), s.compare("gt", x, s.constant(-math.inf, x.type))], i1
    )
    undefined = s.op(arith.AndIOp, [finite_negative, s.logical_not(whole)], i1)
    value = s.select(undefined, s.constant(math.nan, x.type), value)
    is_one = s.op(arith.OrIOp, [s.compare("eq", x, one), s.compare("eq", y, zero)], i1)
    return s.select(is_one, one, value)
