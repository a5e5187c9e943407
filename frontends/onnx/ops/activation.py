"""Activation functions, written in the element-wise vocabulary of hlt."""

from __future__ import annotations

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Operand, Value


def sigmoid(b: Builder, x: Value) -> Value:
    return b.op(hlt.SigmoidOp, x)


def softplus(b: Builder, x: Value) -> Value:
    """``log(1 + exp(x))`` as ``max(x, 0) + log(1 + exp(-|x|))``, which does not overflow."""
    tail = b.op(hlt.ExpOp, b.op(hlt.NegOp, b.op(hlt.AbsOp, x)))
    return b.add(b.maximum(x, 0), b.op(hlt.LogOp, b.add(tail, 1)))


def expm1_scaled(b: Builder, x: Value, alpha: Operand) -> Value:
    """``alpha * (exp(x) - 1)``."""
    return b.mul(b.sub(b.op(hlt.ExpOp, x), 1), alpha)


def where_negative(b: Builder, x: Value, on_negative: Value) -> Value:
    """``x`` where it is not negative (NaN included), ``on_negative`` elsewhere."""
    return b.select(b.compare("lt", x, 0), on_negative, x)


@onnx_op("Relu")
def relu(b: Builder, node: Node) -> Value:
    return b.maximum(node.input(0), 0)


@onnx_op("LeakyRelu")
def leaky_relu(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return where_negative(b, x, b.mul(x, node.float("alpha", 0.01)))


@onnx_op("PRelu")
def prelu(b: Builder, node: Node) -> Value:
    x, slope = node.input(0), node.input(1)
    return where_negative(b, x, b.mul(x, slope))


@onnx_op("ThresholdedRelu")
def thresholded_relu(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.select(b.compare("gt", x, node.float("alpha", 1.0)), x, 0)


@onnx_op("Elu")
def elu(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return where_negative(b, x, expm1_scaled(b, x, node.float("alpha", 1.0)))


@onnx_op("Selu")
def selu(b: Builder, node: Node) -> Value:
    x = node.input(0)
    alpha = node.float("alpha", 1.67326319217681884765625)
    gamma = node.float("gamma", 1.05070102214813232421875)
    return b.mul(where_negative(b, x, expm1_scaled(b, x, alpha)), gamma)


@onnx_op("Celu")
def celu(b: Builder, node: Node) -> Value:
    x, alpha = node.input(0), node.float("alpha", 1.0)
    if alpha == 0:
        raise node.invalid("attribute alpha is zero")
    return where_negative(b, x, expm1_scaled(b, b.div(x, alpha), alpha))


@onnx_op("HardSigmoid")
def hard_sigmoid(b: Builder, node: Node) -> Value:
    line = b.add(b.mul(node.input(0), node.float("alpha", 0.2)), node.float("beta", 0.5))
    return b.clamp(line, 0, 1)


@onnx_op("HardSwish")
def hard_swish(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.mul(x, b.clamp(b.add(b.mul(x, 1 / 6), 0.5), 0, 1))


@onnx_op("Swish")
def swish(b: Builder, node: Node) -> Value:
    x, alpha = node.input(0), node.float("alpha", 1.0)
    return b.mul(x, sigmoid(b, x if alpha == 1 else b.mul(x, alpha)))


@onnx_op("QuickGelu", domain=MICROSOFT)
def quick_gelu(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.mul(x, sigmoid(b, b.mul(x, node.float("alpha", 1.702))))


@onnx_op("Mish")
def mish(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.mul(x, b.op(hlt.TanhOp, softplus(b, x)))


@onnx_op("Softplus")
def import_softplus(b: Builder, node: Node) -> Value:
    return softplus(b, node.input(0))


@onnx_op("Softsign")
def softsign(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.div(x, b.add(b.op(hlt.AbsOp, x), 1))


@onnx_op("Shrink")
def shrink(b: Builder, node: Node) -> Value:
    """``x + bias`` below ``-lambd``, ``x - bias`` above ``lambd``, 0 between; computed in x's type."""
    x, threshold, bias = node.input(0), node.float("lambd", 0.5), node.float("bias", 0.0)
    above = b.select(b.compare("gt", x, threshold), b.sub(x, bias), 0)
    return b.select(b.compare("lt", x, -threshold), b.add(x, bias), above)


@onnx_op("Gelu")
def gelu(b: Builder, node: Node) -> Value:
    approximate = node.string("approximate", "none", choices=("none", "tanh"))
    return b.op(hlt.GeluOp, node.input(0), approximate=approximate)


@onnx_op("Gelu", domain=MICROSOFT)
def microsoft_gelu(b: Builder, node: Node) -> Value:
    return b.op(hlt.GeluOp, node.input(0), approximate="none")


@onnx_op("BiasGelu", domain=MICROSOFT)
def bias_gelu(b: Builder, node: Node) -> Value:
    return b.op(hlt.GeluOp, b.add(node.input(0), node.input(1)), approximate="none")


@onnx_op("FastGelu", domain=MICROSOFT)
def fast_gelu(b: Builder, node: Node) -> Value:
    x, bias = node.input(0), node.optional(1)
    return b.op(hlt.GeluOp, x if bias is None else b.add(x, bias), approximate="tanh")


@onnx_op("Softmax", "LogSoftmax")
def softmax(b: Builder, node: Node) -> Value:
    x = node.input(0)
    if node.version < 13:
        raise node.unsupported("softmax before opset 13 flattens its input", "convert the model to opset 13")
    axis = node.axis(node.int("axis", -1), x.rank)
    return b.op(hlt.SoftmaxOp, x, axis=axis, log=node.proto.op_type == "LogSoftmax")


@onnx_op("Hardmax")
def hardmax(b: Builder, node: Node) -> Value:
    """One at the first maximum along ``axis``, zero elsewhere."""
    x = node.input(0)
    axis = node.axis(node.int("axis", -1), x.rank)
    winner = b.op(hlt.ArgReduceOp, x, kind="max", axis=axis, keep_dims=True, last_index=False)
    return b.cast(b.compare("eq", b.iota(x.shape, axis), winner), x.dtype)
