"""Conversions of narrow element types in scalar code: their codes are i8, taken apart and put together bit by bit.

Everything is integer arithmetic of 32 bits and one float addition or product, so it runs in vector lanes on every
target and is exact even where denormal floats count as zero.
"""

from __future__ import annotations

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import IntegerType, f32, f64, i1, i8, i32
from xdsl.ir import Attribute, SSAValue

from mlc.dialects.hlt.narrow import EXPONENT, FLOAT_FORMATS, FloatFormat, bit_width, is_narrow_integer
from mlc.lowering.scalar import Scalar

_DIGITS = 23
_BIAS = 127
_MAGNITUDE = 0x7FFFFFFF
_INFINITY = 0x7F800000


def is_unsigned(element: Attribute) -> bool:
    """Whether an hlt element type is an unsigned integer."""
    return isinstance(element, IntegerType) and str(element).startswith("ui")


def decode(s: Scalar, code: SSAValue, element: Attribute) -> SSAValue:
    """The value of an i8 code: an i8 for a narrow integer, an f32 for a narrow float."""
    if is_narrow_integer(element):
        return _extended(s, code, element)
    bits = _masked(s, s.cast(code, i32, from_unsigned=True), bit_width(element))
    return _power(s, bits) if element == EXPONENT else _number(s, bits, FLOAT_FORMATS[element])


def encode(s: Scalar, x: SSAValue, element: Attribute, *, saturate: bool, from_unsigned: bool) -> SSAValue:
    """The i8 code of a number.

    A narrow float is the nearest, of two equally near the one of even code. A narrow integer is the lowest bits, of a
    float cast to i32.
    """
    if is_narrow_integer(element):
        whole = x if isinstance(x.type, IntegerType) else s.cast(x, i32)
        return _masked(s, s.cast(whole, i8, from_unsigned=x.type == i1), bit_width(element))
    single = _single(s, x, from_unsigned)
    return s.cast(_code(s, single, FLOAT_FORMATS[element], saturate), i8)


def _constant(s: Scalar, number: int) -> SSAValue:
    return s.constant(number, i32)


def _masked(s: Scalar, x: SSAValue, bits: int) -> SSAValue:
    return x if bits == 8 else s.op(arith.AndIOp, [x, s.constant((1 << bits) - 1, x.type)], x.type)


def _shifted(s: Scalar, x: SSAValue, count: int) -> SSAValue:
    """``x`` shifted left by ``count`` bits, or right by ``-count`` filling with zeros."""
    if not count:
        return x
    return s.op(arith.ShLIOp if count > 0 else arith.ShRUIOp, [x, s.constant(abs(count), x.type)], x.type)


def _or(s: Scalar, x: SSAValue, y: SSAValue) -> SSAValue:
    return s.op(arith.OrIOp, [x, y], x.type)


def _bits(s: Scalar, x: SSAValue) -> SSAValue:
    return s.op(arith.BitcastOp, [x], i32)


def _float(s: Scalar, bits: SSAValue) -> SSAValue:
    return s.op(arith.BitcastOp, [bits], f32)


# --- integers


def _extended(s: Scalar, code: SSAValue, element: Attribute) -> SSAValue:
    """The low bits of a byte, with their sign."""
    bits = bit_width(element)
    if is_unsigned(element):
        return _masked(s, code, bits)
    return s.op(arith.ShRSIOp, [_shifted(s, code, 8 - bits), s.constant(8 - bits, i8)], i8)


# --- floats


def _power(s: Scalar, code: SSAValue) -> SSAValue:
    """``2 ** (code - 127)``: an exponent in its place, but for 2**-127, which is denormal, and NaN."""
    least = s.compare("eq", code, _constant(s, 0))
    bits = s.select(least, _constant(s, 1 << (_DIGITS - 1)), _shifted(s, code, _DIGITS))
    quiet = _constant(s, _INFINITY | 1 << (_DIGITS - 1))
    return _float(s, s.select(s.compare("eq", code, _constant(s, 0xFF)), quiet, bits))


def _number(s: Scalar, code: SSAValue, form: FloatFormat) -> SSAValue:
    """The f32 of a code: normal numbers by their bits, those without the leading one as a multiple of the least."""
    magnitude = s.op(arith.AndIOp, [code, _constant(s, (1 << form.sign) - 1)], i32)
    moved = _shifted(s, magnitude, _DIGITS - form.mantissa)
    normal = s.add(moved, _constant(s, (_BIAS - form.bias) << _DIGITS))
    least = s.constant(2.0 ** (form.least_exponent - form.mantissa), f32)
    small = _bits(s, s.mul(s.cast(magnitude, f32), least))
    bits = s.select(s.compare("lt", magnitude, _constant(s, 1 << form.mantissa)), small, normal)
    bits = _special(s, bits, code, magnitude, form)
    sign = _shifted(s, _shifted(s, code, -form.sign), 31)
    return _float(s, _or(s, bits, sign))


def _special(s: Scalar, bits: SSAValue, code: SSAValue, magnitude: SSAValue, form: FloatFormat) -> SSAValue:
    """Infinities and NaN in place of what their codes would be as numbers."""
    quiet = _constant(s, _INFINITY | 1 << (_DIGITS - 1))
    if not form.negative_zero:
        return s.select(s.compare("eq", code, _constant(s, form.nan)), quiet, bits)
    if form.has_infinity:
        bits = s.select(s.compare("eq", magnitude, _constant(s, form.beyond)), _constant(s, _INFINITY), bits)
        return s.select(s.compare("gt", magnitude, _constant(s, form.beyond)), quiet, bits)
    if form.nan > form.largest and form.nan < 1 << form.sign:
        return s.select(s.compare("eq", magnitude, _constant(s, form.nan)), quiet, bits)
    return bits


def _single(s: Scalar, x: SSAValue, from_unsigned: bool) -> SSAValue:
    """A number as an f32 that rounds to a narrow float as the number itself would.

    Integers up to 2**24 are exact, and greater ones are beyond all narrow floats. An f64 is rounded to odd (Boldo and
    Melquiond, 2008): cut towards zero, its last bit set if anything was lost.
    """
    if x.type != f64:
        return s.cast(x, f32, from_unsigned=from_unsigned)
    nearest = s.cast(x, f32)
    back = s.cast(nearest, f64)
    inexact = s.compare("ne", back, x)
    larger = s.compare("gt", s.unary(math.AbsFOp, back), s.unary(math.AbsFOp, x))
    bits = s.sub(_bits(s, nearest), s.cast(larger, i32))
    return _float(s, _or(s, bits, s.cast(inexact, i32)))


def _code(s: Scalar, x: SSAValue, form: FloatFormat, saturate: bool) -> SSAValue:
    """The code of an f32, an i32: its bits rounded in their place, or below the normal numbers by adding 2**n."""
    bits = _bits(s, x)
    magnitude = s.op(arith.AndIOp, [bits, _constant(s, _MAGNITUDE)], i32)
    lowest = (_BIAS + form.least_exponent) << _DIGITS
    small = s.compare("lt", magnitude, _constant(s, lowest))
    code = s.select(small, _denormal(s, magnitude, form), _rounded(s, magnitude, form))
    beyond = s.compare("gt", code, _constant(s, form.largest))
    code = s.select(beyond, _constant(s, form.largest if saturate else form.beyond), code)
    signed = _or(s, code, _shifted(s, _shifted(s, bits, -31), form.sign))
    if not form.negative_zero:
        signed = s.select(s.compare("eq", code, _constant(s, 0)), code, signed)
    nan = s.compare("gt", magnitude, _constant(s, _INFINITY))
    return s.select(nan, _constant(s, form.nan), signed)


def _rounded(s: Scalar, magnitude: SSAValue, form: FloatFormat) -> SSAValue:
    """A normal number's code: the digits that go are rounded into those that stay, then the bias changes."""
    dropped = _DIGITS - form.mantissa
    odd = s.op(arith.AndIOp, [_shifted(s, magnitude, -dropped), _constant(s, 1)], i32)
    half = s.add(s.add(magnitude, _constant(s, (1 << (dropped - 1)) - 1)), odd)
    return s.sub(_shifted(s, half, -dropped), _constant(s, (_BIAS - form.bias) << form.mantissa))


def _denormal(s: Scalar, magnitude: SSAValue, form: FloatFormat) -> SSAValue:
    """The code of a number below the normal ones: the last digits of its sum with a large power of two."""
    unit = form.least_exponent - form.mantissa
    sum_ = s.add(_float(s, magnitude), s.constant(2.0 ** (unit + _DIGITS), f32))
    return s.sub(_bits(s, sum_), _constant(s, (_BIAS + unit + _DIGITS) << _DIGITS))
