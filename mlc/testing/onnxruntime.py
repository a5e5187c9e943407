"""Single operators against onnxruntime, where that defines them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, helper

import mlc
from mlc.testing.require import require_module

Array = np.ndarray[Any, Any]
MICROSOFT = "com.microsoft"
MACHINE_LEARNING = "ai.onnx.ml"


def model_of(
    op: str, inputs: Sequence[Array | None], outputs: int, attributes: Mapping[str, Any], domain: str = MICROSOFT
) -> ModelProto:
    """One node called ``only``; input ``i`` is called ``xi``, or "" where there is none."""
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], "only", domain=domain, **attributes)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, inputs)
        if array is not None
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in node.output]
    imports = [helper.make_opsetid("", 20), helper.make_opsetid(MICROSOFT, 1), helper.make_opsetid(MACHINE_LEARNING, 4)]
    return helper.make_model(helper.make_graph([node], "g", infos, results), opset_imports=imports, ir_version=10)


def reference(model: ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """What onnxruntime yields; skips the test where that is not installed."""
    require_module("onnxruntime")
    ort: Any = importlib.import_module("onnxruntime")
    options: Any = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session: Any = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(feeds))


def declared(model: ModelProto, results: Sequence[Array]) -> ModelProto:
    """The same with the results' types, which onnxruntime infers."""
    for value, array in zip(model.graph.output, results):
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        value.CopyFrom(helper.make_tensor_value_info(value.name, element, None))
    return model


def check_as_onnxruntime(
    op: str,
    inputs: Sequence[Array | None],
    outputs: int,
    attributes: Mapping[str, Any],
    domain: str = MICROSOFT,
    *,
    rtol: float = 2e-4,
    atol: float = 2e-5,
) -> None:
    """One operator, compiled, yields what onnxruntime does; quantised results may be one step off."""
    model = model_of(op, inputs, outputs, attributes, domain)
    feeds = {f"x{i}": array for i, array in enumerate(inputs) if array is not None}
    expected = reference(model, feeds)
    results = mlc.compile(declared(model, expected), threads=1, cache=False).run(feeds)
    for result, wanted in zip(results.values(), expected, strict=True):
        assert result.dtype == wanted.dtype
        assert result.shape == wanted.shape
        steps = 1 if wanted.dtype in (np.uint8, np.int8) else 0
        np.testing.assert_allclose(result.astype(np.float64), wanted.astype(np.float64), rtol, atol + steps)
