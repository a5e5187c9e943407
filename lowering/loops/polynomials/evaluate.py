"""What the functions share: the layout of a float type, and the evaluation of polynomials and quotients of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlc.lowering.scalar import Scalar
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import Float32Type, IntegerType, i32, i64
from xdsl.ir import Attribute, SSAValue


@dataclass(frozen=True)
class Format:
    """A float type's key in tables, ``digits`` of stored mantissa, exponent ``bias``, and integer of its width."""

    name: str
    digits: int
    bias: int
    integer: IntegerType

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)

    @property
    def integral(self) -> float:
        """From here on all numbers are integers."""
        return 2.0**self.digits


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


def odd_quotient(s: Scalar, x: SSAValue, numerator: Sequence[float], denominator: Sequence[float]) -> SSAValue:
    """``x N(x^2) / D(x^2)``."""
    square = s.mul(x, x)
    return s.div(s.mul(x, horner(s, square, numerator)), horner(s, square, denominator))


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


def scaled(s: Scalar, x: SSAValue, factor: float) -> SSAValue:
    """``x`` times a constant."""
    return s.mul(x, s.constant(factor, x.type))
