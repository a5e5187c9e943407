"""Reference meaning of words, and of products of what they hold."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.numerics import exact_matmul
from mlc.dialects.interpreters.registry import Array, reference
from mlc.dialects.parts import PARTS


@reference(hlt.WordsOp, moves_data=True)
def words(_: hlt.WordsOp, x: Array) -> Array:
    """``numpy.view``."""
    return np.ascontiguousarray(x).view(np.dtype("<i4"))


@reference(hlt.DotWordsOp)
def dot_words(op: hlt.DotWordsOp, x: Array, w: Array) -> Array:
    """The product of the parts, as a matrix product in exact arithmetic."""
    left, right = (hlt.numpy_dtype(element) for element in PARTS[op.parts])
    return exact_matmul(parted(x, left), np.moveaxis(parted(w.T, right), -1, 0))


@reference(hlt.ConvWordsOp)
def conv_words(op: hlt.ConvWordsOp, x: Array, w: Array) -> Array:
    """One matrix product of the parts for each place in the window."""
    left, right = (hlt.numpy_dtype(element) for element in PARTS[op.parts])
    space = hlt.shape_of(op)[1:-1]
    total = np.zeros(hlt.shape_of(op), np.int64)
    for place in np.ndindex(*w.shape[:-2]):
        at = zip(place, space, op.strides, op.dilations)
        picked = x[:, *(slice(k * d, k * d + (n - 1) * s + 1, s) if n else slice(0) for k, n, s, d in at)]
        total += exact_matmul(parted(picked, left), np.moveaxis(parted(w[place].T, right), -1, 0))
    return total


def parted(x: Array, dtype: np.dtype[np.generic]) -> Array:
    """The parts of words along the last dim, as int64."""
    return np.ascontiguousarray(x.astype("<i4")).view(dtype.newbyteorder("<")).astype(np.int64)
