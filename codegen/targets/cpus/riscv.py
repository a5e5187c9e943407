"""64-bit RISC-V: standard extensions, and CPUs by SiFive, SpacemiT and others.

Sources: LLVM's RISC-V processor definitions (a test compares); cache sizes from the vendors' data sheets.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches
from mlc.codegen.targets.cpus.family import Cpu, Family, Feature

FEATURES = (
    Feature("m", "multiplication and division"),
    Feature("a", "atomic operations"),
    Feature("f", "floating point, single precision"),
    Feature("d", "floating point, double precision", ("f",)),
    Feature("c", "compressed instructions"),
    Feature("zba", "address arithmetic"),
    Feature("zbb", "rotations, counting bits, minimum and maximum"),
    Feature("zbs", "single-bit operations"),
    Feature("zfhmin", "conversions from and to half precision", ("f",)),
    Feature("zfh", "half-precision arithmetic", ("zfhmin",)),
    Feature("v", "vectors of at least 128 bits", ("d",)),
    Feature("zvl256b", "vectors of at least 256 bits", ("v",)),
    Feature("zvfhmin", "conversions of vectors from and to half precision", ("v",)),
    Feature("zvfh", "half-precision arithmetic on vectors", ("zvfhmin", "zfhmin")),
)

_GC = frozenset({"m", "a", "f", "d", "c"})
_BITS = frozenset({"zba", "zbb", "zbs"})
_HALF = frozenset({"zfhmin", "zfh", "zvfhmin", "zvfh"})


def _caches(l1: int, l2: int, l3: int) -> Caches:
    """Sizes in KiB per core."""
    return Caches(l1=l1 << 10, l2=l2 << 10, l3=l3 << 10)


CPUS = (
    Cpu("sifive-u74", _GC, _caches(32, 512, 512), in_order=True),
    Cpu("sifive-p550", _GC | {"zba", "zbb"}, _caches(32, 256, 1024)),
    Cpu("sifive-p670", _GC | _BITS | {"zfhmin", "v"}, _caches(32, 256, 1024)),
    Cpu("sifive-x280", _GC | _HALF | {"zba", "zbb", "v", "zvl256b"}, _caches(32, 256, 512), in_order=True),
    Cpu("spacemit-x60", _GC | _BITS | _HALF | {"v", "zvl256b"}, _caches(32, 128, 128), in_order=True),
    Cpu("tt-ascalon-d8", _GC | _BITS | _HALF | {"v", "zvl256b"}, _caches(64, 1024, 1024)),
)

FAMILY = Family("riscv64", FEATURES, CPUS)
