"""Toy kernels and what turns them into loaded libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from mlc.codegen.elf import ObjectFile, parse_object
from mlc.codegen.jit import Library
from mlc.codegen.link import link_shared
from mlc.codegen.object import compile_ir
from mlc.codegen.program import Program, program_ir
from mlc.codegen.targets.base import Target

Kernel = tuple[str, str]
BuildObjects = Callable[[Program, Sequence[Kernel]], list[ObjectFile]]
Build = Callable[[Program, Sequence[Kernel]], Library]

X86_64 = Target("x86-64", "x86_64-unknown-linux-gnu", "x86-64", frozenset(), 16, 16)
AARCH64 = Target("aarch64", "aarch64-unknown-linux-gnu", "generic", frozenset({"neon"}), 16, 32, elf_machine=183)
ARMV7 = Target(
    "armv7", "armv7-unknown-linux-gnueabihf", "cortex-a7", frozenset(), 16, 16,
    elf_machine=40, llvm_features="+neon,+vfp4",
)  # fmt: skip
RISCV64 = Target(
    "riscv64", "riscv64-unknown-linux-gnu", "generic-rv64", frozenset(), 16, 32,
    elf_machine=243, llvm_features="+m,+a,+f,+d,+c",
)  # fmt: skip


@pytest.fixture
def x86_64() -> Target:
    """Any x86-64 processor."""
    return X86_64


@pytest.fixture(params=[X86_64, AARCH64, ARMV7, RISCV64], ids=lambda target: target.name)
def any_target(request: pytest.FixtureRequest) -> Target:
    """Each ELF target that the runtime is written for."""
    return request.param


@pytest.fixture
def add_kernel() -> Kernel:
    """``o[i] = a[i] + b[i]`` over 4096 floats, interleaved over the threads."""
    return (
        "add",
        """
define void @add(ptr %a, ptr %b, ptr %o, i64 %thread, i64 %threads) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ %thread, %entry ], [ %next, %loop ]
  %a.at = getelementptr float, ptr %a, i64 %i
  %b.at = getelementptr float, ptr %b, i64 %i
  %o.at = getelementptr float, ptr %o, i64 %i
  %x = load float, ptr %a.at
  %y = load float, ptr %b.at
  %z = fadd float %x, %y
  store float %z, ptr %o.at
  %next = add i64 %i, %threads
  %more = icmp ult i64 %next, 4096
  br i1 %more, label %loop, label %out
out:
  ret void
}
""",
    )


@pytest.fixture
def rotate_kernel() -> Kernel:
    """``o[i] = a[(i + 1) % 64] + 1`` over 64 i32: each thread reads what another one wrote in the step before."""
    return (
        "rotate",
        """
define void @rotate(ptr %a, ptr %o, i64 %thread, i64 %threads) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ %thread, %entry ], [ %next, %again ]
  %inside = icmp ult i64 %i, 64
  br i1 %inside, label %again, label %out
again:
  %j = add i64 %i, 1
  %k = and i64 %j, 63
  %a.at = getelementptr i32, ptr %a, i64 %k
  %o.at = getelementptr i32, ptr %o, i64 %i
  %x = load i32, ptr %a.at
  %y = add i32 %x, 1
  store i32 %y, ptr %o.at
  %next = add i64 %i, %threads
  br label %loop
out:
  ret void
}
""",
    )


@pytest.fixture
def build_objects() -> BuildObjects:
    """Compile a program and its kernels."""

    def build(program: Program, kernels: Sequence[Kernel]) -> list[ObjectFile]:
        texts = [("program", program_ir(program)), *kernels]
        return [parse_object(data) for data in compile_ir(texts, program.target, jobs=1)]

    return build


@pytest.fixture
def build(build_objects: BuildObjects) -> Build:
    """Compile, link and load a program for this machine."""

    def load(program: Program, kernels: Sequence[Kernel]) -> Library:
        return Library.load(link_shared(build_objects(program, kernels), exports=program.exports), program.name)

    return load
