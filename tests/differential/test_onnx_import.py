"""ONNX's own backend node tests, imported to hlt and run by the reference interpreter.

Every case of the installed onnx package takes part. ``onnx_import_expected_failures.txt`` says which cases do
not import or differ, and why: each of its patterns must match a case, and no case that it matches may pass.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from mlc.dialects.interpreters import run_function
from mlc.frontends.onnx.import_ import ImportedModel, import_model
from mlc.frontends.onnx.load import LoadedModel, load_model
from mlc.frontends.onnx.node import DataDependentError
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from mlc.errors import MlcError, UnsupportedError

Array = np.ndarray[Any, Any]

EXPECTED_FAILURES = Path(__file__).with_name("onnx_import_expected_failures.txt")
PARTS = 4
"""The cases are run in this many tests, so that several workers can share them."""

LEAST_PASSING = 1500
"""How many cases pass at least: a harness that skips everything must not look green."""


@cache
def cases() -> dict[str, TestCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_model_tests(kind="node")}


@cache
def expected_failures() -> dict[str, str]:
    """Pattern of case names -> why they fail."""
    lines = EXPECTED_FAILURES.read_text().splitlines()
    entries = [line.partition("#") for line in lines if line.strip() and not line.startswith("#")]
    assert all(reason.strip() for _, _, reason in entries), "every expected failure has a reason"
    return {pattern.strip(): reason.strip() for pattern, _, reason in entries}


def expected_failure(name: str) -> str | None:
    return next((p for p in expected_failures() if fnmatch.fnmatchcase(name, p)), None)


def imported(loaded: LoadedModel, inputs: Mapping[str, Any]) -> ImportedModel:
    """The model for these inputs; the suite passes shapes as inputs, so their values may have to be known."""
    shapes = {name: array.shape for name, array in inputs.items()}
    attempts = ({}, dict(list(inputs.items())[1:]), dict(inputs))
    for values in attempts[:-1]:
        try:
            return import_model(loaded, shapes=shapes, values=values)
        except DataDependentError:
            continue
    return import_model(loaded, shapes=shapes, values=attempts[-1])


def check_case(case: TestCase) -> None:
    """Raises MlcError when the model does not import, AssertionError when a result differs."""
    assert case.model is not None
    assert case.data_sets is not None
    for inputs, expected in case.data_sets:
        names = [value.name for value in case.model.graph.input]
        present = [as_array(value) for value in inputs]
        model = imported(load_model(case.model), dict(zip(names, present, strict=True)))
        results = run(model, present)
        for result, wanted in zip(results, expected, strict=True):
            compare(np.asarray(result), as_array(wanted), case.rtol, case.atol)


def run(model: ImportedModel, inputs: Sequence[Array]) -> Sequence[Array]:
    return run_function(model.module, inputs, weights=lambda weight, _: model.weights.array(weight.key.data))


def as_array(value: Any) -> Array:
    """The suite gives arrays, or protos for types that NumPy lacks; sequences and optionals are no tensors."""
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if not isinstance(value, np.ndarray | np.generic):
        raise UnsupportedError(f"a {type(value).__name__} is no tensor")
    return np.asarray(value)


def compare(result: Array, wanted: Array, rtol: float, atol: float) -> None:
    """Narrow floats get a few units in the last place: the suite rounds after each step, the interpreter once."""
    assert result.dtype == wanted.dtype
    assert result.shape == wanted.shape
    if np.issubdtype(wanted.dtype, np.integer) or wanted.dtype == np.bool_:
        np.testing.assert_array_equal(result, wanted)
    else:
        if wanted.dtype.itemsize == 2:
            epsilon = float(ml_dtypes.finfo(wanted.dtype).eps)
            rtol, atol = max(rtol, 4 * epsilon), max(atol, epsilon / 4)
        np.testing.assert_allclose(result.astype(np.float64), wanted.astype(np.float64), rtol, atol)


def failure(case: TestCase) -> str | None:
    """Why ``case`` fails, None when it passes. Errors that are not the user's are never swallowed."""
    try:
        check_case(case)
    except (MlcError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def run_cases(names: Sequence[str]) -> tuple[list[str], int]:
    """Surprises among the cases, and how many cases passed."""
    surprises, passed = [], 0
    for name in names:
        why, expected = failure(cases()[name]), expected_failure(name)
        passed += why is None
        if why is not None and expected is None:
            surprises.append(f"{name} fails: {' '.join(why.split())[:300]}")
        if why is None and expected is not None:
            surprises.append(f"{name} passes, but {expected!r} is expected to fail")
    return surprises, passed


@pytest.mark.parametrize("part", range(PARTS))
def test_node_cases(part: int) -> None:
    surprises, passed = run_cases(sorted(cases())[part::PARTS])
    assert not surprises, "\n".join(surprises)
    assert passed >= LEAST_PASSING // PARTS


def test_every_expected_failure_is_about_a_case() -> None:
    stale = [pattern for pattern in expected_failures() if not fnmatch.filter(cases(), pattern)]
    assert not stale


def test_the_comparison_can_fail() -> None:
    one = np.ones(3, np.float32)
    compare(one, one, 1e-3, 1e-7)
    for wrong in (one + np.float32(0.01), one.astype(np.float64), one[:2]):
        with pytest.raises(AssertionError):
            compare(wrong, one, 1e-3, 1e-7)
