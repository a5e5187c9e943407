"""Optionals, which resolve while importing: whether they hold something is known."""

from __future__ import annotations

import numpy as np

from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import ABSENT, Absent, Entry, Value


@onnx_op("Optional")
def optional(b: Builder, node: Node) -> Entry:
    """What the input holds; nothing without an input."""
    value = node.entry(0)
    return ABSENT if value is None else value


@onnx_op("OptionalHasElement")
def has_element(b: Builder, node: Node) -> Value:
    value = node.entry(0)
    return b.constant(np.array(not (value is None or isinstance(value, Absent))))


@onnx_op("OptionalGetElement")
def get_element(b: Builder, node: Node) -> Entry:
    value = node.entry(0)
    if value is None or isinstance(value, Absent):
        raise node.invalid("the optional holds nothing")
    return value
