"""The error function."""

from __future__ import annotations

from xdsl.ir import SSAValue

from mlc.lowering.loops.polynomials.coefficients import ERF, ERF_RANGES, ERFC, EXP2
from mlc.lowering.loops.polynomials.evaluate import absolute, format_of, horner, round_even, with_sign
from mlc.lowering.scalar import Scalar


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
    n = round_even(s, value)
    far = s.sub(one, s.ldexp(horner(s, s.sub(value, n), EXP2[name]), n))
    return s.select(large, with_sign(s, far, x), s.fma(x, value, x))
