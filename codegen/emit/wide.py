"""What machines do in several steps, where LLVM would call a library: integer division, and conversions between floats
and integers of 64 bits.
"""

from __future__ import annotations

from xdsl.dialects.builtin import Float64Type, IntegerType, f64, i32, i64
from xdsl.ir import Attribute

from mlc.codegen.emit import portable
from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.writer import spelling

_DIVIDE = """\
define internal {I} @{name}({I} %x, {I} %y) nounwind {{
entry:
  br label %step
step:
  %left = phi {I} [{bits}, %entry], [%less, %step]
  %high = phi {I} [0, %entry], [%rest, %step]
  %low = phi {I} [%x, %entry], [%quotient, %step]
  %top = lshr {I} %low, {last}
  %over = icmp slt {I} %high, 0
  %twice = shl {I} %high, 1
  %shifted = or {I} %twice, %top
  %enough = icmp uge {I} %shifted, %y
  %fits = or i1 %over, %enough
  %taken = sub {I} %shifted, %y
  %rest = select i1 %fits, {I} %taken, {I} %shifted
  %doubled = shl {I} %low, 1
  %one = zext i1 %fits to {I}
  %quotient = or {I} %doubled, %one
  %less = sub {I} %left, 1
  %done = icmp eq {I} %less, 0
  br i1 %done, label %out, label %step
out:
  ret {I} {result}
}}
"""
"""Division of unsigned numbers bit by bit: the dividend's bits move up into the rest, the quotient's follow them."""

_TWO_32 = 2.0**32
_HALF_RANGE = 2.0**63


def _divides(ctx: Lanes, element: Attribute) -> bool:
    """Whether the machine divides integers of this type."""
    assert isinstance(element, IntegerType)
    return ctx.target.division and (ctx.target.wide_integers or element.width.data < 64)


def divide(ctx: Lanes, mnemonic: str, element: Attribute, x: str, y: str) -> str:
    """``sdiv``, ``udiv``, ``srem`` or ``urem`` by a divisor that is not 0; lane by lane where the machine has none."""
    if _divides(ctx, element):
        return ctx.binary(mnemonic, element, x, y)
    if ctx.width > 1:
        lane = Lanes(ctx.out, ctx.target, 1)
        return ctx.by_lanes(element, [(element, x), (element, y)], lambda xy: divide(lane, mnemonic, element, *xy))
    if mnemonic[0] == "u":
        return _call(ctx, "rem" in mnemonic, element, x, y)
    zero = ctx.constant(0, element)
    result = _call(ctx, "rem" in mnemonic, element, ctx.magnitude(element, x), ctx.magnitude(element, y))
    signs = x if "rem" in mnemonic else ctx.binary("xor", element, x, y)
    negative = ctx.binary("icmp slt", element, signs, zero)
    return ctx.select(negative, element, ctx.binary("sub", element, zero, result), result)


def _call(ctx: Lanes, remainder: bool, element: Attribute, x: str, y: str) -> str:
    """The quotient or remainder of unsigned scalars."""
    type_, suffix, size = spelling(element)
    name = f"mlc.{'remainder' if remainder else 'quotient'}.{suffix}"
    result = "%rest" if remainder else "%quotient"
    ctx.out.define(name, _DIVIDE.format(I=type_, name=name, bits=8 * size, last=8 * size - 1, result=result))
    return ctx.out.value(f"call {type_} @{name}({type_} {x}, {type_} {y})")


def to_float(ctx: Lanes, result: Attribute, x: str, *, signed: bool) -> str:
    """A 64-bit integer as a float, rounded once.

    Its halves are exact in f64, and their sum rounds. For narrower results the bits that f64 would round away become
    one sticky bit first.
    """
    if not isinstance(result, Float64Type):
        x = _sticky(ctx, x, signed)
    shifted = ctx.binary("ashr" if signed else "lshr", i64, x, ctx.constant(32, i64))
    high = ctx.convert("sitofp" if signed else "uitofp", i32, f64, ctx.convert("trunc", i64, i32, shifted))
    low = ctx.convert("uitofp", i32, f64, ctx.convert("trunc", i64, i32, x))
    total = ctx.binary("fadd", f64, ctx.binary("fmul", f64, high, ctx.constant(_TWO_32, f64)), low)
    return ctx.convert("fptrunc", f64, result, total)


def _sticky(ctx: Lanes, x: str, signed: bool) -> str:
    """Beyond 53 bits, the lowest eleven as one bit above them that is set if any is."""
    low = ctx.binary("and", i64, x, ctx.constant(0x7FF, i64))
    carried = ctx.binary("or", i64, x, ctx.binary("add", i64, low, ctx.constant(0x7FF, i64)))
    rounded = ctx.binary("and", i64, carried, ctx.constant(-0x800, i64))
    size = ctx.magnitude(i64, x) if signed else x
    large = ctx.binary("icmp ugt", i64, size, ctx.constant(1 << 53, i64))
    return ctx.select(large, i64, rounded, x)


def from_float(ctx: Lanes, source: Attribute, x: str, *, signed: bool) -> str:
    """A float as a 64-bit integer: towards zero, beyond the range the nearest one, NaN as 0."""
    wide = ctx.convert("fpext", source, f64, x)
    whole = portable.trunc(ctx, f64, wide)
    high = portable.floor(ctx, f64, ctx.binary("fmul", f64, whole, ctx.constant(1 / _TWO_32, f64)))
    low = ctx.binary("fsub", f64, whole, ctx.binary("fmul", f64, high, ctx.constant(_TWO_32, f64)))
    kind = "llvm.fptosi.sat" if signed else "llvm.fptoui.sat"
    upper = ctx.convert("zext", i32, i64, _saturated(ctx, kind, high))
    lower = ctx.convert("zext", i32, i64, _saturated(ctx, "llvm.fptoui.sat", low))
    value = ctx.binary("or", i64, ctx.binary("shl", i64, upper, ctx.constant(32, i64)), lower)
    least, most = (-_HALF_RANGE, _HALF_RANGE) if signed else (0.0, 2 * _HALF_RANGE)
    ends = (-(1 << 63), (1 << 63) - 1) if signed else (0, -1)
    for predicate, border, end in (("olt", least, ends[0]), ("oge", most, ends[1])):
        beyond = ctx.binary(f"fcmp {predicate}", f64, wide, ctx.constant(border, f64))
        value = ctx.select(beyond, i64, ctx.constant(end, i64), value)
    return ctx.select(ctx.binary("fcmp uno", f64, wide, wide), i64, ctx.constant(0, i64), value)


def _saturated(ctx: Lanes, name: str, x: str) -> str:
    return ctx.out.call(ctx.type(i32), f"{name}.{ctx.suffix(i32)}.{ctx.suffix(f64)}", [(ctx.type(f64), x)])
