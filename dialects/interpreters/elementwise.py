"""Reference meaning of the element-wise operations: one table, and functions for what NumPy lacks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from xdsl.ir import Operation

from mlc.dialects import hlt
from mlc.dialects.interpreters.numerics import cast, round_to, to_double
from mlc.dialects.interpreters.registry import Array, reference


def divide(lhs: Array, rhs: Array) -> Array:
    """Quotient; integers truncate, and a zero divisor gives 0."""
    if np.issubdtype(lhs.dtype, np.floating):
        return lhs / rhs
    floor = np.floor_divide(lhs, rhs)
    inexact = (np.fmod(lhs, rhs) != 0) & ((lhs < 0) != (rhs < 0))
    return floor + inexact.astype(lhs.dtype)


def power(lhs: Array, rhs: Array) -> Array:
    """``lhs`` to the power of ``rhs``; a negative integer exponent truncates the real result."""
    if np.issubdtype(lhs.dtype, np.floating):
        return np.power(lhs, rhs)
    positive = np.power(lhs, np.maximum(rhs, 0))
    if np.issubdtype(lhs.dtype, np.unsignedinteger):
        return positive
    odd_sign = np.where(rhs & 1, lhs, np.abs(lhs))
    return np.where(rhs >= 0, positive, np.where(np.abs(lhs) == 1, odd_sign, 0)).astype(lhs.dtype)


def _map_scalar(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """A function of Python floats over arrays: the C library's accuracy where NumPy has no such function."""

    def mapped(x: Array) -> Array:
        return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)

    return mapped


erf = _map_scalar(math.erf)
erfc = _map_scalar(math.erfc)

UNARY: dict[type[Operation], Callable[[Array], Array]] = {
    hlt.NegOp: np.negative,
    hlt.AbsOp: np.abs,
    hlt.SignOp: np.sign,
    hlt.NotOp: np.invert,
    hlt.FloorOp: np.floor,
    hlt.CeilOp: np.ceil,
    hlt.RoundOp: np.rint,
    hlt.SqrtOp: np.sqrt,
    hlt.RsqrtOp: lambda x: 1.0 / np.sqrt(x),
    hlt.ReciprocalOp: lambda x: 1.0 / x,
    hlt.ExpOp: np.exp,
    hlt.LogOp: np.log,
    hlt.SinOp: np.sin,
    hlt.CosOp: np.cos,
    hlt.TanOp: np.tan,
    hlt.AsinOp: np.arcsin,
    hlt.AcosOp: np.arccos,
    hlt.AtanOp: np.arctan,
    hlt.SinhOp: np.sinh,
    hlt.CoshOp: np.cosh,
    hlt.TanhOp: np.tanh,
    hlt.AsinhOp: np.arcsinh,
    hlt.AcoshOp: np.arccosh,
    hlt.AtanhOp: np.arctanh,
    hlt.ErfOp: erf,
    hlt.IsNanOp: np.isnan,
}

BINARY: dict[type[Operation], Callable[[Array, Array], Array]] = {
    hlt.AddOp: np.add,
    hlt.SubOp: np.subtract,
    hlt.MulOp: np.multiply,
    hlt.DivOp: divide,
    hlt.PowOp: power,
    hlt.MaximumOp: np.maximum,
    hlt.MinimumOp: np.minimum,
    hlt.AndOp: np.bitwise_and,
    hlt.OrOp: np.bitwise_or,
    hlt.XorOp: np.bitwise_xor,
    hlt.ShiftLeftOp: np.left_shift,
    hlt.ShiftRightOp: np.right_shift,
}

COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def _register(op_class: type[Operation], function: Callable[..., Array]) -> None:
    @reference(op_class)
    def elementwise(_: Operation, *operands: Array) -> Array:
        return function(*operands)


for _op_class, _function in (*UNARY.items(), *BINARY.items()):
    _register(_op_class, _function)


@reference(hlt.RemOp)
def rem(op: hlt.RemOp, lhs: Array, rhs: Array) -> Array:
    """C's fmod, or Python's modulo."""
    return np.fmod(lhs, rhs) if op.mode == "trunc" else np.mod(lhs, rhs)


@reference(hlt.CompareOp)
def compare(op: hlt.CompareOp, lhs: Array, rhs: Array) -> Array:
    """NumPy's comparisons are ordered, but for ``ne``."""
    return COMPARE[op.predicate](lhs, rhs)


@reference(hlt.SelectOp, moves_data=True)
def select(_: hlt.SelectOp, cond: Array, on_true: Array, on_false: Array) -> Array:
    """``numpy.where``."""
    return np.where(cond, on_true, on_false)


@reference(hlt.CastOp, moves_data=True)
def convert(op: hlt.CastOp, x: Array) -> Array:
    """Rounds to the target type, but leaves f32 to ``evaluate``, which rounds to it unless it widens."""
    dtype = hlt.numpy_dtype(op.dtype)
    return to_double(x) if dtype == np.float32 else cast(x, dtype, saturate=op.saturate)


@reference(hlt.BitcastOp, moves_data=True)
def bitcast(op: hlt.BitcastOp, x: Array) -> Array:
    """``numpy.view``."""
    source = np.ascontiguousarray(round_to(x, hlt.numpy_dtype(hlt.element_of(op.x))))
    return source.view(hlt.numpy_dtype(op.dtype)).reshape(x.shape)


@reference(hlt.IsInfOp)
def is_inf(op: hlt.IsInfOp, x: Array) -> Array:
    """Infinities of the signs asked for."""
    return (np.isposinf(x) & op.positive) | (np.isneginf(x) & op.negative)
