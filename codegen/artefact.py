"""What is shipped: shared library, object, archive, header and weights file of one compiled model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlc.codegen.archive import Member, archive
from mlc.codegen.elf import ObjectFile, parse_object
from mlc.codegen.header import header_text
from mlc.codegen.image import FileSlice, Image, write_atomic
from mlc.codegen.link import link_shared
from mlc.codegen.object import compile_ir
from mlc.codegen.program import Program, program_ir
from mlc.codegen.relocatable import check_imports, data_object, merge_objects
from mlc.errors import InternalError

WEIGHTS_SECTION = ".mlc.weights"


@dataclass(frozen=True)
class Artefact:
    """A program compiled to objects, and the weights file (or its content in memory) to embed if it embeds one.

    Code that needs more of the C library than ``program.imports`` is refused with an InternalError.
    The ``write_`` methods write whole files or nothing, and raise UsageError where they can't write.
    """

    program: Program
    objects: tuple[bytes, ...]
    weights: Path | memoryview | None = None

    @classmethod
    def compile(
        cls,
        program: Program,
        kernels: Sequence[tuple[str, str]],
        *,
        jobs: int | None = None,
        weights: Path | memoryview | None = None,
    ) -> Artefact:
        """Compile the program's module and its kernels', given as (name, IR text); raises as ``compile_ir`` does."""
        texts = [(program.name, program_ir(program)), *kernels]
        return cls(program, tuple(compile_ir(texts, program.target, jobs=jobs)), weights)

    def _objects(self) -> list[ObjectFile]:
        objects = [parse_object(data) for data in self.objects]
        if self.program.embedded_weights and self.program.weights_bytes:
            if self.weights is None:
                raise InternalError("the program embeds its weights, but no file of them is given")
            content = FileSlice.whole(self.weights) if isinstance(self.weights, Path) else self.weights
            machine = self.program.target.elf_machine
            objects.append(data_object(self.program.weights_symbol, content, machine, section=WEIGHTS_SECTION))
        check_imports(objects, self.program.imports)
        return objects

    def shared_library(self, soname: str = "") -> Image:
        """An ELF shared library, linked by us; raises UnsupportedError for machines without built-in linking."""
        return link_shared(self._objects(), exports=self.program.exports, soname=soname)

    def relocatable(self) -> Image:
        """One relocatable object whose only global symbols are the C interface."""
        return merge_objects(self._objects(), exports=self.program.exports)

    def archive(self) -> Image:
        """A static archive of that object."""
        return archive([Member(f"{self.program.name}.o", self.relocatable(), self.program.exports)])

    def header(self) -> str:
        """The C header's text."""
        return header_text(self.program)

    def write_shared_library(self, path: Path) -> None:
        """Write ``path`` (``.so``) atomically; its file name becomes the soname."""
        write_atomic(path, self.shared_library(path.name).chunks, mode=0o755)

    def write_object(self, path: Path) -> None:
        """Write ``path`` (``.o``) atomically."""
        write_atomic(path, self.relocatable().chunks)

    def write_archive(self, path: Path) -> None:
        """Write ``path`` (``.a``) atomically."""
        write_atomic(path, self.archive().chunks)

    def write_header(self, path: Path) -> None:
        """Write ``path`` (``.h``) atomically."""
        write_atomic(path, [self.header().encode()])
