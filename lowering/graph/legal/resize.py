"""Resize, dim by dim: a repetition, a gather at constant places, or a product with the matrix of weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.hlt.dtypes import f32, f64, is_float
from mlc.dialects.interpreters.resize import Taps, outside, taps
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.legal.constants import table
from mlc.lowering.graph.match import full
from mlc.lowering.graph.rewrite import Rules
from mlc.lowering.scalar import is_half


def rules(store: WeightStore | None) -> Rules:
    """The rule; its tables go to ``store``."""
    found = Rules()
    found.on(hlt.ResizeOp)(_Resizes(store).by_dims)
    return found


@dataclass(frozen=True)
class _Resizes:
    store: WeightStore | None

    def by_dims(self, op: hlt.ResizeOp) -> Value | None:
        """Dims that shrink most come first; integers are interpolated in f64 and halves in f32."""
        if 0 in shape_of(op.result):
            return full(0, shape_of(op.result), hlt.numpy_dtype(element_of(op.x)))
        element = element_of(op.x)
        weighted = op.mode != "nearest"
        middle = element if not weighted else f32 if is_half(element) else element if is_float(element) else f64
        result: Value = op.x if middle == element else hlt.CastOp(op.x, dtype=middle)
        dims = sorted(range(len(op.shape)), key=lambda d: op.shape[d] / shape_of(op.x)[d])
        for dim in dims:
            found = taps(op, dim)
            if found is not None:
                moved = self._axis(result, dim, found)
                if moved is None:
                    return None
                result = moved
        extrapolated = self._extrapolate(op, result)
        if extrapolated is None:
            return None
        return extrapolated if middle == element else hlt.CastOp(extrapolated, dtype=element)

    def _axis(self, x: Value, dim: int, found: Taps) -> Value | None:
        if found.indices.shape[1] == 1:
            return self._take(x, dim, found.indices[:, 0])
        return self._product(x, dim, found)

    def _take(self, x: Value, dim: int, places: NDArray[np.int64]) -> Value | None:
        """Elements of ``x`` at ``places`` along a dim; each one several times over if that is all there is to it."""
        extent = shape_of(x)[dim]
        times, rest = divmod(len(places), extent)
        if not rest and bool((places == np.arange(len(places)) // times).all()):
            return repeated(x, dim, times)
        indices = table(places.astype(np.int64), self.store)
        return indices and hlt.GatherOp(x, indices, axis=dim)

    def _product(self, x: Value, dim: int, found: Taps) -> Value | None:
        """``sum over i of x[.., i, ..] * matrix[i, o]``, the dim moved back to its place."""
        shape = shape_of(x)
        element = element_of(x)
        matrix = table(weights_matrix(found, shape[dim]).astype(hlt.numpy_dtype(element)), self.store)
        if matrix is None:
            return None
        product = hlt.DotGeneralOp(x, matrix, lhs_contract=(dim,), rhs_contract=(0,))
        rank = len(shape)
        if dim == rank - 1:
            return product
        back = (*range(dim), rank - 1, *range(dim, rank - 1))
        return hlt.TransposeOp(product, permutation=back)

    def _extrapolate(self, op: hlt.ResizeOp, result: Value) -> Value | None:
        """The extrapolation value wherever some coordinate lies outside."""
        shape, dtype = shape_of(result), hlt.numpy_dtype(element_of(result))
        for dim in range(len(shape)):
            beyond = outside(op, dim)
            if not beyond.any():
                continue
            mask = table(beyond, self.store)
            if mask is None:
                return None
            where = hlt.BroadcastOp(mask, shape=shape, dims=(dim,))
            result = hlt.SelectOp(where, full(op.extrapolation_value, shape, dtype), result)
        return result


def repeated(x: Value, dim: int, times: int) -> Value:
    """Every element ``times`` over along a dim."""
    shape = shape_of(x)
    if times == 1:
        return x
    apart = hlt.ReshapeOp(x, shape=(*shape[: dim + 1], 1, *shape[dim + 1 :]))
    wide = (*shape[: dim + 1], times, *shape[dim + 1 :])
    spread = hlt.BroadcastOp(apart, shape=wide, dims=tuple(range(len(wide))))
    return hlt.ReshapeOp(spread, shape=(*shape[:dim], shape[dim] * times, *shape[dim + 1 :]))


def weights_matrix(found: Taps, extent: int) -> NDArray[np.float64]:
    """``[extent, size]``: what each element contributes to each result; taps at one place add up."""
    size, count = found.indices.shape
    matrix = np.zeros((extent, size))
    places = np.repeat(np.arange(size, dtype=np.int64)[:, None], count, axis=1)
    np.add.at(matrix, (found.indices, places), found.weights)
    return matrix
