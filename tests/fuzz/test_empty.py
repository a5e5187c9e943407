"""Dims of extent 0 anywhere in the inputs of ONNX's own tests: compiled or refused, and never a bug report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from onnx import GraphProto, ModelProto, TensorShapeProto

from mlc.driver import compile_model
from mlc.errors import InternalError, MlcError
from mlc.frontends.onnx.load import load_model
from mlc.request import Request, TargetChoice
from mlc.testing.onnx_suite import read_model, suite

PARTS = 8
ALIKE = 2
"""How many tests of the same operators to take."""


def emptied(model: ModelProto) -> Iterator[ModelProto]:
    """The model with each of its inputs' extents as 0, wherever in the inputs the same number stands."""
    for extent in sorted({d.dim_value for d in _dims(model.graph)} - {0}):
        changed = ModelProto()
        changed.CopyFrom(model)
        for dim in _dims(changed.graph):
            if dim.dim_value == extent:
                dim.dim_value = 0
        for output in changed.graph.output:
            output.type.tensor_type.ClearField("shape")
        yield changed


def _dims(graph: GraphProto) -> Iterator[TensorShapeProto.Dimension]:
    for value in graph.input:
        yield from value.type.tensor_type.shape.dim


def models() -> Iterator[tuple[str, ModelProto]]:
    """A few tests of each combination of operators."""
    seen = Counter[tuple[str, ...]]()
    for name, case in suite().items():
        if case.kind != "node":
            continue
        model = read_model(case)
        operators = tuple(node.op_type for node in model.graph.node)
        seen[operators] += 1
        if seen[operators] <= ALIKE:
            yield name, model


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_empty_dims(part: int) -> None:
    found: list[str] = []
    for index, (name, model) in enumerate(models()):
        if index % PARTS != part:
            continue
        for changed in emptied(model):
            try:
                data = changed.SerializeToString()
                compile_model(load_model(data), Request(data, TargetChoice("x86-64-v3")))
            except InternalError as error:
                found.append(f"{name}: {error}")
            except MlcError:
                pass
    assert not found
