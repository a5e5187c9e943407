"""ONNX's element types and their NumPy counterparts, as far as hlt has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import ELEMENT_TYPES
from mlc.frontends.onnx.tensors import ELEMENTS

HLT_DTYPES = frozenset(hlt.numpy_dtype(element) for element in ELEMENT_TYPES)
"""The NumPy dtypes of tensors that hlt has."""


def numpy_dtype(element: int) -> np.dtype[Any] | None:
    """The NumPy dtype of ONNX element type ``element`` (``TensorProto.DataType``), None if hlt lacks it."""
    known = ELEMENTS.get(element)
    return known.dtype if known is not None and known.dtype in HLT_DTYPES else None


def element_name(element: int) -> str:
    """How ONNX calls the element type, or its number when ONNX has no such type."""
    known = element in TensorProto.DataType.values()
    return TensorProto.DataType.Name(element) if known else str(element)
