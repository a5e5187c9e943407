"""Reference meaning of gathers and scatters. An index out of range raises ``ModelError`` [index_range]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.registry import Array, reference
from mlc.errors import ModelError

_COMBINE: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def wrapped(op: hlt.HltOp, indices: Array, extent: int) -> Array:
    """``indices`` into a dim of ``extent``, negative ones counted from the end; raises ``ModelError`` outside it."""
    outside = (indices < -extent) | (indices >= extent)
    if outside.any():
        index = int(indices[outside].flat[0])
        raise ModelError(f"[index_range] index {index} into {extent} elements", node=hlt.node_name(op))
    return np.where(indices < 0, indices + extent, indices)


@reference(hlt.GatherOp, moves_data=True)
def gather(op: hlt.GatherOp, x: Array, indices: Array) -> Array:
    """``numpy.take``."""
    return np.take(x, wrapped(op, indices, x.shape[op.axis]), op.axis)


@reference(hlt.GatherElementsOp, moves_data=True)
def gather_elements(op: hlt.GatherElementsOp, x: Array, indices: Array) -> Array:
    """``numpy.take_along_axis`` from the corner of ``x`` that ``indices`` cover."""
    return x[_along(op, op.axis, x, indices)]


@reference(hlt.GatherNdOp, moves_data=True)
def gather_nd(op: hlt.GatherNdOp, x: Array, indices: Array) -> Array:
    """Advanced indexing: batch positions, then the components of the last dim of ``indices``."""
    batch = op.batch_dims
    positions: tuple[Array, ...] = np.ix_(*(np.arange(extent) for extent in x.shape[:batch])) if batch else ()
    trailing = indices.ndim - 1 - batch
    batch_index = [position.reshape(position.shape + (1,) * trailing) for position in positions]
    components = _components(op, indices, x.shape[batch:])
    return np.broadcast_to(x[(*batch_index, *components)], hlt.shape_of(op))


@reference(hlt.ScatterElementsOp)
def scatter_elements(op: hlt.ScatterElementsOp, x: Array, indices: Array, updates: Array) -> Array:
    """Advanced assignment along ``axis``."""
    return _scatter(op.reduction, x, _along(op, op.axis, x, indices), updates)


@reference(hlt.ScatterNdOp)
def scatter_nd(op: hlt.ScatterNdOp, x: Array, indices: Array, updates: Array) -> Array:
    """Advanced assignment of slices."""
    components = _components(op, indices, x.shape)
    if components:
        return _scatter(op.reduction, x, components, updates)
    whole = x.copy()
    for update in updates.reshape((-1, *x.shape)):
        whole = _scatter(op.reduction, whole, (...,), update)
    return whole


@reference(hlt.UpdateSliceOp)
def update_slice(op: hlt.UpdateSliceOp, x: Array, update: Array, start: Array) -> Array:
    """Assignment to a slice."""
    result = x.copy()
    if update.size:
        first = int(wrapped(op, start, op.places))
        where = [slice(None)] * x.ndim
        where[op.axis] = slice(first, first + update.shape[op.axis])
        result[tuple(where)] = update
    return result


def _scatter(reduction: str, x: Array, where: tuple[Any, ...], updates: Array) -> Array:
    """``x`` with ``updates`` in, the last of several for one place if they are not combined."""
    result = x.copy()
    if reduction == "none":
        result[where] = updates
    else:
        _COMBINE[reduction].at(result, where, updates)
    return result


def _along(op: hlt.HltOp, axis: int, x: Array, indices: Array) -> tuple[Array, ...]:
    """The index of every element of ``indices``: its own position, but its value along ``axis``."""
    grid: list[Array] = list(np.ix_(*(np.arange(extent) for extent in indices.shape)))
    grid[axis] = wrapped(op, indices, x.shape[axis])
    return tuple(grid)


def _components(op: hlt.HltOp, indices: Array, shape: Sequence[int]) -> tuple[Array, ...]:
    """The coordinates in the last dim of ``indices``, one array per leading dim of ``shape``."""
    return tuple(wrapped(op, indices[..., dim], shape[dim]) for dim in range(indices.shape[-1]))
