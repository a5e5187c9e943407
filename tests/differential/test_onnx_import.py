"""ONNX's own backend node tests, imported to hlt and run by the reference interpreter.

Every case of the installed onnx package takes part. ``onnx_import_expected_failures.txt`` says which cases do
not import or differ, and why: each of its patterns must match a case, and no case that it matches may pass.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from mlc.dialects.interpreters import run_function
from mlc.errors import MlcError, UnsupportedError
from mlc.frontends.onnx.import_ import ImportedModel, specialize
from mlc.frontends.onnx.load import LoadedModel, load_model
from mlc.frontends.onnx.shapes import declared_inputs

Array = np.ndarray[Any, Any]

EXPECTED_FAILURES = Path(__file__).with_name("onnx_import_expected_failures.txt")
EPSILON: dict[np.dtype[Any], float] = {np.dtype(ml_dtypes.bfloat16): 2.0**-7, np.dtype(np.float16): 2.0**-10}

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


def check_case(case: TestCase) -> None:
    """Raises MlcError when the model does not import, AssertionError when a result differs."""
    assert case.model is not None
    assert case.data_sets is not None
    loaded = load_model(case.model)
    for inputs, expected in case.data_sets:
        check_data(loaded, [as_array(value) for value in inputs], expected, case.rtol, case.atol)


def check_data(loaded: LoadedModel, inputs: Sequence[Array], expected: Sequence[Any], rtol: float, atol: float) -> None:
    names = [info.name for info in declared_inputs(loaded)]
    model = specialize(loaded, dict(zip(names, inputs, strict=True)))
    for result, wanted in zip(run(model, inputs), expected, strict=True):
        compare(np.asarray(result), as_array(wanted), rtol, atol)


def run(model: ImportedModel, inputs: Sequence[Array]) -> Sequence[Array]:
    return run_function(model.module, inputs, weights=lambda weight, _: model.weights.array(weight.key.data))


def as_array(value: Any) -> Array:
    """The suite gives arrays, or protos for types that NumPy lacks; sequences and optionals are no tensors."""
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    kind = type(value).__name__
    if kind in ("list", "str", "NoneType"):
        raise UnsupportedError(f"a {kind} is no tensor")
    return np.asarray(value)


def compare(result: Array, wanted: Array, rtol: float, atol: float) -> None:
    """Narrow floats get a few units in the last place: the suite rounds after each step, the interpreter once."""
    assert result.dtype == wanted.dtype
    assert result.shape == wanted.shape
    if np.issubdtype(wanted.dtype, np.integer) or wanted.dtype == np.bool_:
        np.testing.assert_array_equal(result, wanted)
    else:
        if wanted.dtype.itemsize == 2:
            epsilon = EPSILON[wanted.dtype]
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
    surprises: list[str] = []
    passed = 0
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


NOT_TENSORS = ("test_strnorm_model_*", "test_gradient_of_*")
"""Models that come with ONNX of strings and gradients."""


@cache
def shipped_models() -> dict[str, Path]:
    """Folders of models that come with ONNX, each with the data of a run, many of old opsets."""
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    kinds = ("pytorch-converted", "pytorch-operator", "simple")
    found = {file.parent.name: file.parent for kind in kinds for file in (root / kind).glob("*/model.onnx")}
    return {n: f for n, f in found.items() if not any(fnmatch.fnmatchcase(n, p) for p in NOT_TENSORS)}


def read_tensors(folder: Path, kind: str) -> list[Array]:
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.rpartition("_")[2]))
    return [numpy_helper.to_array(TensorProto.FromString(file.read_bytes())) for file in files]


def test_models_that_come_with_onnx() -> None:
    for folder in shipped_models().values():
        loaded = load_model(folder / "model.onnx")
        for data in sorted(folder.glob("test_data_set_*")):
            check_data(loaded, read_tensors(data, "input"), read_tensors(data, "output"), 1e-3, 1e-5)
    assert len(shipped_models()) >= 130


def test_the_comparison_can_fail() -> None:
    one = np.ones(3, np.float32)
    compare(one, one, 1e-3, 1e-7)
    for wrong in (one + np.float32(0.01), one.astype(np.float64), one[:2]):
        with pytest.raises(AssertionError):
            compare(wrong, one, 1e-3, 1e-7)
