"""What the functions share: the layout of a float type, and the evaluation of polynomials and quotients of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import Float32Type, IntegerType, UnitAttr, i32, i64
from xdsl.ir import Attribute, SSAValue

from mlc.lowering.scalar import Scalar


@dataclass(frozen=True)
class Format:
    """A float type's key in tables, ``digits`` of stored mantissa, exponent ``bias``, and integer of its width."""

    name: str
    digits: int
    bias: int
    integer: IntegerType

    @property
    def smallest_normal(self) -> float:
        """The smallest positive number of full precision."""
        return 2.0 ** (1 - self.bias)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0**-self.digits) * 2.0**self.bias

    @property
    def integral(self) -> float:
        """From here on all numbers are integers."""
        return 2.0**self.digits


SMALL = "small"
"""Attribute of a `math.roundeven` whose operand is so small that adding a large number rounds it."""

SINGLE = Format("f32", 23, 127, i32)
DOUBLE = Format("f64", 52, 1023, i64)


def format_of(element: Attribute) -> Format:
    """The layout of f32 or f64."""
    return SINGLE if isinstance(element, Float32Type) else DOUBLE


def horner(s: Scalar, t: SSAValue, coefficients: Sequence[float]) -> SSAValue:
    """A polynomial in ``t``, lowest power first, by Horner's rule."""
    total = s.constant(coefficients[-1], t.type)
    for c in reversed(coefficients[:-1]):
        total = s.fma(total, t, s.constant(c, t.type))
    return total


def bits_of(s: Scalar, x: SSAValue) -> SSAValue:
    """The bits of a float as an integer."""
    return s.op(arith.BitcastOp, [x], format_of(x.type).integer)


def from_bits(s: Scalar, bits: SSAValue, element: Attribute) -> SSAValue:
    """The float with these bits."""
    return s.op(arith.BitcastOp, [bits], element)


def clamp(s: Scalar, x: SSAValue, limit: float) -> SSAValue:
    """``x`` within ``-limit`` to ``limit``; NaN propagates."""
    return s.minimum(s.maximum(x, s.constant(-limit, x.type)), s.constant(limit, x.type))


def round_even(s: Scalar, x: SSAValue) -> SSAValue:
    """The nearest integer, as a float."""
    return s.unary(math.RoundEvenOp, x)


def round_exponent(s: Scalar, x: SSAValue) -> SSAValue:
    """The nearest integer, as a float, of a number that is about an exponent, or NaN."""
    value = s.unary(math.RoundEvenOp, x)
    assert isinstance(value.owner, math.RoundEvenOp)
    value.owner.attributes[SMALL] = UnitAttr()
    return value


def truncated(s: Scalar, x: SSAValue) -> SSAValue:
    """The integer next to ``x`` towards zero, as a float."""
    return s.unary(math.TruncOp, x)


def scaled(s: Scalar, x: SSAValue, factor: float) -> SSAValue:
    """``x`` times a constant."""
    return s.mul(x, s.constant(factor, x.type))


def plus(s: Scalar, x: SSAValue, constant: float) -> SSAValue:
    """``x`` plus a constant."""
    return s.add(x, s.constant(constant, x.type))


def absolute(s: Scalar, x: SSAValue) -> SSAValue:
    """``|x|``."""
    return s.unary(math.AbsFOp, x)


def square_root(s: Scalar, x: SSAValue) -> SSAValue:
    """The square root; NaN below zero."""
    return s.unary(math.SqrtOp, x)


def with_sign(s: Scalar, magnitude: SSAValue, sign: SSAValue) -> SSAValue:
    """``|magnitude|`` with the sign of ``sign``."""
    return s.op(math.CopySignOp, [magnitude, sign], magnitude.type)


def signed_as(s: Scalar, x: SSAValue, sign: SSAValue) -> SSAValue:
    """``x``, negated where ``sign`` has its sign bit set."""
    form = format_of(x.type)
    bit = s.op(
        arith.AndIOp, [bits_of(s, sign), s.constant(1 << form.integer.width.data - 1, form.integer)], form.integer
    )
    return from_bits(s, s.op(arith.XOrIOp, [bits_of(s, x), bit], form.integer), x.type)


def reduce_by(s: Scalar, x: SSAValue, n: SSAValue, parts: Sequence[float]) -> SSAValue:
    """``x - n c`` for ``c`` the sum of ``parts``: all but the last are so short that their products with ``n`` are
    exact (Cody and Waite, "Software Manual for the Elementary Functions", 1980).
    """
    for part in parts:
        x = s.fma(n, s.constant(-part, x.type), x)
    return x


def two_sum(s: Scalar, a: SSAValue, b: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The sum, and what its rounding lost (Knuth)."""
    total = s.add(a, b)
    back = s.sub(total, a)
    return total, s.add(s.sub(a, s.sub(total, back)), s.sub(b, back))


def split(s: Scalar, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """``x`` as two numbers of half its digits, whose products are exact."""
    form = format_of(x.type)
    mask = s.constant(-1 << (form.digits + 2) // 2, form.integer)
    high = from_bits(s, s.op(arith.AndIOp, [bits_of(s, x), mask], form.integer), x.type)
    return high, s.sub(x, high)


def two_product(s: Scalar, a: SSAValue, b: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The product, and what its rounding lost (Dekker); needs no fused multiply-add."""
    product = s.mul(a, b)
    (ah, al), (bh, bl) = split(s, a), split(s, b)
    rest = s.fma(ah, bh, s.neg(product))
    rest = s.fma(ah, bl, rest)
    rest = s.fma(al, bh, rest)
    return product, s.fma(al, bl, rest)
