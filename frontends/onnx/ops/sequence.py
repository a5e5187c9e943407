"""Sequences that resolve while importing: their lengths and the positions used are known."""

from __future__ import annotations

import numpy as np

from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import TensorList, Value


@onnx_op("SequenceConstruct")
def construct(b: Builder, node: Node) -> TensorList:
    return TensorList(tuple(node.variadic()))


@onnx_op("SequenceEmpty")
def empty(b: Builder, node: Node) -> TensorList:
    return TensorList(())


@onnx_op("SequenceLength")
def length(b: Builder, node: Node) -> Value:
    return b.constant(np.array(len(node.items(0)), np.int64))


@onnx_op("SequenceAt")
def at(b: Builder, node: Node) -> Value:
    items = node.items(0)
    return items[_position(node, int(node.known_scalar(1, "the position")), len(items))]


@onnx_op("SequenceErase")
def erase(b: Builder, node: Node) -> TensorList:
    """Without a position, the last tensor goes."""
    items = node.items(0)
    given = -1 if node.optional(1) is None else int(node.known_scalar(1, "the position"))
    position = _position(node, given, len(items))
    return TensorList((*items[:position], *items[position + 1 :]))


@onnx_op("SequenceInsert")
def insert(b: Builder, node: Node) -> TensorList:
    """Before the position; without one, at the end."""
    items, tensor = node.items(0), node.input(1)
    if node.optional(2) is None:
        return TensorList((*items, tensor))
    given = int(node.known_scalar(2, "the position"))
    position = given if given == len(items) else _position(node, given, len(items))
    return TensorList((*items[:position], tensor, *items[position:]))


def _position(node: Node, position: int, count: int) -> int:
    """``position`` counted from the front; ModelError when out of range."""
    if not -count <= position < count:
        raise node.invalid(f"position {position} is out of range for a sequence of {count}")
    return position % count


@onnx_op("SequenceMap")
def sequence_map(b: Builder, node: Node) -> list[TensorList]:
    """The body once per position of the first sequence; other inputs are sequences as long, or the same each time."""
    entries = [entry for entry in node.inputs if entry is not None]
    count, body = len(node.items(0)), node.graph("body")
    if len(entries) != len(node.inputs) or len(entries) != len(body.input):
        raise node.invalid(f"{len(entries)} inputs for a body that takes {len(body.input)}")
    lengths = [len(entry.items) for entry in entries if isinstance(entry, TensorList)]
    if set(lengths) != {count}:
        raise node.invalid(f"the sequences differ in length: {lengths}")
    results: list[list[Value]] = [[] for _ in body.output]
    for position in range(count):
        given = [entry.items[position] if isinstance(entry, TensorList) else entry for entry in entries]
        for made, entry in zip(results, node.scope.import_subgraph(b, body, given)):
            if not isinstance(entry, Value):
                raise node.invalid("the body must yield tensors")
            made.append(entry)
    return [TensorList(tuple(made)) for made in results]


PARTS = 1 << 12
"""The most tensors that a split makes."""


@onnx_op("SplitToSequence")
def split_to_sequence(b: Builder, node: Node) -> TensorList:
    """Without sizes, one tensor per index, without the dim unless ``keepdims``; a scalar size cuts evenly."""
    x, sizes = node.input(0), node.optional(1)
    axis = node.axis(node.int("axis", 0), x.rank)
    extents = _extents(node, x.shape[axis], sizes)
    starts = np.cumsum([0, *extents]).tolist()
    items = [b.slice_axis(x, axis, start, extent) for start, extent in zip(starts, extents)]
    if sizes is None and not node.bool("keepdims", True):
        items = [b.squeeze(item, (axis,)) for item in items]
    return TensorList(tuple(items))


def _extents(node: Node, extent: int, sizes: Value | None) -> list[int]:
    """The extents of the parts of a dim."""
    if sizes is not None and sizes.rank == 1:
        given = list(node.known_ints(1, "split sizes"))
        if sum(given) != extent or min(given, default=0) < 0 or len(given) > PARTS:
            raise node.invalid(f"split sizes {given[:8]} do not add up to the extent {extent}")
        return given
    part = 1 if sizes is None else int(node.known_scalar(1, "the split size"))
    if part < 1 or extent > part * PARTS:
        raise node.invalid(f"can't split {extent} in parts of {part}")
    return [min(part, extent - start) for start in range(0, extent, part)]


@onnx_op("ConcatFromSequence")
def concat_from_sequence(b: Builder, node: Node) -> Value:
    """Along an existing dim, or with ``new_axis`` along one inserted there."""
    items = node.items(0)
    if not items:
        raise node.invalid("the sequence is empty")
    new_axis = node.bool("new_axis", False)
    axis = node.axis(node.int("axis"), items[0].rank + int(new_axis))
    return b.concat([b.expand_dims(item, (axis,)) for item in items] if new_axis else items, axis)
