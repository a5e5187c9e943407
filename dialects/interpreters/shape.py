"""Reference meaning of the operations that move data."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.numerics import cast
from mlc.dialects.interpreters.registry import Array, reference


@reference(hlt.BroadcastOp, moves_data=True)
def broadcast(op: hlt.BroadcastOp, x: Array) -> Array:
    """A view: the operand's extents at ``dims``, 1 elsewhere, stretched."""
    extents = dict(zip(op.dims, x.shape))
    return np.broadcast_to(x.reshape([extents.get(dim, 1) for dim in range(len(op.shape))]), op.shape)


@reference(hlt.ReshapeOp, moves_data=True)
def reshape(op: hlt.ReshapeOp, x: Array) -> Array:
    """``numpy.reshape``."""
    return x.reshape(op.shape)


@reference(hlt.TransposeOp, moves_data=True)
def transpose(op: hlt.TransposeOp, x: Array) -> Array:
    """``numpy.transpose``."""
    return x.transpose(op.permutation)


@reference(hlt.SliceOp, moves_data=True)
def slice_(op: hlt.SliceOp, x: Array) -> Array:
    """Basic slicing."""
    box = zip(op.starts, op.sizes, op.strides)
    return x[tuple(slice(start, start + size * stride, stride) for start, size, stride in box)]


@reference(hlt.ReverseOp, moves_data=True)
def reverse(op: hlt.ReverseOp, x: Array) -> Array:
    """``numpy.flip``."""
    return np.flip(x, op.axes)


@reference(hlt.PadOp, moves_data=True)
def pad(op: hlt.PadOp, x: Array) -> Array:
    """``numpy.pad``, with the constant cast to the element type."""
    widths = list(zip(op.low, op.high))
    if not widths:
        return x
    if op.mode == "constant":
        return np.pad(x, widths, constant_values=cast(np.asarray(op.value), x.dtype))
    mode: Any = op.mode
    return np.pad(x, widths, mode=mode)


@reference(hlt.ConcatOp, moves_data=True)
def concat(op: hlt.ConcatOp, *inputs: Array) -> Array:
    """``numpy.concatenate``."""
    return np.concatenate(inputs, op.axis)


@reference(hlt.IotaOp, moves_data=True)
def iota(op: hlt.IotaOp) -> Array:
    """A stretched range."""
    extents = [extent if dim == op.axis else 1 for dim, extent in enumerate(op.shape)]
    index: Array = np.arange(op.shape[op.axis])
    return np.broadcast_to(index.reshape(extents), op.shape)
