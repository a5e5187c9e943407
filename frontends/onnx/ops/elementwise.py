"""Element-wise operators: arithmetic, comparison, logic, bits, rounding, casts, mathematical functions."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from xdsl.ir import Operation

from mlc.dialects import hlt
from mlc.dialects.hlt.narrow import EXPONENT
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Entry, Value, is_float

UNARY: dict[str, type[Operation]] = {
    "Abs": hlt.AbsOp,
    "Acos": hlt.AcosOp,
    "Acosh": hlt.AcoshOp,
    "Asin": hlt.AsinOp,
    "Asinh": hlt.AsinhOp,
    "Atan": hlt.AtanOp,
    "Atanh": hlt.AtanhOp,
    "BitwiseNot": hlt.NotOp,
    "Ceil": hlt.CeilOp,
    "Cos": hlt.CosOp,
    "Cosh": hlt.CoshOp,
    "Erf": hlt.ErfOp,
    "Exp": hlt.ExpOp,
    "Floor": hlt.FloorOp,
    "Log": hlt.LogOp,
    "Neg": hlt.NegOp,
    "Not": hlt.NotOp,
    "Reciprocal": hlt.ReciprocalOp,
    "Round": hlt.RoundOp,
    "Sigmoid": hlt.SigmoidOp,
    "Sign": hlt.SignOp,
    "Sin": hlt.SinOp,
    "Sinh": hlt.SinhOp,
    "Sqrt": hlt.SqrtOp,
    "Tan": hlt.TanOp,
    "Tanh": hlt.TanhOp,
}

BINARY: dict[str, type[Operation]] = {
    "Add": hlt.AddOp,
    "And": hlt.AndOp,
    "BitwiseAnd": hlt.AndOp,
    "BitwiseOr": hlt.OrOp,
    "BitwiseXor": hlt.XorOp,
    "Div": hlt.DivOp,
    "Mul": hlt.MulOp,
    "Or": hlt.OrOp,
    "Sub": hlt.SubOp,
    "Xor": hlt.XorOp,
}

VARIADIC: dict[str, type[Operation]] = {"Max": hlt.MaximumOp, "Min": hlt.MinimumOp, "Sum": hlt.AddOp}

COMPARISONS: dict[str, str] = {
    "Equal": "eq",
    "Greater": "gt",
    "GreaterOrEqual": "ge",
    "Less": "lt",
    "LessOrEqual": "le",
}


@onnx_op(*UNARY)
def unary(b: Builder, node: Node) -> Value:
    return b.op(UNARY[node.proto.op_type], node.input(0))


@onnx_op(*BINARY)
def binary(b: Builder, node: Node) -> Value:
    return b.elementwise(BINARY[node.proto.op_type], node.input(0), node.input(1))


@onnx_op(*VARIADIC)
def variadic(b: Builder, node: Node) -> Value:
    op_class = VARIADIC[node.proto.op_type]
    return reduce(lambda x, y: b.elementwise(op_class, x, y), node.variadic())


@onnx_op("Mean")
def mean(b: Builder, node: Node) -> Value:
    inputs = node.variadic()
    return b.div(reduce(b.add, inputs), len(inputs))


@onnx_op(*COMPARISONS)
def compare(b: Builder, node: Node) -> Value:
    return b.compare(COMPARISONS[node.proto.op_type], node.input(0), node.input(1))


@onnx_op("Mod")
def mod(b: Builder, node: Node) -> Value:
    mode = "trunc" if node.bool("fmod", False) else "floor"
    return b.elementwise(hlt.RemOp, node.input(0), node.input(1), mode=mode)


@onnx_op("Pow")
def power(b: Builder, node: Node) -> Value:
    """The result has the base's type; a float exponent of an integer base computes in the float type."""
    base, exponent = node.input(0), node.input(1)
    if exponent.uniform == 2 and exponent.size == 1 and exponent.rank <= base.rank:
        return b.mul(base, base)
    if is_float(exponent) and not is_float(base):
        return b.cast(b.elementwise(hlt.PowOp, b.cast(base, exponent.dtype), exponent), base.dtype)
    return b.elementwise(hlt.PowOp, base, b.cast(exponent, base.dtype))


@onnx_op("BitShift")
def bit_shift(b: Builder, node: Node) -> Value:
    direction = node.string("direction", choices=("LEFT", "RIGHT"))
    op_class = hlt.ShiftLeftOp if direction == "LEFT" else hlt.ShiftRightOp
    return b.elementwise(op_class, node.input(0), node.input(1))


def _computable(b: Builder, x: Value) -> Value:
    """``x``, floats of eight bits as f32, which holds each of them."""
    return b.cast(x, np.float32) if hlt.is_narrow(hlt.element_type(x.dtype)) else x


@onnx_op("IsNaN")
def is_nan(b: Builder, node: Node) -> Value:
    return b.op(hlt.IsNanOp, _computable(b, node.input(0)))


@onnx_op("IsInf")
def is_inf(b: Builder, node: Node) -> Value:
    positive, negative = node.bool("detect_positive", True), node.bool("detect_negative", True)
    return b.op(hlt.IsInfOp, _computable(b, node.input(0)), positive=positive, negative=negative)


@onnx_op("Where")
def where(b: Builder, node: Node) -> Value:
    return b.select(node.input(0), node.input(1), node.input(2))


@onnx_op("Clip")
def clip(b: Builder, node: Node) -> Value:
    """An empty bound is no bound; when they cross, the upper one wins."""
    result = node.input(0)
    for index, bound_by in ((1, b.maximum), (2, b.minimum)):
        bound = node.optional(index)
        if bound is not None:
            result = bound_by(result, bound)
    return result


@onnx_op("Cast")
def cast(b: Builder, node: Node) -> Value:
    return _converted(b, node, node.dtype("to"))


@onnx_op("CastLike")
def cast_like(b: Builder, node: Node) -> Value:
    return _converted(b, node, node.input(1).dtype)


def _converted(b: Builder, node: Node, dtype: np.dtype[Any]) -> Value:
    x, saturate = node.input(0), node.bool("saturate", True)
    if hlt.element_type(dtype) == EXPONENT and x.dtype != dtype:
        mode = node.string("round_mode", "up", choices=("up", "down", "nearest"))
        return b.bitcast(exponent_of(b, b.cast(x, np.float32), mode, saturate=saturate), dtype)
    return b.cast(x, dtype, saturate=saturate)


def exponent_of(b: Builder, x: Value, mode: str, *, saturate: bool) -> Value:
    """The exponent's bits of an f32, a ui8, rounded by the fraction as ONNX says; infinities and NaN are 255.

    Half a power counts as more than half, unless the number is denormal.
    """
    bits = b.bitcast(x, np.uint32)
    exponent = b.elementwise(hlt.AndOp, b.elementwise(hlt.ShiftRightOp, bits, 23), 0xFF)
    fraction = b.elementwise(hlt.AndOp, bits, (1 << 23) - 1)
    if mode == "down":
        return b.cast(exponent, np.uint8)
    most = 0 if mode == "up" else b.select(b.compare("eq", exponent, 0), b.full_like(bits, 1 << 22), (1 << 22) - 1)
    highest = b.compare("lt", exponent, 0xFE if saturate else 0xFF)
    larger = b.elementwise(hlt.AndOp, b.compare("gt", fraction, most), highest)
    return b.cast(b.add(exponent, b.cast(larger, np.uint32)), np.uint8)


@onnx_op("BitCast")
def bit_cast(b: Builder, node: Node) -> Value:
    """A boolean is a byte of 0 or 1."""
    x, dtype = node.input(0), node.dtype("to")
    if np.dtype(np.bool_) in (x.dtype, dtype):
        if {x.dtype.itemsize, dtype.itemsize} != {1}:
            raise node.invalid(f"{x.dtype} and {dtype} don't have the same number of bits")
        byte = b.cast(x, np.uint8) if x.dtype == np.bool_ else b.bitcast(x, np.uint8)
        return b.cast(byte, dtype) if dtype == np.bool_ else b.bitcast(byte, dtype)
    return b.bitcast(x, dtype)


@onnx_op("Identity")
def identity(b: Builder, node: Node) -> Entry:
    value = node.inputs[0] if node.inputs else None
    return node.input(0) if value is None else value
