"""x86-64: the levels v1 (SSE2) to v4 (AVX-512), and what the CPUs above them add."""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Instruction, Target

_TRIPLE = "x86_64-unknown-linux-gnu"

V2 = frozenset({"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16"})
V3 = V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}
V4 = V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}

_SCALEF = "call {T} @llvm.x86.avx512.mask.scalef.ps.512({T} {0}, {T} {1}, {T} zeroinitializer, i16 -1, i32 4)"


def _dot(parts: str, lanes: int, features: set[str], name: str) -> Instruction:
    """A dot product of bytes that adds to its accumulator."""
    size = 4 * lanes
    steps = [f"{n} = bitcast {{T}} {{{i}}} to <{size} x i8>" for i, n in enumerate("ab")]
    call = f"call {{T}} @{name}({{T}} {{2}}, <{size} x i8> $a, <{size} x i8> $b)"
    declare = f"{{T}} @{name}({{T}}, <{size} x i8>, <{size} x i8>)"
    text = "; ".join([*steps, call])
    return Instruction(f"loop.dot.{parts}", "i32", text, lanes, frozenset(features), declare)


def _pairs(lanes: int, features: set[str], name: str) -> Instruction:
    """Products of pairs of i16, summed; the accumulator is added."""
    size = 2 * lanes
    steps = [f"{n} = bitcast {{T}} {{{i}}} to <{size} x i16>" for i, n in enumerate("ab")]
    steps.append(f"sum = call {{T}} @{name}(<{size} x i16> $a, <{size} x i16> $b)")
    declare = f"{{T}} @{name}(<{size} x i16>, <{size} x i16>)"
    text = "; ".join([*steps, "add {T} $sum, {2}"])
    return Instruction("loop.dot.i16i16", "i32", text, lanes, frozenset(features), declare, temporaries=1)


_DOTS = (
    _dot("u8i8", 16, {"avx512vnni"}, "llvm.x86.avx512.vpdpbusd.512"),
    _dot("u8i8", 8, {"avx512vnni", "avx512vl"}, "llvm.x86.avx512.vpdpbusd.256"),
    _dot("u8i8", 8, {"avxvnni"}, "llvm.x86.avx512.vpdpbusd.256"),
    _dot("u8i8", 4, {"avx512vnni", "avx512vl"}, "llvm.x86.avx512.vpdpbusd.128"),
    _dot("u8i8", 4, {"avxvnni"}, "llvm.x86.avx512.vpdpbusd.128"),
    _dot("i8i8", 8, {"avxvnniint8"}, "llvm.x86.avx2.vpdpbssd.256"),
    _dot("i8i8", 4, {"avxvnniint8"}, "llvm.x86.avx2.vpdpbssd.128"),
    _pairs(16, {"avx512bw"}, "llvm.x86.avx512.pmaddw.d.512"),
    _pairs(8, {"avx2"}, "llvm.x86.avx2.pmadd.wd"),
    _pairs(4, set(), "llvm.x86.sse2.pmadd.wd"),
)

ROWS = (
    *_DOTS,
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
