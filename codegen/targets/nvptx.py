"""NVIDIA GPUs through PTX: one thread is one scalar lane, and schedules bind loops to blocks and threads."""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Target

_SREG = "llvm.nvvm.read.ptx.sreg."
_INDICES = {
    f"{what}.{axis}": f"{_SREG}{name}.{axis}"
    for what, name in (("block", "ctaid"), ("thread", "tid"))
    for axis in "xyz"
}

TARGETS = (
    Target(
        name="cuda-sm80",
        triple="nvptx64-nvidia-cuda-unknown",
        cpu="sm_80",
        features=frozenset({"ptx78"}),
        vector_bytes=4,
        registers=128,
        caches=Caches(l1=128 << 10, l2=40 << 20, l3=40 << 20, line=128),
        elf_machine=190,
        llvm_features="+ptx78",
        kind="gpu",
        convention="ptx_kernel",
        address_space=1,
        index_registers=_INDICES,
        thread_limit='"nvvm.maxntid"="{0}"',
    ),
)
