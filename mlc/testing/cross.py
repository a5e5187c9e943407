"""Run a kernel's object under an emulator of a foreign processor: a C harness, linked statically, around it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.testing.require import require_tool

if TYPE_CHECKING:
    from mlc.codegen.targets import Target
    from mlc.dialects.loop import KernelOp

Array: TypeAlias = NDArray[Any]

HARNESS = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void {name}({parameters}, intptr_t, intptr_t);

/* The bytes of a file, with a pattern of 64 bytes on either side. */
static char *load(const char *path, size_t size) {{
  char *memory = aligned_alloc(64, (size + 255) / 64 * 64);
  memset(memory, 0xA5, (size + 255) / 64 * 64);
  FILE *file = fopen(path, "rb");
  if (!file || fread(memory + 64, 1, size, file) != size) exit(2);
  fclose(file);
  return memory + 64;
}}

int main(int argc, char **argv) {{
  static const size_t size[] = {{{sizes}}};
  char *a[{count}];
  for (int i = 0; i < {count}; i++) a[i] = load(argv[1 + i], size[i]);
  for (intptr_t t = 0; t < {threads}; t++) {name}({arguments}, t, {threads});
  for (int i = 0; i < {count}; i++) {{
    for (int j = 1; j <= 64; j++)
      if ((unsigned char)a[i][-j] != 0xA5 || (unsigned char)a[i][size[i] + j - 1] != 0xA5) return 3;
    FILE *file = fopen(argv[1 + i], "wb");
    if (!file || fwrite(a[i], 1, size[i], file) != size[i] || fclose(file)) return 2;
  }}
  return 0;
}}
"""


def _riscv(vector_bits: int) -> tuple[str, ...]:
    return ("qemu-riscv64", "-cpu", f"rv64,v=true,vlen={vector_bits},vext_spec=v1.0")


MACHINES = {
    "aarch64": ("aarch64", "aarch64-linux-gnu-gcc", ("qemu-aarch64", "-cpu", "cortex-a53")),
    "aarch64-cortex-a76": ("aarch64:cortex-a76", "aarch64-linux-gnu-gcc", ("qemu-aarch64", "-cpu", "cortex-a76")),
    "armv7": ("armv7", "arm-linux-gnueabihf-gcc", ("qemu-arm", "-cpu", "cortex-a7")),
    "riscv64": ("riscv64", "riscv64-linux-gnu-gcc", _riscv(128)),
    "riscv64-on-256": ("riscv64", "riscv64-linux-gnu-gcc", _riscv(256)),
    "riscv64-zvl256b": ("riscv64-zvl256b", "riscv64-linux-gnu-gcc", _riscv(256)),
}
"""The name of a target, a C compiler for it, and an emulator of the least processor that has its features."""


@dataclass(frozen=True)
class Emulated:
    """A foreign machine: its description, a C compiler for it, and the command that runs its programs."""

    target: Target
    compiler: str
    emulator: tuple[str, ...]

    @staticmethod
    def named(name: str) -> Emulated:
        """One of `MACHINES`."""
        from mlc.codegen.targets import find_target

        target, compiler, emulator = MACHINES[name]
        return Emulated(find_target(target), compiler, emulator)

    def run(self, kernel: KernelOp, arrays: Sequence[Array], folder: Path, *, threads: int = 1) -> list[Array]:
        """Compile a kernel with schedules of the cost model, run it, and return all arrays as they are afterwards.

        Skips the test (fails it in CI) where compiler or emulator are missing. Raises AssertionError where the
        program ends with an error: status 3 says that memory beside an array was written.
        """
        compiler, emulator = require_tool(self.compiler), require_tool(self.emulator[0])
        name, code, passed = compile_kernel(kernel, arrays, self.target, threads)
        (folder / "kernel.o").write_bytes(code)
        (folder / "harness.c").write_text(_harness(name, passed, threads))
        program = folder / "program"
        command = [compiler, "-static", "-O1", "-o", program, folder / "harness.c", folder / "kernel.o"]
        subprocess.run(command, check=True)
        return run_on_files([emulator, *self.emulator[1:], program], passed, folder)


def compile_kernel(
    kernel: KernelOp, arrays: Sequence[Array], target: Target, threads: int
) -> tuple[str, bytes, list[Array]]:
    """A kernel's name, its object, and the arrays that it takes for those given: constants are packed."""
    from mlc.codegen.emit.function import emit_kernel
    from mlc.codegen.object import compile_ir
    from mlc.testing.loops import kernel_of, lower_loops, passed_arrays

    module = lower_loops(kernel, target, threads=threads)
    lowered = kernel_of(module)
    name = lowered.sym_name.data
    (code,) = compile_ir([(name, emit_kernel(lowered, target))], target, jobs=1)
    return name, code, passed_arrays(module, arrays)


def run_on_files(command: Sequence[str | Path], arrays: Sequence[Array], folder: Path) -> list[Array]:
    """Run a program on files that hold the arrays, and return what they hold afterwards.

    Raises AssertionError where the program ends with another status than 0.
    """
    files = [folder / f"argument{i}" for i in range(len(arrays))]
    for file, array in zip(files, arrays):
        file.write_bytes(array.tobytes())
    done = subprocess.run([*command, *files], check=False, timeout=120)
    assert done.returncode == 0, f"{command[0]} ended with status {done.returncode}"
    return [np.frombuffer(f.read_bytes(), a.dtype).reshape(a.shape) for f, a in zip(files, arrays)]


def _harness(name: str, arrays: Sequence[Array], threads: int) -> str:
    count = len(arrays)
    return HARNESS.format(
        name=name,
        parameters=", ".join(["void *"] * count),
        sizes=", ".join(str(a.nbytes) for a in arrays),
        arguments=", ".join(f"a[{i}]" for i in range(count)),
        count=count,
        threads=threads,
    )
