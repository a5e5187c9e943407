"""`mlc.compile`: what it takes, what its models return, and what they refuse."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlc
from mlc.testing.onnx_models import cyclic, perceptron, unary

Call = Callable[[mlc.CompiledModel], Any]
X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> mlc.CompiledModel:
    return mlc.compile(perceptron(), threads=1, cache=False)


def expected(x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    w = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    return np.maximum(x @ w, 0), x + x


def assert_right(outputs: Mapping[str, Any], x: np.ndarray[Any, Any] = X) -> None:
    y, z = expected(x)
    np.testing.assert_allclose(outputs["y"], y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs["z"], z)


def test_signature(net: mlc.CompiledModel) -> None:
    assert [str(spec) for spec in net.inputs] == ["x: float32 2x8"]
    assert [str(spec) for spec in net.outputs] == ["y: float32 2x4", "z: float32 2x8"]
    assert (net.threads, net.metadata["weights"]["bytes"] > 0) == (1, True)


CALLS: list[Call] = [lambda net: net(X), lambda net: net(x=X), lambda net: net({"x": X})]


@pytest.mark.parametrize("call", CALLS)
def test_calls(net: mlc.CompiledModel, call: Call) -> None:
    y, z = call(net)
    assert_right({"y": y, "z": z})


def test_one_output_is_no_tuple() -> None:
    result = mlc.compile(unary("Exp"), cache=False)(X)
    assert isinstance(result, np.ndarray)
    np.testing.assert_allclose(result, np.exp(X), rtol=1e-6)


def test_sources(tmp_path: Path) -> None:
    data = perceptron().SerializeToString()
    path = tmp_path / "small.onnx"
    path.write_bytes(data)
    for source in (data, path, str(path), perceptron()):
        assert_right(mlc.compile(source, threads=1).run({"x": X}))
    assert mlc.compile(path).name == "small"


def test_run_writes_to_given_arrays(net: mlc.CompiledModel) -> None:
    y = np.empty((2, 4), np.float32)
    result = net.run({"x": X}, out={"y": y})
    assert result["y"] is y
    assert_right(result)


def test_bound_calls_see_new_contents(net: mlc.CompiledModel) -> None:
    x, outputs = X.copy(), {"y": np.empty((2, 4), np.float32), "z": np.empty((2, 8), np.float32)}
    step = net.bind({"x": x}, outputs)
    step()
    assert_right(outputs)
    x *= -1
    step()
    assert_right(outputs, -X)


def test_extents_may_be_numpys() -> None:
    given: list[dict[str, Any]] = [{"dims": {"batch": np.int64(2)}}, {"shapes": {"x": np.array([2, 8])}}]
    for options in given:
        assert mlc.compile(unary("Neg", shape=("batch", 8)), **options).inputs[0].shape == (2, 8)


def test_models_are_not_pickled(net: mlc.CompiledModel) -> None:
    with pytest.raises(TypeError, match=r"save it, and mlc\.load"):
        copy.deepcopy(net)


def test_what_is_bound_stays_alive() -> None:
    net = mlc.compile(unary("Neg"), threads=2, cache=False)
    out = np.empty((2, 8), np.float32)
    step = net.bind([X.copy()], [out])
    del net
    gc.collect()
    step()
    np.testing.assert_array_equal(out, -X)


def test_inputs_need_not_be_contiguous(net: mlc.CompiledModel) -> None:
    wide = np.zeros((2, 16), np.float32)
    wide[:, ::2] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    for x in (wide[:, ::2], np.asfortranarray(X), frozen):
        assert_right(net.run({"x": x}))


class Foreign:
    """An array that only speaks DLPack."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


def test_arrays_of_other_libraries(net: mlc.CompiledModel) -> None:
    assert_right(net.run({"x": Foreign(X)}))


WRONG_CALLS: list[tuple[Call, str]] = [
    (lambda net: net(), "no array is given for input 'x'"),
    (lambda net: net(X, X), "2 arrays are given, the model has 1 inputs: x"),
    (lambda net: net(X, x=X), "input 'x' is given twice"),
    (lambda net: net(xx=X), "the model has no input 'xx' (did you mean 'x'? valid: x)"),
    (lambda net: net.run({"x": X, "w": X}), "the model has no input 'w'"),
    (lambda net: net(X.astype(float)), "input 'x' has dtype float64, the model has float32 (convert it"),
    (lambda net: net(X.astype(">f4")), "input 'x' has dtype >f4, the model has float32"),
    (lambda net: net(X[:1]), "input 'x' has shape [1, 8], the model has [2, 8]"),
    (lambda net: net(X[0]), "input 'x' has shape [8], the model has [2, 8]"),
    (lambda net: net(X.tolist()), "'x' is a list, not an array"),
    (lambda net: net.run({"x": X}, {"v": X}), "the model has no output 'v'"),
    (lambda net: net.run({"x": X}, {"y": X}), "output 'y' has shape [2, 8], the model has [2, 4]"),
    (lambda net: net.run({"x": X}, {"z": np.asfortranarray(X)}), "output 'z' must be written to an array"),
    (lambda net: net.bind([X[:, ::-1]], [X, X]), "input 'x' must be contiguous to be bound"),
    (lambda net: net.bind([X], [X]), "1 arrays are given for 2 outputs: y, z"),
    (lambda net: net.bind([X], {"z": X}), "no array is given for output 'y'"),
    (lambda net: net.run([X]), "a list names no arrays (pass a dict"),  # pyright: ignore[reportArgumentType]
    (lambda net: net.run({"x": X}, [X]), "a list names no arrays"),  # pyright: ignore[reportArgumentType]
    (lambda net: net.run({"x": X}, {"z": X}), "output 'z' would be written over another array"),
    (lambda net: net.bind([X], [X.reshape(-1)[:8].reshape(2, 4), X.copy()]), "output 'y' would be written over"),
    (lambda net: net.bind([X], (lambda z: [z.reshape(-1)[:8].reshape(2, 4), z])(X.copy())), "output 'z' would be"),
]


@pytest.mark.parametrize(("call", "words"), WRONG_CALLS)
def test_wrong_calls(net: mlc.CompiledModel, call: Call, words: str) -> None:
    with pytest.raises(mlc.UsageError) as caught:
        call(net)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "x86-64-v9"}, "unknown target 'x86-64-v9' (did you mean"),
        ({"threads": 0}, "0 is no number of threads"),
        ({"opt_level": 4}, "optimisation level 4 is not one of 0, 1, 2, 3"),
        ({"shapes": {"x": (3, 8)}}, "input 'x': extent 3 of axis 0 contradicts"),
        ({"shapes": {"v": (3, 8)}}, "the model has no input 'v'"),
        ({"dims": {"batch": 3}}, "the model has no dim 'batch'"),
        ({"mattr": "avx2"}, "bad feature 'avx2' in --mattr"),
        ({"target": None}, "target, mcpu and mattr are texts"),
        ({"threads": 1.5}, "1.5 is no number of threads"),
        ({"threads": True}, "True is no number of threads"),
        ({"shapes": {"x": 2}}, "shape 2 of 'x' is no sequence of extents"),
        ({"shapes": {"x": (2.0, 8)}}, "'x': extent 2.0 is not a whole number"),
        ({"shapes": [2, 8]}, "shapes is a list, not a dict"),
        ({"dims": {"n": range(4)}}, "'n': extent range(0, 4) is not a whole number"),
        ({"dims": {"n": -1}}, "'n': extent -1 is not a whole number"),
        ({"dims": {"n": 1}}, "the model has no dim 'n' (there are none)"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(mlc.UsageError) as caught:
        mlc.compile(perceptron(), **options)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (b"", mlc.ModelError, "no bytes: not an ONNX model"),
        (perceptron().SerializeToString()[:-100], mlc.ModelError, "truncated"),
        (cyclic(), mlc.ModelError, "cycle"),
        (unary("Frobnicate"), mlc.UnsupportedError, "Frobnicate in only"),
        (unary("Magic", domain="com.example"), mlc.UnsupportedError, "only"),
        ("nowhere.onnx", mlc.ModelError, "can't open the model nowhere.onnx"),
        (None, mlc.UsageError, "a NoneType is no model"),
        (perceptron().graph, mlc.UsageError, "a GraphProto is no model"),
    ],
)
def test_bad_models(model: Any, error: type[mlc.MlcError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        mlc.compile(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opt_level", [0, 1, 2, 3])
def test_every_level_is_right(opt_level: int) -> None:
    assert_right(mlc.compile(perceptron(), threads=2, opt_level=opt_level, cache=False).run({"x": X}))


@pytest.mark.parametrize("target", ["x86-64-v1", "x86-64-v3"])
def test_lesser_targets_run_here(target: str) -> None:
    net = mlc.compile(perceptron(), threads=1, target=target, cache=False)
    assert net.metadata["target"]["name"] == target
    assert_right(net.run({"x": X}))


def test_symbolic_dims_specialise_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlc.model.MAX_SPECIALISATIONS", 2)
    net = mlc.compile(perceptron("batch"), threads=1)
    assert [str(spec) for spec in net.inputs] == ["x: float32 batchx8"]
    for batch in (1, 3, 1, 5, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 8)).astype(np.float32)
        assert_right(net.run({"x": x}), x)
    assert net.specialisations == 2
    with pytest.raises(mlc.UsageError, match=r"has shape \[2, 9\], the model has \[batch, 8\]"):
        net(np.ones((2, 9), np.float32))
    with pytest.raises(mlc.UsageError, match="symbolic dims"):
        net.save("small.so")


def test_dims_may_be_bound_beforehand() -> None:
    model = perceptron("batch")
    for net in (mlc.compile(model, dims={"batch": 2}), mlc.compile(model, shapes={"x": (2, 8)})):
        assert net.is_static
        assert_right(net.run({"x": X}))


def test_threads_may_call_at_once(net: mlc.CompiledModel) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).standard_normal((2, 8)).astype(np.float32)
        for _ in range(200):
            if not np.array_equal(net.run({"x": x})["z"], x + x):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_import_is_light() -> None:
    script = "import sys, mlc; print(sorted(set(sys.modules) & {'numpy', 'xdsl', 'onnx', 'llvmlite'}))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_unknown_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="'mlc' has no attribute 'compil'"):
        getattr(mlc, "compil")  # noqa: B009
    assert {"compile", "load", "CompiledModel", "__version__"} <= set(dir(mlc))
