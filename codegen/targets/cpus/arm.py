"""32-bit Arm with NEON: features and CPUs of Armv7-A, and of Armv8-A in its 32-bit state.

Sources: LLVM's ARM processor definitions (a test compares); cache sizes from the cores' reference manuals.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches
from mlc.codegen.targets.cpus.family import Cpu, Family, Feature

FEATURES = (
    Feature("vfp3", "floating point"),
    Feature("neon", "128-bit vectors, multiply-add by lane", ("vfp3",)),
    Feature("fp16", "conversions from and to half precision"),
    Feature("vfp4", "multiply-add with one rounding", ("vfp3", "fp16")),
    Feature("hwdiv-arm", "integer division"),
    Feature("crc", "checksums"),
    Feature("fp-armv8", "rounding to integers, minimum and maximum of floats", ("vfp4",)),
    Feature("dotprod", "int8 dot products", ("neon",), ("asimddp",)),
    Feature("fullfp16", "half-precision arithmetic", ("fp-armv8",)),
)

_A8 = frozenset({"vfp3", "neon"})
_A7 = _A8 | {"fp16", "vfp4", "hwdiv-arm"}
_V8 = _A7 | {"crc", "fp-armv8"}


def _caches(l1: int, l2: int) -> Caches:
    """Sizes in KiB per core."""
    return Caches(l1=l1 << 10, l2=l2 << 10, l3=l2 << 10)


CPUS = (
    Cpu("cortex-a5", _A8 | {"fp16", "vfp4"}, _caches(32, 128), in_order=True),
    Cpu("cortex-a7", _A7, _caches(32, 128), in_order=True),
    Cpu("cortex-a8", _A8, _caches(32, 256), in_order=True),
    Cpu("cortex-a9", _A8 | {"fp16"}, _caches(32, 512)),
    Cpu("cortex-a15", _A7, _caches(32, 512)),
    Cpu("cortex-a17", _A7, _caches(32, 256)),
    Cpu("cortex-a32", _V8, _caches(32, 128), in_order=True),
    Cpu("cortex-a35", _V8, _caches(32, 128), in_order=True),
    Cpu("cortex-a53", _V8, _caches(32, 128), in_order=True),
    Cpu("cortex-a55", _V8 | {"dotprod"}, _caches(32, 128), in_order=True),
    Cpu("cortex-a57", _V8, _caches(32, 512)),
    Cpu("cortex-a72", _V8, _caches(32, 256)),
    Cpu("cortex-a73", _V8, _caches(64, 256)),
    Cpu("cortex-a76", _V8 | {"dotprod", "fullfp16"}, _caches(64, 512)),
)

FAMILY = Family("armv7", FEATURES, CPUS, tunes=False)
