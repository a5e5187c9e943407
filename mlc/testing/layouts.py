"""Logical tensors to arrays as they lie in memory, and back: what a kernel's buffers hold under ``#hlt.layout``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.dialects.hlt.layout import LayoutAttr

Array: TypeAlias = NDArray[Any]


def to_memory(array: Array, layout: LayoutAttr) -> Array:
    """The physical array of a logical one; halo and the rest of incomplete blocks are zeros."""
    blocks = _blocks(layout)
    widths = [
        (halo.low, halo.high + -(extent + halo.low + halo.high) % block)
        for extent, halo, block in zip(array.shape, layout.halo, blocks, strict=True)
    ]
    padded = np.pad(array, widths)
    split = padded.reshape([part for extent, block in zip(padded.shape, blocks) for part in (extent // block, block)])
    order = [2 * part.dim + part.inner for part in layout.dims]
    unsplit = [2 * dim + 1 for dim in range(array.ndim) if 2 * dim + 1 not in order]
    return np.ascontiguousarray(split.transpose(*order, *unsplit).reshape(layout.physical_shape(array.shape)))


def from_memory(array: Array, layout: LayoutAttr, shape: Sequence[int]) -> Array:
    """The logical array of ``shape`` that a physical one holds."""
    blocks = _blocks(layout)
    order = [2 * part.dim + part.inner for part in layout.dims]
    unsplit = [2 * dim + 1 for dim in range(len(shape)) if 2 * dim + 1 not in order]
    full = array.reshape((*array.shape, *(1 for _ in unsplit)))
    split = full.transpose(np.argsort([*order, *unsplit]))
    padded = split.reshape([split.shape[2 * dim] * block for dim, block in enumerate(blocks)])
    return padded[tuple(slice(halo.low, halo.low + extent) for extent, halo in zip(shape, layout.halo))]


def _blocks(layout: LayoutAttr) -> list[int]:
    """The block of each logical dim, 1 for those that are whole."""
    return [max((part.block for part in layout.dims if part.dim == dim), default=1) or 1 for dim in range(layout.rank)]
