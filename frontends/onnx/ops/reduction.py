"""Reductions, cumulative operators and selection of the largest."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.shape import axes_argument
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value

KINDS = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceProd": "prod",
    "ReduceMax": "max",
    "ReduceMin": "min",
}


def _axes(node: Node, x: Value) -> tuple[int, ...]:
    """The reduced axes: all when none are given, unless ``noop_with_empty_axes``."""
    given = axes_argument(node)
    if given:
        return tuple(sorted(node.axes(given, x.rank)))
    return () if node.bool("noop_with_empty_axes", False) else tuple(range(x.rank))


def _reduce(b: Builder, node: Node, kind: str, x: Value) -> Value:
    return b.reduce(kind, x, _axes(node, x), keep_dims=node.bool("keepdims", True))


@onnx_op(*KINDS)
def reduce(b: Builder, node: Node) -> Value:
    kind, x = KINDS[node.proto.op_type], node.input(0)
    if x.dtype == np.bool_:
        kind = {"max": "any", "min": "all"}.get(kind, kind)
    return _reduce(b, node, kind, x)


@onnx_op("ReduceL1")
def reduce_l1(b: Builder, node: Node) -> Value:
    return _reduce(b, node, "sum", b.op(hlt.AbsOp, node.input(0)))


@onnx_op("ReduceSumSquare")
def reduce_sum_square(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return _reduce(b, node, "sum", b.mul(x, x))


@onnx_op("ReduceL2")
def reduce_l2(b: Builder, node: Node) -> Value:
    """Integers take the square root in f32, as sums of squares have no other."""
    total = reduce_sum_square(b, node)
    return b.in_float(total, lambda x: b.op(hlt.SqrtOp, x))


@onnx_op("ReduceLogSum")
def reduce_log_sum(b: Builder, node: Node) -> Value:
    return b.in_float(_reduce(b, node, "sum", node.input(0)), lambda x: b.op(hlt.LogOp, x))


@onnx_op("ReduceLogSumExp")
def reduce_log_sum_exp(b: Builder, node: Node) -> Value:
    """``m + log(sum(exp(x - m)))`` with the maximum m against overflow; m is 0 where that is infinite."""
    return b.in_float(node.input(0), lambda x: _log_sum_exp(b, node, x))


def _log_sum_exp(b: Builder, node: Node, x: Value) -> Value:
    axes = _axes(node, x)
    top = b.reduce("max", x, axes, keep_dims=True)
    top = b.select(b.op(hlt.IsInfOp, top, positive=True, negative=True), 0, top)
    total = b.reduce("sum", b.op(hlt.ExpOp, b.sub(x, top)), axes, keep_dims=True)
    result = b.add(b.op(hlt.LogOp, total), top)
    return result if node.bool("keepdims", True) else b.squeeze(result, axes)


@onnx_op("ArgMax", "ArgMin")
def arg_reduce(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.op(
        hlt.ArgReduceOp,
        x,
        kind="max" if node.proto.op_type == "ArgMax" else "min",
        axis=node.axis(node.int("axis", 0), x.rank),
        keep_dims=node.bool("keepdims", True),
        last_index=node.bool("select_last_index", False),
    )


@onnx_op("CumSum", "CumProd")
def cumulative(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.op(
        hlt.ScanOp,
        x,
        kind="sum" if node.proto.op_type == "CumSum" else "prod",
        axis=node.axis(int(node.known_scalar(1, "the axis")), x.rank),
        exclusive=node.bool("exclusive", False),
        reverse=node.bool("reverse", False),
    )


@onnx_op("TopK")
def top_k(b: Builder, node: Node) -> tuple[Value, ...]:
    x, k = node.input(0), int(node.known_scalar(1, "K"))
    axis = node.axis(node.int("axis", -1), x.rank)
    if not 0 <= k <= x.shape[axis]:
        raise node.invalid(f"K = {k} is not within the axis of extent {x.shape[axis]}")
    largest, ordered = node.bool("largest", True), node.bool("sorted", True)
    return b.ops(hlt.TopKOp, x, k=k, axis=axis, largest=largest, sorted=ordered)
