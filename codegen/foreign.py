"""Symbols of Mach-O and COFF objects, which LLVM makes whole and mlc only looks into.

References: the system header mach-o/loader.h and nlist.h; Microsoft's "PE Format", sections on COFF.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct, unpack_from

from mlc.errors import InternalError

_MACHO_MAGIC, _LC_SYMTAB = 0xFEEDFACF, 2
_NLIST = Struct("<IBBHQ")
_N_STAB, _N_TYPE, _N_EXT = 0xE0, 0x0E, 0x01
_COFF_SYMBOL = Struct("<8sIhHBB")
_CLASS_EXTERNAL = 2

ALLOWED = {
    "macho": frozenset[str](),
    # What every program of Microsoft's compiler has: a mark that floats are used, and the probe of large frames.
    "coff": frozenset({"_fltused", "__chkstk"}),
}
"""Symbols of other libraries that objects may need."""


def global_symbols(data: bytes, container: str) -> tuple[set[str], set[str]]:
    """The names that an object defines for others, and those that it needs; C names, without Mach-O's underscore.

    Raises InternalError when it is no 64-bit little-endian object of that container.
    """
    return _macho_symbols(data) if container == "macho" else _coff_symbols(data)


def check_foreign_imports(data: bytes, container: str, symbols: Iterable[str] = ()) -> None:
    """Raise InternalError when an object needs more than ``symbols`` and what its system's programs have anyway."""
    _, needed = global_symbols(data, container)
    if strange := needed - ALLOWED[container] - set(symbols):
        raise InternalError(f"the code needs {', '.join(sorted(strange))} of another library")


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _macho_symbols(data: bytes) -> tuple[set[str], set[str]]:
    magic, _, _, _, commands = unpack_from("<5I", data)
    if magic != _MACHO_MAGIC:
        raise InternalError("not a 64-bit Mach-O object")
    defined: set[str] = set()
    needed: set[str] = set()
    at = 32
    for _ in range(commands):
        command, size = unpack_from("<2I", data, at)
        if command == _LC_SYMTAB:
            table, count, strings, _ = unpack_from("<4I", data, at + 8)
            for index in range(count):
                name, kind, _, _, _ = _NLIST.unpack_from(data, table + index * _NLIST.size)
                if kind & _N_EXT and not kind & _N_STAB:
                    target = defined if kind & _N_TYPE else needed
                    target.add(_text(data, strings + name).removeprefix("_"))
        at += size
    return defined, needed


def _coff_symbols(data: bytes) -> tuple[set[str], set[str]]:
    machine, _, _, table, count, _, _ = unpack_from("<HHIIIHH", data)
    if machine not in (0x8664, 0xAA64):
        raise InternalError("not a 64-bit COFF object")
    strings = table + count * _COFF_SYMBOL.size
    defined: set[str] = set()
    needed: set[str] = set()
    index = 0
    while index < count:
        name, value, section, _, kind, more = _COFF_SYMBOL.unpack_from(data, table + index * _COFF_SYMBOL.size)
        zeros, offset = unpack_from("<II", name)
        text = name.rstrip(b"\0").decode() if zeros else _text(data, strings + offset)
        if kind == _CLASS_EXTERNAL:
            (defined if section or value else needed).add(text)
        index += 1 + more
    return defined, needed
