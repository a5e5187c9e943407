"""Several WebAssembly objects made one: symbols matched by name, everything else side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlc.codegen.image import Chunk
from mlc.codegen.wasm.object import Flag, Function, Segment, Symbol, SymbolKind, WasmObject
from mlc.codegen.wasm.relocations import Relocation
from mlc.errors import InternalError


def data_object(symbol: str, content: Chunk, *, align: int) -> WasmObject:
    """An object with one segment, aligned to ``1 << align`` bytes, and a symbol for all of it."""
    segment = Segment(f".rodata.{symbol}", content, align)
    return WasmObject([], [segment], [Symbol(symbol, SymbolKind.DATA, size=segment.size)])


def merge(objects: Sequence[WasmObject], *, exports: Iterable[str]) -> WasmObject:
    """One object out of several; of the symbols that they define only ``exports`` stay visible.

    Raises InternalError for symbols defined twice, and for exports that nobody defines.
    """
    merger = _Merger(frozenset(exports))
    for obj in objects:
        merger.define(obj)
    for obj in objects:
        merger.add(obj)
    return merger.finish(next((obj.features for obj in objects if obj.features), b""))


def check_undefined(obj: WasmObject) -> None:
    """Raise InternalError when the code needs functions or data of another object.

    LLVM turns what the machine lacks (``llvm.fma``, ``frem``, half precision) into library calls, silently.
    """
    missing = [s.name for s in obj.symbols if not s.defined and s.kind is not SymbolKind.GLOBAL]
    if missing:
        raise InternalError(f"the code needs {', '.join(sorted(missing))} of another library")


class _Merger:
    """The merged parts so far, and the new number of each symbol that objects share."""

    def __init__(self, exports: frozenset[str]) -> None:
        self.exports = exports
        self.functions: list[Function] = []
        self.segments: list[Segment] = []
        self.symbols: list[Symbol] = []
        self.defined: set[str] = set()
        self.shared: dict[str, int] = {}

    def define(self, obj: WasmObject) -> None:
        """Note which names an object gives to others."""
        for symbol in obj.symbols:
            if symbol.defined and not symbol.local:
                if symbol.name in self.defined:
                    raise InternalError(f"symbol {symbol.name} is defined twice")
                self.defined.add(symbol.name)

    def add(self, obj: WasmObject) -> None:
        """Take over an object's parts with its symbols renumbered."""
        numbers = [self._number(symbol) for symbol in obj.symbols]

        def renumbered(relocations: Sequence[Relocation]) -> list[Relocation]:
            return [entry._replace(symbol=numbers[entry.symbol]) for entry in relocations]

        self.functions += [replace(f, relocations=renumbered(f.relocations)) for f in obj.functions]
        self.segments += [replace(s, relocations=renumbered(s.relocations)) for s in obj.segments]

    def finish(self, features: bytes) -> WasmObject:
        missing = sorted(self.exports - self.defined)
        if missing:
            raise InternalError(f"exported but defined in no object: {', '.join(missing)}")
        return WasmObject(self.functions, self.segments, self.symbols, features)

    def _number(self, symbol: Symbol) -> int:
        """The new number of a symbol, which is added unless another object has brought it."""
        if not symbol.local:
            number = self.shared.setdefault(symbol.name, len(self.symbols))
            if number < len(self.symbols):
                if symbol.defined:
                    self.symbols[number] = self._moved(symbol)
                return number
        self.symbols.append(self._moved(symbol))
        return len(self.symbols) - 1

    def _moved(self, symbol: Symbol) -> Symbol:
        if not symbol.defined:
            return symbol
        first = len(self.functions) if symbol.kind is SymbolKind.FUNCTION else len(self.segments)
        flags = Flag.GLOBAL if symbol.name in self.exports and not symbol.local else Flag.LOCAL
        return replace(symbol, index=first + symbol.index, flags=flags)
