"""One reference meaning per operation: a NumPy function in a table keyed by operation class.

Functions see floats as float64 (unless they only move data) and may return any dtype; ``evaluate`` rounds once to
the result's element type. So a reference computes what correct rounding of the exact result would, but for the
error of float64 itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from xdsl.ir import Operation

from mlc.dialects import hlt
from mlc.dialects.hlt.base import named_operands
from mlc.dialects.interpreters.numerics import lift, settle
from mlc.errors import InternalError

Array = np.ndarray[Any, np.dtype[Any]]
Reference = Callable[..., Array | tuple[Array, ...]]
"""``(op, *operands, **optional operands)`` to the result, or to a tuple of several."""

FunctionT = TypeVar("FunctionT", bound=Reference)


class Entry(NamedTuple):
    """A reference function, and whether it only moves data and so takes floats in any type."""

    function: Reference
    moves_data: bool


REFERENCES: dict[type[Operation], Entry] = {}


def reference(op_class: type[Operation], *, moves_data: bool = False) -> Callable[[FunctionT], FunctionT]:
    """Decorator: registers the reference meaning of ``op_class``."""

    def register(function: FunctionT) -> FunctionT:
        REFERENCES[op_class] = Entry(function, moves_data)
        return function

    return register


def evaluate(op: Operation, inputs: Sequence[Array], *, widen: bool = False, plain: bool = False) -> tuple[Array, ...]:
    """The results of one operation on arrays of the operands' shapes.

    Float results have the dtype of the result's element type, or float64 with ``widen``; the others always have
    their own dtype. With ``plain`` float32 is computed with in float32, rounding errors and all. Results may be
    read-only views of the inputs. Raises ``ModelError`` for what goes wrong in the
    data (an index out of range), ``InternalError`` for an operation without a reference.
    """
    entry = REFERENCES.get(type(op))
    if entry is None:
        raise InternalError("this operation has no reference meaning", node=op.name)
    arrays = inputs if entry.moves_data else [_operand(array, plain) for array in inputs]
    positional, optional = _arguments(op, arrays)
    with np.errstate(all="ignore"):
        outputs = entry.function(op, *positional, **optional)
        results = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(_settled(op, array, index, widen) for index, array in enumerate(results))


def _operand(array: Array, plain: bool) -> Array:
    return array if plain and array.dtype == np.float32 else lift(array)


def _arguments(op: Operation, arrays: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
    """The arrays as positional arguments, those of optional operands by name."""
    if not isinstance(op, hlt.HltOp):
        return list(arrays), {}
    names = [name for name, _ in named_operands(op)]
    positional = [array for name, array in zip(names, arrays, strict=True) if name is None]
    return positional, {name: array for name, array in zip(names, arrays) if name is not None}


def _settled(op: Operation, array: Array, index: int, widen: bool) -> Array:
    expected = hlt.tensor(op.results[index])
    array = np.asarray(array)
    if array.shape != expected.shape:
        raise InternalError(f"the reference yields shape {array.shape} for {expected.type}", node=op.name)
    return settle(array, expected.element, widen=widen)
