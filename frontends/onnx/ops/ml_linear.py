"""ai.onnx.ml's linear models, and what classifiers share: labels and transforms of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import MACHINE_LEARNING, onnx_op
from mlc.frontends.onnx.value import Value, is_float

POST_TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
"""The position is the number in ONNX's TreeEnsemble."""


def as_float(b: Builder, x: Value) -> Value:
    """``x``, integers as f32."""
    return x if is_float(x) else b.cast(x, np.float32)


def post_transform(b: Builder, x: Value, name: str) -> Value:
    """What becomes of scores [rows, classes]."""
    match name:
        case "SOFTMAX":
            return b.op(hlt.SoftmaxOp, x, axis=1, log=False)
        case "LOGISTIC":
            return b.op(hlt.SigmoidOp, x)
        case "SOFTMAX_ZERO":
            return _softmax_zero(b, x)
        case "PROBIT":
            return _probit(b, x)
        case _:
            return x


def _softmax_zero(b: Builder, x: Value) -> Value:
    """The softmax in which scores of 0 stay (almost) 0: they are multiplied by the factor that scales the others."""
    top = b.reduce("max", x, (1,), keep_dims=True)
    alive = b.compare("gt", b.op(hlt.AbsOp, x), 1e-7)
    factor = b.op(hlt.ExpOp, b.sub(0, top))
    parts = b.select(alive, b.op(hlt.ExpOp, b.sub(x, top)), b.mul(x, factor))
    total = b.reduce("sum", parts, (1,), keep_dims=True)
    return b.select(b.compare("eq", total, 0), 0.5, b.div(parts, b.select(b.compare("eq", total, 0), 1, total)))


def _probit(b: Builder, x: Value) -> Value:
    """``sqrt(2) * erfinv(2 x - 1)`` by Winitzki's approximation with a = 0.147, as onnxruntime computes it."""
    y = b.sub(b.mul(x, 2), 1)
    log = b.op(hlt.LogOp, b.mul(b.sub(1, y), b.add(y, 1)))
    head = b.add(b.mul(log, 0.5), 2 / (math.pi * 0.147))
    root = b.op(hlt.SqrtOp, b.sub(b.mul(head, head), b.mul(log, 1 / 0.147)))
    magnitude = b.op(hlt.SqrtOp, b.sub(root, head))
    return b.mul(b.mul(b.op(hlt.SignOp, y), magnitude), 1.41421356)


def class_labels(b: Builder, scores: Value, labels: Sequence[int]) -> Value:
    """The label of the largest score of each row: [rows], i64."""
    winner = b.op(hlt.ArgReduceOp, scores, kind="max", axis=1, keep_dims=False, last_index=False)
    if tuple(labels) == tuple(range(len(labels))):
        return winner
    return b.op(hlt.GatherOp, b.constant(np.array(labels, np.int64)), winner, axis=0)


def _linear(b: Builder, node: Node, x: Value, rows: int) -> Value:
    """``x`` [N, C] times the coefficients, ``rows`` of them, plus the intercepts."""
    coefficients, intercepts = (np.array(node.floats(n, ()), np.float32) for n in ("coefficients", "intercepts"))
    if x.rank != 2 or rows < 1 or coefficients.size != rows * x.shape[1]:
        raise node.invalid(f"{coefficients.size} coefficients for {rows} rows and the input {list(x.shape)}")
    weight = b.constant(coefficients.reshape(rows, x.shape[1]))
    product = b.dot_general(b.cast(x, np.float32), weight, contract=((1,), (1,)))
    if not intercepts.size:
        return product
    if intercepts.size not in (1, rows):
        raise node.invalid(f"{intercepts.size} intercepts for {rows} rows")
    return b.add(product, b.constant(intercepts))


@onnx_op("LinearRegressor", domain=MACHINE_LEARNING)
def linear_regressor(b: Builder, node: Node) -> Value:
    result = _linear(b, node, node.input(0), node.int("targets", 1))
    return post_transform(b, result, node.string("post_transform", "NONE", choices=POST_TRANSFORMS))


@onnx_op("LinearClassifier", domain=MACHINE_LEARNING)
def linear_classifier(b: Builder, node: Node) -> tuple[Value, Value]:
    """Labels [rows] and scores [rows, classes]; one row of coefficients may stand for two classes."""
    x, labels = node.input(0), node.ints("classlabels_ints", ())
    if not labels:
        raise node.unsupported("class labels that are strings")
    if x.rank == 1:
        x = b.expand_dims(x, (0,))
    count = len(node.floats("coefficients"))
    if x.rank != 2 or not x.shape[1] or count % x.shape[1]:
        raise node.invalid(f"{count} coefficients for the input {list(x.shape)}")
    result = _linear(b, node, x, count // x.shape[1])
    transform = node.string("post_transform", "NONE", choices=POST_TRANSFORMS)
    if result.shape[1] == 1 and len(labels) == 2:
        second = b.reshape(b.compare("gt", result, 0), (x.shape[0],))
        chosen = b.select(second, b.full((x.shape[0],), labels[1], np.int64), labels[0])
        return chosen, post_transform(b, b.concat([b.sub(0, result), result], 1), transform)
    if result.shape[1] != len(labels):
        raise node.unsupported(f"{result.shape[1]} scores for {len(labels)} labels")
    return class_labels(b, result, labels), post_transform(b, result, transform)
