"""Object detection: which of many overlapping boxes are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute, Block

from mlc.dialects import hlt
from mlc.dialects.extents import is_bounded, undecided
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value

INDEX = hlt.tensor_type((), i64)

OUT = int(np.iinfo(np.int32).min)
"""The key of a box that is not, or no more, to be chosen."""


@onnx_op("NonMaxSuppression")
def non_max_suppression(b: Builder, node: Node) -> Value:
    """Rows of batch, class and box, for each batch and class from the highest score down.

    boxes: [B, N, 4], scores: [B, C, N] -> [found, 3] of i64. A box is kept unless it overlaps one that is kept by
    more than the threshold; of equal scores the first counts as the higher. A score of NaN is below every threshold.
    """
    boxes, scores = node.input(0), node.input(1)
    _check(node, boxes, scores)
    batches, classes, count = scores.shape
    most = node.optional(2)
    limit = count if most is None or most.known is None else min(max(int(node.known_scalar(2, "the limit")), 0), count)
    if most is None or not batches * classes * limit:
        return b.constant(np.zeros((0, 3), np.int64))
    corners = _corners(b, boxes, node.int("center_point_box", 0) == 1)
    overlap = _scalar(b, node, 3, "iou_threshold", np.float32)
    trips = None if most.known is not None else _scalar(b, node, 2, "max_output_boxes_per_class", np.int64)
    keys = b.reshape(_keys(b, node, scores), (batches * classes, count))
    chosen, numbers = _Choice(corners, overlap, classes, limit, trips).of_all(b, keys)
    valid = b.compare("lt", b.iota(chosen.shape, 1), b.broadcast_to(numbers, chosen.shape, (0,)))
    places = b.positions(b.reshape(valid, (chosen.size,)), "boxes")
    line = b.div(places, limit)
    box = b.op(hlt.GatherOp, b.reshape(chosen, (chosen.size,)), places, axis=0)
    columns = (b.div(line, classes), b.elementwise(hlt.RemOp, line, classes, mode="floor"), box)
    return b.concat([b.expand_dims(column, (1,)) for column in columns], 1)


def _check(node: Node, boxes: Value, scores: Value) -> None:
    """ModelError for other shapes and types, UnsupportedError for bounded dims."""
    for value in (boxes, scores):
        if is_bounded(value.shape):
            raise undecided("the number of boxes, classes and batches", *value.shape)
        if value.dtype != np.float32:
            raise node.invalid(f"boxes and scores are of type {value.dtype}, must be float32")
    if boxes.rank != 3 or scores.rank != 3 or boxes.shape[2] != 4:
        raise node.invalid(
            f"boxes of {list(boxes.shape)} and scores of {list(scores.shape)} are not [B, N, 4], [B, C, N]"
        )
    if (boxes.shape[0], boxes.shape[1]) != (scores.shape[0], scores.shape[2]):
        raise node.invalid(f"boxes of {list(boxes.shape)} do not go with scores of {list(scores.shape)}")


def _scalar(b: Builder, node: Node, index: int, what: str, dtype: DTypeLike) -> Value:
    """A tensor of one element as one of rank 0; 0 where it is left out."""
    value = node.optional(index)
    if value is None:
        return b.constant(np.zeros((), dtype))
    if value.size != 1 or value.dtype != np.dtype(dtype):
        raise node.invalid(f"{what} is {value.dtype}{list(value.shape)}, must be one {np.dtype(dtype)}")
    return b.reshape(value, ())


def _corners(b: Builder, boxes: Value, centered: bool) -> Value:
    """Boxes as [B, 5, N]: the least and the greatest of either coordinate, and the area."""
    first, second, third, fourth = (b.squeeze(b.slice_axis(boxes, 2, place, 1), (2,)) for place in range(4))
    pairs: list[tuple[Value, Value]] = []
    for one, other in ((first, third), (second, fourth)):
        half = b.div(other, 2)
        ends = (b.sub(one, half), b.add(one, half)) if centered else (b.minimum(one, other), b.maximum(one, other))
        pairs.append(ends)
    (low0, high0), (low1, high1) = pairs
    area = b.mul(b.sub(high0, low0), b.sub(high1, low1))
    return b.concat([b.expand_dims(v, (1,)) for v in (low0, high0, low1, high1, area)], 1)


def _keys(b: Builder, node: Node, scores: Value) -> Value:
    """Integers in the order of the scores; `OUT` for those that are not above the threshold."""
    bits = b.bitcast(b.add(scores, 0), np.int32)
    key = b.select(b.compare("lt", bits, 0), b.elementwise(hlt.XorOp, bits, int(np.iinfo(np.int32).max)), bits)
    if node.optional(4) is None:
        return b.select(b.op(hlt.IsNanOp, scores), OUT, key)
    threshold = _scalar(b, node, 4, "score_threshold", np.float32)
    return b.select(b.compare("gt", scores, threshold), key, OUT)


@dataclass(frozen=True)
class _Choice:
    """Choosing boxes of one batch and class after the other: at most ``limit`` and, if given, ``trips`` of each.

    ``corners``: [B, 5, N]; ``overlap`` and ``trips`` are of rank 0.
    """

    corners: Value
    overlap: Value
    classes: int
    limit: int
    trips: Value | None

    def of_all(self, b: Builder, keys: Value) -> tuple[Value, Value]:
        """The boxes chosen, [rows, limit], and how many they are, [rows], for ``keys`` of [rows, N]."""
        rows, count = keys.shape
        block = Block(arg_types=[INDEX, hlt.tensor_type((count,), hlt.element_type(keys.dtype))])
        with b.nested(block) as inner:
            index, key = _values(block)
            corners = inner.op(hlt.GatherOp, self.corners, inner.div(index, self.classes), axis=0)
            _, number, chosen = self._of_one(inner, key, corners)
            _yield(inner, chosen, number)
        chosen, numbers = b.append(hlt.LoopOp(block, limit=rows, slices=[b.ssa(keys)]))
        return chosen, numbers

    def _of_one(self, b: Builder, key: Value, corners: Value) -> Sequence[Value]:
        """The keys at the end, the number of boxes chosen and their indices."""
        types: list[Attribute] = [INDEX, key.type, INDEX]
        block = Block(arg_types=types)
        with b.nested(block) as inner:
            step, left, _ = _values(block)
            best = inner.op(hlt.ArgReduceOp, left, kind="max", axis=0, keep_dims=False, last_index=False)
            gone = inner.elementwise(hlt.OrOp, self._overlaps(inner, corners, best), _is_at(inner, best, key.shape))
            left = inner.select(gone, OUT, left)
            _yield(inner, _any_left(inner, left), left, inner.add(step, 1), best)
        inits = [b.ssa(key), b.ssa(b.constant(np.array(0)))]
        trips = None if self.trips is None else b.ssa(self.trips)
        return b.append(hlt.LoopOp(block, limit=self.limit, trips=trips, keep=b.ssa(_any_left(b, key)), inits=inits))

    def _overlaps(self, b: Builder, corners: Value, best: Value) -> Value:
        """Which boxes, [N], overlap box ``best`` by more than the threshold; ``corners`` are [5, N]."""
        own = b.op(hlt.GatherOp, corners, best, axis=1)
        low0, high0, low1, high1, area = (_row(b, corners, place) for place in range(5))
        own_low0, own_high0, own_low1, own_high1, own_area = (_row(b, own, place) for place in range(5))
        side0 = b.sub(b.minimum(high0, own_high0), b.maximum(low0, own_low0))
        side1 = b.sub(b.minimum(high1, own_high1), b.maximum(low1, own_low1))
        both = b.mul(side0, side1)
        either = b.sub(b.add(area, own_area), both)
        result = b.compare("gt", b.div(both, either), self.overlap)
        for positive in (side0, side1, both, area, own_area, either):
            result = b.elementwise(hlt.AndOp, result, b.compare("gt", positive, 0))
        return result


def _values(block: Block) -> list[Value]:
    return [Value(hlt.shape_of(arg), hlt.numpy_dtype(hlt.element_of(arg)), ssa=arg) for arg in block.args]


def _yield(b: Builder, *values: Value) -> None:
    b.append(hlt.YieldOp(*(b.ssa(value) for value in values)))


def _row(b: Builder, x: Value, place: int) -> Value:
    return b.squeeze(b.slice_axis(x, 0, place, 1), (0,))


def _is_at(b: Builder, place: Value, shape: Sequence[int]) -> Value:
    return b.compare("eq", b.iota(shape, 0), place)


def _any_left(b: Builder, keys: Value) -> Value:
    greatest = b.reduce("max", keys, (0,))
    return b.compare("gt", greatest, OUT)
