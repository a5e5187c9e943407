"""Questions that rewrites ask of values."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value

OpT = TypeVar("OpT", bound=Operation)
Array = np.ndarray[Any, Any]


def producer(value: SSAValue, cls: type[OpT]) -> OpT | None:
    """The operation that makes ``value``, if it is of exactly this class."""
    owner = value.owner
    return owner if type(owner) is cls else None


def single_use(op: Operation) -> bool:
    """Whether the only result of ``op`` has exactly one use."""
    return len(op.results) == 1 and op.results[0].has_one_use()


def splat(value: SSAValue) -> np.generic | None:
    """The element that a constant repeats (or its only one), if ``value`` is such a constant."""
    op = value.owner
    if type(op) is not hlt.ConstantOp or not isinstance(op.value, DenseIntOrFPElementsAttr):
        return None
    array = hlt.constant_value(op)
    if array is None or array.size == 0 or (array.size > 1 and any(array.strides)):
        return None
    return array[(0,) * array.ndim]


def is_splat(value: SSAValue, number: float) -> bool:
    """Whether ``value`` is a constant of that number throughout; -0.0 is not 0.0."""
    found = splat(value)
    return found is not None and bool(found == number) and _sign(found) == math.copysign(1.0, number)


def _sign(number: np.generic) -> float:
    return math.copysign(1.0, float(number))


def constant(value: SSAValue) -> Array | None:
    """The array of a constant that stands in the IR."""
    op = value.owner
    return hlt.constant_value(op) if type(op) is hlt.ConstantOp else None


def full(value: float | np.generic | Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> hlt.ConstantOp:
    """A splat constant."""
    return hlt.ConstantOp(np.broadcast_to(np.asarray(value).astype(dtype), shape))


def full_like(like: Value, value: float | np.generic | Array) -> hlt.ConstantOp:
    """A splat constant of the type of ``like``."""
    x = hlt.tensor(SSAValue.get(like))
    return full(value, x.shape, hlt.numpy_dtype(x.element))


def without_units(shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` without its extents of 1."""
    return tuple(extent for extent in shape if extent != 1)


def only_units_differ(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether two shapes are the same but for extents of 1."""
    return without_units(left) == without_units(right)
