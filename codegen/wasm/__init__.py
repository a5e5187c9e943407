"""WebAssembly: object files, modules linked out of them, and what JavaScript needs to load those."""

from mlc.codegen.wasm.encoding import HEADER
from mlc.codegen.wasm.link import link_module
from mlc.codegen.wasm.loader import declarations_text, loader_text
from mlc.codegen.wasm.merge import data_object
from mlc.codegen.wasm.object import WasmObject, parse_object
from mlc.codegen.wasm.write import relocatable

__all__ = [
    "HEADER",
    "WasmObject",
    "data_object",
    "declarations_text",
    "link_module",
    "loader_text",
    "parse_object",
    "relocatable",
]
