"""Reference meaning of the normalisations."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.registry import Array, reference


@reference(hlt.LayerNormOp)
def layer_norm(op: hlt.LayerNormOp, x: Array, *, scale: Array | None = None, bias: Array | None = None) -> Array:
    """Two passes: the mean, then the variance around it."""
    result = _standardized(x, tuple(range(op.axis, x.ndim)), op.epsilon)
    result = result if scale is None else result * scale
    return result if bias is None else result + bias


@reference(hlt.RmsNormOp)
def rms_norm(op: hlt.RmsNormOp, x: Array, *, scale: Array | None = None) -> Array:
    """Divided by the root of the mean square."""
    axes = tuple(range(op.axis, x.ndim))
    result = x / np.sqrt(_mean(x * x, axes) + op.epsilon)
    return result if scale is None else result * scale


@reference(hlt.BatchNormOp)
def batch_norm(op: hlt.BatchNormOp, x: Array, scale: Array, bias: Array, mean: Array, variance: Array) -> Array:
    """With the given statistics."""
    factor = scale / np.sqrt(variance + op.epsilon)
    return (x - _per_channel(mean, x)) * _per_channel(factor, x) + _per_channel(bias, x)


@reference(hlt.GroupNormOp)
def group_norm(op: hlt.GroupNormOp, x: Array, scale: Array, bias: Array) -> Array:
    """Each group of channels by its own statistics."""
    groups = x.reshape(x.shape[0], op.groups, x.shape[1] // op.groups, *x.shape[2:])
    result = _standardized(groups, tuple(range(2, groups.ndim)), op.epsilon).reshape(x.shape)
    return result * _per_channel(scale, x) + _per_channel(bias, x)


@reference(hlt.LrnOp)
def lrn(op: hlt.LrnOp, x: Array) -> Array:
    """Sums of squares over a sliding window of channels."""
    channels = x.shape[1]
    before, after = (op.size - 1) // 2, op.size // 2
    squares = np.pad(x * x, [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
    total = sum(squares[:, start : start + channels] for start in range(op.size))
    return x / (op.bias + op.alpha / op.size * total) ** op.beta


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    count = np.prod([x.shape[axis] for axis in axes])
    return x.sum(axis=axes, keepdims=True) / count


def _standardized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    centred = x - _mean(x, axes)
    return centred / np.sqrt(_mean(centred * centred, axes) + epsilon)


def _per_channel(parameter: Array, x: Array) -> Array:
    """``[C]`` against ``[N, C, *]``."""
    return parameter.reshape(-1, *(1,) * (x.ndim - 2))
