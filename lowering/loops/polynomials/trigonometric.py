"""sin, cos, tan and their inverses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import f64, i1, i32
from xdsl.ir import Attribute, SSAValue

from mlc.lowering.loops.polynomials.coefficients import ASIN, ATAN, COS, HALF_PI, HALF_PI_SUM, SIN
from mlc.lowering.loops.polynomials.evaluate import (
    absolute,
    bits_of,
    clamp,
    format_of,
    horner,
    plus,
    reduce_by,
    round_even,
    scaled,
    signed_as,
    square_root,
    with_sign,
)
from mlc.lowering.scalar import Scalar

_ROUND = 1.5 * 2.0**52
"""Added to a double, leaves its integer part in the low bits."""


def _quadrant(s: Scalar, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The quarter turn ``n`` nearest to ``x`` (low bits, i32), and ``x - n pi/2``.

    The work is done in f64, with pi/2 in parts short enough that products with ``n < 2**27`` are exact. Beyond that
    the remainder's error is ``|x| 2**-53`` and it is kept within bounds.
    """
    wide = s.cast(x, f64)
    n = round_even(s, scaled(s, wide, 2 / math.pi))
    r = reduce_by(s, wide, n, HALF_PI[format_of(x.type).name])
    bits = s.op(arith.TruncIOp, [bits_of(s, plus(s, n, _ROUND))], i32)
    return bits, clamp(s, s.cast(r, x.type), 1.0)


def _sine(s: Scalar, r: SSAValue, square: SSAValue) -> SSAValue:
    """sin on a quadrant around zero."""
    return s.fma(s.mul(r, square), horner(s, square, SIN[format_of(r.type).name]), r)


def _cosine(s: Scalar, square: SSAValue) -> SSAValue:
    """cos on a quadrant around zero."""
    one = s.constant(1.0, square.type)
    start = s.fma(square, s.constant(-0.5, square.type), one)
    return s.fma(s.mul(square, square), horner(s, square, COS[format_of(square.type).name]), start)


def _bit(s: Scalar, x: SSAValue, mask: int) -> SSAValue:
    """Whether the bit of an i32 is set."""
    return s.cast(s.op(arith.AndIOp, [x, s.constant(mask, i32)], i32), i1)


def _wave(s: Scalar, a: SSAValue, ahead: int) -> SSAValue:
    """sin of ``a`` plus ``ahead`` quarter turns."""
    n, r = _quadrant(s, a)
    n = s.add(n, s.constant(ahead, i32)) if ahead else n
    square = s.mul(r, r)
    value = s.select(_bit(s, n, 1), _cosine(s, square), _sine(s, r, square))
    return s.select(_bit(s, n, 2), s.neg(value), value)


def sin(s: Scalar, x: SSAValue) -> SSAValue:
    """Sine."""
    return signed_as(s, _wave(s, absolute(s, x), 0), x)


def cos(s: Scalar, x: SSAValue) -> SSAValue:
    """Cosine."""
    return _wave(s, absolute(s, x), 1)


def tan(s: Scalar, x: SSAValue) -> SSAValue:
    """Tangent: sin / cos, or - cos / sin in odd quadrants."""
    n, r = _quadrant(s, absolute(s, x))
    square = s.mul(r, r)
    sine, cosine = _sine(s, r, square), _cosine(s, square)
    odd = _bit(s, n, 1)
    value = s.div(s.select(odd, s.neg(cosine), sine), s.select(odd, sine, cosine))
    return signed_as(s, value, x)


def atan(s: Scalar, x: SSAValue) -> SSAValue:
    """Inverse tangent: ``t`` is ``a``, ``(a - 1) / (a + 1)`` or ``-1 / a`` for ``a = |x|``, so that it stays small."""
    name = format_of(x.type).name
    a, one = absolute(s, x), s.constant(1.0, x.type)
    middle = s.compare("gt", a, s.constant(math.tan(math.pi / 8), x.type))
    large = s.compare("gt", a, s.constant(math.tan(3 * math.pi / 8), x.type))
    above = s.select(middle, plus(s, a, -1.0), a)
    below = s.select(middle, plus(s, a, 1.0), one)
    t = s.div(s.select(large, s.constant(-1.0, x.type), above), s.select(large, a, below))
    square = s.mul(t, t)
    tail = s.mul(s.mul(t, square), horner(s, square, ATAN[name]))
    high, low = (
        _turned(s, middle, large, [part * share for share in (0.0, 0.5, 1.0)], x.type) for part in HALF_PI_SUM[name]
    )
    return with_sign(s, s.add(high, s.add(t, s.add(tail, low))), x)


def _turned(s: Scalar, middle: SSAValue, large: SSAValue, angles: Sequence[float], element: Attribute) -> SSAValue:
    """The angle by which `atan` turned its operand, for each of its ranges."""
    first, second, third = (s.constant(angle, element) for angle in angles)
    return s.select(large, third, s.select(middle, second, first))


def _half_angle(s: Scalar, x: SSAValue) -> tuple[SSAValue, SSAValue, SSAValue]:
    """Whether ``|x| > 1/2``, and asin of ``|x|``, or there of ``sqrt((1 - |x|) / 2)``, in two summands."""
    a = absolute(s, x)
    large = s.compare("gt", a, s.constant(0.5, x.type))
    half = s.fma(a, s.constant(-0.5, x.type), s.constant(0.5, x.type))
    square = s.select(large, half, s.mul(a, a))
    root = s.select(large, square_root(s, half), a)
    return large, root, s.mul(s.mul(root, square), horner(s, square, ASIN[format_of(x.type).name]))


def asin(s: Scalar, x: SSAValue) -> SSAValue:
    """Inverse sine ``pi/2 - 2 asin sqrt((1 - a) / 2)`` of ``a = |x| > 1/2``; NaN beyond one."""
    high, low = (s.constant(part, x.type) for part in HALF_PI_SUM[format_of(x.type).name])
    large, root, tail = _half_angle(s, x)
    far = s.sub(high, s.sub(s.add(root, root), s.sub(low, s.add(tail, tail))))
    return with_sign(s, s.select(large, far, s.add(root, tail)), x)


def acos(s: Scalar, x: SSAValue) -> SSAValue:
    """Inverse cosine: ``pi/2 - asin x``, or near the ends twice the half angle, or pi less that; NaN beyond one."""
    high, low = (s.constant(part, x.type) for part in HALF_PI_SUM[format_of(x.type).name])
    large, root, tail = _half_angle(s, x)
    negative = s.compare("lt", x, s.constant(0.0, x.type))
    angle = s.add(root, tail)
    near_one = s.add(angle, angle)
    near_minus_one = s.sub(s.add(high, high), s.sub(near_one, s.add(low, low)))
    signed_root, signed_tail = with_sign(s, root, x), with_sign(s, tail, x)
    middle = s.sub(high, s.sub(signed_root, s.sub(low, signed_tail)))
    return s.select(large, s.select(negative, near_minus_one, near_one), middle)
