"""WebAssembly's binary encoding: LEB128 numbers, length-prefixed names and sections.

Reference: WebAssembly Core Specification 2.0, chapter 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from mlc.codegen.image import Chunk, chunk_size

HEADER = b"\0asm\1\0\0\0"
PADDED_BYTES = 5
"""Length of a 32-bit number that is to be overwritten later: its LEB128 is padded to the longest."""

I32, I64 = 0x7F, 0x7E
END = b"\x0b"


class SectionId(IntEnum):
    """Sections of a module, by number."""

    CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT = range(13)


class External(IntEnum):
    """What is imported or exported."""

    FUNCTION, TABLE, MEMORY, GLOBAL = range(4)


def uleb(value: int, *, padded: bool = False) -> bytes:
    """An unsigned number as LEB128."""
    out = bytearray()
    while value >= 0x80 or (padded and len(out) < PADDED_BYTES - 1):
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value: int, *, padded: bool = False) -> bytes:
    """A signed number as LEB128."""
    out = bytearray()
    while not -0x40 <= value < 0x40 or (padded and len(out) < PADDED_BYTES - 1):
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def name(text: str) -> bytes:
    """A name with its length."""
    data = text.encode()
    return uleb(len(data)) + data


def vector(items: Sequence[bytes]) -> bytes:
    """A count, then the items."""
    return uleb(len(items)) + b"".join(items)


def section(number: SectionId, *chunks: Chunk) -> list[Chunk]:
    """A section of these contents, with its number and size before them."""
    return [bytes([number]) + uleb(sum(map(chunk_size, chunks))), *chunks]


def custom(title: str, content: bytes) -> list[Chunk]:
    """A custom section."""
    return section(SectionId.CUSTOM, name(title) + content)


def constant(value: int) -> bytes:
    """The expression of an i32 constant."""
    return b"\x41" + sleb(value - (1 << 32) if value >> 31 else value) + END


class Reader:
    """Takes numbers, names and bytes off the front of ``data``; raises IndexError where it ends early."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        """One byte."""
        value = self.data[self.at]
        self.at += 1
        return value

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if self.at + count > len(self.data):
            raise IndexError("the section ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def uleb(self) -> int:
        """An unsigned number."""
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def sleb(self) -> int:
        """A signed number."""
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def name(self) -> str:
        """A name."""
        return self.take(self.uleb()).decode()

    def sized(self) -> Reader:
        """A reader of a part that has its length before it."""
        return Reader(self.take(self.uleb()))
