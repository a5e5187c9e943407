"""com.microsoft's fusions of an operator and what follows it: taken apart, for mlc fuses by itself."""

from __future__ import annotations

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.convolution import conv
from mlc.frontends.onnx.ops.linear_algebra import gemm
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Value

ACTIVATIONS = ("Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid")


def _activated(b: Builder, node: Node, x: Value, parameters: tuple[float, ...]) -> Value:
    """``x`` through the activation that the node names; ``parameters`` in the order of its attributes."""
    name = node.string("activation", "", choices=("", *ACTIVATIONS))
    first, second = (*parameters, 0.0, 0.0)[:2]
    match name:
        case "Relu":
            return b.maximum(x, 0)
        case "Tanh":
            return b.op(hlt.TanhOp, x)
        case "Sigmoid":
            return b.op(hlt.SigmoidOp, x)
        case "LeakyRelu":
            return b.select(b.compare("lt", x, 0), b.mul(x, first), x)
        case "Clip":
            return b.clamp(x, first, second)
        case "HardSigmoid":
            return b.clamp(b.add(b.mul(x, first), second), 0, 1)
        case _:
            return x


@onnx_op("FusedConv", domain=MICROSOFT)
def fused_conv(b: Builder, node: Node) -> Value:
    """A convolution, plus input 3 where there is one, then the activation."""
    result, other = conv(b, node), node.optional(3)
    total = result if other is None else b.add(result, other)
    return _activated(b, node, total, node.floats("activation_params", ()))


@onnx_op("FusedGemm", domain=MICROSOFT)
def fused_gemm(b: Builder, node: Node) -> Value:
    parameters = node.float("activation_alpha", 0.01), node.float("activation_beta", 0.0)
    return _activated(b, node, gemm(b, node), parameters)


@onnx_op("BiasSplitGelu", domain=MICROSOFT)
def bias_split_gelu(b: Builder, node: Node) -> Value:
    """The first half of ``x + bias`` along the last dim times the GELU of the second."""
    total = b.add(node.input(0), node.input(1))
    axis, half = total.rank - 1, total.shape[-1] // 2
    gate = b.op(hlt.GeluOp, b.slice_axis(total, axis, half, half), approximate="none")
    return b.mul(b.slice_axis(total, axis, 0, half), gate)


@onnx_op("BiasAdd", domain=MICROSOFT)
def bias_add(b: Builder, node: Node) -> Value:
    """``x + bias + skip``."""
    return b.add(b.add(node.input(0), node.input(1)), node.input(2))
