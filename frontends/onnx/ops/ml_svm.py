"""ai.onnx.ml's support vector machines, as libsvm (Chang and Lin, 2011) defines them and onnxruntime runs them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.ml_linear import POST_TRANSFORMS, class_labels, post_transform
from mlc.frontends.onnx.registry import MACHINE_LEARNING, onnx_op
from mlc.frontends.onnx.value import Array, Value

KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")


@onnx_op("SVMRegressor", domain=MACHINE_LEARNING)
def svm_regressor(b: Builder, node: Node) -> Value:
    """[rows, 1]: the weighted kernels of the support vectors, or a linear function where there are none."""
    if node.string("post_transform", "NONE", choices=POST_TRANSFORMS) != "NONE":
        raise node.unsupported("post_transform of a regressor")
    x, count, offsets = _rows(b, node), node.int("n_supports", 0), _floats(node, "rho")
    coefficients = _floats(node, "coefficients")
    features = _kernels(b, node, x, count) if count else x
    if coefficients.size != features.shape[1] or not offsets.size:
        raise node.invalid(f"{coefficients.size} coefficients and {offsets.size} offsets for {features.shape[1]} terms")
    result = b.add(b.matmul(features, b.constant(coefficients.reshape(-1, 1))), float(offsets[0]))
    if not node.bool("one_class", False):
        return result
    return b.select(b.compare("gt", result, 0), b.full(result.shape, 1, np.float32), -1)


@onnx_op("SVMClassifier", domain=MACHINE_LEARNING)
def svm_classifier(b: Builder, node: Node) -> tuple[Value, Value]:
    """Labels [rows], and the decision of each pair of classes; of two classes that of each class."""
    labels: tuple[int, ...] = node.ints("classlabels_ints", ())
    if not labels:
        raise node.unsupported("class labels that are strings")
    if node.floats("prob_a", ()):
        raise node.unsupported("probabilities (prob_a, prob_b)")
    sizes: tuple[int, ...] = node.ints("vectors_per_class", ())
    if not sum(sizes):
        raise node.unsupported("a classifier without support vectors")
    if min(sizes) < 0 or len(sizes) != len(labels) or len(labels) < 2:
        raise node.invalid(f"attribute vectors_per_class is {list(sizes)} for {len(labels)} labels")
    pairs = list(combinations(range(len(labels)), 2))
    kernels = _kernels(b, node, _rows(b, node), sum(sizes))
    offsets = _floats(node, "rho")
    if offsets.size != len(pairs):
        raise node.invalid(f"{offsets.size} offsets for {len(pairs)} pairs of classes")
    decisions = b.add(b.matmul(kernels, b.constant(_pair_weights(node, sizes, pairs))), b.constant(offsets))
    return class_labels(b, _votes(b, decisions, pairs), labels), _transformed(b, node, decisions)


def _transformed(b: Builder, node: Node, decisions: Value) -> Value:
    transform = node.string("post_transform", "NONE", choices=POST_TRANSFORMS)
    if decisions.shape[1] > 1:
        return post_transform(b, decisions, transform)
    if transform not in ("NONE", "LOGISTIC"):
        raise node.unsupported(f"post_transform {transform} of two classes")
    return post_transform(b, b.concat([b.sub(0, decisions), decisions], 1), transform)


def _votes(b: Builder, decisions: Value, pairs: Sequence[tuple[int, int]]) -> Value:
    """[rows, classes]: how many pairs each class wins, the first of a pair by a decision above 0."""
    won = np.zeros((len(pairs), 1 + pairs[-1][1]), np.float32)
    lost = np.zeros_like(won)
    for index, (first, second) in enumerate(pairs):
        won[index, first] = lost[index, second] = 1
    flags = b.cast(b.compare("gt", decisions, 0), np.float32)
    return b.add(b.matmul(flags, b.constant(won - lost)), b.constant(lost.sum(0)))


def _pair_weights(node: Node, sizes: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Array:
    """[vectors, pairs]: what each vector counts in each pair; libsvm keeps a row for each opponent of a class."""
    total, opponents = sum(sizes), len(sizes) - 1
    given = _floats(node, "coefficients")
    if given.size != opponents * total:
        raise node.invalid(f"{given.size} coefficients for {total} vectors of {opponents + 1} classes")
    rows = given.reshape(opponents, total)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.zeros((total, len(pairs)), np.float32)
    for index, (first, second) in enumerate(pairs):
        weights[owner == first, index] = rows[second - 1, owner == first]
        weights[owner == second, index] = rows[first, owner == second]
    return weights


def _rows(b: Builder, node: Node) -> Value:
    x = node.input(0)
    if x.rank not in (1, 2):
        raise node.invalid(f"the input must be [rows, features], not {list(x.shape)}")
    return b.cast(x if x.rank == 2 else b.expand_dims(x, (0,)), np.float32)


def _kernels(b: Builder, node: Node, x: Value, count: int) -> Value:
    """[rows, vectors]: the kernel of each row and each support vector."""
    given = _floats(node, "support_vectors")
    if count < 1 or given.size != count * x.shape[1]:
        raise node.invalid(f"{given.size} values in {count} support vectors for the input {list(x.shape)}")
    vectors = given.reshape(count, x.shape[1])
    parameters = node.floats("kernel_params", (0.0, 0.0, 0.0))
    if len(parameters) != 3:
        raise node.invalid(f"attribute kernel_params has {len(parameters)} values instead of 3")
    gamma, offset, degree = parameters
    kind = node.string("kernel_type", "LINEAR", choices=KERNELS)
    if kind == "RBF":
        apart = b.sub(b.expand_dims(x, (1,)), b.constant(vectors[None]))
        return b.op(hlt.ExpOp, b.mul(b.reduce("sum", b.mul(apart, apart), (2,)), -gamma))
    product = b.matmul(x, b.constant(np.ascontiguousarray(vectors.T)))
    if kind == "LINEAR":
        return product
    moved = b.add(b.mul(product, gamma), offset)
    return b.op(hlt.TanhOp, moved) if kind == "SIGMOID" else b.elementwise(hlt.PowOp, moved, degree)


def _floats(node: Node, name: str) -> Array:
    return np.array(node.floats(name, ()), np.float32)
