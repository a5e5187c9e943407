"""Reference meaning of ONNX Resize: interpolation is separable, so one weighted gather per dim."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.numerics import cast
from mlc.dialects.interpreters.registry import Array, reference


class Taps(NamedTuple):
    """What each output index along one dim is made of: ``[size, taps]`` source indices and their weights."""

    indices: Array
    weights: Array


@reference(hlt.ResizeOp)
def resize(op: hlt.ResizeOp, x: Array) -> Array:
    """Dim by dim, then the extrapolation value wherever some coordinate lies outside."""
    result, beyond = x, np.zeros((1,) * x.ndim, np.bool_)
    for dim in range(x.ndim):
        beyond = beyond | outside(op, dim).reshape([-1 if other == dim else 1 for other in range(x.ndim)])
        found = taps(op, dim)
        if found is not None:
            result = _apply(found, result, dim)
    result = np.where(beyond, op.extrapolation_value, result) if beyond.any() else result
    return result if x.dtype == np.float64 else cast(result, x.dtype)


def outside(op: hlt.ResizeOp, dim: int) -> Array:
    """Which indices of the result along ``dim`` take the extrapolation value."""
    extent = hlt.shape_of(op.x)[dim]
    places = coordinates(op, dim, extent)
    if op.coordinates != "tf_crop_and_resize":
        return np.zeros(len(places), np.bool_)
    return np.asarray((places < 0) | (places > extent - 1))


def taps(op: hlt.ResizeOp, dim: int) -> Taps | None:
    """What the result is made of along ``dim``; ``None`` where the dim is left as it is."""
    extent = hlt.shape_of(op.x)[dim]
    places = coordinates(op, dim, extent)
    return None if _is_identity(places, extent) else _taps(op, dim, extent, places)


def coordinates(op: hlt.ResizeOp, dim: int, extent: int) -> Array:
    """The source coordinate of every output index along ``dim``."""
    size, scale = op.shape[dim], op.scales[dim]
    index = np.arange(size, dtype=np.float64)
    width = scale * extent
    half_pixel = (index + 0.5) / scale - 0.5
    match op.coordinates:
        case "half_pixel":
            return half_pixel
        case "half_pixel_symmetric":
            return extent / 2 * (1 - size / width) + (index + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return half_pixel if size > 1 else np.zeros(size)
        case "align_corners":
            return index * (extent - 1) / (width - 1) if size > 1 else np.zeros(size)
        case "asymmetric":
            return index / scale
        case "tf_half_pixel_for_nn":
            return (index + 0.5) / scale
        case _:
            return _crop_coordinates(op, dim, extent, width)


def _crop_coordinates(op: hlt.ResizeOp, dim: int, extent: int, width: float) -> Array:
    size, rank = op.shape[dim], len(op.shape)
    start, end = op.roi[dim], op.roi[rank + dim]
    if size <= 1:
        return np.full(size, 0.5 * (start + end) * (extent - 1))
    index: Array = np.arange(size)
    return start * (extent - 1) + index * (end - start) * (extent - 1) / (width - 1)


def _taps(op: hlt.ResizeOp, dim: int, extent: int, places: Array) -> Taps:
    """Indices clamped to the border; with ``exclude_outside`` those beyond it get no weight."""
    if op.mode == "nearest":
        return Taps(_nearest(op.nearest_mode, places).clip(0, extent - 1).astype(np.int64)[:, None], np.ones((1, 1)))
    reach = 1 if op.mode == "linear" else 2
    stretch = max(1.0, 1.0 / op.scales[dim]) if op.antialias else 1.0
    radius = math.ceil(reach * stretch)
    base = np.ceil(places).astype(np.int64) - 1
    indices = base[:, None] + np.arange(1 - radius, radius + 1)
    distance = np.abs(indices - places[:, None]) / stretch
    weights = np.maximum(1.0 - distance, 0.0) if reach == 1 else _cubic(distance, op.cubic_coeff)
    if op.exclude_outside:
        weights = np.where((indices < 0) | (indices >= extent), 0.0, weights)
    if op.exclude_outside or op.antialias:
        total = weights.sum(axis=1, keepdims=True)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total != 0)
    return Taps(indices.clip(0, extent - 1), weights)


def _nearest(mode: str, places: Array) -> Array:
    match mode:
        case "round_prefer_floor":
            return np.ceil(places - 0.5)
        case "round_prefer_ceil":
            return np.floor(places + 0.5)
        case "floor":
            return np.floor(places)
        case _:
            return np.ceil(places)


def _cubic(distance: Array, a: float) -> Array:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _apply(taps: Taps, x: Array, dim: int) -> Array:
    """The weighted sum of one gather per tap."""
    if taps.indices.shape[1] == 1:
        return x.take(taps.indices[:, 0], dim)
    column = [-1 if other == dim else 1 for other in range(x.ndim)]
    parts = (
        x.take(taps.indices[:, tap], dim) * taps.weights[:, tap].reshape(column) for tap in range(taps.indices.shape[1])
    )
    return np.asarray(sum(parts))


def _is_identity(places: Array, extent: int) -> bool:
    return len(places) == extent and bool((places == np.arange(extent)).all())
