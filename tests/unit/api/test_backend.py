"""mlc behind ONNX's backend interface."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from mlc import UsageError, backend
from mlc.testing.onnx_models import perceptron, unary

X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)


def test_outputs_by_position_and_by_name() -> None:
    model = perceptron()
    names = [output.name for output in model.graph.output]
    results = backend.prepare(model, cache=False).run([X])
    assert len(results) == len(names)
    np.testing.assert_array_equal(results[1], X + X)
    again = backend.run_model(model, {model.graph.input[0].name: X}, cache=False)
    np.testing.assert_array_equal(again[1], results[1])


def test_one_node() -> None:
    node = helper.make_node("Add", ["a", "b"], ["c"])
    (result,) = backend.run_node(node, [X, X], outputs_info=[(X.dtype, X.shape)], cache=False)
    np.testing.assert_array_equal(result, X + X)
    with pytest.raises(UsageError, match="outputs_info"):
        backend.run_node(node, [X, X])


def test_devices() -> None:
    assert backend.supports_device("CPU")
    assert backend.supports_device("CPU:0")
    assert not backend.supports_device("CUDA")
    assert not backend.supports_device("FPGA")
    with pytest.raises(UsageError, match="CUDA"):
        backend.prepare(perceptron(), "CUDA")


def test_what_compiles() -> None:
    assert backend.is_compatible(perceptron(), cache=False)
    gradient = helper.make_node("Gradient", ["x"], ["y"], domain="ai.onnx.preview.training", xs=["x"], y="x")
    model = unary("Relu")
    model.graph.ClearField("node")
    model.graph.node.append(gradient)
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.preview.training", 1))
    assert not backend.is_compatible(model, cache=False)


def test_wrong_inputs() -> None:
    net = backend.prepare(perceptron(), cache=False)
    with pytest.raises(UsageError, match="2 inputs are given, the model has 1: x"):
        net.run([X, X])
    with pytest.raises(UsageError, match="takes no options"):
        net.run([X], threads=2)


def test_it_is_found_beside_the_frontend() -> None:
    from mlc.frontends.onnx import backend as beside

    assert beside.prepare == backend.prepare
    assert beside.MlcBackend is backend.MlcBackend
