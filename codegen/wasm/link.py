"""A linker: a merged object in, a complete WebAssembly module out, with no toolchain.

Memory begins with the stack, which grows down, so that an overflow leaves the memory and traps; then come the data
and, from the exported ``__heap_base`` on, what is left to the host. The module imports nothing. Weights are streamed
from their file. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlc.codegen.image import Chunk, Image
from mlc.codegen.wasm.encoding import HEADER, I32, External, SectionId, constant, custom, name, section, uleb, vector
from mlc.codegen.wasm.layout import Layout, align
from mlc.codegen.wasm.merge import check_undefined, merge
from mlc.codegen.wasm.object import Symbol, SymbolKind, WasmObject
from mlc.errors import UnsupportedError

STACK_BYTES = 256 << 10
"""More than the scratch of any kernel and the frames around it."""

PAGE = 64 << 10
HEAP_BASE = "__heap_base"
HEAP_ALIGNMENT = 64

MODULE_LIMIT = 1 << 30
"""Engines refuse larger modules."""

_FUNCTION_NAMES = 1


def link_module(objects: Sequence[WasmObject], *, exports: Sequence[str]) -> Image:
    """Link objects into a module that exports its memory, ``__heap_base`` and the symbols named, in that order.

    Data is exported as an immutable global that holds its address. Raises InternalError for what the compiler should
    not have produced, and UnsupportedError for a module that is too large.
    """
    obj = merge(objects, exports=exports)
    check_undefined(obj)
    layout = Layout(obj, STACK_BYTES)
    heap = align(layout.end, HEAP_ALIGNMENT)
    symbols = {s.name: s for s in obj.symbols if s.defined and not s.local}
    data = [symbols[n] for n in exports if symbols[n].kind is SymbolKind.DATA]
    chunks: list[Chunk] = [
        HEADER,
        *layout.type_section(),
        *layout.function_section(),
        *section(SectionId.MEMORY, b"\1\0", uleb(-(-heap // PAGE))),
        *section(SectionId.GLOBAL, _globals([heap, *map(layout.address, data)])),
        *section(SectionId.EXPORT, _exports(layout, [symbols[n] for n in exports])),
        *layout.code_section()[0],
        *layout.data_section()[0],
        *custom("name", _function_names(layout)),
    ]
    image = Image(tuple(chunks))
    if image.size > MODULE_LIMIT:
        raise UnsupportedError(f"the module takes {image.size:,} bytes, engines load {MODULE_LIMIT:,}",
                               hint="keep the weights in a file: --weights=file")  # fmt: skip
    return image


def _globals(addresses: Sequence[int]) -> bytes:
    """The stack pointer, then constants."""
    constants = [bytes([I32, 0]) + constant(address) for address in addresses]
    return vector([bytes([I32, 1]) + constant(STACK_BYTES), *constants])


def _exports(layout: Layout, symbols: Sequence[Symbol]) -> bytes:
    items = [name("memory") + bytes([External.MEMORY, 0]), name(HEAP_BASE) + bytes([External.GLOBAL, 1])]
    data = 2
    for symbol in symbols:
        if symbol.kind is SymbolKind.FUNCTION:
            items.append(name(symbol.name) + bytes([External.FUNCTION]) + uleb(layout.function(symbol)))
        else:
            items.append(name(symbol.name) + bytes([External.GLOBAL]) + uleb(data))
            data += 1
    return vector(items)


def _function_names(layout: Layout) -> bytes:
    """Names for debuggers and profilers."""
    functions = sorted((layout.function(s), s.name) for s in layout.obj.symbols if s.kind is SymbolKind.FUNCTION)
    names = vector([uleb(number) + name(text) for number, text in functions])
    return bytes([_FUNCTION_NAMES]) + uleb(len(names)) + names
