"""What every machine's relocation table is made of: what a relocation refers to, and how it patches its field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from struct import pack_into, unpack_from
from typing import NamedTuple

from mlc.errors import InternalError


class Use(Enum):
    """Which address a relocation wants."""

    NOTHING = auto()
    """None: it only names a symbol."""
    VALUE = auto()
    """That of the symbol itself, which must lie in the same library."""
    CALL = auto()
    """That of the symbol, or of a stub that jumps to it when another library defines it."""
    SLOT = auto()
    """That of a table slot that holds the symbol's address."""
    WORD = auto()
    """The symbol's absolute address, known when the library is loaded."""
    PAIR = auto()
    """What the relocation at the symbol's own address wants: this field is the rest of a value begun there."""


Apply = Callable[[bytearray, int, int, int], None]
"""``(buffer, position, target + addend, place)``: patch the field at ``position``, which will lie at ``place``."""

Read = Callable[[bytes | bytearray | memoryview, int], int]
"""``(section content, offset)``: the addend that the field holds before it is patched."""


class Rule(NamedTuple):
    """What a relocation refers to, how it patches its field, and how its addend is read where records have none."""

    use: Use
    apply: Apply
    read: Read | None = None


@dataclass(frozen=True)
class MachineRules:
    """How to link for one ``e_machine``: relocation rules, dynamic types, page size, call stubs.

    ``explicit_addends``: records carry their addends (RELA), else the fields do (REL). Sections whose type is one of
    ``unlinked`` are left out.
    """

    rules: dict[int, Rule]
    relative: int
    symbolic: int
    slot: int
    page: int
    stub_size: int
    write_stub: Callable[[bytearray, int, int, int], None]
    fill: bytes
    explicit_addends: bool = True
    unlinked: frozenset[int] = frozenset()


def signed(value: int, bits: int) -> int:
    """Check that a value fits a signed field of ``bits`` bits."""
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise InternalError(f"relocation out of range: {value:#x} in {bits} bits")
    return value


def nothing(buffer: bytearray, at: int, target: int, place: int) -> None:
    """Patch nothing."""


def relative32(buffer: bytearray, at: int, target: int, place: int) -> None:
    """The distance in 32 bits."""
    pack_into("<i", buffer, at, signed(target - place, 32))


def relative64(buffer: bytearray, at: int, target: int, place: int) -> None:
    """The distance in 64 bits."""
    pack_into("<q", buffer, at, target - place)


def absolute32(buffer: bytearray, at: int, target: int, place: int) -> None:
    """The address in 32 bits."""
    pack_into("<I", buffer, at, target & 0xFFFFFFFF)


def absolute64(buffer: bytearray, at: int, target: int, place: int) -> None:
    """The address in 64 bits."""
    pack_into("<Q", buffer, at, target)


def patch(buffer: bytearray, at: int, mask: int, bits: int) -> None:
    """Replace the bits of ``mask`` in an instruction of 32 bits."""
    (word,) = unpack_from("<I", buffer, at)
    pack_into("<I", buffer, at, word & ~mask | bits & mask)


def write_words(buffer: bytearray, at: int, words: tuple[int, ...]) -> None:
    """Instructions of 32 bits."""
    pack_into(f"<{len(words)}I", buffer, at, *words)
