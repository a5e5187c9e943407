"""ONNX's own backend suite, compiled: every case of the installed onnx package, with the suite's own comparison.

A case is a model and runs of it: inputs and expected outputs. The suite has five kinds of them: tests of single
operators (``node``), small and converted models, and nine real ones without weights (``real``).
"""

from __future__ import annotations

import fnmatch
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnx import ModelProto, OptionalProto, SequenceProto, TensorProto, TypeProto, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from mlc.api import compile as compile_model
from mlc.api import load as load_library
from mlc.errors import InternalError, MlcError
from mlc.parts import HostCallWarning

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
DRAWN = ("test_bernoulli*", "test_training_dropout", "test_training_dropout_[dm]*")
"""Cases whose stored results NumPy's generator drew, which no other draws: kinds, dtypes and shapes are compared."""

Run = tuple[list[Any], list[Any]]
"""Inputs and expected outputs, in order."""


@dataclass(frozen=True)
class Configuration:
    """How cases are run: the target, and whether they go through a shared library on disk."""

    target: str = "native"
    ahead_of_time: bool = False


class Difference(Exception):
    """Results are not what the suite expects."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: ``error`` is None when it passed, ``host_calls`` are the nodes that were not compiled."""

    name: str
    error: str | None
    seconds: float
    host_calls: tuple[str, ...] = ()
    static: bool = True


@cache
def suite() -> Mapping[str, TestCase]:
    """All cases by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [case for kind in KINDS for case in load_model_tests(kind=kind)]
    named = {case.name: case for case in found}
    assert len(named) == len(found), "names of cases are unique"
    return named


def run_case(case: TestCase, configuration: Configuration, folder: Path) -> Outcome:
    """Compile and run one case; errors of mlc and differences are its outcome, anything else is raised.

    ``folder`` takes the libraries of ahead-of-time configurations.
    """
    start = time.perf_counter()
    error: str | None = None
    static = True
    hosted: tuple[str, ...] = ()
    try:
        model = read_model(case)
        with warnings.catch_warnings(action="ignore", category=HostCallWarning):
            net = compile_model(model, target=configuration.target, threads=1, cache=False)
        static, hosted = net.is_static, net.host_calls
        if configuration.ahead_of_time and static:
            library = folder / "model.so"
            net.save(library)
            net = load_library(library, threads=1)
        for inputs, expected in read_runs(case, model):
            results = net.run(dict(zip([spec.name for spec in net.inputs], inputs, strict=True)))
            if any(fnmatch.fnmatchcase(case.name, pattern) for pattern in DRAWN):
                _same_form(list(results.values()), expected)
            else:
                compare(list(results.values()), expected, case.rtol, case.atol)
    except InternalError:
        raise
    except (MlcError, Difference) as failure:
        error = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
    return Outcome(case.name, error, time.perf_counter() - start, hosted, static)


def compare(results: Sequence[Any], expected: Sequence[Any], rtol: float, atol: float) -> None:
    """Raises Difference unless kinds, dtypes and shapes are equal, and values within the suite's tolerance."""
    _same_form(list(results), list(expected))
    try:
        with np.errstate(invalid="ignore"):
            Runner.assert_similar_outputs(list(_tensors(expected)), list(_tensors(results)), rtol, atol)
    except AssertionError as error:
        raise Difference(str(error)) from error


def _same_form(result: Any, wanted: Any) -> None:
    _same("kind", type(result).__name__, type(wanted).__name__)
    if type(wanted) is list:
        items = cast("list[Any]", wanted)
        _same("number of tensors", len(result), len(items))
        for item, expected in zip(result, items):
            _same_form(item, expected)
        return
    if wanted is not None:
        _same("shape", result.shape, wanted.shape)
        if wanted.dtype != object:
            _same("dtype", result.dtype, wanted.dtype)


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Difference(f"{what} {found} instead of {wanted}")


def _tensors(values: Sequence[Any]) -> Iterator[Any]:
    """The tensors of outputs, one by one: ONNX's comparison has no notion of scalars in sequences."""
    for value in values:
        if type(value) is list:
            yield from _tensors(cast("list[Any]", value))
        elif value is not None:
            yield value


def read_model(case: TestCase) -> ModelProto:
    """The model of a case."""
    return case.model if case.model is not None else ModelProto.FromString((_folder(case) / _file(case)).read_bytes())


def read_runs(case: TestCase, model: ModelProto) -> Iterator[Run]:
    """The runs of a case: arrays, lists of arrays (sequences) or None (absent optionals)."""
    if case.data_sets is not None:
        for inputs, outputs in case.data_sets:
            yield [*map(as_value, inputs)], [*map(as_value, outputs)]
    elif case.model_dir is None:
        yield _counting_run(case, model)
    else:
        for data in sorted(Path(case.model_dir).glob("test_data_set_*")):
            yield _read_data(data, "input", model), _read_data(data, "output", model)


def as_value(value: Any) -> Any:
    """A value of a node case: dtypes that NumPy lacks come as protos."""
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return cast("Any", value) if value is None or isinstance(value, list) else np.asarray(value)


def _folder(case: TestCase) -> Path:
    return Path(case.model_dir) if case.model_dir is not None else Path(onnx.__file__).parents[1]


def _file(case: TestCase) -> str:
    return "model.onnx" if case.model_dir is not None else str(case.url)


def _counting_run(case: TestCase, model: ModelProto) -> Run:
    """The real models' inputs hold ``arange(n) / n``; what they yield lies beside them."""
    path = _folder(case) / _file(case)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs: list[Any] = []
    for value in model.graph.input:
        if value.name not in weights:
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            inputs.append((np.arange(count).reshape(shape) / count).astype(np.float32))
    files = (path.with_name(f"{path.stem}_output_{index}.pb") for index in range(len(model.graph.output)))
    return inputs, [numpy_helper.to_array(TensorProto.FromString(file.read_bytes())) for file in files]


def _read_data(folder: Path, kind: str, model: ModelProto) -> list[Any]:
    infos = model.graph.input if kind == "input" else model.graph.output
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.rpartition("_")[2]))
    return [_parse(file.read_bytes(), info.type) for file, info in zip(files, infos)]


def _parse(data: bytes, kind: TypeProto) -> Any:
    match kind.WhichOneof("value"):
        case "sequence_type":
            return numpy_helper.to_list(SequenceProto.FromString(data))
        case "optional_type":
            return numpy_helper.to_optional(OptionalProto.FromString(data))
        case _:
            return numpy_helper.to_array(TensorProto.FromString(data))
