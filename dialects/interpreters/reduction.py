"""Reference meaning of reductions, windows, scans and orders."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.elementwise import divide
from mlc.dialects.interpreters.registry import Array, reference

_UFUNC: dict[str, np.ufunc] = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "any": np.logical_or,
    "all": np.logical_and,
}


def identity(kind: str, dtype: np.dtype[Any]) -> float | int | bool:
    """The element that ``kind`` leaves out of account."""
    if kind in ("sum", "any"):
        return 0
    if kind in ("prod", "all"):
        return 1
    if dtype.kind == "f":
        return -np.inf if kind == "max" else np.inf
    info = np.iinfo(dtype.type)
    return info.min if kind == "max" else info.max


@reference(hlt.ReduceOp)
def reduce(op: hlt.ReduceOp, x: Array) -> Array:
    """``ufunc.reduce`` from the identity; a mean is the sum over the count."""
    kind = "sum" if op.kind == "mean" else op.kind
    total = _UFUNC[kind].reduce(x, axis=op.axes, keepdims=op.keep_dims, dtype=x.dtype, initial=identity(kind, x.dtype))
    if op.kind != "mean":
        return total
    count = functools.reduce(lambda product, axis: product * x.shape[axis], op.axes, 1)
    return divide(np.asarray(total), np.asarray(count, dtype=x.dtype if x.dtype.kind == "f" else np.int64))


@reference(hlt.ArgReduceOp)
def arg_reduce(op: hlt.ArgReduceOp, x: Array) -> Array:
    """``numpy.argmax`` or ``argmin``, from the end for the last index."""
    find = np.argmax if op.kind == "max" else np.argmin
    if not op.last_index:
        return np.asarray(find(x, axis=op.axis, keepdims=op.keep_dims))
    return x.shape[op.axis] - 1 - find(np.flip(x, op.axis), axis=op.axis, keepdims=op.keep_dims)


@reference(hlt.ReduceWindowOp)
def reduce_window(op: hlt.ReduceWindowOp, x: Array) -> Array:
    """Dim by dim: a window over several dims is a window over each in turn."""
    kind = "sum" if op.kind == "mean" else op.kind
    highs = [high + over for high, over in zip(op.pads_high, op.overhang)]
    padded = np.pad(x, list(zip(op.pads_low, highs)), constant_values=identity(kind, x.dtype)) if x.ndim else x
    total = functools.reduce(lambda part, dim: _window(op, part, dim, kind), range(x.ndim), padded)
    return divide(total, _window_counts(op, x)) if op.kind == "mean" else total


@reference(hlt.ScanOp)
def scan(op: hlt.ScanOp, x: Array) -> Array:
    """``ufunc.accumulate``, shifted by one identity if exclusive."""
    forward = np.flip(x, op.axis) if op.reverse else x
    if op.exclusive and x.shape[op.axis]:
        first = np.full_like(forward.take([0], op.axis), identity(op.kind, x.dtype))
        kept = forward.take(range(x.shape[op.axis] - 1), op.axis)
        forward = np.concatenate([first, kept], op.axis)
    result = _UFUNC[op.kind].accumulate(forward, axis=op.axis, dtype=x.dtype)
    return np.flip(result, op.axis) if op.reverse else result


@reference(hlt.SortOp)
def sort(op: hlt.SortOp, x: Array) -> tuple[Array, Array]:
    """Stable."""
    order = _order(x, op.axis, op.descending)
    return np.take_along_axis(x, order, op.axis), order


@reference(hlt.TopKOp)
def top_k(op: hlt.TopKOp, x: Array) -> tuple[Array, Array]:
    """The start of the stable order."""
    order = _order(x, op.axis, op.largest).take(range(op.k), op.axis)
    return np.take_along_axis(x, order, op.axis), order


def _order(x: Array, axis: int, descending: bool) -> Array:
    """Indices in stable order along ``axis``; NaN counts as largest."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    backward = np.argsort(np.flip(x, axis), axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - backward, axis)


def _window(op: hlt.ReduceWindowOp, x: Array, dim: int, kind: str) -> Array:
    """Combines the window along one dim: one strided slice per window element."""
    if op.window[dim] == op.strides[dim] == 1:
        return x
    parts = (x[_every(x.ndim, dim, places)] for places in _places(op, dim))
    return functools.reduce(_UFUNC[kind], parts)


def _places(op: hlt.ReduceWindowOp, dim: int) -> list[slice]:
    """For each window element along ``dim``, the padded indices that it meets."""
    extent, stride, dilation = hlt.shape_of(op)[dim], op.strides[dim], op.dilations[dim]
    starts = (place * dilation for place in range(op.window[dim]))
    return [slice(start, start + extent * stride, stride) if extent else slice(0, 0) for start in starts]


def _window_counts(op: hlt.ReduceWindowOp, x: Array) -> Array:
    """How many cells each position of a mean divides by, at least 1, as an outer product over dims."""
    counts = np.ones((1,) * x.ndim, np.int64)
    for dim, extent in enumerate(x.shape):
        pads = (op.pads_low[dim], op.pads_high[dim])
        cells = np.ones(extent, np.int64)
        counted = np.pad(np.pad(cells, pads, constant_values=int(op.count_include_pad)), (0, op.overhang[dim]))
        along = sum(counted[places] for places in _places(op, dim))
        counts = counts * np.asarray(along).reshape(_every_extent(x.ndim, dim))
    return np.maximum(counts, 1).astype(x.dtype if x.dtype.kind == "f" else np.int64)


def _every(rank: int, dim: int, places: slice) -> tuple[slice, ...]:
    return tuple(itertools.chain([slice(None)] * dim, [places], [slice(None)] * (rank - dim - 1)))


def _every_extent(rank: int, dim: int) -> Sequence[int]:
    return [-1 if other == dim else 1 for other in range(rank)]
