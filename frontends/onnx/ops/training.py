"""Optimisers of ONNX's preview training domain: one step for any number of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value

TRAINING = "ai.onnx.preview.training"


def _steps(node: Node, per_tensor: int, step: Callable[..., Sequence[Value]]) -> list[Value]:
    """``step`` on each tensor's inputs; inputs and outputs come sorted by kind, not by tensor."""
    tensors = node.variadic()[2:]
    count, rest = divmod(len(tensors), per_tensor)
    if rest or not count:
        raise node.invalid(f"{len(tensors)} tensors; each optimised one has {per_tensor}")
    results = [step(*tensors[i::count]) for i in range(count)]
    return [kind for kinds in zip(*results) for kind in kinds]


def _regular(b: Builder, node: Node, x: Value, gradient: Value) -> Value:
    """The gradient with that of the penalty on large numbers."""
    factor = node.float("norm_coefficient", 0.0)
    return gradient if factor == 0 else b.add(b.mul(x, factor), gradient)


def _scalar(b: Builder, x: Value, dtype: np.dtype[np.generic]) -> Value:
    return b.cast(b.reshape(x, ()), dtype)


@onnx_op("Adagrad", domain=TRAINING)
def adagrad(b: Builder, node: Node) -> list[Value]:
    """Steps shrink with the sum of the squares of all gradients so far."""
    decay, epsilon = node.float("decay_factor", 0.0), node.float("epsilon", 0.0)

    def step(x: Value, gradient: Value, squares: Value) -> Sequence[Value]:
        count = _scalar(b, node.input(1), x.dtype)
        rate = b.div(_scalar(b, node.input(0), x.dtype), b.add(b.mul(count, decay), 1.0))
        slope = _regular(b, node, x, gradient)
        total = b.add(squares, b.mul(slope, slope))
        size = b.add(b.op(hlt.SqrtOp, total), epsilon)
        return b.sub(x, b.div(b.mul(slope, rate), size)), total

    return _steps(node, 3, step)


@onnx_op("Adam", domain=TRAINING)
def adam(b: Builder, node: Node) -> list[Value]:
    """Running means of the gradient and of its square, corrected for their start from 0."""
    alpha, beta = node.float("alpha", 0.9), node.float("beta", 0.999)
    epsilon, shrink = node.float("epsilon", 0.0), 1 - node.float("norm_coefficient_post", 0.0)

    def corrected(rate: Value, count: Value) -> Value:
        def missing(factor: float) -> Value:
            return b.sub(1.0, b.elementwise(hlt.PowOp, b.full_like(count, factor), count))

        whole = b.div(b.mul(rate, b.op(hlt.SqrtOp, missing(beta))), missing(alpha))
        return b.select(b.compare("gt", count, 0.0), whole, rate)

    def step(x: Value, gradient: Value, mean: Value, square: Value) -> Sequence[Value]:
        rate = corrected(_scalar(b, node.input(0), x.dtype), _scalar(b, node.input(1), x.dtype))
        slope = _regular(b, node, x, gradient)
        mean = b.add(b.mul(mean, alpha), b.mul(slope, 1 - alpha))
        square = b.add(b.mul(square, beta), b.mul(b.mul(slope, slope), 1 - beta))
        size = b.add(b.op(hlt.SqrtOp, square), epsilon)
        moved = b.sub(x, b.div(b.mul(mean, rate), size))
        return b.mul(moved, shrink), mean, square

    return _steps(node, 4, step)


@onnx_op("Momentum", domain=TRAINING)
def momentum(b: Builder, node: Node) -> list[Value]:
    """Steps along a running sum of gradients, or with Nesterov's look ahead."""
    alpha, beta = node.float("alpha"), node.float("beta")
    ahead = node.string("mode", choices=("standard", "nesterov")) == "nesterov"

    def step(x: Value, gradient: Value, velocity: Value) -> Sequence[Value]:
        count, rate = (_scalar(b, node.input(i), x.dtype) for i in (1, 0))
        slope = _regular(b, node, x, gradient)
        share = b.select(b.compare("gt", count, 0.0), b.full_like(count, beta), 1.0)
        velocity = b.add(b.mul(velocity, alpha), b.mul(slope, share))
        way = b.add(slope, b.mul(velocity, alpha)) if ahead else velocity
        return b.sub(x, b.mul(way, rate)), velocity

    return _steps(node, 3, step)
