"""Operators that make tensors from attributes or from known values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mlc.dialects.extents import greatest
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Array, Value, is_float


@onnx_op("Constant")
def constant(b: Builder, node: Node) -> Value:
    """Exactly one attribute holds the contents."""
    if len(node.attributes) != 1:
        raise node.invalid(f"needs exactly one attribute, has {sorted(node.attributes)}")
    (name,) = node.attributes
    if name == "value":
        return node.tensor(name)
    readers: dict[str, Callable[[], Array]] = {
        "value_float": lambda: np.array(node.float(name), np.float32),
        "value_floats": lambda: np.array(node.floats(name), np.float32),
        "value_int": lambda: np.array(node.int(name), np.int64),
        "value_ints": lambda: np.array(node.ints(name), np.int64),
    }
    if name not in readers:
        raise node.unsupported(f"constants given as {name} are not numeric tensors")
    return b.constant(readers[name]())


@onnx_op("ConstantOfShape")
def constant_of_shape(b: Builder, node: Node) -> Value:
    shape = node.known_ints(0, "the shape")
    if any(extent < 0 for extent in shape):
        raise node.invalid(f"shape {list(shape)} has a negative extent")
    value: Value = node.tensor("value", b.full((1,), 0, np.float32))
    if value.size != 1:
        raise node.invalid(f"attribute value must hold one element, not {value.size}")
    return b.full(shape, node.contents(value, "the value").flat[0], value.dtype)


@onnx_op("Range")
def range_(b: Builder, node: Node) -> Value:
    """``start + i * delta``; the bounds must be known as they decide the shape."""
    start, limit, delta = (node.known_scalar(i, what) for i, what in enumerate(("start", "limit", "delta")))
    if delta == 0:
        raise node.invalid("delta is zero")
    dtype = node.input(0).dtype
    if not is_float(node.input(0)):
        steps = b.iota((greatest(0, -((start - limit) // delta)),), 0)
        return b.cast(b.add(b.mul(steps, delta), start), dtype)
    steps = b.iota((max(0, math.ceil((limit - start) / delta)),), 0)
    wide = np.float64 if dtype == np.float64 else np.float32
    return b.cast(b.add(b.mul(b.cast(steps, wide), delta), start), dtype)
