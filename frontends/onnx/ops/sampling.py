"""Operators that read images between their elements: GridSample, RoiAlign, DeformConv."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.convolution import add_channel_bias
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Array, Value
from mlc.frontends.onnx.window import explicit_pads, per_dim

CUBIC = -0.75
"""The parameter of ONNX's cubic convolution (Keys, "Cubic convolution interpolation", 1981)."""


@dataclass(frozen=True)
class Image:
    """Pixels ``[B * prod(dims), C]``: ``B`` images of extents ``dims``, their channels last."""

    pixels: Value
    dims: tuple[int, ...]

    @staticmethod
    def of(b: Builder, x: Value, groups: int = 1) -> Image:
        """The images of ``x: [N, C, *dims]``, of ``groups`` parts of the channels each."""
        batch, channels, *dims = x.shape
        grouped = b.reshape(x, (batch * groups, channels // groups, math.prod(dims)))
        rows = b.transpose(grouped, (0, 2, 1))
        return Image(b.reshape(rows, (batch * groups * math.prod(dims), channels // groups)), tuple(dims))

    def terms(self, b: Builder, which: Value, coordinates: Sequence[Value], taps: Taps) -> list[Value]:
        """The weighted pixels ``[*P, C]`` whose sum is the image ``which[P]`` at ``coordinates`` (one ``[P]`` per dim).

        ``which`` is i64. Coordinates count pixels and may be any number; what pixels stand beyond the border is for
        ``taps`` to say.
        """
        found: list[Value] = []
        base = b.mul(which, math.prod(self.dims))
        for choice in itertools.product(*(taps.along(b, x, dim) for x, dim in zip(coordinates, range(len(self.dims))))):
            place, weight = base, None
            inside: Value | None = None
            for dim, tap in enumerate(choice):
                place = b.add(place, b.mul(tap.index, math.prod(self.dims[dim + 1 :])))
                weight = _product(b, weight, tap.weight)
                inside = tap.inside if inside is None else b.elementwise(hlt.AndOp, inside, tap.inside or inside)
            found.append(self._pixels(b, place, weight, inside))
        return found

    def _pixels(self, b: Builder, place: Value, weight: Value | None, inside: Value | None) -> Value:
        values = b.op(hlt.GatherOp, self.pixels, place, axis=0)
        points = tuple(range(place.rank))
        if weight is not None:
            values = b.mul(values, b.broadcast_to(weight, values.shape, points))
        if inside is not None:
            values = b.select(b.broadcast_to(inside, values.shape, points), values, 0)
        return values


def _product(b: Builder, x: Value | None, y: Value | None) -> Value | None:
    if x is None or y is None:
        return x if y is None else y
    return b.mul(x, y)


@dataclass(frozen=True)
class Tap:
    """One pixel that counts along a dim: its index (i64), its weight (None: 1), and whether it exists (None: yes)."""

    index: Value
    weight: Value | None
    inside: Value | None


@dataclass(frozen=True)
class Taps:
    """Which pixels count, by ``mode`` (nearest, linear, cubic), and what stands beyond the border, by ``padding``.

    ``padding`` is zeros, border (the outermost pixel) or reflection; ``aligned`` says that the border runs through
    the centres of the outermost pixels, not around them.
    """

    dims: tuple[int, ...]
    mode: str = "linear"
    padding: str = "zeros"
    aligned: bool = True

    def along(self, b: Builder, x: Value, dim: int) -> list[Tap]:
        """The taps for the coordinate ``x`` along a dim."""
        if self.mode == "nearest":
            return [self._tap(b, self._within(b, b.op(hlt.RoundOp, x), dim), None, dim)]
        x = self._within(b, x, dim)
        low = b.op(hlt.FloorOp, x)
        rest = b.sub(x, low)
        weights = _cubic_weights(b, rest) if self.mode == "cubic" else [b.sub(1.0, rest), rest]
        first = -1 if self.mode == "cubic" else 0
        return [self._tap(b, b.add(low, first + i), weight, dim) for i, weight in enumerate(weights)]

    def _within(self, b: Builder, x: Value, dim: int) -> Value:
        """A coordinate beyond the border moved to where its value is taken from."""
        least, most = self._border(dim)
        if self.padding == "reflection":
            return _reflected(b, x, least, most)
        if self.padding == "border":
            beyond = b.elementwise(hlt.OrOp, b.compare("lt", x, least), b.compare("gt", x, most))
            return b.select(beyond, b.clamp(x, 0.0, self.dims[dim] - 1.0), x)
        return x

    def _border(self, dim: int) -> tuple[float, float]:
        extent = self.dims[dim]
        return (0.0, extent - 1.0) if self.aligned else (-0.5, extent - 0.5)

    def _tap(self, b: Builder, place: Value, weight: Value | None, dim: int) -> Tap:
        if self.padding == "reflection":
            place = _reflected(b, place, *self._border(dim))
        index = b.cast(place, np.int64)
        last = self.dims[dim] - 1
        held = b.clamp(index, 0, last)
        return Tap(held, weight, b.compare("eq", index, held) if self.padding == "zeros" else None)


def _reflected(b: Builder, x: Value, least: float, most: float) -> Value:
    """``x`` mirrored at both ends until it lies between them."""
    length = most - least
    if length <= 0:
        return b.full_like(x, least)
    distance = b.op(hlt.AbsOp, b.sub(x, least))
    turns = b.op(hlt.FloorOp, b.div(distance, length))
    rest = b.sub(distance, b.mul(turns, length))
    odd = b.compare("ne", b.elementwise(hlt.RemOp, turns, 2.0, mode="trunc"), 0.0)
    return b.select(odd, b.sub(most, rest), b.add(rest, least))


def _cubic_weights(b: Builder, t: Value) -> list[Value]:
    """The weights of the two pixels before and the two after, ``t`` of the way from the second to the third."""

    def near(x: Value) -> Value:
        inner = b.sub(b.mul(x, CUBIC + 2), CUBIC + 3)
        return b.add(b.mul(b.mul(inner, x), x), 1.0)

    def far(x: Value) -> Value:
        inner = b.add(b.mul(b.sub(b.mul(x, CUBIC), 5 * CUBIC), x), 8 * CUBIC)
        return b.sub(b.mul(inner, x), 4 * CUBIC)

    rest = b.sub(1.0, t)
    return [far(b.add(t, 1.0)), near(t), near(rest), far(b.add(rest, 1.0))]


def channels_first(b: Builder, x: Value) -> Value:
    """``[N, *S, C]`` as ``[N, C, *S]``."""
    return b.transpose(x, (0, x.rank - 1, *range(1, x.rank - 1)))


MODES = {"bilinear": "linear", "bicubic": "cubic", "linear": "linear", "cubic": "cubic", "nearest": "nearest"}


@onnx_op("GridSample")
def grid_sample(b: Builder, node: Node) -> Value:
    """``x: [N, C, *D]`` at the points of ``grid: [N, *O, len(D)]``, from -1 to 1, the innermost dim first."""
    x, grid = node.input(0), b.cast(node.input(1), _real(node.input(0)))
    dims = x.shape[2:]
    if grid.rank != x.rank or not dims or grid.shape[0] != x.shape[0] or grid.shape[-1] != len(dims) or 0 in dims:
        raise node.invalid(f"a grid of shape {list(grid.shape)} does not fit {list(x.shape)}")
    mode = MODES[node.string("mode", "linear", choices=tuple(MODES))]
    padding = node.string("padding_mode", "zeros", choices=("zeros", "border", "reflection"))
    aligned = node.bool("align_corners", False)
    points = grid.shape[:-1]
    coordinates = [
        _denormalised(
            b, b.squeeze(b.slice_axis(grid, grid.rank - 1, len(dims) - 1 - i, 1), (grid.rank - 1,)), n, aligned
        )
        for i, n in enumerate(dims)
    ]
    image, which = Image.of(b, b.cast(x, _real(x))), b.iota(points, 0)
    terms = image.terms(b, which, coordinates, Taps(dims, mode, padding, aligned))
    return b.cast(channels_first(b, reduce(b.add, terms)), x.dtype)


def _real(x: Value) -> type[np.floating]:
    """The type that coordinates of ``x`` are computed in."""
    return np.float64 if x.dtype == np.float64 else np.float32


def _denormalised(b: Builder, x: Value, extent: int, aligned: bool) -> Value:
    """Pixels from -1 to 1: from the first centre to the last, or from edge to edge."""
    if aligned:
        return b.mul(b.add(x, 1.0), (extent - 1) / 2)
    return b.div(b.sub(b.mul(b.add(x, 1.0), float(extent)), 1.0), 2.0)


# --- RoiAlign


@onnx_op("RoiAlign")
def roi_align(b: Builder, node: Node) -> Value:
    """``x: [N, C, H, W]`` in boxes ``rois: [R, 4]`` (x1, y1, x2, y2) of images ``which: [R]``, as [R, C, oh, ow].

    Without a sampling_ratio the boxes' sizes decide how many points are read, so they must be known.
    """
    x, rois, which = node.input(0), node.input(1), b.cast(node.input(2), np.int64)
    if x.rank != 4 or rois.shape != (*which.shape, 4) or which.rank != 1 or 0 in x.shape[2:]:
        raise node.invalid(f"boxes {list(rois.shape)} in images {list(which.shape)} of {list(x.shape)}")
    out = (node.int("output_height", 1), node.int("output_width", 1))
    half = node.string("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    scaled = b.sub(b.mul(b.cast(rois, _real(x)), node.float("spatial_scale", 1.0)), 0.5 if half else 0.0)
    axes = [_BoxAxis.of(b, node, scaled, axis, out[axis], half) for axis in range(2)]
    shape = (which.shape[0], out[0], axes[0].most, out[1], axes[1].most)
    y_x = [b.broadcast_to(axes[i].places(b), shape, (0, 2 * i + 1, 2 * i + 2)) for i in range(2)]
    dims = x.shape[2:]
    held = [b.clamp(v, 0.0, n - 1.0) for v, n in zip(y_x, dims)]
    image = Image.of(b, b.cast(x, _real(x)))
    terms = image.terms(b, b.broadcast_to(which, shape, (0,)), held, Taps(dims, padding="border"))
    beyond = [b.compare(p, v, limit) for v, n in zip(y_x, dims) for p, limit in (("lt", -1.0), ("gt", float(n)))]
    lost = reduce(lambda p, q: b.elementwise(hlt.OrOp, p, q), beyond)
    largest = node.string("mode", "avg", choices=("avg", "max")) == "max"
    value = reduce(b.maximum if largest else b.add, terms)
    value = b.select(b.broadcast_to(lost, value.shape, tuple(range(5))), 0, value)
    return b.cast(channels_first(b, _pooled(b, value, axes, largest)), x.dtype)


@dataclass(frozen=True)
class _BoxAxis:
    """One dim of all boxes: where each starts and ends ``[R]``, its bins, and how many points each bin has ``[R]``."""

    start: Value
    length: Value
    bins: int
    counts: Array

    @staticmethod
    def of(b: Builder, node: Node, rois: Value, axis: int, bins: int, half: bool) -> _BoxAxis:
        start, end = (b.squeeze(b.slice_axis(rois, 1, 1 - axis + shift, 1), (1,)) for shift in (0, 2))
        length = b.sub(end, start)
        if not half:
            length = b.maximum(length, 1.0)
        ratio = node.int("sampling_ratio", 0)
        if bins < 1 or ratio < 0:
            raise node.invalid(f"{bins} bins of {ratio} points")
        counts = np.full(rois.shape[0], ratio)
        if not ratio:
            counts = np.ceil(node.contents(length, "the size of the boxes") / bins).astype(np.int64)
        node.bounded(int(counts.max(initial=1)) * rois.shape[0], "the points of the boxes")
        return _BoxAxis(start, length, bins, np.maximum(counts, 0))

    @property
    def most(self) -> int:
        """The most points that a bin has."""
        return int(self.counts.max(initial=1))

    def places(self, b: Builder) -> Value:
        """The points' coordinates, [R, bins, points]."""
        shape = (self.start.shape[0], self.bins, self.most)
        size = b.broadcast_to(b.div(self.length, float(self.bins)), shape, (0,))
        real = size.dtype
        counts = np.maximum(self.counts, 1).reshape(-1, 1)
        inside = ((np.arange(self.most) + 0.5) / counts).astype(real)
        within = b.broadcast_to(b.constant(inside), shape, (0, 2))
        number = b.add(b.cast(b.iota(shape, 1), real), within)
        return b.add(b.mul(number, size), b.broadcast_to(self.start, shape, (0,)))

    def real_points(self) -> Array:
        """[R, points]: which points a box has."""
        return np.arange(self.most) < self.counts[:, None]


def _pooled(b: Builder, x: Value, axes: Sequence[_BoxAxis], largest: bool) -> Value:
    """``[R, oh, points, ow, points, C]`` to ``[R, oh, ow, C]``: the mean of each bin's points, or the largest."""
    for axis, where in zip(axes, (2, 4)):
        exists = axis.real_points()
        if not exists.all():
            mask = b.broadcast_to(b.constant(exists), x.shape, (0, where))
            x = b.select(mask, x, -math.inf if largest else 0.0)
    if largest:
        best = b.reduce("max", x, (2, 4))
        return b.select(b.compare("eq", best, -math.inf), 0.0, best)
    count = np.maximum(axes[0].counts * axes[1].counts, 1).astype(x.dtype)
    total = b.reduce("sum", x, (2, 4))
    return b.div(total, b.broadcast_to(b.constant(count), total.shape, (0,)))


# --- DeformConv


@onnx_op("DeformConv")
def deform_conv(b: Builder, node: Node) -> Value:
    """A convolution whose kernel's places are moved by ``offset: [N, groups * K * 2, oh, ow]`` and scaled by a mask."""
    x, w, offset, bias, mask = node.input(0), node.input(1), node.input(2), node.optional(3), node.optional(4)
    if x.rank != 4 or w.rank != 4 or offset.rank != 4:
        raise node.unsupported(f"deformable convolution of {x.rank - 2} dims; only images have it")
    groups, parts = node.int("group", 1), node.int("offset_group", 1)
    kernel, out = w.shape[2:], offset.shape[2:]
    cells = math.prod(kernel)
    if x.shape[1] % parts or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups or 0 in x.shape:
        raise node.invalid(f"{groups} groups and {parts} offset groups of {list(x.shape)} by {list(w.shape)}")
    shape = (x.shape[0], parts, *kernel, *out)
    real = _real(x)
    moves = b.reshape(b.cast(offset, real), (x.shape[0], parts, *kernel, 2, *out))
    low, _ = explicit_pads(node, 2)
    steps = zip(range(2), per_dim(node, "strides", 2, 1, 1), per_dim(node, "dilations", 2, 1, 1), low)
    places = [
        b.add(b.squeeze(b.slice_axis(moves, 4, i, 1), (4,)), b.cast(_kernel_places(b, shape, i, *step), real))
        for i, *step in steps
    ]
    image = Image.of(b, b.cast(x, real), parts)
    which = b.reshape(b.iota((x.shape[0] * parts, cells * math.prod(out)), 0), shape)
    value = reduce(b.add, image.terms(b, which, places, Taps(x.shape[2:])))
    if mask is not None:
        value = b.mul(value, b.broadcast_to(b.reshape(b.cast(mask, real), shape), value.shape, tuple(range(6))))
    columns = b.transpose(
        b.reshape(value, (x.shape[0], parts, cells, math.prod(out), value.shape[-1])), (0, 1, 4, 2, 3)
    )
    result = _grouped_product(b, columns, b.cast(w, real), groups)
    return add_channel_bias(b, b.cast(b.reshape(result, (x.shape[0], w.shape[0], *out)), x.dtype), bias)


def _kernel_places(b: Builder, shape: Sequence[int], dim: int, stride: int, dilation: int, low: int) -> Value:
    """Where the kernel's cells lie without offsets, along a dim: [N, parts, kh, kw, oh, ow]."""
    cell, start = b.mul(b.iota(shape, 2 + dim), dilation), b.mul(b.iota(shape, 4 + dim), stride)
    return b.sub(b.add(cell, start), low)


def _grouped_product(b: Builder, columns: Value, w: Value, groups: int) -> Value:
    """``columns: [N, parts, C / parts, K, P]`` times ``w: [O, C / groups, *K]``, as [N, O, P]."""
    batch, points = columns.shape[0], columns.shape[-1]
    depth = math.prod(w.shape[1:])
    rows = b.reshape(columns, (batch, groups, depth, points))
    weights = b.reshape(w, (groups, w.shape[0] // groups, depth))
    product = b.dot_general(weights, rows, batch=((0,), (1,)), contract=((2,), (2,)))
    return b.transpose(product, (2, 0, 1, 3))
