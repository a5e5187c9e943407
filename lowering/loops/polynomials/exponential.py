"""exp, and what is built on it."""

from __future__ import annotations

import math

from mlc.lowering.loops.polynomials.coefficients import EXP, LN2, TANH
from mlc.lowering.loops.polynomials.evaluate import clamp, format_of, horner, odd_quotient, round_even, scaled
from mlc.lowering.scalar import Scalar
from xdsl.ir import SSAValue

_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
"""Operands of exp below give zero, above infinity."""

_ONE = {"f32": 9.02, "f64": 19.1}
"""From here on tanh rounds to one."""


def exp(s: Scalar, x: SSAValue, *, nonpositive: bool = False) -> SSAValue:
    """e**x as ``2**n e**r`` with ``n = round(x / ln 2)``; ``nonpositive``: the operand never is above zero.

    The remainder ``r = x - n ln 2`` takes ln 2 in two parts, the first short enough that its product is exact
    (Cody and Waite). Operands are clamped to where the result is zero or infinite already.
    """
    name = format_of(x.type).name
    low, high = _RANGE[name]
    x = s.maximum(x, s.constant(low, x.type))
    if not nonpositive:
        x = s.minimum(x, s.constant(high, x.type))
    n = round_even(s, scaled(s, x, 1 / math.log(2)))
    for part in LN2[name]:
        x = s.fma(n, s.constant(-part, x.type), x)
    return s.ldexp(horner(s, x, EXP[name]), n)


def tanh(s: Scalar, x: SSAValue) -> SSAValue:
    """Hyperbolic tangent: ``x N(x^2) / D(x^2)`` up to where it rounds to one."""
    name = format_of(x.type).name
    return odd_quotient(s, clamp(s, x, _ONE[name]), *TANH[name])
