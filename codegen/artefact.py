"""What is shipped: shared library or WebAssembly module, object, archive, header and weights file of one model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.codegen import wasm
from mlc.codegen.archive import Member, archive
from mlc.codegen.elf import ObjectFile, parse_object
from mlc.codegen.foreign import check_foreign_imports
from mlc.codegen.header import header_text
from mlc.codegen.image import Chunk, FileSlice, Image, chunk_size, write_atomic
from mlc.codegen.link import link_shared
from mlc.codegen.object import LINKED_AS_IR, compile_ir, link_ir
from mlc.codegen.program import Program, program_ir
from mlc.codegen.relocatable import check_imports, data_object, merge_objects
from mlc.errors import InternalError, UnsupportedError

if TYPE_CHECKING:
    from mlc.codegen.toolchain import Toolchain

WEIGHTS_SECTION = ".mlc.weights"
_WASM_WEIGHTS_ALIGN = 6
"""Logarithm of the alignment that NAME_init asks for."""
MOST_WEIGHTS_IN_IR = 4 << 20
"""Bytes of weights that may pass through LLVM as text, at a twentieth of a second and 9 MB of memory each million."""


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

    @property
    def _is_wasm(self) -> bool:
        return self.program.target.container == "wasm"

    def _embedded(self) -> Chunk | None:
        """The weights file's content, where the program embeds it."""
        if not (self.program.embedded_weights and self.program.weights_bytes):
            return None
        if self.weights is None:
            raise InternalError("the program embeds its weights, but no file of them is given")
        return FileSlice.whole(self.weights) if isinstance(self.weights, Path) else self.weights

    def _objects(self) -> list[ObjectFile]:
        objects = [parse_object(data) for data in self.objects]
        content = self._embedded()
        if content is not None:
            machine = self.program.target.elf_machine
            objects.append(data_object(self.program.weights_symbol, content, machine, section=WEIGHTS_SECTION))
        check_imports(objects, self.program.imports)
        return objects

    def _wasm_objects(self) -> list[wasm.WasmObject]:
        objects = [wasm.parse_object(data) for data in self.objects]
        content = self._embedded()
        if content is not None:
            objects.append(wasm.data_object(self.program.weights_symbol, content, align=_WASM_WEIGHTS_ALIGN))
        return objects

    def shared_library(self, soname: str = "") -> Image:
        """An ELF shared library, linked by us; raises UnsupportedError for machines without built-in linking."""
        if self._is_wasm:
            raise UnsupportedError(f"{self.program.target.name} has no shared libraries", hint="write a .wasm module")
        if self.program.target.container in LINKED_AS_IR:
            hint = "write an object (.o) and link it there"
            raise UnsupportedError(f"mlc links no libraries for {self.program.target.triple}", hint=hint)
        program = self.program
        return link_shared(self._objects(), exports=program.exports, soname=soname, elsewhere=program.symbols)

    def module(self) -> Image:
        """A complete WebAssembly module; raises UnsupportedError for other machines."""
        if not self._is_wasm:
            raise UnsupportedError(f"{self.program.target.name} code is no WebAssembly", hint="pass --target=wasm32")
        return wasm.link_module(self._wasm_objects(), exports=self.program.exports)

    def relocatable(self) -> Image:
        """One relocatable object whose only global symbols are the C interface."""
        if self._is_wasm:
            return wasm.relocatable(self._wasm_objects(), exports=self.program.exports)
        if self.program.target.container in LINKED_AS_IR:
            return Image((self._foreign_object(),))
        return merge_objects(self._objects(), exports=self.program.exports)

    def _foreign_object(self) -> bytes:
        """One object for macOS or Windows, made of all modules' IR, in which weights must be few."""
        program = self.program
        content = self._embedded()
        modules = list(self.objects)
        if content is not None:
            if chunk_size(content) > MOST_WEIGHTS_IN_IR:
                hint = "keep them in a file: --weights=file"
                raise UnsupportedError(f"{program.target.triple}: the weights are too large to embed", hint=hint)
            modules.append(_weights_ir(program.weights_symbol, Image((content,)).to_bytes()))
        made = link_ir(program.name, modules, program.target, (*program.exports, program.weights_symbol))
        check_foreign_imports(made, program.target.container, program.symbols)
        return made

    def archive(self) -> Image:
        """A static archive of that object; raises UnsupportedError for systems whose archives differ."""
        if self.program.target.container in LINKED_AS_IR:
            raise UnsupportedError(
                f"mlc writes no archives for {self.program.target.triple}", hint="write an object (.o)"
            )
        return archive([Member(f"{self.program.name}.o", self.relocatable(), self.program.exports)])

    def header(self) -> str:
        """The C header's text."""
        return header_text(self.program)

    def write_shared_library(self, path: Path, toolchain: Toolchain | None = None) -> None:
        """Write ``path`` (``.so``) atomically; its file name becomes the soname.

        Without a toolchain, and with our own, nothing is needed; others raise UsageError where they fail.
        """
        if toolchain is None or not toolchain.command:
            write_atomic(path, self.shared_library(path.name).chunks, mode=0o755)
            return
        with tempfile.TemporaryDirectory(prefix="mlc-library-") as folder:
            file = Path(folder) / f"{self.program.name}.o"
            self.write_object(file)
            toolchain.link_shared(path, file, path.name, libc=bool(self.program.imports))

    def write_module(self, path: Path) -> list[Path]:
        """Write ``path`` (``.wasm``), its loader (``.mjs``) and the loader's types (``.d.mts``); returns the paths."""
        texts = {".mjs": wasm.loader_text(self.program, path.name), ".d.mts": wasm.declarations_text(self.program)}
        write_atomic(path, self.module().chunks)
        for suffix, text in texts.items():
            write_atomic(path.with_suffix(suffix), [text.encode()])
        return [path, *map(path.with_suffix, texts)]

    def write_object(self, path: Path) -> None:
        """Write ``path`` (``.o``) atomically."""
        write_atomic(path, self.relocatable().chunks)

    def write_archive(self, path: Path) -> None:
        """Write ``path`` (``.a``) atomically."""
        write_atomic(path, self.archive().chunks)

    def write_header(self, path: Path) -> None:
        """Write ``path`` (``.h``) atomically."""
        write_atomic(path, [self.header().encode()])


def _weights_ir(symbol: str, content: bytes) -> bytes:
    """A module with the weights as a constant."""
    escaped = "".join(f"\\{byte:02X}" for byte in content)
    return f'@{symbol} = constant [{len(content)} x i8] c"{escaped}", align 64\n'.encode()
