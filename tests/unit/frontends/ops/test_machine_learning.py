"""ai.onnx.ml's numeric operators against onnxruntime, and tree ensembles against a walk in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlc
from mlc.dialects.interpreters import run_function
from mlc.frontends.onnx.import_ import import_model
from mlc.frontends.onnx.load import load_model
from mlc.parts import HostCallWarning
from mlc.testing.onnxruntime import MACHINE_LEARNING, check_as_onnxruntime, declared, model_of, reference

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(3)
X = RNG.standard_normal((7, 4)).astype(np.float32)
HOLES = np.where(RNG.random((7, 4)) < 0.3, np.nan, X).astype(np.float32)


def grown(trees: int, depth: int, features: int, rng: np.random.Generator, mode: str) -> dict[str, Any]:
    """The attributes of complete trees of that depth, their nodes numbered in order of levels."""
    inner, total = 2**depth - 1, 2 ** (depth + 1) - 1
    names = (["BRANCH_LEQ", "BRANCH_GT", "BRANCH_LT"] if mode == "mixed" else [mode]) * total
    lists: dict[str, list[Any]] = {
        n: [] for n in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    }
    for tree in range(trees):
        for number in range(total):
            leaf = number >= inner
            lists["treeids"].append(tree)
            lists["nodeids"].append(number)
            lists["featureids"].append(0 if leaf else int(rng.integers(features)))
            lists["modes"].append("LEAF" if leaf else names[number])
            lists["values"].append(0.0 if leaf else float(np.float32(rng.standard_normal())))
            lists["truenodeids"].append(0 if leaf else 2 * number + 1)
            lists["falsenodeids"].append(0 if leaf else 2 * number + 2)
    return {f"nodes_{name}": values for name, values in lists.items()}


def weighed(kind: str, targets: int, trees: int, depth: int, *, low: float = -1.0, seed: int = 0) -> dict[str, Any]:
    """Trees with a weight for every leaf and target."""
    rng = np.random.default_rng(seed)
    leaves = [(t, n) for t in range(trees) for n in range(2**depth - 1, 2 ** (depth + 1) - 1)]
    entries = [(t, n, c, float(np.float32(rng.uniform(low, 1)))) for t, n in leaves for c in range(targets)]
    names = ("treeids", "nodeids", "ids", "weights")
    columns = {f"{kind}_{name}": list(column) for name, column in zip(names, zip(*entries))}
    return {**grown(trees, depth, 4, rng, "BRANCH_LEQ"), **columns}


def forest(targets: int, **more: Any) -> dict[str, Any]:
    return {**weighed("target", targets, 5, 3), "n_targets": targets, **more}


def classes(count: int, low: float = -1.0, **more: Any) -> dict[str, Any]:
    """Two classes share one score."""
    scores = 1 if count == 2 else count
    weights = weighed("class", scores, 5, 3, low=low)
    return {**weights, "classlabels_int64s": list(range(10, 10 + count)), **more}


def vectors(count: int, kernel: str, weights: int, offsets: Sequence[float], **more: Any) -> dict[str, Any]:
    """A support vector machine of ``count`` vectors."""
    rng = np.random.default_rng(count)
    return {
        "support_vectors": rng.standard_normal(4 * count).astype(np.float32).tolist(),
        "coefficients": rng.standard_normal(weights).astype(np.float32).tolist(),
        "kernel_type": kernel,
        "kernel_params": [0.3, 0.2, 3.0],
        "rho": list(offsets),
        **more,
    }


THREE: dict[str, Any] = {"classlabels_ints": [3, 7, 5], "vectors_per_class": [3, 1, 2]}
FOUR: dict[str, Any] = {"classlabels_ints": [3, 7, 5, 0], "vectors_per_class": [2, 1, 2, 3]}
TWO: dict[str, Any] = {"classlabels_ints": [4, 2], "vectors_per_class": [2, 3]}
NO_KERNEL: dict[str, Any] = {"kernel_type": "LINEAR", "kernel_params": [0.0, 0.0, 0.0]}
LINEAR = RNG.standard_normal(12).astype(np.float32).tolist()
CASES: dict[str, tuple[str, list[Array | None], int, dict[str, Any]]] = {
    "regressor": ("TreeEnsembleRegressor", [X], 1, forest(1)),
    "regressor_several": ("TreeEnsembleRegressor", [X], 1, forest(3, base_values=[0.5, 1.0, -1.0])),
    "regressor_average": ("TreeEnsembleRegressor", [X], 1, forest(1, aggregate_function="AVERAGE")),
    "regressor_min": ("TreeEnsembleRegressor", [X], 1, forest(2, aggregate_function="MIN")),
    "regressor_max": ("TreeEnsembleRegressor", [X], 1, forest(2, aggregate_function="MAX")),
    "regressor_missing": ("TreeEnsembleRegressor", [HOLES], 1, forest(1, nodes_missing_value_tracks_true=[1] * 75)),
    "regressor_modes": (
        "TreeEnsembleRegressor",
        [X],
        1,
        {**forest(1), **grown(5, 3, 4, np.random.default_rng(5), "mixed")},
    ),
    "regressor_double": ("TreeEnsembleRegressor", [X.astype(np.float64)], 1, forest(1)),
    "classifier_int": ("TreeEnsembleClassifier", [(X * 3).astype(np.int64)], 2, classes(3)),
    "classifier": ("TreeEnsembleClassifier", [X], 2, classes(3)),
    "classifier_softmax": ("TreeEnsembleClassifier", [X], 2, classes(3, post_transform="SOFTMAX")),
    "classifier_softmax_zero": ("TreeEnsembleClassifier", [X], 2, classes(3, post_transform="SOFTMAX_ZERO")),
    "classifier_logistic": ("TreeEnsembleClassifier", [X], 2, classes(3, post_transform="LOGISTIC")),
    "classifier_two": ("TreeEnsembleClassifier", [X], 2, classes(2)),
    "classifier_two_logistic": ("TreeEnsembleClassifier", [X], 2, classes(2, post_transform="LOGISTIC")),
    "classifier_two_positive": ("TreeEnsembleClassifier", [X], 2, classes(2, low=0.0)),
    "linear_regressor": (
        "LinearRegressor",
        [X],
        1,
        {"coefficients": LINEAR, "intercepts": [1.0, 2.0, 3.0], "targets": 3},
    ),
    "linear_classifier": (
        "LinearClassifier",
        [X],
        2,
        {
            "coefficients": LINEAR,
            "intercepts": [0.1, 0.2, 0.3],
            "classlabels_ints": [4, 5, 9],
            "post_transform": "SOFTMAX",
        },
    ),
    "linear_classifier_two": (
        "LinearClassifier",
        [X],
        2,
        {
            "coefficients": LINEAR[:8],
            "intercepts": [0.1, -0.1],
            "classlabels_ints": [0, 1],
            "post_transform": "LOGISTIC",
        },
    ),
    "svm_regressor_linear": (
        "SVMRegressor",
        [X],
        1,
        {"coefficients": LINEAR[:4], "rho": [0.5], **NO_KERNEL},
    ),
    "svm_regressor_dot": ("SVMRegressor", [X], 1, vectors(5, "LINEAR", 5, [0.1], n_supports=5)),
    "svm_regressor_polynomial": ("SVMRegressor", [X], 1, vectors(5, "POLY", 5, [0.1], n_supports=5)),
    "svm_regressor_sigmoid": ("SVMRegressor", [X], 1, vectors(5, "SIGMOID", 5, [0.1], n_supports=5)),
    "svm_one_class": ("SVMRegressor", [X], 1, vectors(6, "RBF", 6, [0.1], n_supports=6, one_class=1)),
    "svm_classifier": ("SVMClassifier", [X], 2, vectors(6, "RBF", 12, [0.1, 0.2, -0.3], **THREE)),
    "svm_classifier_four": (
        "SVMClassifier",
        [(X * 3).astype(np.int64)],
        2,
        vectors(8, "RBF", 24, [0.1, 0.2, -0.3, 0.0, 0.1, 0.4], **FOUR, post_transform="SOFTMAX"),
    ),
    "svm_classifier_two": ("SVMClassifier", [X], 2, vectors(5, "POLY", 5, [0.3], **TWO)),
    "svm_classifier_two_logistic": (
        "SVMClassifier",
        [X],
        2,
        vectors(5, "RBF", 5, [0.3], **TWO, post_transform="LOGISTIC"),
    ),
    "scaler": ("Scaler", [X], 1, {"offset": [1.0, 2.0, 3.0, 4.0], "scale": [0.5, 2.0, 1.0, 4.0]}),
    "normalizer_max": ("Normalizer", [np.abs(X)], 1, {"norm": "MAX"}),
    "normalizer_l1": ("Normalizer", [X], 1, {"norm": "L1"}),
    "normalizer_l2": ("Normalizer", [X], 1, {"norm": "L2"}),
    "binarizer": ("Binarizer", [X], 1, {"threshold": 0.2}),
    "extractor": ("ArrayFeatureExtractor", [X, np.array([3, 0], np.int64)], 1, {}),
    "imputer": (
        "Imputer",
        [HOLES],
        1,
        {"imputed_value_floats": [1.0, 2.0, 3.0, 4.0], "replaced_value_float": float("nan")},
    ),
    "imputer_int": (
        "Imputer",
        [np.array([[1, 7], [7, 2]], np.int64)],
        1,
        {"imputed_value_int64s": [9], "replaced_value_int64": 7},
    ),
    "vectorizer": ("FeatureVectorizer", [X, X[:, :2].copy()], 1, {"inputdimensions": [4, 2]}),
    "one_hot": ("OneHotEncoder", [np.array([[1], [5], [3]], np.int64)], 1, {"cats_int64s": [1, 2, 3]}),
    "labels": (
        "LabelEncoder",
        [np.array([1, 5, 3], np.int64)],
        1,
        {"keys_int64s": [1, 2, 3], "values_floats": [0.5, 1.5, 2.5], "default_float": -7.0},
    ),
    "labels_nan": (
        "LabelEncoder",
        [np.array([1.0, np.nan, 3.0], np.float32)],
        1,
        {"keys_floats": [1.0, float("nan")], "values_int64s": [4, 5]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_onnxruntime(name: str) -> None:
    check_as_onnxruntime(*CASES[name], domain=MACHINE_LEARNING)


STRING_LABELS = ("classifier", "classifier_two", "linear_classifier", "linear_classifier_two", "svm_classifier")


@pytest.mark.parametrize("name", STRING_LABELS)
def test_labels_that_are_strings_are_looked_up_on_the_host(name: str) -> None:
    op, inputs, outputs, attributes = CASES[name]
    numbers = next(key for key in attributes if key.startswith("classlabels"))
    texts = [f"class {label}" for label in attributes[numbers]]
    named = {key: given for key, given in attributes.items() if key != numbers} | {"classlabels_strings": texts}
    model = model_of(op, inputs, outputs, named, MACHINE_LEARNING)
    feeds = {"x0": X}
    labels, scores = reference(model, feeds)
    with pytest.warns(HostCallWarning, match=r"these nodes run on the host.*only/labels"):
        net = mlc.compile(declared(model, [labels, scores]), threads=1, cache=False)
    found, numeric = net.run(feeds).values()
    assert found.tolist() == labels.tolist()
    np.testing.assert_allclose(numeric, scores, rtol=2e-4, atol=2e-5)


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(1, 17), st.integers(0, 1 << 16))
def test_forests_of_any_size(trees: int, depth: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    attributes: dict[str, Any] = {**weighed("target", 2, trees, depth, seed=seed), "n_targets": 2}
    x = rng.standard_normal((rows, 4)).astype(np.float32)
    expected = np.zeros((rows, 2))
    total = 2 ** (depth + 1) - 1
    for row in range(rows):
        for tree in range(trees):
            at = 0
            while attributes["nodes_modes"][tree * total + at] != "LEAF":
                node = tree * total + at
                left = x[row, attributes["nodes_featureids"][node]] <= np.float32(attributes["nodes_values"][node])
                at = attributes["nodes_truenodeids" if left else "nodes_falsenodeids"][node]
            start = (tree * 2**depth + at - (2**depth - 1)) * 2
            expected[row] += attributes["target_weights"][start : start + 2]
    model = declared(
        model_of("TreeEnsembleRegressor", [x], 1, attributes, MACHINE_LEARNING), [expected.astype(np.float32)]
    )
    np.testing.assert_allclose(mlc.compile(model, threads=1, cache=False)(x), expected, rtol=1e-5, atol=1e-5)
    imported = import_model(load_model(model))
    (result,) = run_function(imported.module, [x], weights=lambda w, _: imported.weights.array(w.key.data))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes_truenodeids": [0] * 75}, "a cycle or more than"),
        ({"nodes_featureids": [9] * 75}, "feature beyond the 4"),
        ({"nodes_falsenodeids": [99] * 75}, "node 99 of tree 0 does not exist"),
        ({"nodes_modes": ["BRANCH_SIDEWAYS"] * 75}, "unknown mode 'BRANCH_SIDEWAYS'"),
        ({"target_ids": [5] * 40}, "target_ids names one beyond the 1"),
        ({"nodes_values": [0.0]}, "nodes_values has 1 entries instead of 75"),
        ({"base_values": [0.0, 1.0]}, "2 base values for 1 targets"),
    ],
)
def test_broken_trees_are_named(change: dict[str, Any], message: str) -> None:
    attributes = {**forest(1), **change}
    model = declared(model_of("TreeEnsembleRegressor", [X], 1, attributes, MACHINE_LEARNING), [X])
    with pytest.raises(mlc.ModelError, match=f"only .*{message}"):
        mlc.compile(model, threads=1, cache=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prob_a": [1.0, 1.0, 1.0], "prob_b": [0.0, 0.0, 0.0]}, "probabilities"),
        ({"vectors_per_class": []}, "without support vectors"),
        ({"rho": [0.0]}, "1 offsets for 3 pairs"),
        ({"coefficients": [0.0]}, "1 coefficients for 6 vectors of 3 classes"),
        ({"support_vectors": [0.0]}, "1 values in 6 support vectors"),
    ],
)
def test_broken_vector_machines_are_named(change: dict[str, Any], message: str) -> None:
    attributes = {**vectors(6, "RBF", 12, [0.1, 0.2, -0.3], **THREE), **change}
    attributes = {name: given for name, given in attributes.items() if given != []}
    model = declared(model_of("SVMClassifier", [X], 2, attributes, MACHINE_LEARNING), [np.zeros(7, np.int64), X])
    with pytest.raises((mlc.ModelError, mlc.UnsupportedError), match=f"only .*{message}"):
        mlc.compile(model, threads=1, cache=False)
