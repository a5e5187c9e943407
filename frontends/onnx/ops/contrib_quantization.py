"""com.microsoft's quantised operators: integer products exact in i32, the rest in f32 between integer tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.linear_algebra import checked_matmul, gemm_product, scaled
from mlc.frontends.onnx.ops.pooling import global_mean_pool, mean_pool
from mlc.frontends.onnx.ops.quantization import along, less_zero_point, quantize
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Value


def real(b: Builder, node: Node, index: int) -> Value:
    """``(x - zero_point) * scale`` in f32 of inputs ``index``, ``index + 1`` and ``index + 2``."""
    x = node.input(index)
    wide = less_zero_point(b, node, x, node.optional(index + 2), 1)
    return b.mul(b.cast(wide, np.float32), along(b, node, node.input(index + 1), x, 1))


def integer(b: Builder, node: Node, x: Value, index: int, dtype: np.dtype[np.generic]) -> Value:
    """``x`` quantised by the scale and zero point of inputs ``index`` and ``index + 1``."""
    ratio = b.div(x, along(b, node, node.input(index), x, 1))
    zero_point = node.optional(index + 1)
    return quantize(b, ratio, None if zero_point is None else along(b, node, zero_point, x, 1), dtype)


@onnx_op("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def qlinear_binary(b: Builder, node: Node) -> Value:
    combine = b.add if node.proto.op_type == "QLinearAdd" else b.mul
    result = combine(real(b, node, 0), real(b, node, 3))
    return integer(b, node, result, 6, node.input(0).dtype)


def _unary(b: Builder, node: Node, compute: Callable[[Value], Value]) -> Value:
    """``compute`` between inputs x, scale, zero point and the result's scale and zero point."""
    return integer(b, node, compute(real(b, node, 0)), 3, node.input(0).dtype)


@onnx_op("QLinearSigmoid", domain=MICROSOFT)
def qlinear_sigmoid(b: Builder, node: Node) -> Value:
    return _unary(b, node, lambda x: b.op(hlt.SigmoidOp, x))


@onnx_op("QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_leaky_relu(b: Builder, node: Node) -> Value:
    alpha = node.float("alpha", 0.01)
    return _unary(b, node, lambda x: b.select(b.compare("lt", x, 0), b.mul(x, alpha), x))


@onnx_op("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(b: Builder, node: Node) -> Value:
    x = node.input(0)
    axis = node.axis(node.int("axis", -1), x.rank)
    if node.int("opset", 13) >= 13:
        return _unary(b, node, lambda x: b.op(hlt.SoftmaxOp, x, axis=axis, log=False))

    def flattened(x: Value) -> Value:
        rows = int(np.prod(x.shape[:axis]))
        flat = b.reshape(x, (rows, x.size // max(rows, 1)))
        return b.reshape(b.op(hlt.SoftmaxOp, flat, axis=1, log=False), x.shape)

    return _unary(b, node, flattened)


def _channels_first(b: Builder, node: Node, compute: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """``compute`` on [N, C, *], whichever way attribute channels_last says that the operand lies."""
    if not node.bool("channels_last", False):
        return compute

    def moved(x: Value) -> Value:
        rank = x.rank
        first = b.transpose(x, (0, rank - 1, *range(1, rank - 1)))
        return b.transpose(compute(first), (0, *range(2, rank), 1))

    return moved


@onnx_op("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(b: Builder, node: Node) -> Value:
    return _unary(b, node, _channels_first(b, node, lambda x: mean_pool(b, node, x)))


@onnx_op("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(b: Builder, node: Node) -> Value:
    return _unary(b, node, _channels_first(b, node, lambda x: global_mean_pool(b, node, x)))


@onnx_op("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(b: Builder, node: Node) -> Value:
    """Each operand with scale and zero point of its own, after those of the result."""
    if len(node.inputs) < 5 or len(node.inputs) % 3 != 2:
        raise node.invalid(f"{len(node.inputs)} inputs are not the result's two and three for each operand")
    parts = [real(b, node, index) for index in range(2, len(node.inputs), 3)]
    joined = b.concat(parts, node.axis(node.int("axis"), parts[0].rank))
    return integer(b, node, joined, 0, node.input(1).dtype)


@onnx_op("QGemm", domain=MICROSOFT)
def qgemm(b: Builder, node: Node) -> Value:
    """``alpha * scales * (A' B' + C)`` with C in i32; quantised if the result's scale is given."""
    x = less_zero_point(b, node, node.input(0), node.optional(2), -2)
    columns = 0 if node.bool("transB", False) else 1
    product = gemm_product(b, node, x, less_zero_point(b, node, node.input(3), node.optional(5), columns))
    bias = node.optional(6)
    if bias is not None:
        product = b.add(product, b.broadcast_to(bias, product.shape))
    scale = b.mul(along(b, node, node.input(1), product, -2), along(b, node, node.input(4), product, -1))
    result = scaled(b, b.mul(b.cast(product, np.float32), scale), node.float("alpha", 1.0))
    if node.optional(7) is None:
        return result
    zero_point = node.optional(8)
    return integer(b, node, result, 7, np.dtype(np.uint8) if zero_point is None else zero_point.dtype)


@onnx_op("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(b: Builder, node: Node) -> Value:
    x = less_zero_point(b, node, node.input(0), node.optional(4), -2)
    y = less_zero_point(b, node, node.input(1), node.optional(5), -1)
    return _with_bias(b, _scaled_product(b, node, x, y, node.input(2), node.input(3)), node.optional(6))


def _scaled_product(b: Builder, node: Node, x: Value, y: Value, x_scale: Value, y_scale: Value) -> Value:
    """The i32 product times the scales, that of ``y`` per tensor or per column."""
    product = checked_matmul(b, node, x, y)
    scale = b.mul(along(b, node, x_scale, product, -2), along(b, node, y_scale, product, -1))
    return b.mul(b.cast(product, np.float32), scale)


def _with_bias(b: Builder, x: Value, bias: Value | None) -> Value:
    return x if bias is None else b.add(x, bias)


@onnx_op("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(b: Builder, node: Node) -> Value:
    """A quantised to u8 by its own range, times the quantised B."""
    x, scale, zero_point = dynamic_quantize(b, node.input(0))
    x = b.sub(b.cast(x, np.int32), b.broadcast_to(b.cast(zero_point, np.int32), x.shape))
    y = less_zero_point(b, node, node.input(1), node.optional(3), -1)
    return _with_bias(b, _scaled_product(b, node, x, y, scale, node.input(2)), node.optional(4))


def dynamic_quantize(b: Builder, x: Value) -> tuple[Value, Value, Value]:
    """``x`` as u8 with the scale and zero point that span its range and 0; as ONNX's DynamicQuantizeLinear."""
    axes = tuple(range(x.rank))
    low, high = b.minimum(b.reduce("min", x, axes), 0), b.maximum(b.reduce("max", x, axes), 0)
    span = b.sub(high, low)
    scale = b.select(b.compare("eq", span, 0), 1, b.div(span, 255))
    zero_point = b.cast(b.clamp(b.op(hlt.RoundOp, b.div(b.sub(0, low), scale)), 0, 255), np.uint8)
    ratio = b.div(x, b.broadcast_to(scale, x.shape))
    return quantize(b, ratio, b.broadcast_to(zero_point, x.shape), np.dtype(np.uint8)), scale, zero_point


@onnx_op("MatMulNBits", domain=MICROSOFT)
def matmul_n_bits(b: Builder, node: Node) -> Value:
    """``A`` [*, K] times a weight [N, K] of 2, 4 or 8 bits, packed low bits first and scaled by blocks along K."""
    x, bits, block = node.input(0), node.int("bits", 4), node.int("block_size")
    columns, depth = node.int("N"), node.int("K")
    if bits not in (2, 4, 8):
        raise node.unsupported(f"weights of {bits} bits")
    if min(block, columns, depth) < 1 or not x.rank or x.shape[-1] != depth:
        raise node.invalid(f"A {list(x.shape)} does not fit K = {depth}, N = {columns}, block_size = {block}")
    blocks = -(-depth // block)
    levels = _unpacked(b, node.input(1), bits, (columns, blocks, block))
    scales = b.reshape(node.input(2), (columns, blocks))
    zero_points = b.cast(_zero_points(b, node, node.optional(3), bits, (columns, blocks)), scales.dtype)
    weight = _scaled_levels(b, node, b.cast(levels, scales.dtype), scales, zero_points)
    weight = b.cast(b.slice_axis(weight, 1, 0, depth), x.dtype)
    product = b.dot_general(x, weight, contract=((x.rank - 1,), (1,)))
    return _with_bias(b, product, node.optional(5))


def _scaled_levels(b: Builder, node: Node, levels: Value, scales: Value, zero_points: Value) -> Value:
    """``(levels - zero_points) * scales`` [N, K]: levels [N, blocks, block], the others [N, blocks].

    Input g_idx tells the block of each element along K where they are not in order.
    """
    columns, blocks, block = levels.shape
    flat, groups = (columns, blocks * block), node.optional(4)
    if groups is None:
        spread = [b.broadcast_to(table, levels.shape, (0, 1)) for table in (scales, zero_points)]
        return b.reshape(b.mul(b.sub(levels, spread[1]), spread[0]), flat)
    if node.optional(3) is not None:
        raise node.unsupported("zero points beside input g_idx: onnxruntime does not take them by block then")
    depth = node.int("K")
    if groups.shape not in ((depth,), flat[1:]):
        raise node.invalid(f"input g_idx has shape {list(groups.shape)} for K = {depth}")
    places = b.slice_axis(groups, 0, 0, depth)
    each = [b.op(hlt.GatherOp, table, places, axis=1) for table in (scales, zero_points)]
    return b.mul(b.sub(b.slice_axis(b.reshape(levels, flat), 1, 0, depth), each[1]), each[0])


def _unpacked(b: Builder, packed: Value, bits: int, shape: tuple[int, ...]) -> Value:
    """The fields of ``bits`` bits of bytes, lowest first; of each row of bytes as many as ``shape`` has at the end."""
    count = 8 // bits
    rows = (*shape[:-1], -(-shape[-1] // count))
    column = b.reshape(packed, (*rows, 1))
    fields = [
        b.elementwise(hlt.AndOp, b.elementwise(hlt.ShiftRightOp, column, field * bits), (1 << bits) - 1)
        for field in range(count)
    ]
    flat = b.reshape(b.concat(fields, len(rows)), (*rows[:-1], rows[-1] * count))
    return b.slice_axis(flat, len(shape) - 1, 0, shape[-1])


def _zero_points(b: Builder, node: Node, given: Value | None, bits: int, shape: tuple[int, int]) -> Value:
    """The zero point of each block: packed, in the type of the scales, or the middle of the range."""
    if given is None:
        return b.full(shape, 1 << (bits - 1), np.uint8)
    if given.dtype != np.uint8:
        return b.reshape(given, shape)
    return _unpacked(b, given, bits, shape)
