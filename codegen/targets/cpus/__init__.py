"""Processors by name: one file per architecture with its features and CPUs, as data."""

from __future__ import annotations

from functools import lru_cache

from mlc.codegen.targets.cpus import aarch64, arm, riscv, x86
from mlc.codegen.targets.cpus.family import Cpu, Family, Feature

_FILES = (x86, aarch64, arm, riscv)


@lru_cache(maxsize=1)
def families() -> dict[str, Family]:
    """Every family by its architecture."""
    return {file.FAMILY.architecture: file.FAMILY for file in _FILES}


__all__ = ["Cpu", "Family", "Feature", "families"]
