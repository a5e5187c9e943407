"""Loop and Scan. See `mlc.frontends.onnx.iteration` for how they are imported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.extents import capacity, is_bounded
from mlc.frontends.onnx.bounded.builder import BoundedBuilder
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.iteration import Iteration, scalar
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Entry, Value


@onnx_op("Loop")
def loop(b: Builder, node: Node) -> Sequence[Entry | None]:
    """Ends after the trip count or by the condition; without a condition at first, later ones don't count."""
    trips, keep = node.optional(0), node.optional(1)
    if trips is not None:
        trips = scalar(b, node, trips, "the trip count", np.int64)
    if keep is not None:
        keep = scalar(b, node, keep, "the condition")
    known = None if trips is None or trips.known is None else max(0, int(trips.known))
    return Iteration(
        b,
        node,
        node.graph("body"),
        header=True,
        limit=known,
        trips=trips if known is None else None,
        keep=keep,
        states=_states(node, range(2, len(node.inputs))),
    ).run()


@onnx_op("Scan")
def scan(b: Builder, node: Node) -> Sequence[Entry | None]:
    """States, then scan inputs: each cut along its axis, from the end where its direction is 1."""
    count = node.int("num_scan_inputs")
    first = len(node.inputs) - count
    if count < 1 or first < 0:
        raise node.invalid(f"{count} scan inputs of {len(node.inputs)} inputs")
    axes, reverse = _along(node, "input", count)
    wholes = [node.input(first + number) for number in range(count)]
    slices = [_slices_first(b, node, *cut) for cut in zip(wholes, axes, reverse)]
    lengths = {whole.shape[0] for whole in slices}
    if len(lengths) > 1:
        raise node.invalid(f"the scan inputs have different lengths: {sorted(lengths)}")
    length = lengths.pop()
    results = Iteration(
        b,
        node,
        node.graph("body"),
        header=False,
        limit=capacity(length),
        length=length,
        trips=b.extent(length) if is_bounded([length]) and isinstance(b, BoundedBuilder) else None,
        keep=None,
        states=_states(node, range(first)),
        slices=slices,
    ).run()
    stacks = results[first:]
    return [*results[:first], *(_arranged(b, node, *put) for put in zip(stacks, *_along(node, "output", len(stacks))))]


def _states(node: Node, indices: Sequence[int]) -> list[Entry]:
    entries = [node.entry(index) for index in indices]
    states = [entry for entry in entries if entry is not None]
    if len(states) < len(entries):
        raise node.unsupported("a carried value has no initial one")
    return states


def _along(node: Node, kind: str, count: int) -> tuple[Sequence[int], Sequence[int]]:
    """Axis and direction of each scan input or output."""
    found: list[Sequence[int]] = []
    for name in (f"scan_{kind}_axes", f"scan_{kind}_directions"):
        values: Sequence[int] = node.ints(name, (0,) * count)
        if len(values) != count:
            raise node.invalid(f"attribute {name} has {len(values)} entries for {count} scan {kind}s")
        found.append(values)
    if any(direction not in (0, 1) for direction in found[1]):
        raise node.invalid(f"directions {list(found[1])} are not 0 or 1")
    return found[0], found[1]


def _slices_first(b: Builder, node: Node, whole: Value, axis: int, reverse: int) -> Value:
    """A scan input with its slices along dim 0, in the order in which they are taken."""
    axis = node.axis(axis, whole.rank)
    moved = b.transpose(whole, (axis, *(i for i in range(whole.rank) if i != axis)))
    return b.op(hlt.ReverseOp, moved, axes=(0,)) if reverse else moved


def _arranged(b: Builder, node: Node, stack: Entry | None, axis: int, reverse: int) -> Entry | None:
    """A stacked result with its slices along ``axis``, the last one first where ``reverse``."""
    if not isinstance(stack, Value):
        return stack
    ordered = b.op(hlt.ReverseOp, stack, axes=(0,)) if reverse else stack
    axis = node.axis(axis, stack.rank)
    rest = list(range(1, stack.rank))
    return b.transpose(ordered, (*rest[:axis], 0, *rest[axis:]))
