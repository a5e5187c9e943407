"""Narrow element types: floats of 8 bits or fewer and integers of 2 and 4 bits, one byte per element in memory.

They are for storage: they are converted, reinterpreted and moved, but nothing is computed in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import (
    FixedBitwidthType,
    Float4E2M1FNType,
    Float6E2M3FNType,
    Float6E3M2FNType,
    Float8E4M3FNType,
    Float8E4M3FNUZType,
    Float8E5M2FNUZType,
    Float8E5M2Type,
    Float8E8M0FNUType,
    IntegerType,
    Signedness,
)
from xdsl.ir import Attribute


@dataclass(frozen=True)
class FloatFormat:
    """How a narrow float is encoded: a sign, ``exponent`` bits with ``bias``, ``mantissa`` bits, lowest bits last.

    ``largest`` is the code of the largest finite number, ``beyond`` what greater ones become where they don't
    saturate, ``nan`` the code that NaN gets. Without ``negative_zero`` the code of the sign alone is NaN.
    """

    exponent: int
    mantissa: int
    bias: int
    largest: int
    beyond: int
    nan: int
    negative_zero: bool = True

    @property
    def sign(self) -> int:
        """The place of the sign's bit."""
        return self.exponent + self.mantissa

    @property
    def has_infinity(self) -> bool:
        """Whether numbers beyond the largest become infinities."""
        return self.beyond not in (self.largest, self.nan)

    @property
    def least_exponent(self) -> int:
        """The power of two of the smallest normal number."""
        return 1 - self.bias


FLOAT_FORMATS: Mapping[Attribute, FloatFormat] = MappingProxyType(
    {
        Float8E4M3FNType(): FloatFormat(4, 3, 7, largest=0x7E, beyond=0x7F, nan=0x7F),
        Float8E4M3FNUZType(): FloatFormat(4, 3, 8, largest=0x7F, beyond=0x80, nan=0x80, negative_zero=False),
        Float8E5M2Type(): FloatFormat(5, 2, 15, largest=0x7B, beyond=0x7C, nan=0x7E),
        Float8E5M2FNUZType(): FloatFormat(5, 2, 16, largest=0x7F, beyond=0x80, nan=0x80, negative_zero=False),
        Float6E2M3FNType(): FloatFormat(2, 3, 1, largest=0x1F, beyond=0x1F, nan=0x20),
        Float6E3M2FNType(): FloatFormat(3, 2, 3, largest=0x1F, beyond=0x1F, nan=0x20),
        Float4E2M1FNType(): FloatFormat(2, 1, 1, largest=0x7, beyond=0x7, nan=0x8),
    }
)
"""The narrow floats with a sign. Those of fewer than 8 bits have no NaN; it becomes their negative zero."""

EXPONENT = Float8E8M0FNUType()
"""Powers of two from -127 to 127 and NaN (code 255): only read, for ONNX's ways of rounding to it are bit tricks."""

i2 = IntegerType(2)
i4 = IntegerType(4)
ui2 = IntegerType(2, Signedness.UNSIGNED)
ui4 = IntegerType(4, Signedness.UNSIGNED)

NARROW_DTYPES: Mapping[Attribute, np.dtype[Any]] = MappingProxyType(
    {
        Float8E4M3FNType(): np.dtype(ml_dtypes.float8_e4m3fn),
        Float8E4M3FNUZType(): np.dtype(ml_dtypes.float8_e4m3fnuz),
        Float8E5M2Type(): np.dtype(ml_dtypes.float8_e5m2),
        Float8E5M2FNUZType(): np.dtype(ml_dtypes.float8_e5m2fnuz),
        EXPONENT: np.dtype(ml_dtypes.float8_e8m0fnu),
        Float6E2M3FNType(): np.dtype(ml_dtypes.float6_e2m3fn),
        Float6E3M2FNType(): np.dtype(ml_dtypes.float6_e3m2fn),
        Float4E2M1FNType(): np.dtype(ml_dtypes.float4_e2m1fn),
        i4: np.dtype(ml_dtypes.int4),
        ui4: np.dtype(ml_dtypes.uint4),
        i2: np.dtype(ml_dtypes.int2),
        ui2: np.dtype(ml_dtypes.uint2),
    }
)
"""The narrow element types and their NumPy dtypes, which lie in the low bits of one byte."""


def is_narrow(element: Attribute) -> bool:
    """Whether an element type is one of the narrow ones."""
    return element in NARROW_DTYPES


def is_narrow_integer(element: Attribute) -> bool:
    """Whether an element type is an integer of 2 or 4 bits."""
    return isinstance(element, IntegerType) and 1 < element.width.data < 8


def bit_width(element: Attribute) -> int:
    """Bits of one element; one of fewer than 8 takes a byte in memory all the same."""
    assert isinstance(element, FixedBitwidthType)
    return element.bitwidth
