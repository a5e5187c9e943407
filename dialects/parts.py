"""What a 32-bit word holds for dot-product instructions: small integers, the first in the lowest bits."""

from __future__ import annotations

from typing import NamedTuple

from xdsl.dialects.builtin import IntegerType, Signedness, i8, i16

WORD = 32
"""Bits of a word."""

UI8 = IntegerType(8, Signedness.UNSIGNED)


class Parts(NamedTuple):
    """The element types that the words of two factors hold."""

    left: IntegerType
    right: IntegerType

    @property
    def per_word(self) -> int:
        """Parts of a word."""
        return WORD // self.left.width.data


PARTS = {
    "u8i8": Parts(UI8, i8),
    "i8i8": Parts(i8, i8),
    "i16i16": Parts(i16, i16),
}
"""By name, what there are instructions for."""
