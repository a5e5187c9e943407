"""Facts about machines: features, registers, caches, instruction rows.

One file per instruction set, each with a tuple ``TARGETS``; nothing outside this folder names one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from mlc.codegen.targets import aarch64, armv7, nvptx, riscv64, wasm32, x86
from mlc.codegen.targets.base import Caches, Instruction, Target
from mlc.codegen.targets.resolve import NATIVE, resolve
from mlc.errors import UsageError

_FILES = (x86, aarch64, armv7, riscv64, wasm32, nvptx)


@lru_cache(maxsize=1)
def all_targets() -> dict[str, Target]:
    """Every target by name."""
    return {t.name: t for file in _FILES for t in file.TARGETS}


def find_target(name: str = NATIVE) -> Target:
    """The target called ``name``, which may be a triple and may go on with a CPU and features: ``NAME:CPU:+A,-B``.

    ``native`` is the machine that runs this. Raises UsageError for an unknown name, with the nearest known one.
    """
    return resolve(*name.split(":", 2))


@lru_cache(maxsize=1)
def native_target() -> Target:
    """The best target whose features this machine has, tuned for its CPU."""
    from mlc.codegen.llvm import host_cpu, host_features, host_lacks, host_triple

    features = host_features()
    triple = host_triple()
    best: Target | None = None
    for target in all_targets().values():
        if target.kind == "cpu" and target.triple.split("-")[0] == triple.split("-")[0] and target.features <= features:
            best = target
    if best is None:
        raise UsageError(f"no target for this machine ({triple})", hint="pass --target")
    # The processor's name implies features that a virtual machine or the system may have turned off.
    missing = ",".join(f"-{name}" for name in sorted(host_lacks()))
    return replace(best, cpu=host_cpu(), features=features, llvm_features=missing, spec=NATIVE)


__all__ = ["Caches", "Instruction", "Target", "all_targets", "find_target", "native_target", "resolve"]
