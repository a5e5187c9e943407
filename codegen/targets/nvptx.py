"""NVIDIA GPUs through PTX: one thread is one scalar lane, and schedules bind loops to blocks and threads."""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Target

TARGETS = (
    Target(
        name="cuda-sm80",
        triple="nvptx64-nvidia-cuda",
        cpu="sm_80",
        features=frozenset({"ptx78"}),
        vector_bytes=4,
        registers=128,
        caches=Caches(l1=128 << 10, l2=40 << 20, l3=40 << 20, line=128),
        elf_machine=190,
        llvm_features="+ptx78",
        kind="gpu",
    ),
)
