"""x86-64: the levels v1 (SSE2) to v4 (AVX-512), and what the CPUs above them add."""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Instruction, Target

_TRIPLE = "x86_64-unknown-linux-gnu"

V2 = frozenset({"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16"})
V3 = V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}
V4 = V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}

_SCALEF = "call {T} @llvm.x86.avx512.mask.scalef.ps.512({T} {0}, {T} {1}, {T} zeroinitializer, i16 -1, i32 4)"

ROWS = (
    Instruction(
        op="loop.ldexp",
        dtype="f32",
        lanes=16,
        features=frozenset({"avx512f"}),
        text=_SCALEF,
        declare="{T} @llvm.x86.avx512.mask.scalef.ps.512({T}, {T}, {T}, i16, i32)",
    ),
)

_ABILITIES = {"fma": "fma", "rounding": "sse4.1", "half": "f16c"}


def _level(name: str, cpu: str, features: frozenset[str], vector_bytes: int, registers: int) -> Target:
    machine = Target(
        name=name,
        triple=_TRIPLE,
        cpu=cpu,
        features=features,
        vector_bytes=vector_bytes,
        registers=registers,
        abilities_from=_ABILITIES,
        caches=Caches(l1=32 << 10, l2=1 << 20, l3=4 << 20),
        rows=ROWS,
        elf_machine=62,
    )
    return machine.with_features(features)


TARGETS = (
    _level("x86-64-v1", "x86-64", frozenset(), 16, 16),
    _level("x86-64-v2", "x86-64-v2", V2, 16, 16),
    _level("x86-64-v3", "x86-64-v3", V3, 32, 16),
    _level("x86-64-v4", "x86-64-v4", V4, 64, 32),
)
