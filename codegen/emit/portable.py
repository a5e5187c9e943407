"""Exact forms of operations that some machines lack, where LLVM would call a library: rounding to integers,
and conversions to and from the 16-bit floats.
"""

from __future__ import annotations

from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    f32,
    f64,
    i16,
    i32,
)
from xdsl.ir import Attribute, Operation

from mlc.codegen.emit.lanes import Emitter, Lanes

HALF_OVERFLOW = 65520.0
HALF_SMALLEST = 2.0**-14
_HALF_REBIAS = (127 - 15) << 23
_HALF_INFINITY = 0x7C00
_QUIET_HALF = 0x7E00
_QUIET_BFLOAT = 0x0040
_MAGNITUDE = 0x7FFFFFFF


def shifter(element: Attribute) -> float:
    """A number without fraction: small numbers that are added to it get rounded to whole ones, in its lowest bits."""
    return 1.5 * (2.0**52 if isinstance(element, Float64Type) else 2.0**23)


def rounding(kind: str) -> Emitter:
    """``roundeven``, ``floor``, ``ceil`` or ``trunc``: one instruction, or addition of a number without fraction."""

    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        element = op.results[0].type
        if ctx.target.rounding:
            return ctx.intrinsic(f"llvm.{kind}", element, args[0])
        if "small" in op.attributes:
            large = ctx.constant(shifter(element), element)
            return ctx.binary("fsub", element, ctx.binary("fadd", element, args[0], large), large)
        return _ROUNDED[kind](ctx, element, args[0])

    return emit


def _round_even(ctx: Lanes, element: Attribute, x: str) -> str:
    """``|x| + 2**digits - 2**digits`` with the sign of ``x``; numbers above that are integers (or NaN) already."""
    whole = ctx.constant(2.0**52 if isinstance(element, Float64Type) else 2.0**23, element)
    magnitude = ctx.intrinsic("llvm.fabs", element, x)
    moved = ctx.binary("fsub", element, ctx.binary("fadd", element, magnitude, whole), whole)
    signed = ctx.intrinsic("llvm.copysign", element, moved, x)
    return ctx.select(ctx.binary("fcmp olt", element, magnitude, whole), element, signed, x)


def floor(ctx: Lanes, element: Attribute, x: str) -> str:
    """The largest integer that is not above ``x``."""
    return _stepped(ctx, element, x, "fcmp ogt", -1.0)


def _ceil(ctx: Lanes, element: Attribute, x: str) -> str:
    moved = _stepped(ctx, element, x, "fcmp olt", 1.0)
    return ctx.intrinsic("llvm.copysign", element, moved, x)


def trunc(ctx: Lanes, element: Attribute, x: str) -> str:
    """The integer next to ``x`` towards zero."""
    moved = floor(ctx, element, ctx.intrinsic("llvm.fabs", element, x))
    return ctx.intrinsic("llvm.copysign", element, moved, x)


def _stepped(ctx: Lanes, element: Attribute, x: str, beyond: str, step: float) -> str:
    """The nearest integer, one step back where it lies beyond ``x``."""
    nearest = _round_even(ctx, element, x)
    back = ctx.binary("fadd", element, nearest, ctx.constant(step, element))
    return ctx.select(ctx.binary(beyond, element, nearest, x), element, back, nearest)


_ROUNDED = {"roundeven": _round_even, "floor": floor, "ceil": _ceil, "trunc": trunc}


def extend(ctx: Lanes, op: Operation, args: list[str]) -> str:
    """A float in a wider type; f16 by its bits where the machine has no conversion."""
    source, result = op.operands[0].type, op.results[0].type
    if isinstance(source, BFloat16Type):
        return ctx.convert("fpext", f32, result, _bfloat_to_single(ctx, args[0]))
    if not isinstance(source, Float16Type) or ctx.target.half:
        return ctx.convert("fpext", source, result, args[0])
    return ctx.convert("fpext", f32, result, _half_to_single(ctx, args[0]))


def _bfloat_to_single(ctx: Lanes, x: str) -> str:
    """Its bits are the upper half of f32's."""
    bits = ctx.convert("zext", i16, i32, ctx.convert("bitcast", BFloat16Type(), i16, x))
    return ctx.convert("bitcast", i32, f32, ctx.binary("shl", i32, bits, ctx.constant(16, i32)))


def _half_to_single(ctx: Lanes, x: str) -> str:
    """The exponent moves to its place and its bias is mended by a multiplication, which also suits denormals."""

    def number(value: int) -> str:
        return ctx.constant(value, i32)

    bits = ctx.convert("zext", i16, i32, ctx.convert("bitcast", Float16Type(), i16, x))
    magnitude = ctx.binary("shl", i32, ctx.binary("and", i32, bits, number(0x7FFF)), number(13))
    sign = ctx.binary("shl", i32, ctx.binary("and", i32, bits, number(0x8000)), number(16))
    scaled = ctx.binary("fmul", f32, ctx.convert("bitcast", i32, f32, magnitude), ctx.constant(2.0 ** (127 - 15), f32))
    special = ctx.binary("or", i32, magnitude, number(0x7F800000))
    finite = ctx.binary("icmp ult", i32, magnitude, number(_HALF_INFINITY << 13))
    value = ctx.select(finite, i32, ctx.convert("bitcast", f32, i32, scaled), special)
    return ctx.convert("bitcast", i32, f32, ctx.binary("or", i32, value, sign))


def truncate(ctx: Lanes, op: Operation, args: list[str]) -> str:
    """A float in a narrower type, to nearest even.

    bf16 always goes by its bits (machines that have the instruction flush denormals), and so does f16 where the
    machine has no conversion. From f64 the way is by f32 rounded to odd, so that only one rounding counts.
    """
    source, result = op.operands[0].type, op.results[0].type
    if isinstance(result, Float32Type):
        return ctx.convert("fptrunc", source, result, args[0])
    single = _round_to_odd(ctx, args[0]) if isinstance(source, Float64Type) else args[0]
    if isinstance(result, BFloat16Type):
        return _single_to_bfloat(ctx, single)
    if ctx.target.half:
        return ctx.convert("fptrunc", f32, result, single)
    return _single_to_half(ctx, single)


def _round_to_odd(ctx: Lanes, x: str) -> str:
    """f64 to f32 towards zero, with the last bit set where that was inexact (Boldo and Melquiond, 2008)."""

    def number(value: int) -> str:
        return ctx.constant(value, i32)

    nearest = ctx.convert("fptrunc", f64, f32, x)
    back = ctx.convert("fpext", f32, f64, nearest)
    bits = ctx.convert("bitcast", f32, i32, nearest)
    beyond = ctx.binary("fcmp ogt", f64, ctx.intrinsic("llvm.fabs", f64, back), ctx.intrinsic("llvm.fabs", f64, x))
    towards_zero = ctx.select(beyond, i32, ctx.binary("sub", i32, bits, number(1)), bits)
    inexact = ctx.binary("fcmp one", f64, back, x)
    odd = ctx.select(inexact, i32, ctx.binary("or", i32, towards_zero, number(1)), towards_zero)
    return ctx.convert("bitcast", i32, f32, odd)


def _single_to_bfloat(ctx: Lanes, x: str) -> str:
    """The upper half of the bits, after adding just less than half a unit, or half where the upper half is odd."""

    def number(value: int) -> str:
        return ctx.constant(value, i32)

    bits = ctx.convert("bitcast", f32, i32, x)
    upper = ctx.binary("lshr", i32, bits, number(16))
    odd = ctx.binary("and", i32, upper, number(1))
    nearest = ctx.binary("add", i32, ctx.binary("add", i32, bits, number(0x7FFF)), odd)
    rounded = ctx.binary("lshr", i32, nearest, number(16))
    quiet = ctx.binary("or", i32, upper, number(_QUIET_BFLOAT))
    value = ctx.select(ctx.binary("fcmp uno", f32, x, x), i32, quiet, rounded)
    return ctx.convert("bitcast", i16, BFloat16Type(), ctx.convert("trunc", i32, i16, value))


def _single_to_half(ctx: Lanes, x: str) -> str:
    """Normal results round in the bits of f32, denormal ones by adding a number whose last place is theirs."""

    def number(value: int) -> str:
        return ctx.constant(value, i32)

    bits = ctx.convert("bitcast", f32, i32, x)
    magnitude = ctx.binary("and", i32, bits, number(_MAGNITUDE))
    size = ctx.convert("bitcast", i32, f32, magnitude)
    odd = ctx.binary("and", i32, ctx.binary("lshr", i32, magnitude, number(13)), number(1))
    nearest = ctx.binary("add", i32, ctx.binary("add", i32, magnitude, number(0xFFF - _HALF_REBIAS)), odd)
    normal = ctx.binary("lshr", i32, nearest, number(13))
    shifted = ctx.convert("bitcast", f32, i32, ctx.binary("fadd", f32, size, ctx.constant(0.5, f32)))
    denormal = ctx.binary("sub", i32, shifted, number(0x3F000000))
    small = ctx.binary("fcmp olt", f32, size, ctx.constant(HALF_SMALLEST, f32))
    value = ctx.select(small, i32, denormal, normal)
    infinite = ctx.binary("fcmp oge", f32, size, ctx.constant(HALF_OVERFLOW, f32))
    value = ctx.select(infinite, i32, number(_HALF_INFINITY), value)
    value = ctx.select(ctx.binary("fcmp uno", f32, x, x), i32, number(_QUIET_HALF), value)
    sign = ctx.binary("lshr", i32, ctx.binary("and", i32, bits, number(-0x80000000)), number(16))
    half = ctx.convert("trunc", i32, i16, ctx.binary("or", i32, value, sign))
    return ctx.convert("bitcast", i16, Float16Type(), half)
