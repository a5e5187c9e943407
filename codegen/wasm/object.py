"""Reading WebAssembly object files as LLVM writes them: functions, data segments, symbols and relocations.

Reference: WebAssembly/tool-conventions, Linking.md ("linking" and "reloc." custom sections, version 2).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from mlc.codegen.image import Chunk, chunk_size
from mlc.codegen.wasm.encoding import HEADER, I32, External, Reader, SectionId
from mlc.codegen.wasm.relocations import Relocation, rule_of
from mlc.errors import InternalError

LINKING_VERSION = 2
SEGMENT_INFO, SYMBOL_TABLE = 5, 8
"""Subsections of ``linking``."""

STACK_POINTER = "__stack_pointer"
_MUTABLE_I32 = bytes([I32, 1])


class SymbolKind(IntEnum):
    """What a symbol names."""

    FUNCTION, DATA, GLOBAL = range(3)


class Flag(IntFlag):
    """Flags of a symbol."""

    GLOBAL = 0
    LOCAL = 0x02
    HIDDEN = 0x04
    UNDEFINED = 0x10
    EXPLICIT_NAME = 0x40


@dataclass(frozen=True)
class Symbol:
    """``index`` is the number of the function or segment that it names, of those in its object; ``signature`` is
    an undefined function's type, encoded; ``offset`` and ``size`` are those of data in its segment.
    """

    name: str
    kind: SymbolKind
    flags: Flag = Flag.GLOBAL
    index: int = 0
    offset: int = 0
    size: int = 0
    signature: bytes = b""

    @property
    def defined(self) -> bool:
        """Whether its object has what it names."""
        return not self.flags & Flag.UNDEFINED

    @property
    def local(self) -> bool:
        """Whether other objects don't see it."""
        return bool(self.flags & Flag.LOCAL)


@dataclass(frozen=True)
class Function:
    """Its type as encoded, and its body: local variables and code."""

    signature: bytes
    body: bytes
    relocations: Sequence[Relocation] = ()


@dataclass(frozen=True)
class Segment:
    """Initialised memory, aligned to ``1 << align`` bytes."""

    name: str
    data: Chunk
    align: int = 0
    flags: int = 0
    relocations: Sequence[Relocation] = ()

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return chunk_size(self.data)


@dataclass(frozen=True)
class WasmObject:
    """The parts of an object; ``features`` is the content of its ``target_features`` section."""

    functions: Sequence[Function]
    segments: Sequence[Segment]
    symbols: Sequence[Symbol]
    features: bytes = b""


def parse_object(data: bytes) -> WasmObject:
    """Read an object. Raises InternalError for what no compiled model should have."""
    if not data.startswith(HEADER):
        raise InternalError("LLVM wrote no WebAssembly object")
    parser = _Parser()
    reader = Reader(data, len(HEADER))
    while reader:
        number = reader.byte()
        parser.section(number, reader.sized())
    return parser.finish()


@dataclass
class _Placed:
    """Pieces of a section, and where each begins in it."""

    pieces: list[bytes] = field(default_factory=list[bytes])
    starts: list[int] = field(default_factory=list[int])
    relocations: list[list[Relocation]] = field(default_factory=list[list[Relocation]])

    def add(self, reader: Reader, size: int) -> None:
        self.starts.append(reader.at)
        self.pieces.append(reader.take(size))
        self.relocations.append([])

    def relocate(self, entry: Relocation) -> None:
        piece = bisect_right(self.starts, entry.offset) - 1
        self.relocations[piece].append(entry._replace(offset=entry.offset - self.starts[piece]))


class _Parser:
    """What the sections so far have said."""

    def __init__(self) -> None:
        self.types: list[bytes] = []
        self.imported: list[tuple[str, bytes]] = []
        self.imported_globals: list[str] = []
        self.signatures: list[bytes] = []
        self.code = _Placed()
        self.data = _Placed()
        self.segments: list[tuple[str, int, int]] = []
        self.symbols: list[Symbol] = []
        self.features = b""

    def section(self, number: int, reader: Reader) -> None:
        read = {
            SectionId.CUSTOM: self._custom,
            SectionId.TYPE: self._read_types,
            SectionId.IMPORT: self._read_imports,
            SectionId.FUNCTION: self._read_functions,
            SectionId.CODE: self._read_code,
            SectionId.DATA: self._read_data,
        }.get(SectionId(number))
        if read is not None:
            read(reader)
        elif number != SectionId.DATA_COUNT:
            raise InternalError(f"WebAssembly object with a section {SectionId(number).name}")

    def finish(self) -> WasmObject:
        functions = [
            Function(signature, body, relocations)
            for signature, body, relocations in zip(
                self.signatures, self.code.pieces, self.code.relocations, strict=True
            )
        ]
        segments = [
            Segment(name, data, align, flags, relocations)
            for (name, align, flags), data, relocations in zip(
                self.segments, self.data.pieces, self.data.relocations, strict=True
            )
        ]
        return WasmObject(functions, segments, self.symbols, self.features)

    def _custom(self, reader: Reader) -> None:
        name = reader.name()
        if name == "linking":
            self._read_linking(reader)
        elif name == "target_features":
            self.features = reader.take(len(reader.data) - reader.at)
        elif name.startswith("reloc."):
            self._read_relocations(reader, {"reloc.CODE": self.code, "reloc.DATA": self.data}[name])

    def _read_types(self, reader: Reader) -> None:
        for _ in range(reader.uleb()):
            start = reader.at
            reader.byte()
            for _ in ("parameters", "results"):
                reader.take(reader.uleb())
            self.types.append(reader.data[start : reader.at])

    def _read_imports(self, reader: Reader) -> None:
        for _ in range(reader.uleb()):
            reader.name()
            name, kind = reader.name(), External(reader.byte())
            if kind is External.FUNCTION:
                self.imported.append((name, self.types[reader.uleb()]))
            elif kind is External.GLOBAL and name == STACK_POINTER:
                reader.take(len(_MUTABLE_I32))
                self.imported_globals.append(name)
            elif kind is External.MEMORY:
                has_most = reader.byte()
                for _ in range(1 + has_most):
                    reader.uleb()
            else:
                raise InternalError(f"WebAssembly object imports the {kind.name.lower()} {name}")

    def _read_functions(self, reader: Reader) -> None:
        self.signatures = [self.types[reader.uleb()] for _ in range(reader.uleb())]

    def _read_code(self, reader: Reader) -> None:
        for _ in range(reader.uleb()):
            self.code.add(reader, reader.uleb())

    def _read_data(self, reader: Reader) -> None:
        for _ in range(reader.uleb()):
            reader.take(2)  # active in memory 0; i32.const
            reader.sleb()
            reader.byte()  # end
            self.data.add(reader, reader.uleb())

    def _read_relocations(self, reader: Reader, placed: _Placed) -> None:
        reader.uleb()
        for _ in range(reader.uleb()):
            kind = reader.byte()
            offset, symbol = reader.uleb(), reader.uleb()
            placed.relocate(Relocation(kind, offset, symbol, reader.sleb() if rule_of(kind).has_addend else 0))

    def _read_linking(self, reader: Reader) -> None:
        if reader.uleb() != LINKING_VERSION:
            raise InternalError("WebAssembly object of another linking version")
        while reader:
            kind, part = reader.byte(), reader.sized()
            if kind == SEGMENT_INFO:
                self.segments = [(part.name(), part.uleb(), part.uleb()) for _ in range(part.uleb())]
            elif kind == SYMBOL_TABLE:
                self.symbols = [self._read_symbol(part) for _ in range(part.uleb())]

    def _read_symbol(self, reader: Reader) -> Symbol:
        kind, flags = SymbolKind(reader.byte()), Flag(reader.uleb())
        if kind is SymbolKind.DATA:
            name = reader.name()
            place = (0, 0, 0) if flags & Flag.UNDEFINED else (reader.uleb(), reader.uleb(), reader.uleb())
            return Symbol(name, kind, flags, *place)
        index = reader.uleb()
        if kind is SymbolKind.GLOBAL:
            return Symbol(self.imported_globals[index], kind, flags)
        if not flags & Flag.UNDEFINED:
            return Symbol(reader.name(), kind, flags, index - len(self.imported))
        name, signature = self.imported[index]
        return Symbol(reader.name() if flags & Flag.EXPLICIT_NAME else name, kind, flags, signature=signature)
