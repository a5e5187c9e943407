"""Reshapes: runs of dims with equal products become each other, by a view of storage or through an index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, capacities, is_bounded
from mlc.frontends.onnx.bounded.builder import BoundedBuilder, Request, rule, storage_of, zero_axes
from mlc.frontends.onnx.value import Value


@rule(hlt.ReshapeOp)
def reshape(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x, shape = request.x, request.numbers("shape")
    runs = _runs(x.shape, shape)
    if runs is None:
        raise request.refused(f"{list(x.shape)} reshaped to {list(shape)}")
    storage, zero = storage_of(x), set[int]()
    for old, new in reversed(runs):
        sources, targets = [x.shape[i] for i in old], [shape[i] for i in new]
        if not _is_view(sources, targets):
            storage = _reordered(b, storage, old, sources, targets)
        elif set(old) & zero_axes(x):
            zero |= {i for i in new if isinstance(shape[i], Extent)}
    return (b.bounded(shape, b.reshape(storage, capacities(shape)), zero),)


def _runs(before: Sequence[int], after: Sequence[int]) -> list[tuple[range, range]] | None:
    """The shortest runs of dims of both shapes with the same number of elements; None where the whole differs."""
    left, right = list(accumulate(before, mul, initial=1)), list(accumulate(after, mul, initial=1))
    if left[-1] != right[-1]:
        return None
    runs: list[tuple[range, range]] = []
    i = j = 0
    for stop in range(1, len(before) + 1):
        meeting = next((at for at in range(j, len(right)) if right[at] == left[stop]), None)
        if meeting is not None:
            runs.append((range(i, stop), range(j, meeting)))
            i, j = stop, meeting
    if runs and (i, j) != (len(before), len(after)):
        runs[-1] = range(runs[-1][0].start, len(before)), range(runs[-1][1].start, len(after))
    return runs


def _is_view(sources: Sequence[int], targets: Sequence[int]) -> bool:
    """Whether elements lie in the same order in both storages, all others after them."""
    if not is_bounded((*sources, *targets)):
        return True
    inner = (extents[1:] for extents in ([e for e in dims if e != 1] for dims in (sources, targets)))
    same = math.prod(capacities(sources)) == math.prod(capacities(targets))
    return same and not any(is_bounded(extents) for extents in inner)


def _reordered(b: BoundedBuilder, storage: Value, axes: range, sources: Sequence[int], targets: Sequence[int]) -> Value:
    """``storage`` with its dims ``axes``, of extents ``sources``, replaced by storage for the dims ``targets``."""
    room, cells = capacities(targets), math.prod(capacities(sources))
    number = b.full(room, 0, np.int64)
    for axis, extent in enumerate(targets):
        number = b.add(b.mul(number, b.extent(extent)), b.iota(room, axis))
    place, scale = b.full(room, 0, np.int64), 1
    for extent, stride in zip(reversed(sources), reversed(capacities(sources))):
        limit = b.extent(extent)
        place = b.add(place, b.mul(b.elementwise(hlt.RemOp, number, limit, mode="floor"), scale))
        number, scale = b.div(number, limit), scale * stride
    place = b.reshape(b.clamp(place, 0, max(0, cells - 1)), (math.prod(room),))
    shape = storage.shape
    lines = b.reshape(storage, (*shape[: axes.start], cells, *shape[axes.stop :]))
    found = b.static(hlt.GatherOp, lines, place, axis=axes.start)
    return b.reshape(found, (*shape[: axes.start], *room, *shape[axes.stop :]))
