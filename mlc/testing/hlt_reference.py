"""Operations of hlt against ONNX's own reference evaluator: one node of ONNX, one operation, the same arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from hypothesis import settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from xdsl.dialects.test import TestOp as OpaqueOp
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.interpreters import evaluate

Array = np.ndarray[Any, np.dtype[Any]]

few = settings(max_examples=25, deadline=None)
many = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
extents = st.integers(1, 5)


def values_of(arrays: Sequence[Array]) -> list[SSAValue]:
    """Opaque values of the arrays' types."""
    types = [hlt.tensor_type(array.shape, hlt.element_type(array.dtype)) for array in arrays]
    return list(OpaqueOp(result_types=types).results)


def named_values(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Opaque values of the arrays' types, as keyword arguments."""
    return dict(zip(arrays, values_of(list(arrays.values()))))


def onnx_run(op_type: str, inputs: Sequence[Array | None], outputs: int = 1, **attributes: Any) -> list[Array]:
    """One ONNX node through ``onnx.reference``; ``None`` leaves an optional input out."""
    names = ["" if array is None else f"x{index}" for index, array in enumerate(inputs)]
    results = [f"y{index}" for index in range(outputs)]
    node = onnx.helper.make_node(op_type, names, results, **attributes)
    arguments = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, inputs)
        if array is not None
    ]
    graph = onnx.helper.make_graph([node], "g", arguments, [onnx.ValueInfoProto(name=name) for name in results])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 23)])
    feeds = {name: array for name, array in zip(names, inputs) if array is not None}
    evaluator: Any = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        return [np.asarray(array) for array in evaluator.run(None, feeds)]


def check(op: Operation, inputs: Sequence[Array], expected: Sequence[Array], tolerance: float = 1e-9) -> None:
    """The operation verifies and its results are ``expected``: the dtype, and the values up to rounding."""
    op.verify()
    actual = evaluate(op, inputs)
    assert len(actual) == len(expected)
    for result, wanted in zip(actual, expected):
        assert result.dtype == wanted.dtype
        np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance)


def normal(seed: int, *shape: int) -> Array:
    """Normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape)
