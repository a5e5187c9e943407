"""Run WebAssembly in node: single kernels, and modules through their own loader."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.emulation import MODULE_HARNESS
from mlc.testing.cross import compile_kernel, run_on_files
from mlc.testing.require import require_tool

if TYPE_CHECKING:
    from mlc.codegen.artefact import Artefact
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

    def run_modules(
        self, cases: Sequence[tuple[Artefact, Mapping[str, Array]]], folder: Path
    ) -> list[dict[str, Array]]:
        """Run modules through their loaders, all in one process, each on its inputs by name; returns the outputs."""
        node = require_tool("node")
        folders = [folder / f"case{i}" for i in range(len(cases))]
        for place, (artefact, inputs) in zip(folders, cases):
            place.mkdir()
            artefact.write_module(place / "model.wasm")
            for i, spec in enumerate(artefact.program.inputs):
                (place / f"input{i}").write_bytes(np.ascontiguousarray(inputs[spec.name]).tobytes())
        harness = folder / "harness.mjs"
        harness.write_text(MODULE_HARNESS)
        done = subprocess.run(
            [node, *self.flags, harness, *folders], check=False, timeout=300, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return [_outputs(artefact, place) for (artefact, _), place in zip(cases, folders)]


def _outputs(artefact: Artefact, folder: Path) -> dict[str, Array]:
    return {
        spec.name: np.frombuffer((folder / f"output{i}").read_bytes(), spec.dtype).reshape(spec.shape)
        for i, spec in enumerate(artefact.program.outputs)
    }
