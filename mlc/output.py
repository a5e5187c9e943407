"""Where a compiled model is written: which file, what its symbols are called, and what goes beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.errors import InternalError, UsageError, nearest

if TYPE_CHECKING:
    from mlc.codegen.artefact import Artefact

KINDS = {".so": "shared library", ".o": "object", ".a": "archive"}
WEIGHTS_MODES = ("embed", "file")


@dataclass(frozen=True)
class Output:
    """A file for the code (its suffix says which kind), a header beside it, and a weights file unless embedded."""

    path: Path
    name: str
    embed: bool

    @staticmethod
    def of(path: str | os.PathLike[str], *, name: str | None = None, weights: str = "embed") -> Output:
        """Checked: UsageError for an unknown suffix or mode, and for a folder that can't be written to."""
        file = Path(path)
        if file.suffix not in KINDS:
            raise UsageError(f"{str(file)!r} does not say what to write", hint="end it with .so, .o or .a")
        if weights not in WEIGHTS_MODES:
            raise UsageError(f"unknown place for weights {weights!r}", hint=nearest(weights, WEIGHTS_MODES))
        if not os.access(file.parent, os.W_OK):
            reason = "the folder is read-only" if file.parent.is_dir() else "there is no such folder"
            raise UsageError(f"can't write {file}: {reason}", hint="choose another output with -o")
        stem = file.stem.removeprefix("lib") if file.suffix == ".a" or file.stem.startswith("lib") else file.stem
        return Output(file, name or _identifier(stem), weights == "embed")

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

        written = [self.header, self.path]
        if artefact.program.weights_bytes and not self.embed:
            if not isinstance(artefact.weights, memoryview):
                raise InternalError("there are no weights to write")
            write_atomic(self.weights, [artefact.weights])
            written.insert(0, self.weights)
        artefact.write_header(self.header)
        write = {
            ".so": artefact.write_shared_library,
            ".o": artefact.write_object,
            ".a": artefact.write_archive,
        }
        write[self.path.suffix](self.path)
        return written


def _identifier(stem: str) -> str:
    """A C identifier made of a file's name."""
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in stem)
    return text if text[:1].isalpha() or text[:1] == "_" else f"model_{text}"
