"""Quantisation, written in the element-wise vocabulary of hlt, and integer products."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_dtypes import iinfo

from mlc.dialects import hlt
from mlc.dialects.hlt.narrow import FLOAT_FORMATS, is_narrow_integer
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.convolution import add_channel_bias, convolve
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Value


def _spread(b: Builder, node: Node, parameter: Value, x: Value) -> Value:
    """A scale or zero point at the shape of ``x``: per tensor, per axis, or per block along the axis."""
    if parameter.size == 1 and parameter.rank <= 1:
        return b.broadcast_to(b.reshape(parameter, ()), x.shape)
    axis, block = node.axis(node.int("axis", 1), x.rank), node.int("block_size", 0)
    if parameter.rank == 1 and not block:
        if parameter.shape[0] != x.shape[axis]:
            raise node.invalid(f"{parameter.shape[0]} parameters for {x.shape[axis]} entries along axis {axis}")
        return b.broadcast_to(parameter, x.shape, (axis,))
    if parameter.rank != x.rank or block < 1 or parameter.shape[axis] != -(-x.shape[axis] // block):
        raise node.invalid(f"parameters {list(parameter.shape)} do not fit {list(x.shape)} in blocks of {block}")
    repeated = (*parameter.shape[: axis + 1], block, *parameter.shape[axis + 1 :])
    dims = tuple(i for i in range(x.rank + 1) if i != axis + 1)
    spread = b.broadcast_to(parameter, repeated, dims)
    merged = [n * block if i == axis else n for i, n in enumerate(parameter.shape)]
    return b.slice_axis(b.reshape(spread, merged), axis, 0, x.shape[axis])


def quantize(
    b: Builder, ratio: Value, zero_point: Value | None, dtype: np.dtype[Any], *, saturate: bool = True
) -> Value:
    """``saturate(round(ratio) + zero_point)``, rounding half to even; operands of one shape.

    Floats of 8 bits or fewer are rounded where they are cast, and only they may leave ``saturate`` out.
    """
    if hlt.element_type(dtype) in FLOAT_FORMATS:
        if zero_point is not None and zero_point.uniform != 0:
            ratio = b.add(ratio, b.cast(zero_point, ratio.dtype))
        return b.cast(ratio, dtype, saturate=saturate)
    rounded = b.op(hlt.RoundOp, ratio)
    if zero_point is not None:
        rounded = b.cast(rounded, np.float32)
        rounded = b.add(rounded, b.cast(zero_point, np.float32))
    if is_narrow_integer(hlt.element_type(dtype)):
        info = iinfo(dtype)
        rounded = b.clamp(rounded, int(info.min), int(info.max))
    return b.cast(rounded, dtype, saturate=True)


@onnx_op("QuantizeLinear", domain=MICROSOFT)
@onnx_op("QuantizeLinear")
def quantize_linear(b: Builder, node: Node) -> Value:
    """``x / scale`` in the scale's type or in attribute precision, then rounded and saturated."""
    x, scale, zero_point = node.input(0), node.input(1), node.optional(2)
    dtype = node.dtype("output_dtype", None)
    if dtype is None:
        dtype = np.dtype(np.uint8) if zero_point is None else zero_point.dtype
    precision = node.dtype("precision", None) or scale.dtype
    ratio = b.div(b.cast(x, precision), _spread(b, node, b.cast(scale, precision), x))
    offset = None if zero_point is None else _spread(b, node, zero_point, x)
    return quantize(b, ratio, offset, dtype, saturate=node.bool("saturate", True))


@onnx_op("DequantizeLinear", domain=MICROSOFT)
@onnx_op("DequantizeLinear")
def dequantize_linear(b: Builder, node: Node) -> Value:
    """``(x - zero_point) * scale``, the difference taken in i32, of floats in f32."""
    x, scale, zero_point = node.input(0), node.input(1), node.optional(2)
    dtype = node.dtype("output_dtype", scale.dtype)
    difference = x
    if zero_point is not None and zero_point.uniform != 0:
        middle = np.float32 if hlt.element_type(x.dtype) in FLOAT_FORMATS else np.int32
        difference = b.sub(b.cast(x, middle), _spread(b, node, b.cast(zero_point, middle), x))
    return b.cast(b.mul(b.cast(difference, scale.dtype), _spread(b, node, scale, x)), dtype)


def less_zero_point(b: Builder, node: Node, x: Value, zero_point: Value | None, axis: int) -> Value:
    """``x - zero_point`` in i32; the zero point is a scalar, of x's rank, or a vector along ``axis``."""
    x = b.cast(x, np.int32)
    if zero_point is None or zero_point.uniform == 0:
        return x
    return b.sub(x, along(b, node, b.cast(zero_point, np.int32), x, axis))


def along(b: Builder, node: Node, parameter: Value, x: Value, axis: int) -> Value:
    """A scale or zero point at the shape of ``x``: per tensor, of x's rank, or a vector along ``axis``."""
    if parameter.size == 1:
        return b.broadcast_to(b.reshape(parameter, ()), x.shape)
    if parameter.rank == x.rank:
        return b.broadcast_to(parameter, x.shape)
    if parameter.rank != 1 or parameter.shape[0] != x.shape[axis]:
        raise node.invalid(f"parameters {list(parameter.shape)} do not fit {list(x.shape)} along dim {axis}")
    return b.broadcast_to(parameter, x.shape, (axis % x.rank,))


@onnx_op("MatMulInteger")
def matmul_integer(b: Builder, node: Node) -> Value:
    """8-bit operands less their zero points (of A per row, of B per column), multiplied in i32."""
    x = less_zero_point(b, node, node.input(0), node.optional(2), -2)
    return b.matmul(x, less_zero_point(b, node, node.input(1), node.optional(3), -1))


@onnx_op("ConvInteger")
def conv_integer(b: Builder, node: Node) -> Value:
    """8-bit operands less their zero points (of the weight per output channel), convolved in i32."""
    x = less_zero_point(b, node, node.input(0), node.optional(2), 1)
    return convolve(b, node, x, less_zero_point(b, node, node.input(1), node.optional(3), 0))


@onnx_op("QLinearMatMul")
def qlinear_matmul(b: Builder, node: Node) -> Value:
    x = less_zero_point(b, node, node.input(0), node.input(2), -2)
    product = b.matmul(x, less_zero_point(b, node, node.input(3), node.input(5), -1))
    return _requantize(b, node, product, (1, -2), (4, -1), (6, 7, -1))


@onnx_op("QLinearConv")
def qlinear_conv(b: Builder, node: Node) -> Value:
    x = less_zero_point(b, node, node.input(0), node.input(2), 1)
    product = convolve(b, node, x, less_zero_point(b, node, node.input(3), node.input(5), 0))
    product = add_channel_bias(b, product, node.optional(8))
    return _requantize(b, node, product, (1, 1), (4, 1), (6, 7, 1))


def _requantize(
    b: Builder, node: Node, x: Value, lhs: tuple[int, int], rhs: tuple[int, int], out: tuple[int, int, int]
) -> Value:
    """The i32 ``x`` times ``lhs * rhs / out`` scales, quantised as ``out``; given as (input, axis of x)."""

    def scale(index: int, axis: int) -> Value:
        return along(b, node, b.cast(node.input(index), np.float32), x, axis)

    ratio = b.div(b.mul(scale(*lhs), scale(*rhs)), scale(out[0], out[2]))
    zero_point = node.input(out[1])
    scaled = b.mul(b.cast(x, np.float32), ratio)
    return quantize(b, scaled, along(b, node, zero_point, x, out[2]), zero_point.dtype)
