"""Bounds on the elements of tensors, as far as the operations that make them show."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias

import numpy as np
from xdsl.dialects.builtin import Float16Type
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import element_of

Interval: TypeAlias = tuple[float, float]
"""The least and the greatest value; NaN is in every interval."""

ANYTHING: Interval = (-inf, inf)
LARGEST_HALF = 65504.0
"""The largest finite f16."""


def interval(value: SSAValue) -> Interval:
    """Bounds on the elements of a tensor inside a group; `ANYTHING` where nothing is known.

    Block arguments of type f16 are taken for finite: what stores them saturates.
    """
    owner = value.owner
    if not isinstance(owner, Operation):
        return (-LARGEST_HALF, LARGEST_HALF) if isinstance(element_of(value), Float16Type) else ANYTHING
    found = _BOUNDS.get(type(owner))
    return ANYTHING if found is None else found(owner)


def hull(*parts: Interval) -> Interval:
    """The smallest interval around all of these."""
    return min(low for low, _ in parts), max(high for _, high in parts)


def _constant(op: hlt.ConstantOp) -> Interval:
    array = hlt.constant_value(op)
    if array is None or not array.size:
        return ANYTHING
    first = array if any(array.strides) else array[(slice(0, 1),) * array.ndim]
    number = np.asarray(first, np.float64)
    return ANYTHING if np.isnan(number).any() else (float(number.min()), float(number.max()))


def _pad(op: hlt.PadOp) -> Interval:
    inside = interval(op.x)
    return hull(inside, (op.value, op.value)) if op.mode == "constant" else inside


def _reduce(op: hlt.ReduceWindowOp) -> Interval:
    """Windows are never empty: their maximum and mean lie inside."""
    return interval(op.x) if op.kind in ("max", "mean") else ANYTHING


def _add(op: hlt.AddOp) -> Interval:
    (a, b), (c, d) = interval(op.lhs), interval(op.rhs)
    return _sum(a, c, -inf), _sum(b, d, inf)


def _sum(a: float, b: float, otherwise: float) -> float:
    return otherwise if otherwise in (a, b) else a + b


def _maximum(op: hlt.MaximumOp) -> Interval:
    (a, b), (c, d) = interval(op.lhs), interval(op.rhs)
    return max(a, c), max(b, d)


def _minimum(op: hlt.MinimumOp) -> Interval:
    (a, b), (c, d) = interval(op.lhs), interval(op.rhs)
    return min(a, c), min(b, d)


def _negative(op: hlt.NegOp) -> Interval:
    low, high = interval(op.x)
    return -high, -low


def _within(low: float, high: float) -> Callable[[Any], Interval]:
    return lambda _: (low, high)


def _operands(op: Operation) -> Interval:
    return hull(*map(interval, op.operands))


def _first(op: Operation) -> Interval:
    return interval(op.operands[0])


def _cast(op: hlt.CastOp) -> Interval:
    return interval(op.x) if hlt.is_float(element_of(op.x)) else ANYTHING


_BOUNDS: dict[type[Operation], Callable[[Any], Interval]] = {
    hlt.ConstantOp: _constant,
    hlt.PadOp: _pad,
    hlt.ReduceWindowOp: _reduce,
    hlt.AddOp: _add,
    hlt.MaximumOp: _maximum,
    hlt.MinimumOp: _minimum,
    hlt.NegOp: _negative,
    hlt.CastOp: _cast,
    hlt.SigmoidOp: _within(0.0, 1.0),
    hlt.ExpOp: _within(0.0, inf),
    hlt.TanhOp: _within(-1.0, 1.0),
    hlt.ErfOp: _within(-1.0, 1.0),
    hlt.SinOp: _within(-1.0, 1.0),
    hlt.CosOp: _within(-1.0, 1.0),
    hlt.SoftmaxOp: lambda op: ANYTHING if op.log else (0.0, 1.0),
    hlt.ConcatOp: _operands,
    **dict.fromkeys((hlt.BroadcastOp, hlt.ReshapeOp, hlt.TransposeOp, hlt.SliceOp, hlt.ReverseOp), _first),
}
