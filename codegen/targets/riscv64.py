"""RISC-V with the vector extension: vectors of fixed length, multiply-adds that take one factor from a scalar register.

Vectors are as long as the shortest registers that the target promises (``zvl128b``: 128 bits); code runs on machines
with longer ones, too, and leaves the rest of a register alone.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Target

_BASE = frozenset({"m", "a", "f", "d", "c", "v"})


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
        caches=Caches(l1=32 << 10, l2=512 << 10, l3=1 << 20),
        elf_machine=243,
        llvm_features=",".join(f"+{feature}" for feature in sorted(features)),
        abi="lp64d",
    )


TARGETS = (_target("riscv64", 128), _target("riscv64-zvl256b", 256))
