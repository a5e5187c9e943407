"""Random operators: numbers made from Philox bits.

A node with the attribute ``seed`` draws the same numbers wherever it stands, as ONNX asks; one without has a seed of
its own, made from its name. Every run of a compiled model draws the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value, is_float

_DIGITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 32}
"""Random bits per number by dtype: as many as it holds, of one word at most."""


def seed_of(node: Node) -> int:
    """The bits of the node's seed, or 63 bits that its name decides."""
    if "seed" in node.attributes:
        given = node.int("seed") if node.proto.op_type == "Dropout" else np.float32(node.float("seed")).view(np.uint32)
        return int(given)
    return int.from_bytes(hashlib.sha256(node.label.encode()).digest()[:8], "little") >> 1


def words(b: Builder, node: Node, count: int, *, stream: int = 0) -> Value:
    """``[count]`` random 32-bit words."""
    bits = b.op(hlt.RandomBitsOp, count=-(-count // 4), seed=seed_of(node), stream=stream)
    return b.slice_axis(b.reshape(bits, (bits.size,)), 0, 0, count)


def uniform(b: Builder, node: Node, shape: Sequence[int], dtype: np.dtype[Any], *, stream: int = 0) -> Value:
    """Numbers from 0 to 1, 1 not included, as even as ``dtype`` holds them."""
    digits = _DIGITS[dtype.name]
    bits = words(b, node, math.prod(shape), stream=stream)
    whole = b.elementwise(hlt.ShiftRightOp, bits, 32 - digits) if digits < 32 else bits
    return b.reshape(b.mul(b.cast(whole, dtype), 2.0**-digits), shape)


def normal(b: Builder, node: Node, shape: Sequence[int], dtype: np.dtype[Any]) -> Value:
    """Numbers of the standard normal distribution (Box and Muller, 1958), computed in f32 at least."""
    wide = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    radius = b.sub(1.0, uniform(b, node, shape, wide)) if math.prod(shape) else b.full(shape, 1.0, wide)
    angle = b.mul(uniform(b, node, shape, wide, stream=1), 2 * math.pi)
    length = b.op(hlt.SqrtOp, b.mul(b.op(hlt.LogOp, radius), -2.0))
    return b.cast(b.mul(length, b.op(hlt.CosOp, angle)), dtype)


def _drawn(b: Builder, node: Node, shape: Sequence[int], dtype: np.dtype[Any]) -> Value:
    if min(shape, default=0) < 0:
        raise node.invalid(f"shape {list(shape)} has a negative extent")
    if dtype.name not in _DIGITS:
        raise node.invalid(f"random numbers are floats, not {dtype}")
    if node.proto.op_type.startswith("RandomNormal"):
        scale, offset = node.float("scale", 1.0), node.float("mean", 0.0)
        return b.add(b.mul(normal(b, node, shape, dtype), scale), offset)
    low, high = node.float("low", 0.0), node.float("high", 1.0)
    return b.add(b.mul(uniform(b, node, shape, dtype), high - low), low)


@onnx_op("RandomNormal", "RandomUniform")
def random(b: Builder, node: Node) -> Value:
    return _drawn(b, node, node.ints("shape"), node.dtype("dtype", np.dtype(np.float32)))


@onnx_op("RandomNormalLike", "RandomUniformLike")
def random_like(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return _drawn(b, node, x.shape, node.dtype("dtype", x.dtype))


@onnx_op("Bernoulli")
def bernoulli(b: Builder, node: Node) -> Value:
    """1 with the probability that the input says, else 0."""
    x = node.input(0)
    hit = b.compare("lt", uniform(b, node, x.shape, x.dtype), x)
    return b.cast(hit, node.dtype("dtype", x.dtype))


@onnx_op("Multinomial")
def multinomial(b: Builder, node: Node) -> Value:
    """Classes drawn by their unnormalised log-probabilities [batch, class]: where the running sum passes a number."""
    x, count = node.input(0), node.int("sample_size", 1)
    dtype = node.dtype("dtype", np.dtype(np.int32))
    if x.rank != 2 or not x.shape[1] or count < 1:
        raise node.invalid(f"{count} samples of log-probabilities of shape {list(x.shape)}")
    likely = b.op(hlt.SoftmaxOp, b.cast(x, np.float32), axis=1)
    total = b.op(hlt.ScanOp, likely, kind="sum", axis=1, exclusive=False, reverse=False)
    batch, classes = x.shape
    shape = (batch, count, classes)
    number = b.broadcast_to(uniform(b, node, (batch, count), np.dtype(np.float32)), shape, (0, 1))
    passed = b.compare("le", b.broadcast_to(total, shape, (0, 2)), number)
    drawn = b.reduce("sum", b.cast(passed, np.int32), (2,))
    return b.cast(b.minimum(drawn, classes - 1), dtype)


@onnx_op("Dropout")
def dropout(b: Builder, node: Node) -> tuple[Value, Value]:
    """In training, zeroes the elements that the mask leaves out and scales the others; else the input as it is."""
    x, training = node.input(0), node.optional(2)
    ratio = node.optional(1)
    everything = b.full(x.shape, True, np.bool_)
    if training is None or (training.known is not None and not node.known_scalar(2, "training_mode")):
        return x, everything
    if not is_float(x):
        raise node.invalid(f"dropout of {x.dtype}")
    share = b.full((), 0.5, x.dtype) if ratio is None else b.cast(b.reshape(ratio, ()), x.dtype)
    if share.uniform == 0:
        return x, everything
    mask = b.compare("ge", uniform(b, node, x.shape, x.dtype), share)
    kept = b.select(mask, b.div(x, b.sub(1.0, share)), 0.0)
    if training.known is not None:
        return kept, mask
    switch = b.reshape(training, ())
    return b.select(switch, kept, x), b.elementwise(hlt.OrOp, mask, b.elementwise(hlt.NotOp, switch))
