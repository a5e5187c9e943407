"""Small ONNX models for tests of the driver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Dims = Sequence[int | str]


def small_model(nodes: Sequence[NodeProto], inputs: dict[str, Dims], outputs: dict[str, Dims]) -> ModelProto:
    """A float32 model of these nodes, opset 17, with a weight ``w`` of shape [8, 4] to use."""
    values = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def perceptron(batch: int | str = 2) -> ModelProto:
    """``y = relu(x @ w)``, ``z = x + x``: x is [batch, 8], y is [batch, 4]."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="product"),
        helper.make_node("Relu", ["xw"], ["y"], name="positive"),
        helper.make_node("Add", ["x", "x"], ["z"], name="twice"),
    ]
    return small_model(nodes, {"x": [batch, 8]}, {"y": [batch, 4], "z": [batch, 8]})


def unary(op: str, shape: Dims = (2, 8), domain: str = "") -> ModelProto:
    """``y = op(x)``."""
    node = helper.make_node(op, ["x"], ["y"], name="only", domain=domain)
    model = small_model([node], {"x": shape}, {"y": shape})
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


def cyclic() -> ModelProto:
    """Two nodes that need each other."""
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
    ]
    return small_model(nodes, {"x": (2, 8)}, {"a": (2, 8)})
