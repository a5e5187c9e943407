"""AArch64: features of Armv8-A and Armv9-A, and CPUs by Arm, Apple and others.

Sources: LLVM's AArch64 processor definitions (a test compares); cache sizes from the cores' reference manuals, where
they are configurable the common size.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches
from mlc.codegen.targets.cpus.family import Cpu, Family, Feature

FEATURES = (
    Feature("fp-armv8", "floating point"),
    Feature("neon", "128-bit vectors, multiply-add by lane", ("fp-armv8",)),
    Feature("crc", "checksums"),
    Feature("lse", "atomic operations in one instruction"),
    Feature("rdm", "rounding doubling multiply-add of integers", ("neon",), ("rdma",)),
    Feature("dotprod", "int8 dot products", ("neon",), ("asimddp",)),
    Feature("fullfp16", "half-precision arithmetic", ("fp-armv8",), ("fp16",)),
    Feature("fp16fml", "products of halves added to floats", ("fullfp16", "neon"), ("fhm",)),
    Feature("i8mm", "int8 matrix products", ("neon",)),
    Feature("bf16", "bfloat16 dot and matrix products", ("neon",)),
    Feature("rcpc", "acquiring loads that may pass other stores"),
    Feature("complxnum", "arithmetic on complex numbers", ("neon",), ("fcma",)),
    Feature("sve", "vectors of run-time length", ("fullfp16",)),
    Feature("sve2", "integer arithmetic on vectors of run-time length", ("sve",)),
)

_V8 = frozenset({"fp-armv8", "neon", "crc"})
_V8_1 = _V8 | {"lse", "rdm"}
_V8_2 = _V8_1 | {"dotprod", "fullfp16", "rcpc"}
_MATRIX = _V8_2 | {"complxnum", "i8mm", "bf16"}
_V9 = _MATRIX | {"fp16fml", "sve", "sve2"}
_APPLE = _V8_2 | {"fp16fml", "complxnum"}


def _caches(l1: int, l2: int, l3: int) -> Caches:
    """Sizes in KiB, the third level (or the shared second) divided among the cores."""
    return Caches(l1=l1 << 10, l2=l2 << 10, l3=l3 << 10)


CPUS = (
    Cpu("generic", frozenset({"fp-armv8", "neon"}), _caches(32, 512, 1024)),
    Cpu("cortex-a35", _V8, _caches(32, 128, 256), in_order=True),
    Cpu("cortex-a53", _V8, _caches(32, 128, 512), in_order=True),
    Cpu("cortex-a55", _V8_2, _caches(32, 128, 512), in_order=True),
    Cpu("cortex-a57", _V8, _caches(32, 512, 1024)),
    Cpu("cortex-a72", _V8, _caches(32, 256, 1024)),
    Cpu("cortex-a73", _V8, _caches(64, 256, 1024)),
    Cpu("cortex-a75", _V8_2, _caches(64, 256, 1024)),
    Cpu("cortex-a76", _V8_2, _caches(64, 512, 512)),
    Cpu("cortex-a77", _V8_2, _caches(64, 512, 1024)),
    Cpu("cortex-a78", _V8_2, _caches(64, 512, 1024)),
    Cpu("cortex-a510", _V9, _caches(32, 256, 1024), in_order=True),
    Cpu("cortex-a520", _V9, _caches(32, 256, 1024), in_order=True),
    Cpu("cortex-a710", _V9, _caches(64, 512, 1024)),
    Cpu("cortex-a715", _V9, _caches(64, 512, 1024)),
    Cpu("cortex-a720", _V9, _caches(64, 512, 1024)),
    Cpu("cortex-x1", _V8_2, _caches(64, 1024, 1024)),
    Cpu("cortex-x2", _V9, _caches(64, 1024, 1024)),
    Cpu("cortex-x3", _V9, _caches(64, 1024, 1024)),
    Cpu("cortex-x4", _V9, _caches(64, 2048, 1024)),
    Cpu("cortex-x925", _V9, _caches(64, 2048, 2048)),
    Cpu("neoverse-e1", _V8_2, _caches(64, 256, 512)),
    Cpu("neoverse-n1", _V8_2, _caches(64, 1024, 1024)),
    Cpu("neoverse-n2", _V9, _caches(64, 1024, 1024)),
    Cpu("neoverse-n3", _V9, _caches(64, 2048, 1024)),
    Cpu("neoverse-v1", _MATRIX | {"fp16fml", "sve"}, _caches(64, 1024, 1024)),
    Cpu("neoverse-v2", _V9, _caches(64, 2048, 1536)),
    Cpu("neoverse-v3", _V9, _caches(64, 2048, 2048)),
    Cpu("grace", _V9, _caches(64, 1024, 1600)),
    Cpu("a64fx", _V8_1 | {"fullfp16", "complxnum", "sve"}, _caches(64, 680, 680)),
    Cpu("ampere1", _MATRIX, _caches(64, 2048, 512)),
    Cpu("apple-a13", _APPLE, _caches(128, 2048, 2048)),
    Cpu("apple-a14", _APPLE, _caches(128, 2048, 2048)),
    Cpu("apple-m1", _APPLE, _caches(128, 3072, 2048)),
    Cpu("apple-m2", _APPLE | {"i8mm", "bf16"}, _caches(128, 4096, 2048)),
    Cpu("apple-m3", _APPLE | {"i8mm", "bf16"}, _caches(128, 4096, 2048)),
    Cpu("apple-m4", _APPLE | {"i8mm", "bf16"}, _caches(128, 4096, 2048)),
    Cpu("carmel", _V8_1 | {"fullfp16"}, _caches(64, 1024, 512)),
    Cpu("oryon-1", _MATRIX | {"fp16fml"}, _caches(96, 3072, 1024)),
    Cpu("thunderx2t99", _V8_1, _caches(32, 256, 1024)),
    Cpu("tsv110", _V8_1 | {"dotprod", "fullfp16", "fp16fml", "complxnum"}, _caches(64, 512, 1024)),
)

FAMILY = Family("aarch64", FEATURES, CPUS)
