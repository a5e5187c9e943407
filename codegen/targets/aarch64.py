"""AArch64: NEON, by-lane multiply-adds."""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Instruction, Target

_NEON = frozenset({"neon", "fp-armv8"})


def _intrinsic(op: str, name: str) -> Instruction:
    return Instruction(
        op=op,
        dtype="f32",
        text=f"call {{T}} @{name}.{{S}}({{T}} {{0}}, {{T}} {{1}})",
        declare=f"{{T}} @{name}.{{S}}({{T}}, {{T}})",
    )


_HALF_FMA = Instruction(
    op="math.fma",
    dtype="f16",
    features=frozenset({"fullfp16"}),
    text="call {T} @llvm.fma.{S}({T} {0}, {T} {1}, {T} {2})",
    declare="{T} @llvm.fma.{S}({T}, {T}, {T})",
)


def _dot(parts: str, feature: str, name: str, factors: str = "$a, <16 x i8> $b") -> Instruction:
    """A dot product of bytes that adds to its accumulator; LLVM knows by-lane forms of some orders of factors."""
    steps = [f"{n} = bitcast {{T}} {{{i}}} to <16 x i8>" for i, n in enumerate("ab")]
    full = f"llvm.aarch64.neon.{name}.v4i32.v16i8"
    text = "; ".join([*steps, f"call {{T}} @{full}({{T}} {{2}}, <16 x i8> {factors})"])
    declare = f"{{T}} @{full}({{T}}, <16 x i8>, <16 x i8>)"
    return Instruction(f"loop.dot.{parts}", "i32", text, 4, frozenset({feature}), declare)


_DOTS = (_dot("u8i8", "i8mm", "usdot"), _dot("i8i8", "dotprod", "sdot", "$b, <16 x i8> $a"))

ROWS = (*_DOTS, _HALF_FMA, _intrinsic("arith.maximumf", "llvm.maximum"), _intrinsic("arith.minimumf", "llvm.minimum"))

TARGETS = (
    Target(
        name="aarch64",
        triple="aarch64-unknown-linux-gnu",
        cpu="generic",
        features=_NEON,
        vector_bytes=16,
        registers=32,
        splat="lane",
        chained=True,
        caches=Caches(l1=32 << 10, l2=512 << 10, l3=1 << 20),
        rows=ROWS,
        elf_machine=183,
        llvm_features="+neon",
    ),
)
