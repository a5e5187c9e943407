"""`mlc.compile(dtype="f16")`: storage in half precision, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

import mlc
from mlc.driver import Compilation, compile_model, import_source, load_source
from mlc.errors import UsageError
from mlc.request import Request, TargetChoice
from mlc.testing.models import compare, evaluations
from mlc.testing.networks import NETWORKS
from mlc.testing.onnx_models import perceptron, small_model


def products(scale: float) -> ModelProto:
    """Two products with weights of 32 x 32, the second one's scaled."""
    random = np.random.default_rng(0)
    weights = [random.standard_normal((32, 32)).astype(np.float32) * s for s in (1.0, scale)]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["y"], name="one"),
        helper.make_node("MatMul", ["y", "second"], ["z"], name="two"),
    ]
    model = small_model(nodes, {"x": (8, 32)}, {"z": (8, 32)})
    for name, array in zip(("first", "second"), weights):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


@pytest.mark.parametrize("target", ["native", "x86-64-v2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, target: str) -> None:
    """Within 4 times the error of a plain evaluation that rounds the same tensors; v2 converts by integer code."""
    request = Request(NETWORKS[name]().SerializeToString(), TargetChoice(target), threads=1, dtype="f16")
    loaded = load_source(request)
    imported = import_source(loaded, request)
    shapes = [[int(extent) for extent in info.shape or ()] for info in imported.inputs]
    random = np.random.default_rng(1)
    arrays = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    feeds = {info.name: array for info, array in zip(imported.inputs, arrays)}
    wide, plain = evaluations(imported, arrays, request.options())
    net = mlc.compile(request.source, target=target, threads=1, dtype="f16", cache=False)
    for info, expected, rounded in zip(imported.outputs, wide, plain):
        verdict = compare(info.name, net.run(feeds)[info.name], expected, plain=rounded)
        assert verdict.ok, verdict.message


def test_inputs_and_outputs_keep_their_types() -> None:
    net = mlc.compile(perceptron(), dtype="f16", cache=False)
    assert {info.dtype for info in (*net.inputs, *net.outputs)} == {np.dtype(np.float32)}


def test_weights_take_half_the_memory() -> None:
    sizes: dict[str, int] = {}
    for dtype in ("f32", "f16"):
        request = Request(products(1.0).SerializeToString(), dtype=dtype)  # pyright: ignore[reportArgumentType]
        built, _ = compile_model(load_source(request), request)
        sizes[dtype] = built.program.weights_bytes
    assert sizes["f16"] * 2 == sizes["f32"]


def test_weights_that_f16_does_not_hold_stay() -> None:
    """They are named, and the result is right: what is stored between the products is small enough."""
    model = products(1e6)
    request = Request(model.SerializeToString(), dtype="f16")
    loaded = load_source(request)
    compilation = Compilation.of(import_source(loaded, request), "model", request.options()).advance("fused")
    assert compilation.kept_f32 == ("second",)
    x = np.random.default_rng(1).standard_normal((8, 32)).astype(np.float32)
    (wide, half) = (mlc.compile(model, dtype=dtype, cache=False)(x) for dtype in ("f32", "f16"))
    assert np.abs(half - wide).max() <= 5e-3 * np.abs(wide).max()


def test_what_is_too_large_saturates() -> None:
    """A product beyond the range of f16 between two kernels becomes its largest number, not infinity."""
    model = products(1.0)
    x = np.full((8, 32), 1e6, np.float32)
    y = mlc.compile(model, dtype="f16", cache=False)(x)
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "f17"}, "'f17' is not one of f32, f16"),
        ({"accumulate": "f16"}, "sums are kept in f32 where tensors are f32"),
        ({"dtype": "f16", "accumulate": "f16", "target": "x86-64-v3"}, "does not compute in f16"),
    ],
)
def test_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mlc.compile(perceptron(), cache=False, **options)
