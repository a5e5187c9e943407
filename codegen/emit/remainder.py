"""The remainder of a float division, exact: an internal function of integer arithmetic, called lane by lane."""

from __future__ import annotations

from xdsl.dialects.builtin import Float32Type
from xdsl.ir import Operation

from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.writer import spelling

_TEXT = """\
define internal {F} @{name}({F} %x, {F} %y) nounwind {{
entry:
  %xbits = bitcast {F} %x to {I}
  %ybits = bitcast {F} %y to {I}
  %sign = and {I} %xbits, {sign}
  %ax = and {I} %xbits, {magnitude}
  %ay = and {I} %ybits, {magnitude}
  %xbad = icmp uge {I} %ax, {infinity}
  %ynan = icmp ugt {I} %ay, {infinity}
  %yzero = icmp eq {I} %ay, 0
  %bad0 = or i1 %xbad, %ynan
  %bad = or i1 %bad0, %yzero
  br i1 %bad, label %undefined, label %defined
undefined:
  ret {F} {nan}
defined:
  %less = icmp ult {I} %ax, %ay
  br i1 %less, label %same, label %divide
same:
  ret {F} %x
divide:
  %xe = call {I} @{name}.exponent({I} %ax)
  %xm = call {I} @{name}.mantissa({I} %ax)
  %ye = call {I} @{name}.exponent({I} %ay)
  %ym = call {I} @{name}.mantissa({I} %ay)
  br label %step
step:
  %e = phi {I} [%xe, %divide], [%next, %again]
  %m = phi {I} [%xm, %divide], [%twice, %again]
  %fits = icmp uge {I} %m, %ym
  %taken = sub {I} %m, %ym
  %r = select i1 %fits, {I} %taken, {I} %m
  %more = icmp sgt {I} %e, %ye
  br i1 %more, label %again, label %done
again:
  %twice = shl {I} %r, 1
  %next = sub {I} %e, 1
  br label %step
done:
  %none = icmp eq {I} %r, 0
  br i1 %none, label %zero, label %normalise
zero:
  %nothing = bitcast {I} %sign to {F}
  ret {F} %nothing
normalise:
  %leading = call {I} @llvm.ctlz.{I}({I} %r, i1 true)
  %lift = sub {I} %leading, {spare}
  %re = sub {I} %ye, %lift
  %tiny = icmp slt {I} %re, 1
  %lifted = shl {I} %r, %lift
  %raised = sub {I} %re, 1
  %exponent = shl {I} %raised, {digits}
  %normal = add {I} %lifted, %exponent
  %up = sub {I} %ye, 1
  %above = shl {I} %r, %up
  %down = sub {I} 1, %ye
  %below = lshr {I} %r, %down
  %upwards = icmp sge {I} %ye, 1
  %denormal = select i1 %upwards, {I} %above, {I} %below
  %value = select i1 %tiny, {I} %denormal, {I} %normal
  %signed = or {I} %value, %sign
  %result = bitcast {I} %signed to {F}
  ret {F} %result
}}

define internal {I} @{name}.exponent({I} %a) nounwind {{
  %field = lshr {I} %a, {digits}
  %tiny = icmp eq {I} %field, 0
  %leading = call {I} @llvm.ctlz.{I}({I} %a, i1 false)
  %lift = sub {I} %leading, {spare}
  %below = sub {I} 1, %lift
  %exponent = select i1 %tiny, {I} %below, {I} %field
  ret {I} %exponent
}}

define internal {I} @{name}.mantissa({I} %a) nounwind {{
  %field = lshr {I} %a, {digits}
  %tiny = icmp eq {I} %field, 0
  %leading = call {I} @llvm.ctlz.{I}({I} %a, i1 false)
  %lift = sub {I} %leading, {spare}
  %lifted = shl {I} %a, %lift
  %stored = and {I} %a, {fraction}
  %whole = or {I} %stored, {hidden}
  %mantissa = select i1 %tiny, {I} %lifted, {I} %whole
  ret {I} %mantissa
}}
"""
"""Long division: shift the numerator's mantissa by one bit per step and take the denominator where it fits."""


def _definition(name: str, single: bool) -> str:
    width, digits = (32, 23) if single else (64, 52)
    exponents = (1 << (width - 1 - digits)) - 1
    return _TEXT.format(
        name=name,
        F="float" if single else "double",
        I=f"i{width}",
        sign=-(1 << (width - 1)),
        magnitude=(1 << (width - 1)) - 1,
        infinity=exponents << digits,
        nan="0x7FF8000000000000",
        spare=width - 1 - digits,
        digits=digits,
        fraction=(1 << digits) - 1,
        hidden=1 << digits,
    )


def remainder(ctx: Lanes, op: Operation, args: list[str]) -> str:
    """``x - y trunc(x / y)`` with the sign of ``x``: exact, as C's fmod."""
    element = op.results[0].type
    scalar, suffix, _ = spelling(element)
    name = f"mlc.remainder.{suffix}"
    single = isinstance(element, Float32Type)
    integer = "i32" if single else "i64"
    ctx.out.declare(f"llvm.ctlz.{integer}", f"{integer} @llvm.ctlz.{integer}({integer}, i1)")
    ctx.out.define(name, _definition(name, single))
    if ctx.width == 1:
        return ctx.out.value(f"call {scalar} @{name}({scalar} {args[0]}, {scalar} {args[1]})")
    vector = ctx.type(element)
    result = "poison"
    for lane in range(ctx.width):
        x, y = (ctx.out.value(f"extractelement {vector} {a}, i32 {lane}") for a in args)
        value = ctx.out.value(f"call {scalar} @{name}({scalar} {x}, {scalar} {y})")
        result = ctx.out.value(f"insertelement {vector} {result}, {scalar} {value}, i32 {lane}")
    return result
