"""Scalar operations of a tile's region at vector width: one small function per kind of operation.

``EMIT[op.name](ctx, op, args)`` appends the instruction for operands ``args`` (already at the tile's width) and
returns the result's name. Instruction rows of the target come first; these are the forms that every target has.
"""

from __future__ import annotations

import re

from xdsl.dialects import arith
from xdsl.dialects.builtin import Float32Type, IntegerType, Signedness, i32, i64
from xdsl.ir import Attribute, Operation

from mlc.codegen.emit import portable, wide
from mlc.codegen.emit.lanes import Emitter, Lanes
from mlc.codegen.emit.remainder import remainder
from mlc.codegen.emit.writer import spelling
from mlc.codegen.targets import Instruction
from mlc.dialects.loop import DotOp, LdexpOp
from mlc.dialects.parts import PARTS, WORD
from mlc.errors import InternalError

_NAMED = re.compile(r"\$([a-z]*)")


def emit_op(ctx: Lanes, op: Operation, args: list[str]) -> str:
    """Append one operation at the tile's width; raises InternalError where no form exists."""
    element = op.results[0].type
    name = op.row if isinstance(op, DotOp) else op.name
    row = ctx.target.row(name, spelling(element)[1], ctx.width)
    if row is not None:
        return _emit_row(ctx, row, element, args)
    emitter = EMIT.get(op.name)
    if emitter is None:
        raise InternalError(f"no instruction for {op.name} on {ctx.target.name}")
    return emitter(ctx, op, args)


def _emit_row(ctx: Lanes, row: Instruction, element: Attribute, args: list[str]) -> str:
    bits = spelling(element)[2] * 8
    integer = f"i{bits}" if ctx.width == 1 else f"<{ctx.width} x i{bits}>"
    names = {"T": ctx.type(element), "I": integer, "S": ctx.suffix(element), "W": ctx.width}
    lines = row.text.format(*args, **names).split(";")
    if row.declare:
        text = row.declare.format(**names)
        ctx.out.declare(text.partition("@")[2].partition("(")[0], text)
    named: dict[str, str] = {"": ""}
    for line in lines:
        name, _, right = line.strip().rpartition(" = ")
        named[""] = ctx.out.value(_NAMED.sub(lambda found: named[found[1]], right))
        named[name] = named[""]
    return named[""]


def _binary(mnemonic: str) -> Emitter:
    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        return ctx.binary(mnemonic, op.results[0].type, args[0], args[1])

    return emit


def _intrinsic(name: str, flags: str = "") -> Emitter:
    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        return ctx.intrinsic(name, op.results[0].type, *args, flags=flags)

    return emit


def _convert(mnemonic: str) -> Emitter:
    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        return ctx.convert(mnemonic, op.operands[0].type, op.results[0].type, args[0])

    return emit


def _to_float(mnemonic: str) -> Emitter:
    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        source, result = op.operands[0].type, op.results[0].type
        if source == i64 and not ctx.target.wide_integers:
            return wide.to_float(ctx, result, args[0], signed=mnemonic == "sitofp")
        return ctx.convert(mnemonic, source, result, args[0])

    return emit


def _saturating(name: str) -> Emitter:
    """Float to integer: out of range saturates, NaN is 0."""

    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        source, result = op.operands[0].type, op.results[0].type
        if ctx.width > 1 and not ctx.target.vector_casts:
            lane = Lanes(ctx.out, ctx.target, 1)
            return ctx.by_lanes(result, [(source, args[0])], lambda x: emit(lane, op, x))
        if result == i64 and not ctx.target.wide_integers:
            return wide.from_float(ctx, source, args[0], signed="fptosi" in name)
        if isinstance(result, IntegerType) and result.width.data < WORD and ctx.width > 1:
            return _clamped(ctx, source, result, args[0], signed="fptosi" in name)
        full = f"{name}.{ctx.suffix(result)}.{ctx.suffix(source)}"
        return ctx.out.call(ctx.type(result), full, [(ctx.type(source), args[0])])

    return emit


def _clamped(ctx: Lanes, source: Attribute, result: IntegerType, x: str, *, signed: bool) -> str:
    """Float to a narrow integer by way of i32: out of range saturates, NaN is 0."""
    bits, type_ = result.width.data, ctx.type(source)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def kept(predicate: str, x: str, other: float) -> str:
        bound = ctx.constant(float(other), source)
        good = ctx.out.value(f"fcmp {predicate} {type_} {x}, {bound}")
        return ctx.out.value(f"select <{ctx.width} x i1> {good}, {type_} {x}, {type_} {bound}")

    if signed:
        x = kept("ord", x, 0)
    inside = kept("olt", kept("ogt", x, low), high)
    return ctx.convert("trunc", i32, result, ctx.convert("fptosi", source, i32, inside))


def _compare_float(ctx: Lanes, op: Operation, args: list[str]) -> str:
    assert isinstance(op, arith.CmpfOp)
    names = ("false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord")
    names += ("ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true")
    predicate = names[op.predicate.value.data]
    return ctx.out.value(f"fcmp {predicate} {ctx.type(op.lhs.type)} {args[0]}, {args[1]}")


def _compare_int(ctx: Lanes, op: Operation, args: list[str]) -> str:
    assert isinstance(op, arith.CmpiOp)
    predicate = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")[op.predicate.value.data]
    return ctx.out.value(f"icmp {predicate} {ctx.type(op.lhs.type)} {args[0]}, {args[1]}")


def _select(ctx: Lanes, op: Operation, args: list[str]) -> str:
    element = ctx.type(op.results[0].type)
    condition = ctx.type(op.operands[0].type)
    return ctx.out.value(f"select {condition} {args[0]}, {element} {args[1]}, {element} {args[2]}")


def _is_constant(text: str) -> bool:
    return not text.startswith("%")


def _extremum(predicate: str) -> Emitter:
    """IEEE maximum or minimum: NaN in either operand propagates.

    ``select(a > b, a, b)`` is ``b`` when unordered, one instruction where the machine's own maximum does the same;
    with a constant as ``a`` that already propagates, else NaN in ``a`` takes a second select.
    """

    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        a, b = (args[1], args[0]) if _is_constant(args[1]) else args
        type_ = ctx.type(op.results[0].type)
        bits = "i1" if ctx.width == 1 else f"<{ctx.width} x i1>"
        order = ctx.out.value(f"fcmp {predicate} {type_} {a}, {b}")
        best = ctx.out.value(f"select {bits} {order}, {type_} {a}, {type_} {b}")
        if _is_constant(a):
            return best
        nan = ctx.out.value(f"fcmp uno {type_} {a}, {a}")
        return ctx.out.value(f"select {bits} {nan}, {type_} {a}, {type_} {best}")

    return emit


def _fma(ctx: Lanes, op: Operation, args: list[str]) -> str:
    element = op.results[0].type
    type_ = ctx.type(element)
    if not ctx.target.fma:
        product = ctx.out.value(f"fmul {type_} {args[0]}, {args[1]}")
        return ctx.out.value(f"fadd {type_} {args[2]}, {product}")
    return ctx.out.call(type_, f"llvm.fma.{ctx.suffix(element)}", [(type_, a) for a in args])


def _negate(ctx: Lanes, op: Operation, args: list[str]) -> str:
    return ctx.out.value(f"fneg {ctx.type(op.results[0].type)} {args[0]}")


def _ldexp(ctx: Lanes, op: Operation, args: list[str]) -> str:
    """``p * 2**n`` with one rounding, for ``|n|`` up to twice the largest exponent.

    ``2**n`` is a product of two powers, so that neither leaves the normal range where ``p 2**n`` is denormal or
    only just finite; the first product is exact. Where ``n`` is known to have a range that one power can have, moved by
    a constant, one is enough.
    """
    element = op.results[0].type
    offset = _offset(op)
    if offset is not None:
        return _ldexp_within(ctx, element, args, offset)
    form, bias, shift = (i32, 127, 23) if isinstance(element, Float32Type) else (i64, 1023, 52)
    integer, type_ = ctx.type(form), ctx.type(element)
    whole = ctx.out.value(f"fptosi {type_} {args[1]} to {integer}")
    half = ctx.out.value(f"ashr {integer} {whole}, {ctx.constant(1, form)}")
    rest = ctx.out.value(f"sub {integer} {whole}, {half}")
    value = args[0]
    for exponent in (half, rest):
        biased = ctx.out.value(f"add {integer} {exponent}, {ctx.constant(bias, form)}")
        shifted = ctx.out.value(f"shl {integer} {biased}, {ctx.constant(shift, form)}")
        power = ctx.out.value(f"bitcast {integer} {shifted} to {type_}")
        value = ctx.out.value(f"fmul {type_} {value}, {power}")
    return value


def _offset(op: Operation) -> int | None:
    """What to add to the exponents of an ldexp so that they and its products are normal, if anything does."""
    assert isinstance(op, LdexpOp)
    if op.within is None:
        return None
    low, high = op.within.get_values()
    most = 127 if isinstance(op.result.type, Float32Type) else 1023
    least = 2 - most
    offset = max(least - low, 0) or min(most - high, 0)
    return offset if least <= low + offset and high + offset <= most else None


def _ldexp_within(ctx: Lanes, element: Attribute, args: list[str], offset: int) -> str:
    """``p * 2**(n + offset) * 2**-offset``: the exponent is read from the lowest bits of a sum.

    The first product is exact, and NaN passes.
    """
    form, bias, shift = (i32, 127, 23) if isinstance(element, Float32Type) else (i64, 1023, 52)
    total = ctx.binary("fadd", element, args[1], ctx.constant(portable.shifter(element) + bias + offset, element))
    shifted = ctx.binary("shl", form, ctx.convert("bitcast", element, form, total), ctx.constant(shift, form))
    value = ctx.binary("fmul", element, args[0], ctx.convert("bitcast", form, element, shifted))
    return ctx.binary("fmul", element, value, ctx.constant(2.0**-offset, element)) if offset else value


def _dot(ctx: Lanes, op: Operation, args: list[str]) -> str:
    """Part by part: each is moved to the top of its word and back, filled up with its sign or with zeros."""
    assert isinstance(op, DotOp)
    parts = PARTS[op.parts.data]
    total, bits = args[2], WORD // parts.per_word
    for number in range(parts.per_word):
        factors: list[str] = []
        for word, element in zip(args, parts):
            high = ctx.constant(WORD - bits * (number + 1), i32)
            top = ctx.binary("shl", i32, word, high)
            back = "lshr" if element.signedness.data is Signedness.UNSIGNED else "ashr"
            factors.append(ctx.binary(back, i32, top, ctx.constant(WORD - bits, i32)))
        total = ctx.binary("add", i32, total, ctx.binary("mul", i32, *factors))
    return total


def _guarded_divide(mnemonic: str, signed: bool) -> Emitter:
    """Integer division that neither traps nor is undefined: by zero gives 0, minimum by -1 wraps."""

    def emit(ctx: Lanes, op: Operation, args: list[str]) -> str:
        element = op.results[0].type
        type_, zero, one = ctx.type(element), ctx.constant(0, element), ctx.constant(1, element)
        bits = "i1" if ctx.width == 1 else f"<{ctx.width} x i1>"
        none = ctx.out.value(f"icmp eq {type_} {args[1]}, {zero}")
        unsafe = none
        if signed:
            minus = ctx.out.value(f"icmp eq {type_} {args[1]}, {ctx.constant(-1, element)}")
            unsafe = ctx.out.value(f"or {bits} {none}, {minus}")
        divisor = ctx.out.value(f"select {bits} {unsafe}, {type_} {one}, {type_} {args[1]}")
        result = wide.divide(ctx, mnemonic, element, args[0], divisor)
        if signed:
            negated = ctx.out.value(f"sub {type_} {zero}, {args[0]}")
            special = negated if mnemonic == "sdiv" else zero
            result = ctx.out.value(f"select {bits} {unsafe}, {type_} {special}, {type_} {result}")
        return ctx.out.value(f"select {bits} {none}, {type_} {zero}, {type_} {result}")

    return emit


EMIT: dict[str, Emitter] = {
    "arith.addf": _binary("fadd"),
    "arith.subf": _binary("fsub"),
    "arith.mulf": _binary("fmul"),
    "arith.divf": _binary("fdiv"),
    "arith.negf": _negate,
    "arith.maximumf": _extremum("ogt"),
    "arith.minimumf": _extremum("olt"),
    "arith.maxnumf": _intrinsic("llvm.maxnum", "nnan nsz"),
    "arith.minnumf": _intrinsic("llvm.minnum", "nnan nsz"),
    "arith.addi": _binary("add"),
    "arith.subi": _binary("sub"),
    "arith.muli": _binary("mul"),
    "arith.divsi": _guarded_divide("sdiv", True),
    "arith.divui": _guarded_divide("udiv", False),
    "arith.remsi": _guarded_divide("srem", True),
    "arith.remui": _guarded_divide("urem", False),
    "arith.andi": _binary("and"),
    "arith.ori": _binary("or"),
    "arith.xori": _binary("xor"),
    "arith.shli": _binary("shl"),
    "arith.shrsi": _binary("ashr"),
    "arith.shrui": _binary("lshr"),
    "arith.maxsi": _intrinsic("llvm.smax"),
    "arith.minsi": _intrinsic("llvm.smin"),
    "arith.maxui": _intrinsic("llvm.umax"),
    "arith.minui": _intrinsic("llvm.umin"),
    "arith.cmpf": _compare_float,
    "arith.cmpi": _compare_int,
    "arith.select": _select,
    "arith.extf": portable.extend,
    "arith.truncf": portable.truncate,
    "arith.sitofp": _to_float("sitofp"),
    "arith.uitofp": _to_float("uitofp"),
    "arith.fptosi": _saturating("llvm.fptosi.sat"),
    "arith.fptoui": _saturating("llvm.fptoui.sat"),
    "arith.extsi": _convert("sext"),
    "arith.extui": _convert("zext"),
    "arith.trunci": _convert("trunc"),
    "arith.bitcast": _convert("bitcast"),
    "math.fma": _fma,
    "math.sqrt": _intrinsic("llvm.sqrt"),
    "math.absf": _intrinsic("llvm.fabs"),
    "math.copysign": _intrinsic("llvm.copysign"),
    "math.roundeven": portable.rounding("roundeven"),
    "math.floor": portable.rounding("floor"),
    "math.ceil": portable.rounding("ceil"),
    "math.trunc": portable.rounding("trunc"),
    "loop.dot": _dot,
    "loop.ldexp": _ldexp,
    "loop.remf": remainder,
}
