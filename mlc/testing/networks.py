"""Small networks of each architecture, as ONNX models with seeded weights: what tests of foreign targets run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


@dataclass
class Network:
    """A graph in the making; values are named by their number."""

    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    weights: list[TensorProto] = field(default_factory=list[TensorProto])
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def weight(self, *shape: int, scale: float = 1.0, shift: float = 0.0) -> str:
        """Normally distributed numbers; several dims share ``scale`` over the inputs of a sum."""
        terms = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        values = self.random.standard_normal(shape) * scale / np.sqrt(terms) + shift
        return self.constant(values.astype(np.float32))

    def constant(self, values: Any) -> str:
        """An array as an initializer."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def __call__(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Append a node; returns its first output."""
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op}{len(self.nodes)}", **attributes))
        return names[0]

    def model(self, inputs: dict[str, Sequence[int]], *outputs: str) -> ModelProto:
        """The model with these float inputs and outputs."""
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def convolutional() -> ModelProto:
    """Strided, depthwise, pointwise and grouped convolutions, pooling, batch normalisation, a classifier."""
    net = Network()

    def conv(x: str, inputs: int, filters: int, size: int, **attributes: Any) -> str:
        pads = [size // 2] * 4
        return net("Conv", x, net.weight(filters, inputs, size, size), net.weight(filters), pads=pads, **attributes)

    x = net("Relu", conv("x", 3, 12, 3, strides=[2, 2]))
    statistics = [net.weight(12, shift=1.0), net.weight(12), net.weight(12), net.constant(np.full(12, 0.5, np.float32))]
    x = net("BatchNormalization", x, *statistics)
    x = net("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = net("Clip", conv(x, 1, 12, 3, group=12), net.constant(np.float32(0)), net.constant(np.float32(6)))
    x = net("Add", x, conv(y, 12, 12, 1))
    x = net("Concat", x, net("Sigmoid", conv(x, 6, 10, 3, group=2)), axis=1)
    x = net("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net("Flatten", net("GlobalAveragePool", x))
    return net.model({"x": [2, 3, 21, 19]}, net("Softmax", net("Gemm", x, net.weight(22, 7), net.weight(7))))


def transformer(tokens: int = 9, width: int = 24, heads: int = 3) -> ModelProto:
    """A block of attention and a feed-forward layer with GELU, each behind a layer normalisation."""
    net = Network()

    def norm(x: str) -> str:
        return net("LayerNormalization", x, net.weight(width, shift=1.0), net.weight(width), axis=-1)

    def linear(x: str, inputs: int, outputs: int) -> str:
        return net("Add", net("MatMul", x, net.weight(inputs, outputs)), net.weight(outputs, scale=0.1))

    def split(x: str) -> str:
        shape = net.constant(np.array([1, tokens, heads, width // heads]))
        return net("Transpose", net("Reshape", linear(x, width, width), shape), perm=[0, 2, 1, 3])

    x = norm("x")
    q, k, v = split(x), split(x), split(x)
    scores = net("Mul", net("MatMul", q, net("Transpose", k, perm=[0, 1, 3, 2])), net.constant(np.float32(0.35)))
    mixed = net("Transpose", net("MatMul", net("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    merged = net("Reshape", mixed, net.constant(np.array([1, tokens, width])))
    x = net("Add", "x", linear(merged, width, width))
    y = linear(norm(x), width, 2 * width)
    gate = net("Add", net("Erf", net("Mul", y, net.constant(np.float32(0.70710678)))), net.constant(np.float32(1)))
    y = net("Mul", net("Mul", y, gate), net.constant(np.float32(0.5)))
    return net.model({"x": [1, tokens, width]}, net("Add", x, linear(y, 2 * width, width)))


def recurrent(steps: int = 6, inputs: int = 5, hidden: int = 9) -> ModelProto:
    """An LSTM in both directions, then a GRU."""
    net = Network()
    first = [net.weight(2, 4 * hidden, n, scale=2.0) for n in (inputs, hidden)]
    y = net("LSTM", "x", *first, net.weight(2, 8 * hidden, scale=0.5), hidden_size=hidden, direction="bidirectional")
    y = net("Reshape", net("Transpose", y, perm=[0, 2, 1, 3]), net.constant(np.array([steps, 2, 2 * hidden])))
    second = [net.weight(1, 3 * hidden, n, scale=2.0) for n in (2 * hidden, hidden)]
    y = net("GRU", y, *second, net.weight(1, 6 * hidden, scale=0.5), hidden_size=hidden, linear_before_reset=1)
    return net.model({"x": [steps, 2, inputs]}, y)


def normalisations() -> ModelProto:
    """Softmax, layer, instance and Lp normalisation over rows that fill no whole vectors."""
    net = Network()
    x = net("LayerNormalization", "x", net.weight(19, shift=1.0), net.weight(19), axis=-1)
    x = net("InstanceNormalization", x, net.weight(5, shift=1.0), net.weight(5))
    return net.model({"x": [2, 5, 19]}, net("LogSoftmax", net("Tanh", x), axis=1), net("LpNormalization", x, axis=-1))


NETWORKS: dict[str, Callable[[], ModelProto]] = {
    "convolutional": convolutional,
    "transformer": transformer,
    "recurrent": recurrent,
    "normalisations": normalisations,
}
