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

ROWS = (_HALF_FMA, _intrinsic("arith.maximumf", "llvm.maximum"), _intrinsic("arith.minimumf", "llvm.minimum"))

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
