"""RISC-V with the vector extension: vectors of fixed length, multiply-adds that take one factor from a scalar register.

Vectors are as long as the shortest registers that the target promises (``zvl128b``: 128 bits); code runs on machines
with longer ones, too, and leaves the rest of a register alone.

Vector conversions that carry a rounding mode of their own crash QEMU before version 8, so none is emitted: casts go
lane by lane, and the exponent of ``ldexp`` is read from the bits of a sum.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Target
from mlc.codegen.targets.rows import ldexp_by_bits

_BASE = frozenset({"m", "a", "f", "d", "c", "v"})


ROWS = tuple(ldexp_by_bits(dtype, lanes) for dtype in ("f32", "f64") for lanes in (2, 4, 8))


def _target(name: str, bits: int) -> Target:
    features = _BASE | frozenset({f"zvl{bits}b"} if bits > 128 else ())
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
        splat="scalar",
        rows=ROWS,
        elf_machine=243,
        llvm_features=",".join(f"+{feature}" for feature in sorted(features)),
        abi="lp64d",
    )


TARGETS = (_target("riscv64", 128), _target("riscv64-zvl256b", 256))
