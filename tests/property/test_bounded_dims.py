"""One compilation for a range of shapes computes what one for each of them does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto

import mlc
from mlc.dialects.extents import capacities, value_of
from mlc.dialects.interpreters import run_function
from mlc.errors import UnsupportedError
from mlc.frontends.onnx.import_ import ImportedModel, import_model
from mlc.frontends.onnx.load import load_model
from mlc.testing.open_dims import INPUTS, bounded_models, inputs_for

Array = np.ndarray[Any, np.dtype[Any]]

BOUNDS = {"n": "1..9", "m": "1..17"}
DIMS = st.fixed_dictionaries({"n": st.sampled_from((1, 2, 7, 8, 9)), "m": st.sampled_from((1, 3, 7, 8, 9, 15, 16, 17))})
QUICK = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def run(model: ImportedModel, arrays: Mapping[str, Array], values: Mapping[str, int]) -> Array:
    """The first output as the reference computes it; storage beyond the extents is cut off."""
    inputs = [arrays[name] for name in INPUTS]
    bounds = model.bounds
    if bounds is not None:
        rooms = [np.zeros(capacities(shape), np.float32) for shape in bounds.inputs]
        for room, array in zip(rooms, inputs):
            room[tuple(map(slice, array.shape))] = array
        inputs = [*rooms, np.array([values[symbol.name] for symbol in bounds.symbols])]
    result = run_function(model.module, inputs, weights=lambda ref, _: model.weights.array(ref.key.data))[0]
    if bounds is None:
        return result
    return result[tuple(slice(value_of(extent, values)) for extent in bounds.outputs[0])]


def imported(model: ModelProto, dims: Mapping[str, int | str]) -> ImportedModel:
    try:
        return import_model(load_model(model.SerializeToString()), dims=dims)
    except UnsupportedError as error:
        assume("known only at run time" not in str(error))
        raise


@given(bounded_models(), st.lists(DIMS, min_size=2, max_size=4))
@settings(max_examples=120, deadline=None, suppress_health_check=QUICK)
def test_storage_and_masks_keep_the_meaning(model: ModelProto, calls: list[dict[str, int]]) -> None:
    bounded = imported(model, BOUNDS)
    for values in calls:
        arrays = inputs_for(values)
        expected = run(imported(model, values), arrays, values)
        np.testing.assert_allclose(run(bounded, arrays, values), expected, rtol=1e-5, atol=1e-6)


@given(bounded_models(), st.lists(DIMS, min_size=2, max_size=6), st.sampled_from((1, 2)))
@settings(max_examples=12, deadline=None, suppress_health_check=QUICK)
def test_compiled_once_for_all_shapes(model: ModelProto, calls: list[dict[str, int]], threads: int) -> None:
    imported(model, BOUNDS)
    net = mlc.compile(model.SerializeToString(), dims=BOUNDS, threads=threads, cache=False)
    for values in calls:
        arrays = inputs_for(values)
        expected = run(imported(model, values), arrays, values)
        result = net(arrays)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
