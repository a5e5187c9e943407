"""Single ONNX nodes as models, and their results by mlc's reference, by native code and by ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from mlc.api import compile as compile_model
from mlc.dialects.interpreters import run_function
from mlc.frontends.onnx.import_ import specialize
from mlc.frontends.onnx.load import load_model

Array = NDArray[Any]


def node_model(
    op: str,
    inputs: Mapping[str, Array],
    outputs: Sequence[Any] = (np.float32,),
    *,
    domain: str = "",
    opset: int = 23,
    **attributes: Any,
) -> onnx.ModelProto:
    """One node, called n, of these inputs by name; ``outputs`` are the dtypes of its results y0, y1, ..."""
    names = [f"y{index}" for index in range(len(outputs))]
    arguments = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
    ]
    results = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
        for name, dtype in zip(names, outputs)
    ]
    node = helper.make_node(op, list(inputs), names, name="n", domain=domain, **attributes)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(helper.make_graph([node], "g", arguments, results), opset_imports=opsets)


def by_reference(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """What mlc's reference says that the model means."""
    imported = specialize(load_model(model), inputs)
    weights = imported.weights
    return run_function(imported.module, list(inputs.values()), weights=lambda ref, _: weights.array(ref.key.data))


def by_native_code(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """What the compiled model yields."""
    net = compile_model(model, threads=1, cache=False)
    return tuple(np.asarray(array) for array in net.run(dict(inputs)).values())


def by_onnx(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """What ONNX's reference evaluator yields."""
    evaluator: Any = ReferenceEvaluator(model)
    return tuple(np.asarray(array) for array in evaluator.run(None, dict(inputs)))
