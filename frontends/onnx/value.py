"""Tensors during import: what is known of them beside the IR."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray
from xdsl.dialects.builtin import TensorType
from xdsl.ir import BlockArgument, OpResult, SSAValue

from mlc.dialects import hlt
from mlc.dialects.extents import is_bounded
from mlc.dialects.weights import is_uniform

Array: TypeAlias = NDArray[Any]
Scalar: TypeAlias = "int | float | bool | np.generic"


class Value:
    """A tensor during import: element type, static shape, and its contents where known.

    A known value becomes an operation only when something that does not fold uses it. ``weight`` names the
    entry of the weight store that holds a model's initializer.
    """

    __slots__ = ("_uniform", "dtype", "known", "shape", "ssa", "weight")

    def __init__(
        self,
        shape: Sequence[int],
        dtype: DTypeLike,
        *,
        ssa: SSAValue | None = None,
        known: Array | None = None,
        weight: str | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.known = known
        self.weight = weight
        self.ssa = ssa
        self._uniform: bool | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def type(self) -> TensorType[Any]:
        return hlt.tensor_type(self.shape, hlt.element_type(self.dtype))

    @property
    def uniform(self) -> np.generic | None:
        """The one element that the whole tensor repeats, when its contents are known to do that."""
        if self.known is None or self.known.size == 0:
            return None
        if self._uniform is None:
            self._uniform = is_uniform(self.known)
        return self.known.flat[0] if self._uniform else None


class BoundedValue(Value):
    """A tensor with dims whose extent is known only at run time; ``shape`` has an `Extent` for each.

    ``storage`` is the static tensor of full capacity that holds it, at the start of each dim. Its elements beyond the
    extents may be anything, but along the dims ``zero`` they are zeros.
    """

    __slots__ = ("storage", "zero")

    def __init__(self, shape: Sequence[int], storage: Value, zero: Iterable[int] = ()) -> None:
        super().__init__(shape, storage.dtype, ssa=storage.ssa)
        self.storage = storage
        self.zero = frozenset(zero)

    @property
    def type(self) -> TensorType[Any]:
        return self.storage.type

    @property
    def uniform(self) -> np.generic | None:
        return self.storage.uniform


class ExtentsValue(Value):
    """A small integer tensor, part of a model's arithmetic on shapes: ``extents`` has an `Extent` at some places."""

    __slots__ = ("extents",)

    def __init__(self, extents: Array, dtype: DTypeLike = np.int64) -> None:
        super().__init__(extents.shape, dtype)
        self.extents = extents


def extents_value(extents: Any, dtype: DTypeLike = np.int64) -> Value:
    """An integer tensor with these elements, known where all of them are numbers."""
    array = np.array(extents, object)
    if is_bounded(array.flat):
        return ExtentsValue(array, dtype)
    return Value(array.shape, dtype, known=array.astype(dtype))


@dataclass(frozen=True)
class TensorList:
    """An ONNX sequence whose length is known while importing: it is resolved and leaves nothing in hlt."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class Absent:
    """An ONNX optional that holds nothing; one that holds something is that itself."""


ABSENT = Absent()

Entry: TypeAlias = "Value | TensorList | Absent"
"""What a name in a graph can stand for."""

Operand: TypeAlias = "Value | Scalar"


def signature_of(value: SSAValue) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and NumPy dtype of an hlt value."""
    shape, element = hlt.tensor(value)
    return shape, hlt.numpy_dtype(element)


def like(value: Value, ssa: SSAValue) -> Value:
    """A value of the shape and dtype of ``value``; ``ssa`` is its tensor, of full capacity where dims are bounded."""
    storage = Value(*signature_of(ssa), ssa=ssa)
    return BoundedValue(value.shape, storage) if isinstance(value, BoundedValue) else storage


def is_float(value: Value) -> bool:
    """Whether the elements are f64, f32, f16 or bf16."""
    return hlt.is_float(hlt.element_type(value.dtype))


def arguments_behind(value: Value) -> frozenset[BlockArgument]:
    """The arguments, of the function or of a loop's body around it, that ``value`` is computed from."""
    pending = [] if value.ssa is None else [value.ssa]
    seen: set[SSAValue] = set()
    found: set[BlockArgument] = set()
    while pending:
        ssa = pending.pop()
        if ssa in seen:
            continue
        seen.add(ssa)
        if isinstance(ssa, BlockArgument):
            found.add(ssa)
        elif isinstance(ssa, OpResult):
            pending.extend((*ssa.op.operands, *hlt.captured(ssa.op)))
    return frozenset(found)


def tensors_of(entry: Entry | None) -> tuple[Value, ...]:
    """The tensors that an entry consists of."""
    if isinstance(entry, TensorList):
        return entry.items
    return (entry,) if isinstance(entry, Value) else ()


def same_value(x: Entry, y: Entry) -> bool:
    """Whether two entries are known to have the same contents."""
    if not isinstance(x, Value) or not isinstance(y, Value):
        return x is y
    if x is y or (x.ssa is not None and x.ssa is y.ssa):
        return True
    if x.known is None or y.known is None or x.shape != y.shape or x.dtype != y.dtype:
        return False
    if x.uniform is not None and y.uniform is not None:
        return x.uniform.tobytes() == y.uniform.tobytes()
    return x.size <= SMALL and x.known.tobytes() == y.known.tobytes()


SMALL = 1 << 12
"""The most elements that are compared one by one."""
