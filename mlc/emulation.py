"""Models for other machines, run under an emulator: stand-alone programs, and WebAssembly modules in node."""

from __future__ import annotations

import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlc.errors import InternalError, ModelError, UnsupportedError, UsageError
from mlc.model import Array, TensorInfo, numpy_dtype

if TYPE_CHECKING:
    from mlc.codegen.artefact import Artefact
    from mlc.codegen.program import TensorSpec
    from mlc.codegen.targets import Target
    from mlc.dialects.bounds import Bounds
    from mlc.driver import Built

MODULE_HARNESS = """
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
for (const folder of process.argv.slice(2)) {
  const { load } = await import(pathToFileURL(`${folder}/model.mjs`));
  const model = await load();
  const feeds = {};
  model.inputs.forEach(({ name, data }, i) => {
    const bytes = readFileSync(`${folder}/input${i}`);
    const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    feeds[name] = new data.constructor(copy);
  });
  const results = model.run(feeds);
  model.outputs.forEach(({ name }, i) => writeFileSync(`${folder}/output${i}`, results[name]));
}
"""


def runs_here(target: Target) -> bool:
    """Whether this process can load the target's code."""
    same = target.triple.partition("-")[0] == platform.machine()
    return same and target.kind == "cpu" and target.system == sys.platform


def find_emulator(target: Target, asked: str = "") -> tuple[str, ...]:
    """The command that runs the target's programs: the one asked for, else the one that belongs to the target.

    () is this machine itself. An emulator by its bare name gets the processor that fits the target; more words are
    taken as they are. Raises UsageError when it is not installed, UnsupportedError where none is known.
    """
    from mlc.codegen.targets.tools import emulator_of

    known = ("node",) if target.container == "wasm" else emulator_of(target)
    words = _words(asked) or (() if runs_here(target) else known)
    if not words and not runs_here(target):
        raise UnsupportedError(f"no emulator is known for {target.name} ({target.triple})")
    if known and words == known[:1]:
        words = known
    if words and shutil.which(words[0]) is None:
        package = "nodejs" if words[0] == "node" else "qemu-user"
        raise UsageError(
            f"{target.name} code needs an emulator: {words[0]} is not installed",
            hint=f"install it ({package} on Debian and Ubuntu), or name another with --emulator",
        )
    return words


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"bad command {command!r} in --emulator: {error}") from error


@dataclass(frozen=True)
class EmulatedModel:
    """A model that runs in a process of its own, under an emulator, each time that it is called.

    It has of `CompiledModel` what commands need: ``name``, ``inputs``, ``outputs``, ``run`` and ``metadata``.
    """

    artefact: Artefact
    emulator: tuple[str, ...]
    linker: str = "auto"
    inputs: tuple[TensorInfo, ...] = field(init=False)
    outputs: tuple[TensorInfo, ...] = field(init=False)

    @staticmethod
    def of(built: Built, emulator: Sequence[str], linker: str = "auto") -> EmulatedModel:
        """The compiled model under an emulator's command; () runs it on this machine, still in a process of its own."""
        return EmulatedModel(built.artefact("model", embed=True), tuple(emulator), linker)

    def __post_init__(self) -> None:
        if self.bounds and self.artefact.program.target.container == "wasm":
            raise UnsupportedError("modules are run here with fixed shapes alone", hint="bind every dim: --dim batch=1")
        object.__setattr__(self, "inputs", _infos(self.artefact.program.inputs))
        object.__setattr__(self, "outputs", _infos(self.artefact.program.outputs))

    @property
    def bounds(self) -> Bounds | None:
        """The bounds of dims that the program finds out from its inputs; None for fixed shapes."""
        borders = self.artefact.program.borders
        return borders.bounds if borders else None

    @property
    def name(self) -> str:
        """What the model calls itself."""
        return self.artefact.program.name

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on arrays by name; returns the outputs by name.

        Raises ModelError with what the program says when it fails, UsageError when it can't be linked.
        """
        with tempfile.TemporaryDirectory(prefix="mlc-emulated-") as folder:
            wasm = self.artefact.program.target.container == "wasm"
            return (self._run_module if wasm else self._run_program)(inputs, Path(folder))

    def _run_program(self, inputs: Mapping[str, Array], folder: Path) -> dict[str, Array]:
        from mlc.codegen.executable import file_names, write_program
        from mlc.codegen.toolchain import find_toolchain

        program = folder / "program"
        target = self.artefact.program.target
        write_program(self.artefact, program, find_toolchain(self.linker, target, program=True))
        files = [folder / f"input{index}.npy" for index in range(len(self.inputs))]
        for file, info in zip(files, self.inputs):
            np.save(file, _checked(info, inputs[info.name], self.bounds), allow_pickle=False)
        (folder / "out").mkdir()
        self._call([str(program), "--output", str(folder / "out"), *map(str, files)])
        names = file_names([info.name for info in self.outputs])
        arrays: list[Any] = [np.load(folder / "out" / f"{name}.npy", allow_pickle=False) for name in names]
        return {info.name: array.view(info.dtype) for info, array in zip(self.outputs, arrays)}

    def _run_module(self, inputs: Mapping[str, Array], folder: Path) -> dict[str, Array]:
        self.artefact.write_module(folder / "model.wasm")
        for index, info in enumerate(self.inputs):
            (folder / f"input{index}").write_bytes(_checked(info, inputs[info.name]).tobytes())
        harness = folder / "harness.mjs"
        harness.write_text(MODULE_HARNESS)
        self._call([str(harness), str(folder)])
        return {
            spec.name: np.frombuffer((folder / f"output{index}").read_bytes(), info.dtype).reshape(spec.shape)
            for index, (info, spec) in enumerate(zip(self.outputs, self.artefact.program.outputs))
        }

    def _call(self, arguments: list[str]) -> None:
        done = subprocess.run([*self.emulator, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            last = next(reversed(done.stderr.strip().splitlines()), f"it ended with status {done.returncode}")
            kind = ModelError if done.returncode in (1, 2) else InternalError
            raise kind(f"the program failed under {' '.join(self.emulator) or 'this machine'}: {last}")


def _infos(specs: Sequence[TensorSpec]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(spec.name, numpy_dtype(spec.dtype), spec.shape) for spec in specs)


def _checked(info: TensorInfo, array: Array, bounds: Bounds | None = None) -> Array:
    """The array as the program takes it: dense, of exactly the input's dtype and, unless dims have bounds, shape."""
    if array.dtype != info.dtype or (bounds is None and array.shape != info.shape):
        raise UsageError(f"input {info} is given as {array.dtype} {'x'.join(map(str, array.shape))}")
    return np.ascontiguousarray(array).reshape(array.shape)
