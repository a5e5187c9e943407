"""Element types of ``hlt`` tensors and their NumPy counterparts: one row per type."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerType,
    Signedness,
    TensorType,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.ir import Attribute

from mlc.dialects.hlt.narrow import NARROW_DTYPES

ui8 = IntegerType(8, Signedness.UNSIGNED)
ui16 = IntegerType(16, Signedness.UNSIGNED)
ui32 = IntegerType(32, Signedness.UNSIGNED)
ui64 = IntegerType(64, Signedness.UNSIGNED)

_NUMPY: dict[Attribute, np.dtype[Any]] = {
    f64: np.dtype(np.float64),
    f32: np.dtype(np.float32),
    f16: np.dtype(np.float16),
    bf16: np.dtype(ml_dtypes.bfloat16),
    i8: np.dtype(np.int8),
    i16: np.dtype(np.int16),
    i32: np.dtype(np.int32),
    i64: np.dtype(np.int64),
    ui8: np.dtype(np.uint8),
    ui16: np.dtype(np.uint16),
    ui32: np.dtype(np.uint32),
    ui64: np.dtype(np.uint64),
    i1: np.dtype(np.bool_),
    **NARROW_DTYPES,
}
_ELEMENT = {dtype: element for element, dtype in _NUMPY.items()}

ELEMENT_TYPES = tuple(_NUMPY)
"""Every element type that an ``hlt`` tensor may have."""


def numpy_dtype(element: Attribute) -> np.dtype[Any]:
    """The NumPy dtype of an element type; raises ``KeyError`` for one that ``hlt`` does not have."""
    return _NUMPY[element]


def element_type(dtype: np.dtype[Any]) -> Attribute:
    """The element type of a NumPy dtype; raises ``KeyError`` for one that ``hlt`` does not have."""
    return _ELEMENT[np.dtype(dtype)]


def is_float(element: Attribute) -> bool:
    """Whether ``element`` is one of f64, f32, f16, bf16."""
    return isinstance(element, Float32Type | Float64Type | Float16Type | BFloat16Type)


def is_bool(element: Attribute) -> bool:
    """Whether ``element`` is i1."""
    return element == i1


def is_integer(element: Attribute) -> bool:
    """Whether ``element`` is an integer of 8 bits or more."""
    return isinstance(element, IntegerType) and element.width.data >= 8


@lru_cache(maxsize=4096)
def tensor_type(shape: tuple[int, ...], element: Attribute, encoding: Attribute | None = None) -> TensorType:
    """The interned tensor type of a static shape, an element type and possibly a layout."""
    return TensorType(element, shape) if encoding is None else TensorType(element, shape, encoding)
