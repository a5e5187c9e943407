"""What training needs, against ONNX's evaluator: optimisers, statistics of batches; and determinants, n-grams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlc.errors import ModelError, UnsupportedError
from mlc.testing.onnx_nodes import by_native_code, by_onnx, by_reference, node_model

Array = NDArray[Any]
TRAINING = "ai.onnx.preview.training"
OPTIMISERS: list[tuple[str, int, dict[str, Any]]] = [
    ("Adagrad", 3, {"decay_factor": 0.1, "epsilon": 1e-3, "norm_coefficient": 0.01}),
    ("Adam", 4, {"alpha": 0.8, "epsilon": 1e-3, "norm_coefficient": 0.01, "norm_coefficient_post": 0.1}),
    ("Momentum", 3, {"alpha": 0.9, "beta": 0.7, "mode": "standard", "norm_coefficient": 0.01}),
    ("Momentum", 3, {"alpha": 0.9, "beta": 0.7, "mode": "nesterov", "norm_coefficient": 0.01}),
]


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize(("op", "kinds", "attributes"), OPTIMISERS)
def test_optimisers(op: str, kinds: int, attributes: dict[str, Any], count: int) -> None:
    """Two tensors at once, at the first step and later."""
    generator = np.random.default_rng(1)
    inputs = {"rate": np.array(0.1, np.float32), "count": np.array(count, np.int64)}
    inputs |= {f"v{i}": generator.uniform(0.1, 1, (3, 2)[: 1 + i % 2]).astype(np.float32) for i in range(2 * kinds)}
    model = node_model(op, inputs, (np.float32,) * (2 * kinds - 2), domain=TRAINING, **attributes)
    for actual, wanted in zip(by_reference(model, inputs), by_onnx(model, inputs), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5)


def test_an_optimiser_wants_complete_tensors() -> None:
    inputs = {name: np.ones((), np.int64 if name == "t" else np.float32) for name in ("r", "t", "x", "g")}
    with pytest.raises(ModelError, match="2 tensors; each optimised one has 3"):
        by_reference(node_model("Adagrad", inputs, domain=TRAINING), inputs)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
def test_statistics_of_batches(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(2)
    inputs = {"x": generator.standard_normal(shape).astype(np.float32)}
    inputs |= {name: generator.uniform(0.5, 2, 3).astype(np.float32) for name in ("scale", "bias", "mean", "variance")}
    model = node_model("BatchNormalization", inputs, (np.float32,) * 3, training_mode=1, momentum=0.7)
    for actual, wanted in zip(by_native_code(model, inputs), by_onnx(model, inputs), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_determinants(n: int) -> None:
    """Singular ones and those that need rows exchanged, too."""
    x = np.random.default_rng(n).standard_normal((4, n, n))
    x[1, 0] = x[1, -1] if n > 1 else 0
    x[2, 0, 0] = 0
    x[3] = np.eye(n)[::-1]
    inputs = {"x": x}
    (actual,) = by_native_code(node_model("Det", inputs, (np.float64,)), inputs)
    np.testing.assert_allclose(actual, np.linalg.det(x), rtol=1e-9, atol=1e-12)


def test_a_determinant_of_many_rows_is_refused() -> None:
    inputs = {"x": np.eye(65)}
    with pytest.raises(UnsupportedError, match="at most 64"):
        by_reference(node_model("Det", inputs, (np.float64,)), inputs)


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
def test_n_grams(mode: str) -> None:
    attributes: dict[str, Any] = {"mode": mode, "min_gram_length": 1, "max_gram_length": 3, "max_skip_count": 2}
    attributes |= {
        "ngram_counts": [0, 2, 6],
        "ngram_indexes": [3, 0, 1, 5, 2],
        "pool_int64s": [1, 2, 1, 2, 2, 1, 1, 1, 1],
    }
    attributes |= {"weights": [0.5, 1.5, 2.0, 3.0, 4.0]}
    x = np.random.default_rng(3).integers(0, 3, (4, 12))
    counted = node_model("TfIdfVectorizer", {"x": x}, **dict(attributes, mode="TF"))
    counts, (wanted,) = by_reference(counted, {"x": x})[0], by_onnx(counted, {"x": x})
    np.testing.assert_array_equal(counts, wanted)
    columns = np.zeros(6, np.float32)
    columns[attributes["ngram_indexes"]] = attributes["weights"]
    share = {"TF": counts, "IDF": (counts > 0) * columns, "TFIDF": counts * columns}
    (actual,) = by_reference(node_model("TfIdfVectorizer", {"x": x}, **attributes), {"x": x})
    np.testing.assert_allclose(actual, share[mode])
