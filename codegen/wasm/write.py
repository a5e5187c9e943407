"""Writing one relocatable WebAssembly object, for a program that is linked by ``wasm-ld``."""

from __future__ import annotations

from collections.abc import Sequence

from mlc.codegen.image import Chunk, Image
from mlc.codegen.wasm.encoding import HEADER, I32, External, SectionId, custom, name, section, sleb, uleb, vector
from mlc.codegen.wasm.layout import Layout
from mlc.codegen.wasm.merge import check_undefined, merge
from mlc.codegen.wasm.object import (
    LINKING_VERSION,
    SEGMENT_INFO,
    STACK_POINTER,
    SYMBOL_TABLE,
    Symbol,
    SymbolKind,
    WasmObject,
)
from mlc.codegen.wasm.relocations import Relocation, rule_of

_ENVIRONMENT = name("env")
_CODE_NUMBER, _DATA_NUMBER = 4, 5
"""Which sections of the file hold code and data, as relocations count them."""


def relocatable(objects: Sequence[WasmObject], *, exports: Sequence[str]) -> Image:
    """One object file out of several, whose only global symbols are ``exports``.

    Data is streamed; the same input gives the same bytes. Raises InternalError for symbols defined twice, exports that
    nobody defines, and code that needs another library.
    """
    obj = merge(objects, exports=exports)
    check_undefined(obj)
    layout = Layout(obj, 0)
    code, functions = layout.code_section()
    data, segments = layout.data_section()
    chunks: list[Chunk] = [
        HEADER,
        *layout.type_section(),
        *section(SectionId.IMPORT, _imports(layout)),
        *layout.function_section(),
        *section(SectionId.DATA_COUNT, uleb(len(obj.segments))),
        *code,
        *data,
        *custom("linking", _linking(layout)),
        *custom("reloc.CODE", _relocations(_CODE_NUMBER, functions, [f.relocations for f in obj.functions])),
        *custom("reloc.DATA", _relocations(_DATA_NUMBER, segments, [s.relocations for s in obj.segments])),
        *custom("target_features", obj.features),
    ]
    return Image(tuple(chunks))


def _imports(layout: Layout) -> bytes:
    memory = _ENVIRONMENT + name("__linear_memory") + bytes([External.MEMORY, 0, 0])
    stack = _ENVIRONMENT + name(STACK_POINTER) + bytes([External.GLOBAL, I32, 1])
    functions = [
        _ENVIRONMENT + name(s.name) + bytes([External.FUNCTION]) + uleb(layout.types[s.signature])
        for s in layout.imported
    ]
    return vector([memory, stack, *functions])


def _linking(layout: Layout) -> bytes:
    segments = [name(s.name) + uleb(s.align) + uleb(s.flags) for s in layout.obj.segments]
    symbols = [_symbol(layout, s) for s in layout.obj.symbols]
    parts = ((SEGMENT_INFO, vector(segments)), (SYMBOL_TABLE, vector(symbols)))
    return uleb(LINKING_VERSION) + b"".join(bytes([kind]) + uleb(len(part)) + part for kind, part in parts)


def _symbol(layout: Layout, symbol: Symbol) -> bytes:
    head = bytes([symbol.kind]) + uleb(symbol.flags)
    if symbol.kind is SymbolKind.DATA:
        place = uleb(symbol.index) + uleb(symbol.offset) + uleb(symbol.size) if symbol.defined else b""
        return head + name(symbol.name) + place
    if symbol.kind is SymbolKind.GLOBAL:
        return head + uleb(0)
    return head + uleb(layout.function(symbol)) + (name(symbol.name) if symbol.defined else b"")


def _relocations(number: int, starts: Sequence[int], lists: Sequence[Sequence[Relocation]]) -> bytes:
    """The relocations of a section whose pieces begin at ``starts``."""
    records = [_record(entry, start) for start, entries in zip(starts, lists, strict=True) for entry in entries]
    return uleb(number) + vector(records)


def _record(entry: Relocation, start: int) -> bytes:
    addend = sleb(entry.addend) if rule_of(entry.kind).has_addend else b""
    return bytes([entry.kind]) + uleb(start + entry.offset) + uleb(entry.symbol) + addend
