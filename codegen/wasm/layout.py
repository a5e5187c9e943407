"""Where the parts of an object lie: addresses of its segments, numbers of its functions and types."""

from __future__ import annotations

from collections.abc import Sequence

from mlc.codegen.image import Chunk, chunk_size
from mlc.codegen.wasm.encoding import SectionId, constant, section, uleb, vector
from mlc.codegen.wasm.object import Segment, Symbol, SymbolKind, WasmObject
from mlc.codegen.wasm.relocations import Wants, patch
from mlc.errors import UnsupportedError

ADDRESS_SPACE = 1 << 32


class Layout:
    """An object's segments from ``base`` on, and the sections that follow from that.

    ``imported`` are the undefined functions, which come first in the numbering. Raises UnsupportedError when the
    segments don't fit into 32-bit addresses.
    """

    def __init__(self, obj: WasmObject, base: int) -> None:
        self.obj = obj
        self.addresses: list[int] = []
        self.end = base
        for segment in obj.segments:
            self.end = align(self.end, 1 << segment.align)
            self.addresses.append(self.end)
            self.end += segment.size
        if self.end >= ADDRESS_SPACE:
            raise UnsupportedError(
                f"code and weights need {self.end:,} bytes; 32-bit addresses reach {ADDRESS_SPACE:,}"
            )
        self.imported = [s for s in obj.symbols if s.kind is SymbolKind.FUNCTION and not s.defined]
        signatures = [s.signature for s in self.imported] + [f.signature for f in obj.functions]
        self.types = {signature: number for number, signature in enumerate(dict.fromkeys(signatures))}

    def function(self, symbol: Symbol) -> int:
        """A function's number."""
        return len(self.imported) + symbol.index if symbol.defined else self.imported.index(symbol)

    def address(self, symbol: Symbol) -> int:
        """The address of data; undefined data has 0."""
        return self.addresses[symbol.index] + symbol.offset if symbol.defined else 0

    def _value(self, wants: Wants, number: int) -> int:
        symbol = self.obj.symbols[number]
        match wants:
            case Wants.FUNCTION:
                return self.function(symbol)
            case Wants.ADDRESS:
                return self.address(symbol)
            case Wants.GLOBAL:
                return 0  # the stack pointer, the only one

    def bodies(self) -> list[bytes]:
        """The functions' bodies, relocated."""
        return [patch(f.body, f.relocations, self._value) for f in self.obj.functions]

    def data(self, segment: Segment) -> Chunk:
        """A segment's content, relocated; one without relocations may be a slice of a file."""
        if not isinstance(segment.data, bytes):
            return segment.data
        return patch(segment.data, segment.relocations, self._value)

    # --- sections

    def type_section(self) -> list[Chunk]:
        """Every function type once."""
        return section(SectionId.TYPE, vector(list(self.types)))

    def function_section(self) -> list[Chunk]:
        """The type of each defined function."""
        return section(SectionId.FUNCTION, vector([uleb(self.types[f.signature]) for f in self.obj.functions]))

    def code_section(self) -> tuple[list[Chunk], list[int]]:
        """The bodies, and where in the section each begins."""
        return _counted(SectionId.CODE, [(b"", body) for body in self.bodies()])

    def data_section(self) -> tuple[list[Chunk], list[int]]:
        """The segments, and where in the section the data of each begins; the data is streamed."""
        heads = [b"\0" + constant(address) for address in self.addresses]
        return _counted(SectionId.DATA, [(head, self.data(s)) for head, s in zip(heads, self.obj.segments)])


def align(value: int, alignment: int) -> int:
    """``value`` rounded up to a multiple."""
    return -(-value // alignment) * alignment


def _counted(number: SectionId, items: Sequence[tuple[bytes, Chunk]]) -> tuple[list[Chunk], list[int]]:
    """A section of items with a head, a size and content each, and the offsets of the contents."""
    count = uleb(len(items))
    chunks: list[Chunk] = [count]
    starts: list[int] = []
    at = len(count)
    for head, content in items:
        head += uleb(chunk_size(content))
        starts.append(at + len(head))
        at = starts[-1] + chunk_size(content)
        chunks += [head, content]
    return section(number, *chunks), starts
