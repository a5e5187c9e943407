"""A model's arithmetic on shapes, done while importing on integers and extents alike."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, greatest, is_bounded, least, undecided
from mlc.errors import UnsupportedError
from mlc.frontends.onnx.builder import concat_op
from mlc.frontends.onnx.value import Array, ExtentsValue, Value, extents_value

LIMIT = 4096
"""No more elements are computed with; shapes are far smaller."""

Evaluate = Callable[[Sequence[Array], Mapping[str, Any]], Array]


def fold_extents(make: object, operands: Sequence[Value], attributes: Mapping[str, Any]) -> Value | None:
    """The result where operands are known but for extents; None where it can't be told, and has to be computed."""
    if not any(isinstance(v, ExtentsValue) for v in operands):
        return None
    evaluate = _EVALUATE.get(make)
    if evaluate is None or not all(_is_readable(v) for v in operands):
        return None
    dtype = _result_dtype(make, operands, attributes)
    if dtype.name not in ("int64", "int32") and make is not hlt.CompareOp:
        return None
    try:
        return extents_value(evaluate([_elements(v) for v in operands], attributes), dtype)
    except UnsupportedError:
        return None


def _is_readable(value: Value) -> bool:
    if isinstance(value, ExtentsValue):
        return True
    return value.known is not None and value.known.size <= LIMIT and value.dtype.kind in "iub"


def _elements(value: Value) -> Array:
    if isinstance(value, ExtentsValue):
        return value.extents
    assert value.known is not None, "it is readable"
    return value.known.astype(object)


def _result_dtype(make: object, operands: Sequence[Value], attributes: Mapping[str, Any]) -> np.dtype[Any]:
    if make is hlt.CastOp:
        return hlt.numpy_dtype(attributes["dtype"])
    return np.dtype(np.bool_) if make is hlt.CompareOp else operands[-1].dtype


def _each(function: Callable[..., Any]) -> Evaluate:
    """The function on each set of elements; never NumPy's own operators, which need numbers."""

    def evaluate(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
        made = [function(*items, **attributes) for items in zip(*(a.flat for a in arrays))]
        result = np.empty(len(made), object)
        result[:] = made
        return result.reshape(arrays[0].shape)

    return evaluate


def _divide(a: int, b: int) -> int:
    """Towards zero, as hlt divides; extents only where they are not negative."""
    if a >= 0 and b > 0:
        return a // b
    return -(-a // b) if a < 0 < b else int(a / b)


def _select(condition: bool, a: int, b: int) -> int:
    return a if condition else b


def _compare(a: int, b: int, predicate: str) -> bool:
    comparisons: dict[str, Callable[[], bool]] = {
        "lt": lambda: a < b, "le": lambda: a <= b, "gt": lambda: a > b, "ge": lambda: a >= b,
        "eq": lambda: _equal(a, b), "ne": lambda: not _equal(a, b),
    }  # fmt: skip
    return comparisons[predicate]()


def _equal(a: int, b: int) -> bool:
    """Whether both are the same for all values of the dims; raises UnsupportedError where that depends."""
    difference = a - b
    if not isinstance(difference, Extent):
        return difference == 0
    if difference.low <= 0 <= difference.high:
        raise undecided(f"whether {a} is {b}", a, b)
    return False


def _reduce(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    (x,), kind = arrays, attributes["kind"]
    if kind not in ("sum", "prod") or x.ndim != 1 or tuple(attributes["axes"]) != (0,):
        raise undecided(f"the {kind} of a shape", *x.flat)
    total = sum(x.flat) if kind == "sum" else math.prod(x.flat)
    return np.array(total, object).reshape((1,) if attributes["keep_dims"] else ())


def _slice(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    bounds = zip(attributes["starts"], attributes["sizes"], attributes["strides"])
    return arrays[0][tuple(slice(start, start + size * step, step) for start, size, step in bounds)]


def _gather(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    x, indices = arrays
    if is_bounded(indices.flat):
        raise undecided("an index", *indices.flat)
    return np.take(x, indices.astype(np.int64), axis=attributes["axis"])


def _broadcast(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    shape, dims = attributes["shape"], attributes["dims"]
    if is_bounded(shape):
        raise undecided("the size of a shape", *shape)
    aligned = arrays[0].reshape([arrays[0].shape[dims.index(i)] if i in dims else 1 for i in range(len(shape))])
    return np.broadcast_to(aligned, shape)


_EVALUATE: Mapping[object, Evaluate] = {
    hlt.AddOp: _each(operator.add),
    hlt.SubOp: _each(operator.sub),
    hlt.MulOp: _each(operator.mul),
    hlt.DivOp: _each(_divide),
    hlt.NegOp: _each(operator.neg),
    hlt.MinimumOp: _each(least),
    hlt.MaximumOp: _each(greatest),
    hlt.CastOp: lambda arrays, attributes: arrays[0],
    hlt.CompareOp: _each(_compare),
    hlt.SelectOp: _each(_select),
    hlt.ReduceOp: _reduce,
    hlt.SliceOp: _slice,
    hlt.GatherOp: _gather,
    hlt.BroadcastOp: _broadcast,
    concat_op: lambda arrays, attributes: np.concatenate([np.atleast_1d(a) for a in arrays], attributes["axis"]),
    hlt.ReshapeOp: lambda arrays, attributes: arrays[0].reshape(attributes["shape"]),
    hlt.TransposeOp: lambda arrays, attributes: arrays[0].transpose(attributes["permutation"]),
}
"""What can be done to shapes; arrays hold Python numbers and extents."""
