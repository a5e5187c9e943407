"""Run WebAssembly in node: single kernels, and modules through their own loader."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.emulation import MODULE_HARNESS
from mlc.testing.cross import compile_kernel, run_on_files
from mlc.testing.libraries import Job, Outcome
from mlc.testing.require import require_tool

if TYPE_CHECKING:
    from mlc.codegen.targets import Target
    from mlc.dialects.loop import KernelOp

Array: TypeAlias = NDArray[Any]

KERNEL_HARNESS = """
import { readFileSync, writeFileSync } from "node:fs";
const [module, name, threads, ...files] = process.argv.slice(2);
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(module)));
const arrays = files.map((file) => readFileSync(file));
const address = [];
let end = exports.__heap_base.value;
for (const array of arrays) {
  address.push(end + 64);
  end += Math.ceil((array.length + 128) / 64) * 64;
}
exports.memory.grow(Math.ceil(end / 65536));
const memory = new Uint8Array(exports.memory.buffer);
memory.fill(0xa5, exports.__heap_base.value);
arrays.forEach((array, i) => memory.set(array, address[i]));
for (let t = 0; t < Number(threads); t++) exports[name](...address, t, Number(threads));
arrays.forEach((array, i) => {
  const [start, end] = [address[i], address[i] + array.length];
  for (let j = 1; j <= 64; j++) if (memory[start - j] !== 0xa5 || memory[end + j - 1] !== 0xa5) process.exit(3);
  writeFileSync(files[i], memory.subarray(start, end));
});
"""


@dataclass(frozen=True)
class Node:
    """A machine that runs kernels as `mlc.testing.cross.Emulated` does, in node."""

    target: Target
    flags: tuple[str, ...] = ()

    def run(self, kernel: KernelOp, arrays: Sequence[Array], folder: Path, *, threads: int = 1) -> list[Array]:
        """Compile a kernel with schedules of the cost model, run it, and return all arrays as they are afterwards.

        The shares of ``threads`` threads run one after the other. Skips the test (fails it in CI) without node.
        Raises AssertionError where node ends with an error: status 3 says that memory beside an array was written.
        """
        from mlc.codegen.wasm import link_module, parse_object

        node = require_tool("node")
        name, code, passed = compile_kernel(kernel, arrays, self.target, threads)
        module, harness = folder / "kernel.wasm", folder / "harness.mjs"
        module.write_bytes(link_module([parse_object(code)], exports=[name]).to_bytes())
        harness.write_text(KERNEL_HARNESS)
        return run_on_files([node, *self.flags, harness, module, name, str(threads)], passed, folder)


def run_modules(node: Node, jobs: Sequence[Job], folder: Path) -> list[Outcome]:
    """Run the artefacts as modules through their loaders, all in one process; one that fails ends the process.

    Skips the test (fails it in CI) without node. Raises AssertionError with what node said where it ends early.
    """
    command = [require_tool("node"), *node.flags]
    folders = [folder / f"model{number}" for number in range(len(jobs))]
    for place, job in zip(folders, jobs):
        place.mkdir()
        job.artefact.write_module(place / "model.wasm")
        for i, array in enumerate(job.inputs):
            (place / f"input{i}").write_bytes(np.ascontiguousarray(array).tobytes())
    harness = folder / "harness.mjs"
    harness.write_text(MODULE_HARNESS)
    done = subprocess.run([*command, harness, *folders], check=False, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [_outcome(job, place) for job, place in zip(jobs, folders)]


def _outcome(job: Job, folder: Path) -> Outcome:
    specs = job.artefact.program.outputs
    contents = [(folder / f"output{i}").read_bytes() for i in range(len(specs))]
    return Outcome(0, tuple(np.frombuffer(c, s.dtype).reshape(s.shape) for c, s in zip(contents, specs)))
