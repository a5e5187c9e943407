"""RISC-V with the vector extension: vectors of fixed length, multiply-adds that take one factor from a scalar register.

Vectors are as long as the shortest registers that the target promises (``zvl128b``: 128 bits); code runs on machines
with longer ones, too, and leaves the rest of a register alone.

Vector conversions that carry a rounding mode of their own crash QEMU before version 8, so none is emitted: casts go
lane by lane, and the exponent of ``ldexp`` is read from the bits of a sum.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Instruction, Target

_BASE = frozenset({"m", "a", "f", "d", "c", "v"})


_LDEXP = {
    "f32": ("float", "i32", "0x4168000000000000", 0x4B400000, 127, 23),
    "f64": ("double", "i64", "0x4338000000000000", 0x4338000000000000, 1023, 52),
}
"""LLVM's types of an element and its bits; 1.5 times the unit of its mantissa and that number's bits; the exponent's
bias and lowest bit.
"""


def _ldexp(dtype: str, lanes: int) -> Instruction:
    """``{0} * 2**{1}``: the bits of ``{1} + whole`` are those of ``whole`` plus the exponent; see ``loop.ldexp``."""
    element, integer, whole, bits, bias, shift = _LDEXP[dtype]

    def splat(number: int) -> str:
        return f"splat ({integer} {number})"

    steps = [
        f"sum = fadd {{T}} {{1}}, splat ({element} {whole})",
        "bits = bitcast {T} $sum to {I}",
        f"n = sub {{I}} $bits, {splat(bits)}",
        f"half = ashr {{I}} $n, {splat(1)}",
        "rest = sub {I} $n, $half",
    ]
    value = "{0}"
    for part in ("half", "rest"):
        steps += [
            f"biased = add {{I}} ${part}, {splat(bias)}",
            f"shifted = shl {{I}} $biased, {splat(shift)}",
            "power = bitcast {I} $shifted to {T}",
            f"{part}d = fmul {{T}} {value}, $power",
        ]
        value = f"${part}d"
    return Instruction(op="loop.ldexp", dtype=dtype, lanes=lanes, text=";".join(steps))


ROWS = tuple(_ldexp(dtype, lanes) for dtype in _LDEXP for lanes in (2, 4, 8))


def _target(name: str, bits: int) -> Target:
    features = _BASE | ({f"zvl{bits}b"} if bits > 128 else set())
    return Target(
        name=name,
        triple="riscv64-unknown-linux-gnu",
        cpu="generic-rv64",
        features=features,
        vector_bytes=bits // 8,
        registers=32,
        rounding=False,
        half=False,
        vector_casts=False,
        chained=True,
        caches=Caches(l1=32 << 10, l2=512 << 10, l3=1 << 20),
        rows=ROWS,
        elf_machine=243,
        llvm_features=",".join(f"+{feature}" for feature in sorted(features)),
        abi="lp64d",
    )


TARGETS = (_target("riscv64", 128), _target("riscv64-zvl256b", 256))
