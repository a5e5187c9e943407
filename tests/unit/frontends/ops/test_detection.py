"""Non-maximum suppression: against onnx's reference, on coordinates whose areas are exact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.errors import MlcError
from mlc.testing.onnx_nodes import node_model

Array = np.ndarray[Any, np.dtype[Any]]

SHAPES = {"one": (1, 7, 1), "batches": (2, 6, 3), "many": (1, 40, 2)}


def draw(
    seed: int, shape: tuple[int, int, int], most: int = 5, iou: float = 0.3, score: float = 0.2
) -> dict[str, Array]:
    """Boxes on a grid, many of them equal, flipped or empty, and scores of which many are equal."""
    random = np.random.default_rng(seed)
    batches, count, classes = shape
    boxes = random.integers(0, 7, (batches, count, 4)).astype(np.float32)
    scores = random.integers(-3, 8, (batches, classes, count)).astype(np.float32) / 8
    limits = (np.array([most]), np.array([iou], np.float32), np.array([score], np.float32))
    return dict(zip(("boxes", "scores", "most", "iou", "score"), (boxes, scores, *limits)))


def model(feeds: Mapping[str, Array], center: int) -> ModelProto:
    return node_model("NonMaxSuppression", feeds, (np.int64,), opset=11, center_point_box=center)


def by_reference(proto: ModelProto, feeds: Mapping[str, Array]) -> Array:
    evaluator: Any = ReferenceEvaluator(proto)
    return np.reshape(evaluator.run(None, feeds)[0], (-1, 3))


@pytest.fixture(scope="module", params=[(n, c, t) for n in SHAPES for c in (0, 1) for t in (1, 2)], ids=str)
def compiled(request: pytest.FixtureRequest) -> tuple[str, mlc.CompiledModel, Any]:
    name, center, threads = request.param
    proto = model(draw(0, SHAPES[name]), center)
    return name, mlc.compile(proto, threads=threads, cache=False), ReferenceEvaluator(proto)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_reference_keeps_the_same_boxes(compiled: tuple[str, mlc.CompiledModel, Any], data: st.DataObject) -> None:
    name, net, reference = compiled
    feeds = draw(
        data.draw(st.integers(0, 2**20)),
        SHAPES[name],
        data.draw(st.integers(0, 50)),
        data.draw(st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0])),
        data.draw(st.sampled_from([-1.0, 0.0, 0.25, 0.9])),
    )
    (expected,) = reference.run(None, feeds)
    actual = net(feeds)
    assert actual.dtype == np.int64
    np.testing.assert_array_equal(actual, np.reshape(expected, (-1, 3)))
    assert net.compilations == 0


@pytest.mark.parametrize("most", [0, 1, 3, 2**62])
def test_a_limit_that_is_known(most: int) -> None:
    feeds = draw(1, SHAPES["batches"], most)
    expected = by_reference(model(feeds, 0), feeds)
    proto = model(feeds, 0)
    del proto.graph.input[2]
    proto.graph.initializer.add(name="most", data_type=7, dims=[1], int64_data=[most])
    del feeds["most"]
    np.testing.assert_array_equal(mlc.compile(proto, threads=1, cache=False)(feeds), expected)


def test_a_negative_limit_at_run_time_keeps_nothing() -> None:
    feeds = draw(1, SHAPES["one"], -1)
    assert mlc.compile(model(feeds, 0), threads=1, cache=False)(feeds).shape == (0, 3)


def test_scores_of_every_kind_are_ordered() -> None:
    feeds = draw(2, (1, 8, 1), 8, 1.0)
    del feeds["score"]
    scores = np.array([np.nan, -np.inf, -0.0, 0.0, np.inf, 1e-40, -1e-40, np.finfo(np.float32).min], np.float32)
    feeds["scores"] = scores.reshape(1, 1, 8)
    result = mlc.compile(model(feeds, 0), threads=1, cache=False)(feeds)
    np.testing.assert_array_equal(result[:, 2], [4, 5, 2, 3, 6, 7, 1])


def test_a_library_on_disk(tmp_path: Path) -> None:
    feeds = draw(3, SHAPES["many"])
    net = mlc.compile(model(feeds, 0), threads=2, cache=False)
    net.save(tmp_path / "net.so")
    np.testing.assert_array_equal(mlc.load(tmp_path / "net.so")(feeds), net(feeds))


def test_a_detector_of_yolo_s_size() -> None:
    feeds = draw(4, (1, 8400, 80), 300)
    del feeds["most"], feeds["iou"], feeds["score"]
    random = np.random.default_rng(5)
    feeds["boxes"] = random.integers(0, 640, (1, 8400, 4)).astype(np.float32)
    feeds["scores"] = np.where(random.random((1, 80, 8400)) < 0.001, random.random((1, 80, 8400)), 0).astype(np.float32)
    limits = {"most": np.array([300]), "iou": np.array([0.5], np.float32), "score": np.array([0.25], np.float32)}
    feeds |= limits
    proto = model(feeds, 0)
    expected = by_reference(proto, feeds)
    np.testing.assert_array_equal(mlc.compile(proto, threads=1, cache=False)(feeds), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.zeros((1, 7, 3), np.float32)}, "are not"),
        ({"scores": np.zeros((1, 1, 8), np.float32)}, "do not go with"),
        ({"iou": np.zeros(2, np.float32)}, "must be one float32"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Array], message: str) -> None:
    with pytest.raises(MlcError, match=message):
        mlc.compile(model(draw(0, SHAPES["one"]) | changes, 0), threads=1, cache=False)
