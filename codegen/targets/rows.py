"""Instruction rows that several targets share."""

from __future__ import annotations

from mlc.codegen.targets.base import Instruction

_LDEXP = {
    "f32": ("float", "i32", "0x4168000000000000", 0x4B400000, 127, 23),
    "f64": ("double", "i64", "0x4338000000000000", 0x4338000000000000, 1023, 52),
}
"""LLVM's types of an element and its bits; 1.5 times the unit of its mantissa and that number's bits; the exponent's
bias and lowest bit.
"""


def ldexp_by_bits(dtype: str, lanes: int) -> Instruction:
    """``{0} * 2**{1}``: the bits of ``{1} + whole`` are those of ``whole`` plus the exponent; see ``loop.ldexp``."""
    element, integer, whole, bits, bias, shift = _LDEXP[dtype]

    def splat(type_: str, number: int | str) -> str:
        return f"splat ({type_} {number})" if lanes > 1 else str(number)

    steps = [
        f"sum = fadd {{T}} {{1}}, {splat(element, whole)}",
        "bits = bitcast {T} $sum to {I}",
        f"n = sub {{I}} $bits, {splat(integer, bits)}",
        f"half = ashr {{I}} $n, {splat(integer, 1)}",
        "rest = sub {I} $n, $half",
    ]
    value = "{0}"
    for part in ("half", "rest"):
        steps += [
            f"biased = add {{I}} ${part}, {splat(integer, bias)}",
            f"shifted = shl {{I}} $biased, {splat(integer, shift)}",
            "power = bitcast {I} $shifted to {T}",
            f"{part}d = fmul {{T}} {value}, $power",
        ]
        value = f"${part}d"
    return Instruction(op="loop.ldexp", dtype=dtype, lanes=lanes, text=";".join(steps))
