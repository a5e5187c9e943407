"""The text of one LLVM function as it grows, and the spelling of LLVM types and constants."""

from __future__ import annotations

import struct

from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
)
from xdsl.ir import Attribute

from mlc.errors import InternalError

_FLOATS: dict[type[Attribute], tuple[str, str, int]] = {
    Float16Type: ("half", "f16", 2),
    BFloat16Type: ("bfloat", "bf16", 2),
    Float32Type: ("float", "f32", 4),
    Float64Type: ("double", "f64", 8),
}


def spelling(element: Attribute) -> tuple[str, str, int]:
    """LLVM's name of a scalar type, its suffix in intrinsic names, and its stored bytes."""
    found = _FLOATS.get(type(element))
    if found is not None:
        return found
    if isinstance(element, IndexType):
        return ("i64", "i64", 8)
    if isinstance(element, IntegerType):
        width = element.width.data
        return (f"i{width}", f"i{width}", max(1, width // 8))
    raise InternalError(f"no machine type for {element}")


def float_constant(value: float, element: Attribute) -> str:
    """A floating constant as LLVM writes it: exactly, in hexadecimal."""
    if isinstance(element, Float16Type):
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if isinstance(element, BFloat16Type):
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
        return f"0xR{(bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 & 0xFFFF:04X}"
    if isinstance(element, Float32Type):
        value = struct.unpack("<f", struct.pack("<f", _clip32(value)))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _clip32(value: float) -> float:
    """``value`` as struct can pack it: beyond the range of f32 it is infinite."""
    if value != value or abs(value) <= 3.4028235677973366e38:
        return value
    return float("inf") if value > 0 else float("-inf")


class Writer:
    """Lines of a function, fresh names, and what it calls: intrinsics and internal functions."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self.definitions: dict[str, str] = {}
        self._names = 0
        self._labels = 0

    def name(self) -> str:
        """A fresh value name."""
        self._names += 1
        return f"%t{self._names}"

    def label(self) -> str:
        """A fresh block label."""
        self._labels += 1
        return f"L{self._labels}"

    def emit(self, line: str) -> None:
        """Append one instruction or label."""
        self.lines.append(line)

    def value(self, right: str) -> str:
        """Append ``%fresh = right`` and return the name."""
        self._names += 1
        name = f"%t{self._names}"
        self.lines.append(f"  {name} = {right}")
        return name

    def declare(self, name: str, signature: str) -> None:
        """Note that the intrinsic ``name`` is used: ``declare {signature}``."""
        self.declarations[name] = signature

    def define(self, name: str, text: str) -> None:
        """Note that the internal function ``name`` is used: ``text`` holds its definition."""
        self.definitions[name] = text

    def call(self, result: str, name: str, arguments: list[tuple[str, str]], flags: str = "") -> str:
        """Call an intrinsic on (type, value) pairs."""
        if name not in self.declarations:
            types = ", ".join(t for t, _ in arguments)
            self.declarations[name] = f"{result} @{name}({types})"
        passed = ", ".join(f"{t} {v}" for t, v in arguments)
        text = f"call {flags + ' ' if flags else ''}{result} @{name}({passed})"
        if result == "void":
            self.lines.append(f"  {text}")
            return ""
        return self.value(text)
