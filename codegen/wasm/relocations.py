"""Relocations of WebAssembly objects, as a table: what value they want, and how it is written.

Reference: WebAssembly/tool-conventions, Linking.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mlc.codegen.wasm.encoding import sleb, uleb
from mlc.errors import InternalError


class Wants(Enum):
    """The value of a relocation."""

    FUNCTION = "a function's number"
    ADDRESS = "an address in linear memory"
    GLOBAL = "a global's number"


class Relocation(NamedTuple):
    """``kind`` says how to write, ``symbol`` is a symbol's number; ``offset`` counts from the start of the function's
    body or of the segment's data.
    """

    kind: int
    offset: int
    symbol: int
    addend: int


@dataclass(frozen=True)
class Rule:
    """One kind of relocation."""

    wants: Wants
    encode: Callable[[int], bytes]

    @property
    def has_addend(self) -> bool:
        """Whether its records hold an addend."""
        return self.wants is Wants.ADDRESS


def _padded(value: int) -> bytes:
    return uleb(value, padded=True)


def _padded_signed(value: int) -> bytes:
    return sleb(value - (1 << 32) if value >> 31 else value, padded=True)


def _word(value: int) -> bytes:
    return value.to_bytes(4, "little")


RULES: dict[int, Rule] = {
    0: Rule(Wants.FUNCTION, _padded),
    3: Rule(Wants.ADDRESS, _padded),
    4: Rule(Wants.ADDRESS, _padded_signed),
    5: Rule(Wants.ADDRESS, _word),
    7: Rule(Wants.GLOBAL, _padded),
}


def rule_of(kind: int) -> Rule:
    """The rule of a kind; raises InternalError for one that compiled models don't need."""
    rule = RULES.get(kind)
    if rule is None:
        raise InternalError(f"unknown WebAssembly relocation type {kind}")
    return rule


def patch(data: bytes, relocations: Sequence[Relocation], value_of: Callable[[Wants, int], int]) -> bytes:
    """``data`` with the values written that its relocations want; ``value_of(wants, symbol)`` gives them."""
    if not relocations:
        return data
    patched = bytearray(data)
    for kind, offset, symbol, addend in relocations:
        rule = rule_of(kind)
        written = rule.encode(value_of(rule.wants, symbol) + addend)
        patched[offset : offset + len(written)] = written
    return bytes(patched)
