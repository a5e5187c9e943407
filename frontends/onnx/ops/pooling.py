"""Pooling: windows reduced by maximum, mean or p-norm, and their global forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value
from mlc.frontends.onnx.window import Window, explicit_pads, per_dim, window_of


def _window(node: Node, x: Value) -> Window:
    if x.rank < 3:
        raise node.invalid(f"the input must have at least 3 dims, not {x.rank}")
    return window_of(node, x.shape[2:], node.ints("kernel_shape"))


def _pool(b: Builder, x: Value, kind: str, window: Window, *, count_pad: bool = False) -> Value:
    ones, zeros = (1, 1), (0, 0)
    return b.op(
        hlt.ReduceWindowOp,
        x,
        kind=kind,
        window=ones + window.kernel,
        strides=ones + window.strides,
        dilations=ones + window.dilations,
        pads_low=zeros + window.pads_low,
        pads_high=zeros + window.pads_high,
        overhang=zeros + window.overhang,
        count_include_pad=count_pad,
    )


@onnx_op("MaxPool")
def max_pool(b: Builder, node: Node) -> tuple[Value, ...]:
    x = node.input(0)
    window = _window(node, x)
    pooled = _pool(b, x, "max", window)
    if not node.uses_output(1):
        return (pooled,)
    return pooled, _max_indices(b, node, x, pooled, window)


POSITIONS = 1 << 10
"""The most positions in a window whose maxima are located: each takes a few operations."""


def _max_indices(b: Builder, node: Node, x: Value, pooled: Value, window: Window) -> Value:
    """Flat index in ``x`` of the first maximum of each window.

    Every window position is a strided slice of the padded input; the positions are visited last to first, so
    that the first maximum stays. Pads hold the index -1 of no element, which is never taken.
    """
    if math.prod(window.kernel) > POSITIONS:
        raise node.unsupported(f"indices of maxima in windows of more than {POSITIONS} elements")
    low, high = (0, 0, *window.pads_low), (0, 0, *window.full_high)
    places = _flat_index(b, x.shape, column_major=node.bool("storage_order", False))
    index, padded = b.pad(places, low, high, value=-1), b.pad(x, low, high, value=lowest(x.dtype))
    result = b.full(pooled.shape, -1, np.int64)
    for position in reversed(list(np.ndindex(*window.kernel))):
        starts = (0, 0, *(p * d for p, d in zip(position, window.dilations)))
        here, where = (b.slice(v, starts, pooled.shape, (1, 1, *window.strides)) for v in (padded, index))
        hit = b.elementwise(hlt.AndOp, b.compare("eq", here, pooled), b.compare("ge", where, 0))
        result = b.select(hit, where, result)
    return result


def _flat_index(b: Builder, shape: tuple[int, ...], *, column_major: bool) -> Value:
    """The position of each element of [N, C, *S] in memory; ``column_major`` swaps the order of the dims S."""
    order = [*range(2, len(shape))] if column_major else [*reversed(range(2, len(shape)))]
    result, stride = b.full(shape, 0, np.int64), 1
    for axis in (*order, 1, 0):
        result = b.add(result, b.mul(b.iota(shape, axis), stride))
        stride *= shape[axis]
    return result


def lowest(dtype: np.dtype[Any]) -> float:
    """The least value of ``dtype``: the identity of maximum."""
    if dtype == np.bool_:
        return 0.0
    return float(np.iinfo(dtype).min) if np.issubdtype(dtype, np.integer) else -math.inf


@onnx_op("AveragePool")
def average_pool(b: Builder, node: Node) -> Value:
    return mean_pool(b, node, node.input(0))


def mean_pool(b: Builder, node: Node, x: Value) -> Value:
    """The means of the windows that the attributes ask for."""
    return _pool(b, x, "mean", _window(node, x), count_pad=node.bool("count_include_pad", False))


@onnx_op("LpPool")
def lp_pool(b: Builder, node: Node) -> Value:
    x, p = node.input(0), node.int("p", 2)
    window = _window(node, x)
    return _root(b, _pool(b, _powered(b, node, x, p), "sum", window), p)


def _powered(b: Builder, node: Node, x: Value, p: int) -> Value:
    """``|x| ** p``."""
    if p < 1:
        raise node.invalid(f"attribute p is {p}, must be at least 1")
    if p == 2:
        return b.mul(x, x)
    magnitude = b.op(hlt.AbsOp, x)
    return magnitude if p == 1 else b.elementwise(hlt.PowOp, magnitude, p)


def _root(b: Builder, x: Value, p: int) -> Value:
    if p == 1:
        return x
    return b.op(hlt.SqrtOp, x) if p == 2 else b.elementwise(hlt.PowOp, x, 1 / p)


def _spatial_axes(node: Node, x: Value) -> tuple[int, ...]:
    if x.rank < 3:
        raise node.invalid(f"the input must have at least 3 dims, not {x.rank}")
    return tuple(range(2, x.rank))


@onnx_op("GlobalAveragePool")
def global_average_pool(b: Builder, node: Node) -> Value:
    return global_mean_pool(b, node, node.input(0))


def global_mean_pool(b: Builder, node: Node, x: Value) -> Value:
    """The means over all spatial dims, with these kept as ones."""
    return b.reduce("mean", x, _spatial_axes(node, x), keep_dims=True)


@onnx_op("GlobalMaxPool")
def global_max_pool(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.reduce("max", x, _spatial_axes(node, x), keep_dims=True)


@onnx_op("GlobalLpPool")
def global_lp_pool(b: Builder, node: Node) -> Value:
    x, p = node.input(0), node.int("p", 2)
    total = b.reduce("sum", _powered(b, node, x, p), _spatial_axes(node, x), keep_dims=True)
    return _root(b, total, p)


@onnx_op("MaxUnpool")
def max_unpool(b: Builder, node: Node) -> Value:
    """Zeros, but for the elements of ``x`` at the flat places of the pool's input that ``indices`` names."""
    x, indices = node.input(0), b.cast(node.input(1), np.int64)
    kernel: tuple[int, ...] = node.ints("kernel_shape")
    dims = x.rank - 2
    if dims != len(kernel) or dims < 1 or indices.shape != x.shape:
        raise node.invalid(f"indices {list(indices.shape)} and kernel {list(kernel)} do not fit {list(x.shape)}")
    (low, high), strides = explicit_pads(node, dims), per_dim(node, "strides", dims, 1, 1)
    windows = zip(x.shape[2:], strides, low, high, kernel)
    pooled = (*x.shape[:2], *((n - 1) * stride - before - after + k for n, stride, before, after, k in windows))
    asked = node.optional_ints(2, "the output's shape") or pooled
    if len(asked) != x.rank or any(n < m for n, m in zip(asked, pooled)):
        raise node.invalid(f"{list(pooled)} does not fit into the output shape {list(asked)}")
    nothing = b.full((math.prod(pooled),), 0, x.dtype)
    flat = (b.reshape(v, (x.size,)) for v in (indices, x))
    spread = b.op(hlt.ScatterElementsOp, nothing, *flat, axis=0, reduction="none")
    return b.pad(b.reshape(spread, pooled), (0,) * x.rank, tuple(n - m for n, m in zip(asked, pooled)))
