"""The error function and GELU."""

from __future__ import annotations

from xdsl.ir import SSAValue

from mlc.lowering.loops.polynomials.coefficients import ERF, ERF_RANGES, ERFC, EXP2, NORMAL_TAIL, NORMAL_TAIL_END
from mlc.lowering.loops.polynomials.evaluate import absolute, format_of, horner, round_exponent, with_sign
from mlc.lowering.scalar import Scalar

_ERFC_EXPONENTS = {"f32": (-26, 0), "f64": (-55, 0)}
_TAIL_EXPONENTS = {"f32": (-161, -1), "f64": (-1399, -1)}
"""Between which the exponents of the complement of erf and of the normal distribution's tail lie."""


def erf(s: Scalar, x: SSAValue) -> SSAValue:
    """The error function: ``x + x P(x^2)`` for small ``x``, then ``1 - 2**Q(|x|)`` up to where it rounds to one.

    ``P`` and ``Q`` have the same degree: one evaluation serves both, with coefficients chosen by range.
    """
    name = format_of(x.type).name
    one = s.constant(1.0, x.type)
    split, highest = (s.constant(bound, x.type) for bound in ERF_RANGES[name])
    a = s.minimum(absolute(s, x), highest)
    large = s.compare("gt", a, split)
    t = s.select(large, a, s.mul(a, a))
    pairs = [
        s.select(large, s.constant(q, x.type), s.constant(p, x.type))
        for p, q in zip(ERF[name], ERFC[name], strict=True)
    ]
    value = pairs[-1]
    for pair in reversed(pairs[:-1]):
        value = s.fma(value, t, pair)
    n = round_exponent(s, value)
    far = s.sub(one, s.ldexp(horner(s, s.sub(value, n), EXP2[name]), n, _ERFC_EXPONENTS[name]))
    return s.select(large, with_sign(s, far, x), s.fma(x, value, x))


def gelu(s: Scalar, x: SSAValue) -> SSAValue:
    """``max(x, 0) - a T(a)`` with ``a = |x|`` and ``T = 2**Q`` the normal distribution's upper tail.

    Nothing cancels, so small results keep their digits; ``Q`` is fitted where the product is not negligible, and
    falls beyond until the power is zero.
    """
    name = format_of(x.type).name
    a = s.minimum(absolute(s, x), s.constant(NORMAL_TAIL_END[name], x.type))
    value = horner(s, a, NORMAL_TAIL[name])
    n = round_exponent(s, value)
    tail = s.ldexp(horner(s, s.sub(value, n), EXP2[name]), n, _TAIL_EXPONENTS[name])
    return s.fma(s.neg(a), tail, s.maximum(x, s.constant(0.0, x.type)))
