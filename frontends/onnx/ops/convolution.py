"""Convolutions of any number of spatial dims."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value
from mlc.frontends.onnx.window import explicit_pads, per_dim, window_of


def add_channel_bias(b: Builder, x: Value, bias: Value | None) -> Value:
    """``x``: [N, C, *] plus ``bias``: [C]."""
    if bias is None:
        return x
    return b.add(x, b.broadcast_to(bias, x.shape, (1,)))


def convolve(b: Builder, node: Node, x: Value, w: Value) -> Value:
    """The convolution of ``x``: [N, Ci, *S] by ``w``: [Co, Ci/groups, *K] that the attributes ask for."""
    kernel = _kernel(node, x, w)
    window = window_of(node, x.shape[2:], kernel)
    return b.op(
        hlt.ConvOp,
        x,
        w,
        strides=window.strides,
        pads_low=window.pads_low,
        pads_high=window.pads_high,
        dilations=window.dilations,
        groups=node.int("group", 1),
    )


def _kernel(node: Node, x: Value, w: Value) -> tuple[int, ...]:
    if x.rank < 3 or x.rank != w.rank:
        raise node.invalid(f"input {list(x.shape)} and weight {list(w.shape)} must have the same 3 or more dims")
    kernel: tuple[int, ...] = node.ints("kernel_shape", w.shape[2:])
    if kernel != w.shape[2:]:
        raise node.invalid(f"attribute kernel_shape {list(kernel)} differs from the weight's {list(w.shape[2:])}")
    return kernel


@onnx_op("Conv")
def conv(b: Builder, node: Node) -> Value:
    return add_channel_bias(b, convolve(b, node, node.input(0), node.input(1)), node.optional(2))


@onnx_op("ConvTranspose")
def conv_transpose(b: Builder, node: Node) -> Value:
    x, w = node.input(0), node.input(1)
    kernel = _kernel(node, x, w)
    dims = len(kernel)
    strides, dilations = per_dim(node, "strides", dims, 1, 1), per_dim(node, "dilations", dims, 1, 1)
    extra = per_dim(node, "output_padding", dims, 0, 0)
    full = [
        stride * (extent - 1) + (k - 1) * dilation + 1
        for extent, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations)
    ]
    low, high, extra = _transposed_pads(node, x.shape[2:], full, strides, extra)
    result = b.op(
        hlt.ConvTransposeOp,
        x,
        w,
        strides=strides,
        pads_low=low,
        pads_high=high,
        dilations=dilations,
        groups=node.int("group", 1),
        output_padding=extra,
    )
    return add_channel_bias(b, result, node.optional(2))


@onnx_op("Col2Im")
def col_to_im(b: Builder, node: Node) -> Value:
    """Sums overlapping blocks ``[N, C * cells, count]``: a transposed convolution by the unit matrix."""
    x = node.input(0)
    image, block = (node.known_ints(i, what) for i, what in ((1, "the image's shape"), (2, "the block's shape")))
    dims, cells = len(image), math.prod(block)
    strides, dilations = per_dim(node, "strides", dims, 1, 1), per_dim(node, "dilations", dims, 1, 1)
    low, high = explicit_pads(node, dims)
    reach = [(k - 1) * dilation + 1 for k, dilation in zip(block, dilations)]
    space = [n + before + after - r for n, before, after, r in zip(image, low, high, reach)]
    if len(block) != dims or x.rank != 3 or not cells or x.shape[1] % cells or min(space, default=0) < 0:
        raise node.invalid(f"blocks {list(block)} of an image {list(image)} from {list(x.shape)}")
    counts = [s // stride + 1 for s, stride in zip(space, strides)]
    if math.prod(counts) != x.shape[2]:
        raise node.invalid(f"{x.shape[2]} blocks {list(block)} for {list(counts)} places in an image {list(image)}")
    node.bounded(cells * cells, "the block")
    batch, channels = x.shape[0], x.shape[1] // cells
    unit = b.constant(np.eye(cells, dtype=x.dtype).reshape(cells, 1, *block))
    whole = b.op(
        hlt.ConvTransposeOp,
        b.reshape(x, (batch * channels, cells, *counts)),
        unit,
        strides=strides,
        pads_low=low,
        pads_high=high,
        dilations=dilations,
        groups=1,
        output_padding=tuple(s % stride for s, stride in zip(space, strides)),
    )
    return b.reshape(whole, (batch, channels, *image))


def _transposed_pads(
    node: Node, spatial: Sequence[int], full: Sequence[int], strides: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Pads before, after, and output padding, from one of pads, output_shape and auto_pad.

    ``full`` is the output's extents without any of these. When the output asked for is larger than that,
    the difference is output padding.
    """
    dims = len(spatial)
    auto_pad = node.string("auto_pad", "NOTSET", choices=("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    target: tuple[int, ...] | None = node.ints("output_shape", None)
    if target is None and auto_pad.startswith("SAME"):
        target = tuple(extent * stride for extent, stride in zip(spatial, strides))
    if target is None:
        low, high = ((0,) * dims, (0,) * dims) if auto_pad == "VALID" else explicit_pads(node, dims)
        return low, high, tuple(extra)
    target = target[-dims:]
    if len(target) != dims:
        raise node.invalid(f"attribute output_shape {list(target)} does not fit {dims} spatial dims")
    surplus = [size + more - asked for size, more, asked in zip(full, extra, target)]
    less = tuple(max(0, n) // 2 for n in surplus)
    more = tuple(max(0, n) - max(0, n) // 2 for n in surplus)
    padding = tuple(e + max(0, -n) for e, n in zip(extra, surplus))
    return (less, more, padding) if auto_pad == "SAME_UPPER" else (more, less, padding)
