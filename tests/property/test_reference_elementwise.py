"""hlt against ONNX's reference evaluator: element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from mlc.dialects import hlt
from mlc.testing.hlt_reference import check, extents, few, normal, onnx_run, seeds, values_of

UNARY: dict[str, tuple[type[hlt.UnaryOp], float, float]] = {
    "Neg": (hlt.NegOp, -9, 9),
    "Abs": (hlt.AbsOp, -9, 9),
    "Sign": (hlt.SignOp, -9, 9),
    "Floor": (hlt.FloorOp, -9, 9),
    "Ceil": (hlt.CeilOp, -9, 9),
    "Round": (hlt.RoundOp, -9, 9),
    "Sqrt": (hlt.SqrtOp, 0, 9),
    "Reciprocal": (hlt.ReciprocalOp, 0.1, 9),
    "Exp": (hlt.ExpOp, -9, 9),
    "Log": (hlt.LogOp, 0.01, 9),
    "Sin": (hlt.SinOp, -9, 9),
    "Cos": (hlt.CosOp, -9, 9),
    "Tan": (hlt.TanOp, -1, 1),
    "Asin": (hlt.AsinOp, -1, 1),
    "Acos": (hlt.AcosOp, -1, 1),
    "Atan": (hlt.AtanOp, -9, 9),
    "Sinh": (hlt.SinhOp, -9, 9),
    "Cosh": (hlt.CoshOp, -9, 9),
    "Tanh": (hlt.TanhOp, -9, 9),
    "Asinh": (hlt.AsinhOp, -9, 9),
    "Acosh": (hlt.AcoshOp, 1, 9),
    "Atanh": (hlt.AtanhOp, -0.99, 0.99),
    "Erf": (hlt.ErfOp, -5, 5),
    "Sigmoid": (hlt.SigmoidOp, -9, 9),
    "IsNaN": (hlt.IsNanOp, -9, 9),
    "IsInf": (hlt.IsInfOp, -9, 9),
}


@pytest.mark.parametrize("op_type", UNARY)
def test_unary(op_type: str) -> None:
    op_class, low, high = UNARY[op_type]
    x = np.concatenate([np.linspace(low, high, 41), np.arange(math.ceil(low), high), [np.nan]])
    x = np.append(x, [np.inf, -np.inf]) if op_type.startswith("Is") else x
    tolerance = 1e-6 if op_type == "Erf" else 1e-9  # onnx.reference has erf in float32
    check(op_class(*values_of([x])), [x], onnx_run(op_type, [x]), tolerance)


BINARY: dict[str, type[hlt.BinaryOp]] = {
    "Add": hlt.AddOp,
    "Sub": hlt.SubOp,
    "Mul": hlt.MulOp,
    "Div": hlt.DivOp,
    "Pow": hlt.PowOp,
    "Max": hlt.MaximumOp,
    "Min": hlt.MinimumOp,
}


@pytest.mark.parametrize("op_type", BINARY)
@given(seeds, extents)
@few
def test_binary(op_type: str, seed: int, extent: int) -> None:
    x, y = normal(seed, 2, extent), normal(seed + 1, 2, extent)
    x = np.abs(x) if op_type == "Pow" else x
    check(BINARY[op_type](*values_of([x, y])), [x, y], onnx_run(op_type, [x, y]))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Max", "Min", "Mod", "BitwiseAnd", "BitwiseXor"])
def test_integer_binary(op_type: str, dtype: type[np.integer[Any]]) -> None:
    classes = {"Mod": hlt.RemOp, "BitwiseAnd": hlt.AndOp, "BitwiseXor": hlt.XorOp} | BINARY
    info = np.iinfo(dtype)
    corners = np.array([info.min, info.min + 1, 1, 2, 3, 7, info.max - 1, info.max], dtype)
    x, y = (np.ascontiguousarray(array.ravel()) for array in np.meshgrid(corners, corners))
    y = np.where(y == 0, 1, y).astype(dtype) if op_type == "Mod" else y
    attributes = {"mode": "floor"} if op_type == "Mod" else {}
    op = classes[op_type](*values_of([x, y]), **attributes)
    check(op, [x, y], onnx_run(op_type, [x, y]))


@pytest.mark.parametrize("predicate", ["eq", "lt", "le", "gt", "ge"])
def test_compare(predicate: str) -> None:
    names = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
    x, y = np.array([1.0, 2, 3, np.nan, 0, 1]), np.array([2.0, 2, 1, 1, -0.0, np.nan])
    check(hlt.CompareOp(*values_of([x, y]), predicate=predicate), [x, y], onnx_run(names[predicate], [x, y]))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    x = np.linspace(-6, 6, 31)
    op = hlt.GeluOp(*values_of([x]), approximate=approximate)
    check(op, [x], onnx_run("Gelu", [x], approximate=approximate), 1e-6)
