"""Normalisation: batch, instance, group, layer, RMS, local response, Lp, mean-variance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Value


@onnx_op("BatchNormalization")
def batch_normalization(b: Builder, node: Node) -> Sequence[Value]:
    """The statistics may be of another float type than ``x`` and are cast to it; in training they are its own."""
    x, epsilon = node.input(0), node.float("epsilon", 1e-5)
    scale, bias = (b.cast(node.input(i), x.dtype) for i in (1, 2))
    given = [node.input(3), node.input(4)]
    if not node.bool("training_mode", False):
        return (b.op(hlt.BatchNormOp, x, scale, bias, *(b.cast(v, x.dtype) for v in given), epsilon=epsilon),)
    if x.rank < 2:
        raise node.invalid(f"the input must have at least 2 dims, not {x.rank}")
    mean, variance = _channel_statistics(b, x)
    kept = node.float("momentum", 0.9)
    result = b.op(hlt.BatchNormOp, x, scale, bias, *(b.cast(v, x.dtype) for v in (mean, variance)), epsilon=epsilon)
    running = [
        b.add(b.mul(old, kept), b.cast(b.mul(new, 1 - kept), old.dtype)) for old, new in zip(given, (mean, variance))
    ]
    return (result, *running)


def _channel_statistics(b: Builder, x: Value) -> tuple[Value, Value]:
    """Mean and variance of each channel of ``[N, C, *]``, in f32 at least."""
    wide = b.cast(x, np.float64 if x.dtype == np.float64 else np.float32)
    axes = (0, *range(2, x.rank))
    mean = b.reduce("mean", wide, axes)
    rest = b.sub(wide, b.broadcast_to(mean, x.shape, (1,)))
    return mean, b.reduce("mean", b.mul(rest, rest), axes)


@onnx_op("InstanceNormalization")
def instance_normalization(b: Builder, node: Node) -> Value:
    x, scale, bias = node.input(0), node.input(1), node.input(2)
    if x.rank < 3:
        raise node.invalid(f"the input must have at least 3 dims, not {x.rank}")
    return b.op(hlt.GroupNormOp, x, scale, bias, groups=x.shape[1], epsilon=node.float("epsilon", 1e-5))


@onnx_op("GroupNormalization")
def group_normalization(b: Builder, node: Node) -> Value:
    """Scale and bias are per channel, or (before opset 21) per group."""
    x, groups = node.input(0), node.int("num_groups")
    if x.rank < 3 or groups < 1 or x.shape[1] % groups:
        raise node.invalid(f"{groups} groups do not divide the channels of {list(x.shape)}")
    scale, bias = (_per_channel(b, node.input(i), x.shape[1]) for i in (1, 2))
    epsilon = node.float("epsilon", 1e-5)

    def normalise(x: Value) -> Value:
        parameters = (b.cast(scale, x.dtype), b.cast(bias, x.dtype))
        return b.op(hlt.GroupNormOp, x, *parameters, groups=groups, epsilon=epsilon)

    return _stashed(b, node, x, normalise)


def _per_channel(b: Builder, parameter: Value, channels: int) -> Value:
    """A per-group ``parameter`` repeated for each channel of its group."""
    if parameter.rank != 1 or parameter.shape[0] in (0, channels) or channels % parameter.shape[0]:
        return parameter
    groups = parameter.shape[0]
    return b.reshape(b.broadcast_to(parameter, (groups, channels // groups), (0,)), (channels,))


def _stashed(b: Builder, node: Node, x: Value, compute: Callable[[Value], Value]) -> Value:
    """``compute`` on ``x`` in the precision that attribute stash_type asks for (1: at least f32)."""
    if node.int("stash_type", 1) == 1 and x.dtype.itemsize < 4:
        return b.cast(compute(b.cast(x, np.float32)), x.dtype)
    return compute(x)


@onnx_op("LayerNormalization")
def layer_normalization(b: Builder, node: Node) -> tuple[Value | None, ...]:
    x, scale, bias = node.input(0), node.optional(1), node.optional(2)
    axis = node.axis(node.int("axis", -1), x.rank)
    epsilon = node.float("epsilon", 1e-5)

    def normalise(x: Value) -> Value:
        parameters = [_at_trailing(b, parameter, x, axis) for parameter in (scale, bias)]
        return b.op(hlt.LayerNormOp, x, *parameters, axis=axis, epsilon=epsilon)

    result = _stashed(b, node, x, normalise)
    if not (node.uses_output(1) or node.uses_output(2)):
        return (result,)
    return (result, *layer_statistics(b, x, axis, epsilon))


def layer_statistics(b: Builder, x: Value, axis: int, epsilon: float) -> tuple[Value, Value]:
    """Mean and inverse standard deviation over axes ``axis``.. with these kept as ones, at least in f32."""
    x = b.cast(x, np.float32) if x.dtype.itemsize < 4 else x
    axes = tuple(range(axis, x.rank))
    mean = b.reduce("mean", x, axes, keep_dims=True)
    centred = b.sub(x, mean)
    variance = b.reduce("mean", b.mul(centred, centred), axes, keep_dims=True)
    return mean, b.op(hlt.RsqrtOp, b.add(variance, epsilon))


def _at_trailing(b: Builder, parameter: Value | None, x: Value, axis: int) -> Value | None:
    """``parameter`` in x's type, broadcast to the dims ``axis``.. of ``x``."""
    if parameter is None:
        return None
    shape = x.shape[axis:]
    if parameter.rank > len(shape):
        parameter = b.reshape(parameter, parameter.shape[parameter.rank - len(shape) :])
    return b.broadcast_to(b.cast(parameter, x.dtype), shape)


@onnx_op("RMSNormalization")
def rms_normalization(b: Builder, node: Node) -> Value:
    x, scale = node.input(0), node.input(1)
    axis = node.axis(node.int("axis", -1), x.rank)
    epsilon = node.float("epsilon", 1e-5)
    return _stashed(
        b,
        node,
        x,
        lambda x: b.op(hlt.RmsNormOp, x, _at_trailing(b, scale, x, axis), axis=axis, epsilon=epsilon),
    )


@onnx_op("SimplifiedLayerNormalization")
def simplified_layer_normalization(b: Builder, node: Node) -> Value:
    """onnxruntime's earlier name for RMS normalisation; it lives in ONNX's own domain."""
    return rms_normalization(b, node)


@onnx_op("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(b: Builder, node: Node) -> tuple[Value | None, ...]:
    """Normalises ``x + skip (+ bias)`` over the last dim; the fourth output is that sum."""
    total = b.add(node.input(0), node.input(1))
    simplified = node.proto.op_type == "SkipSimplifiedLayerNormalization"
    gamma, beta = node.input(2), None if simplified else node.optional(3)
    bias = node.optional(3 if simplified else 4)
    if bias is not None:
        total = b.add(total, bias)
    axis, epsilon = total.rank - 1, node.float("epsilon", 1e-12)
    if simplified:
        result = b.op(hlt.RmsNormOp, total, gamma, axis=axis, epsilon=epsilon)
    else:
        result = b.op(hlt.LayerNormOp, total, gamma, beta, axis=axis, epsilon=epsilon)
    return result, None, None, total


@onnx_op("LRN")
def lrn(b: Builder, node: Node) -> Value:
    return b.op(
        hlt.LrnOp,
        node.input(0),
        size=node.int("size"),
        alpha=node.float("alpha", 1e-4),
        beta=node.float("beta", 0.75),
        bias=node.float("bias", 1.0),
    )


@onnx_op("LpNormalization")
def lp_normalization(b: Builder, node: Node) -> Value:
    """``x`` divided by its L1 or L2 norm along ``axis``; zero where the norm is zero."""
    x, p = node.input(0), node.int("p", 2)
    axis = node.axis(node.int("axis", -1), x.rank)
    if p not in (1, 2):
        raise node.invalid(f"attribute p is {p}, not 1 or 2")
    magnitude = b.op(hlt.AbsOp, x) if p == 1 else b.mul(x, x)
    norm = b.reduce("sum", magnitude, (axis,), keep_dims=True)
    norm = norm if p == 1 else b.op(hlt.SqrtOp, norm)
    return b.div(x, b.select(b.compare("eq", norm, 0), 1, norm))


@onnx_op("MeanVarianceNormalization")
def mean_variance_normalization(b: Builder, node: Node) -> Value:
    x = node.input(0)
    axes = tuple(sorted(node.axes(node.ints("axes", (0, 2, 3)), x.rank)))
    centred = b.sub(x, b.reduce("mean", x, axes, keep_dims=True))
    variance = b.reduce("mean", b.mul(centred, centred), axes, keep_dims=True)
    return b.div(centred, b.add(b.op(hlt.SqrtOp, variance), 1e-9))
