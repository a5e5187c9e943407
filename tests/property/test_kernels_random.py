"""The random generator: known answers, kernels with the reference's bits, and distributions of what is drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

import mlc
from mlc.dialects import hlt
from mlc.dialects.interpreters import run_function
from mlc.dialects.interpreters.random import philox
from mlc.testing.kernels import TARGETS, program, run_kernels
from mlc.testing.tolerances import EXACT, assert_within

Array = NDArray[Any]
COUNT = 20000


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_known_answers_of_philox(counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    """Those that its authors publish with their code."""
    words = philox([np.array([word], np.uint64) for word in counter], key)
    np.testing.assert_array_equal(words[:, 0], answer)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 70), st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_kernels_draw_the_bits_of_the_reference(target: str, count: int, seed: int, stream: int) -> None:
    module = program([], lambda b, v: b(hlt.RandomBitsOp(count=count, seed=seed, stream=stream)))
    (actual,), (expected,) = run_kernels(module, [], target=target), run_function(module, [])
    assert_within(actual, expected, EXACT)


def model(op: str, inputs: dict[str, Array], kind: int, outputs: int = 1, **attributes: Any) -> onnx.ModelProto:
    """One node, called n, with these inputs."""
    names = [f"y{i}" for i in range(outputs)]
    kinds = [kind, TensorProto.BOOL]
    infos = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in inputs.items()
    ]
    results = [helper.make_tensor_value_info(name, each, None) for name, each in zip(names, kinds)]
    node = helper.make_node(op, list(inputs), names, name="n", **attributes)
    graph = helper.make_graph([node], "g", infos, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])


def draw(op: str, inputs: dict[str, Array] | None = None, kind: int = TensorProto.FLOAT, **attributes: Any) -> Array:
    """What the node yields, an array of element type ``kind``."""
    fed = inputs or {}
    asked = {} if inputs else {"dtype": kind}
    return np.asarray(mlc.compile(model(op, fed, kind, **asked, **attributes), cache=False, threads=1)(*fed.values()))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_uniform(kind: int) -> None:
    y = draw("RandomUniform", kind=kind, low=-2.0, high=3.0, shape=[COUNT], seed=1.0).astype(np.float64)
    assert -2 <= y.min() < -1.9
    assert 2.9 < y.max() <= 3
    counts, _ = np.histogram(y, 20, (-2, 3))
    assert abs(counts - COUNT / 20).max() < 6 * math.sqrt(COUNT / 20)


def test_normal() -> None:
    y = draw("RandomNormal", mean=1.0, scale=2.0, shape=[COUNT // 2, 2]).astype(np.float64)
    assert abs(y.mean() - 1) < 6 * 2 / math.sqrt(COUNT)
    assert abs(y.std() - 2) < 6 * 2 / math.sqrt(2 * COUNT)
    assert abs(np.mean(((y - 1) / 2) ** 4) - 3) < 0.3
    assert abs(np.corrcoef(y[:, 0], y[:, 1])[0, 1]) < 0.06


def test_seeds() -> None:
    """Equal seeds, equal numbers; without one the node's name decides, and every run draws the same."""
    shape: dict[str, Any] = {"shape": [16]}
    seeds: list[dict[str, Any]] = [{"seed": 1.0}, {"seed": 1.0}, {"seed": 2.0}, {}]
    one, again, two, own = (draw("RandomUniform", **shape, **seed) for seed in seeds)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, own)
    np.testing.assert_array_equal(own, draw("RandomUniform", **shape))


def test_bernoulli() -> None:
    p = np.repeat(np.array([0.0, 0.3, 1.0], np.float32), COUNT)
    y = draw("Bernoulli", {"x": p}).reshape(3, COUNT)
    assert set(np.unique(y)) == {0.0, 1.0}
    assert y[0].max() == 0
    assert y[2].min() == 1
    assert abs(y[1].mean() - 0.3) < 6 * 0.46 / math.sqrt(COUNT)


def test_multinomial() -> None:
    likely = np.array([[0.5, 0.3, 0.2, 0.0], [0.0, 0.1, 0.1, 0.8]])
    with np.errstate(divide="ignore"):
        x = (np.log(likely) + 3).astype(np.float32)
    y = draw("Multinomial", {"x": x}, TensorProto.INT32, sample_size=COUNT, dtype=TensorProto.INT32)
    assert (y.dtype, y.shape) == (np.int32, (2, COUNT))
    shares = np.stack([np.bincount(row, minlength=4) / COUNT for row in y])
    assert abs(shares - likely).max() < 6 * 0.5 / math.sqrt(COUNT)
    assert shares[0, 3] == shares[1, 0] == 0


@pytest.mark.parametrize("training", [True, False])
def test_dropout(training: bool) -> None:
    x = np.random.default_rng(1).uniform(1, 2, COUNT).astype(np.float32)
    fed = {"x": x, "ratio": np.array(0.25, np.float32), "training": np.array(training)}
    y, mask = mlc.compile(model("Dropout", fed, TensorProto.FLOAT, 2), cache=False, threads=1)(*fed.values())
    if not training:
        assert mask.all()
        np.testing.assert_array_equal(y, x)
        return
    np.testing.assert_allclose(y, np.where(mask, x / np.float32(0.75), 0), rtol=1e-6)
    assert abs(mask.mean() - 0.75) < 6 * 0.44 / math.sqrt(COUNT)
