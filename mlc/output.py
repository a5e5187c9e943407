"""Where a compiled model is written: which file, what its symbols are called, and what goes beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.errors import UsageError, nearest

if TYPE_CHECKING:
    from mlc.codegen.artefact import Artefact
    from mlc.codegen.targets import Target
    from mlc.codegen.toolchain import Toolchain

KINDS = {
    ".so": "shared library",
    ".wasm": "WebAssembly module and its loader",
    ".o": "object",
    ".a": "archive",
    ".h": "C header alone",
}
LOADABLE = {"elf": ".so", "wasm": ".wasm", "macho": ".o", "coff": ".o"}
"""What is complete in itself or comes closest to that, by the target's container."""
WEIGHTS_MODES = ("embed", "file")


@dataclass(frozen=True)
class Output:
    """A file for the code, and a weights file beside it unless embedded; beside libraries and objects a header, too.

    The file's suffix says which kind it is, but for a stand-alone ``program``. ``toolchain`` links it; None while not
    chosen, and for what is not linked.
    """

    path: Path
    name: str
    embed: bool
    program: bool = False
    toolchain: Toolchain | None = None

    @staticmethod
    def of(
        path: str | os.PathLike[str], *, name: str | None = None, weights: str = "embed", program: bool = False
    ) -> Output:
        """Checked: UsageError for an unknown suffix or mode, and for a folder that can't be written to."""
        file = Path(path)
        if file.is_dir():
            raise UsageError(f"{str(file)!r} is a folder", hint="name the file to write in it")
        if file.suffix not in KINDS and not program:
            hint = f"end it with {', '.join(KINDS)}, or pass --emit=exe for a program"
            raise UsageError(f"{str(file)!r} does not say what to write", hint=hint)
        if weights not in WEIGHTS_MODES:
            raise UsageError(f"unknown place for weights {weights!r}", hint=nearest(weights, WEIGHTS_MODES))
        if not os.access(file.parent, os.W_OK):
            reason = "the folder is read-only" if file.parent.is_dir() else "there is no such folder"
            raise UsageError(f"can't write {file}: {reason}", hint="choose another output with -o")
        stem = file.stem.removeprefix("lib") if file.suffix == ".a" or file.stem.startswith("lib") else file.stem
        return Output(file, name or _identifier(stem), weights == "embed", program)

    def check(self, target: Target) -> None:
        """Raise UsageError when the target has no files of this kind."""
        suffix, wanted = self.path.suffix, LOADABLE[target.container]
        if suffix in (".so", ".wasm") and suffix != wanted:
            hint = f"end it with {wanted}"
            raise UsageError(f"can't write {self.path}: {target.name} has no {KINDS[suffix]}", hint=hint)

    def linked_for(self, target: Target, linker: str = "auto") -> Output:
        """The same with the linker that makes it; raises as `find_toolchain` does, and for what is not linked."""
        from mlc.codegen.toolchain import find_toolchain

        if self.program or self.path.suffix == ".so":
            return replace(self, toolchain=find_toolchain(linker, target, program=self.program))
        if linker != "auto":
            raise UsageError(f"{self.path} is not linked", hint="leave out --linker")
        return self

    @property
    def header(self) -> Path:
        """The C header."""
        return self.path.with_name(f"{self.name}.h")

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.path.with_name(f"{self.name}.weights")

    def write(self, artefact: Artefact) -> list[Path]:
        """Write all files, each whole or not at all, the code last; returns their paths."""
        from mlc.codegen.image import write_atomic

        written: list[Path] = []
        if self.path.suffix != ".h" and not self.embed and isinstance(artefact.weights, memoryview):
            write_atomic(self.weights, [artefact.weights])
            written.append(self.weights)
        if self.path.suffix == ".wasm":
            return [*written, *artefact.write_module(self.path)]
        if self.program:
            return [*written, self._write_program(artefact)]
        artefact.write_header(self.header)
        written.append(self.header)
        write = {
            ".so": partial(artefact.write_shared_library, toolchain=self.toolchain),
            ".o": artefact.write_object,
            ".a": artefact.write_archive,
        }.get(self.path.suffix)
        if write:
            write(self.path)
            written.append(self.path)
        return written

    def _write_program(self, artefact: Artefact) -> Path:
        from mlc.codegen.executable import write_program

        toolchain = self.toolchain or self.linked_for(artefact.program.target).toolchain
        assert toolchain is not None
        write_program(artefact, self.path, toolchain)
        return self.path


def _identifier(stem: str) -> str:
    """A C identifier made of a file's name."""
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in stem)
    return text if text[:1].isalpha() or text[:1] == "_" else f"model_{text}"
