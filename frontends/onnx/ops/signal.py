"""Signals: discrete Fourier transforms, by products with constant matrices, and weights of mel bands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Array, Value

PRODUCT_LIMIT = 64
"""Transforms of at most this length are one product; longer ones are split while their length has a divisor."""

PRIME_LIMIT = 1 << 12
"""The longest transform that can't be split."""


class Complex(NamedTuple):
    """A complex tensor: its real and its imaginary part (None: zero)."""

    re: Value
    im: Value | None


def transform(b: Builder, node: Node, x: Complex) -> Complex:
    """The discrete Fourier transform of ``x: [B, n]`` along its rows.

    A length ``p q`` takes ``q`` transforms of length ``p``, a rotation of each element, and ``p`` transforms of
    length ``q`` (Cooley and Tukey, 1965).
    """
    batch, n = x.re.shape
    p = _divisor(n) if n > PRODUCT_LIMIT else 1
    if p == 1:
        if n > PRIME_LIMIT:
            raise node.unsupported(f"a Fourier transform of length {n}, which has no divisor")
        return _product(b, x)
    q = n // p
    columns = _each(x, lambda v: b.reshape(b.transpose(b.reshape(v, (batch, p, q)), (0, 2, 1)), (batch * q, p)))
    first = transform(b, node, columns)
    angles = np.outer(np.arange(q), np.arange(p))
    turned = _rotated(b, _each(first, lambda v: b.reshape(v, (batch, q, p))), angles, n)
    rows = _each(turned, lambda v: b.reshape(b.transpose(v, (0, 2, 1)), (batch * p, q)))
    last = transform(b, node, rows)
    return _each(last, lambda v: b.reshape(b.transpose(b.reshape(v, (batch, p, q)), (0, 2, 1)), (batch, n)))


def _divisor(n: int) -> int:
    """The largest divisor that is not above the square root."""
    return next(d for d in range(math.isqrt(n), 0, -1) if n % d == 0)


def _each(x: Complex, function: Callable[[Value], Value]) -> Complex:
    return Complex(function(x.re), None if x.im is None else function(x.im))


def _turn(angles: Array, n: int) -> tuple[Array, Array]:
    """Cosine and sine of ``-2 pi angles / n``, the angles reduced first."""
    turns = -2 * math.pi * (angles % n) / n
    return np.cos(turns), np.sin(turns)


def _product(b: Builder, x: Complex) -> Complex:
    """All frequencies at once: ``y[k] = sum of x[j] exp(-2 pi i j k / n)``."""
    n = x.re.shape[1]
    cos, sin = (b.constant(m.astype(x.re.dtype)) for m in _turn(np.outer(np.arange(n), np.arange(n)), n))
    re, im = b.matmul(x.re, cos), b.matmul(x.re, sin)
    if x.im is None:
        return Complex(re, im)
    return Complex(b.sub(re, b.matmul(x.im, sin)), b.add(im, b.matmul(x.im, cos)))


def _rotated(b: Builder, x: Complex, angles: Array, n: int) -> Complex:
    """``x exp(-2 pi i angles / n)``"""
    cos, sin = (b.constant(m.astype(x.re.dtype)) for m in _turn(angles, n))
    re, im = b.mul(x.re, cos), b.mul(x.re, sin)
    if x.im is None:
        return Complex(re, im)
    return Complex(b.sub(re, b.mul(x.im, sin)), b.add(im, b.mul(x.im, cos)))


def _parts(b: Builder, node: Node, x: Value) -> Complex:
    """The parts of ``[*, 1 or 2]``."""
    last = x.rank - 1
    if x.rank < 2 or x.shape[last] not in (1, 2):
        raise node.invalid(f"a signal of shape {list(x.shape)}: its last dim holds one part or two")
    parts = [b.squeeze(b.slice_axis(x, last, i, 1), (last,)) for i in range(x.shape[last])]
    return Complex(parts[0], parts[1] if len(parts) == 2 else None)


def _resized(b: Builder, x: Value, n: int) -> Value:
    """Rows cut or padded with zeros to ``n`` elements."""
    extent = x.shape[-1]
    if n <= extent:
        return b.slice_axis(x, x.rank - 1, 0, n)
    return b.pad(x, (0,) * x.rank, (*(0,) * (x.rank - 1), n - extent))


def _whole(b: Builder, x: Complex, n: int) -> Complex:
    """The ``n`` frequencies of a real signal of which the first ``n // 2 + 1`` are given: the rest mirrors them."""
    head = _each(x, lambda v: _resized(b, v, n // 2 + 1))

    def mirrored(v: Value) -> Value:
        return b.op(hlt.ReverseOp, b.slice_axis(v, 1, 1, (n - 1) // 2), axes=(1,))

    re = b.concat([head.re, mirrored(head.re)], 1)
    return Complex(re, None if head.im is None else b.concat([head.im, b.op(hlt.NegOp, mirrored(head.im))], 1))


def spectrum(b: Builder, node: Node, x: Value, axis: int, n: int | None, *, inverse: bool, onesided: bool) -> Value:
    """ONNX's DFT of ``x: [*, 1 or 2]`` along ``axis``, of length ``n``."""
    if axis >= x.rank - 1:
        raise node.invalid("the last dim holds the parts of complex numbers and is not transformed")
    parts = _parts(b, node, x)
    order = (*(i for i in range(x.rank - 1) if i != axis), axis)
    lead = tuple(x.shape[i] for i in order[:-1])
    wide = np.float64 if x.dtype == np.float64 else np.float32
    rows = _each(parts, lambda v: b.cast(b.reshape(b.transpose(v, order), (math.prod(lead), x.shape[axis])), wide))
    if n is None:
        n = 2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis]
    if n < 1 or not x.shape[axis]:
        raise node.invalid(f"a Fourier transform of {x.shape[axis]} elements and of length {n}")
    node.bounded(n, "the Fourier transform")
    rows = _whole(b, rows, n) if inverse and onesided else _each(rows, lambda v: _resized(b, v, n))
    if inverse:
        # The conjugate's transform is the conjugate of the inverse transform times the length.
        rows = Complex(rows.re, None if rows.im is None else b.op(hlt.NegOp, rows.im))
    result = transform(b, node, rows)
    assert result.im is not None, "a product has two parts"
    found = [result.re, b.op(hlt.NegOp, result.im) if inverse else result.im]
    if inverse:
        found = [b.div(part, float(n)) for part in found][: 1 if onesided else 2]
    bins = n // 2 + 1 if onesided and not inverse else n
    back = tuple(order.index(i) for i in range(x.rank - 1))
    shaped = [b.transpose(b.reshape(b.slice_axis(part, 1, 0, bins), (*lead, bins)), back) for part in found]
    return b.cast(b.concat([b.expand_dims(part, (x.rank - 1,)) for part in shaped], x.rank - 1), x.dtype)


@onnx_op("DFT")
def dft(b: Builder, node: Node) -> Value:
    """The axis is an input; before opset 20 it was an attribute."""
    x = node.input(0)
    length = None if node.optional(1) is None else int(node.known_scalar(1, "the length of the transform"))
    given = node.int("axis", 1) if node.version < 20 else -2
    axis = node.axis(int(node.known_scalar(2, "the axis")) if node.optional(2) is not None else given, x.rank)
    inverse, onesided = node.bool("inverse", False), node.bool("onesided", False)
    if onesided and not inverse and x.shape[-1:] == (2,):
        raise node.invalid("the one-sided transform is of real signals")
    return spectrum(b, node, x, axis, length, inverse=inverse, onesided=onesided)


@onnx_op("STFT")
def stft(b: Builder, node: Node) -> Value:
    """Transforms of windows ``frame_step`` apart of ``x: [batch, length, 1 or 2]``, as [batch, frames, bins, 2]."""
    x, window = node.input(0), node.optional(2)
    step = int(node.known_scalar(1, "the frame step"))
    length = x.shape[1] if window is None else window.size
    if node.optional(3) is not None:
        length = int(node.known_scalar(3, "the frame length"))
    if x.rank != 3 or step < 1 or not 0 < length <= x.shape[1] or (window is not None and window.shape != (length,)):
        raise node.invalid(f"frames of {length}, {step} apart, of a signal of shape {list(x.shape)}")
    count = 1 + (x.shape[1] - length) // step
    node.bounded(count * length, "the frames")
    places = (np.arange(count)[:, None] * step + np.arange(length)).astype(np.int64)
    frames = b.op(hlt.GatherOp, x, b.constant(places), axis=1)
    if window is not None:
        frames = b.mul(frames, b.broadcast_to(b.cast(window, x.dtype), frames.shape, (2,)))
    return spectrum(b, node, frames, 2, None, inverse=False, onesided=node.bool("onesided", True))


@onnx_op("MelWeightMatrix")
def mel_weight_matrix(b: Builder, node: Node) -> Value:
    """Triangles over the bins of a spectrum, their corners evenly spaced in mel."""
    what = ("the number of bands", "the length of the transform", "the sample rate", "the lower edge", "the upper edge")
    bands, length, rate, low, high = (node.known_scalar(i, name) for i, name in enumerate(what))
    if bands < 1 or length < 1 or rate < 1 or not 0 <= low <= high:
        raise node.invalid(f"{bands} bands from {low} to {high} Hz of {length} samples at {rate} Hz")
    node.bounded((int(length) // 2 + 1) * int(bands), "the matrix")
    matrix = mel_bands(int(bands), int(length), float(rate), float(low), float(high))
    return b.constant(matrix.astype(node.dtype("output_datatype", np.dtype(np.float32))))


def mel_bands(bands: int, length: int, rate: float, low: float, high: float) -> Array:
    """``[length // 2 + 1, bands]``: band ``i`` rises from corner ``i`` to corner ``i + 1`` and falls to ``i + 2``."""
    first, last = (2595 * math.log10(1 + edge / 700) for edge in (low, high))
    mel: Array = first + np.arange(bands + 2) * ((last - first) / (bands + 2))
    corners = np.floor((length + 1) * (700 * (10 ** (mel / 2595) - 1)) / rate)
    left, middle, right = (corners[i : i + bands] for i in range(3))
    bins: Array = np.arange(length // 2 + 1)[:, None]
    rising = (bins - left) / np.maximum(middle - left, 1)
    falling = (right - bins) / np.maximum(right - middle, 1)
    before = np.where(left == middle, bins == middle, np.where((bins >= left) & (bins <= middle), rising, 0.0))
    return np.where((bins >= middle) & (bins < right), falling, before)
