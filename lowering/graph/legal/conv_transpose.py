"""Transposed convolution: one convolution that makes all phases of the result, and a shuffle of its channels.

With stride ``s``, the elements ``q * s + r`` of the result (phase ``r``, padding aside) see only the kernel elements
``j * s + r``::

    y[q * s + r] = sum over j of x[q - j] * w[j * s + r]

So each phase is a plain convolution of x with every s-th element of w, reversed; the phases of all dims are channels
of one convolution, which are moved to where they belong. Kernels as large as the stride make it a plain product.
See Shi et al., "Is the deconvolution layer the same as a convolutional layer?" (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.base import shape_of
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.legal.constants import rearranged
from mlc.lowering.graph.rewrite import Rules


@dataclass(frozen=True)
class Side:
    """One spatial dim: where the result's cells lie in the phases, and which cells of x they need."""

    stride: int
    taps: int
    low: int
    high: int
    start: int
    positions: int

    @staticmethod
    def of(extent: int, kernel: int, stride: int, pad: int, size: int) -> Side:
        """``kernel`` counts the gaps of a dilated kernel; ``size`` is the result's extent.

        ``low`` and ``high`` are cells of zeros around x (negative: cells of x that no result needs); the result
        is the ``size`` cells from ``start`` on among ``positions`` of each phase.
        """
        taps = -(-kernel // stride)
        first, last = pad // stride, -(-(pad + size) // stride)
        return Side(stride, taps, taps - 1 - first, last - extent, pad - first * stride, last - first)


def rules(store: WeightStore | None) -> Rules:
    """The rule, for weights that stand in the IR or in ``store``."""
    table = Rules()

    @table.on(hlt.ConvTransposeOp)
    def phases(op: hlt.ConvTransposeOp) -> Value | None:
        if 0 in shape_of(op.result) or 0 in shape_of(op.x):
            return None
        sides = [
            Side.of(n, (k - 1) * dilation + 1, stride, low, size)
            for n, k, stride, dilation, low, size in zip(
                shape_of(op.x)[2:],
                shape_of(op.w)[2:],
                op.strides,
                op.dilations,
                op.pads_low,
                shape_of(op.result)[2:],
            )
        ]
        kernels = rearranged(phase_kernels(op, sides), store)
        made = hlt.ConvOp(framed(op.x, sides), kernels, groups=op.groups)
        return shuffled(made, op, sides)

    return table


def framed(x: Value, sides: list[Side]) -> Value:
    """``x`` with zeros around it, or without the borders that no result needs."""
    shape = shape_of(x)
    if any(s.low < 0 or s.high < 0 for s in sides):
        starts = tuple(max(0, -s.low) for s in sides)
        sizes = tuple(n + min(0, s.low) + min(0, s.high) for n, s in zip(shape[2:], sides))
        x = hlt.SliceOp(x, starts=(0, 0, *starts), sizes=(*shape[:2], *sizes), strides=(1,) * len(shape))
    low, high = ((0, 0, *(max(0, n) for n in pads)) for pads in zip(*((s.low, s.high) for s in sides)))
    if any(low) or any(high):
        x = hlt.PadOp(x, low=low, high=high, mode="constant", value=0.0)
    return x


def phase_kernels(op: hlt.ConvTransposeOp, sides: list[Side]) -> Value:
    """``w: [Ci, Co/g, *K]`` as kernels ``[Co * phases, Ci/g, *taps]``; output channels run group, channel, phase."""
    inner, outer = shape_of(op.w)[:2]
    rank = len(sides)
    w = spread(op.w, op.dilations)
    grown = [s.taps * s.stride - k for s, k in zip(sides, shape_of(w)[2:])]
    if any(grown):
        w = hlt.PadOp(w, low=(0,) * (rank + 2), high=(0, 0, *grown), mode="constant", value=0.0)
    parts = [n for s in sides for n in (s.taps, s.stride)]
    w = hlt.ReshapeOp(w, shape=(op.groups, inner // op.groups, outer, *parts))
    taps = tuple(3 + 2 * i for i in range(rank))
    phases = tuple(4 + 2 * i for i in range(rank))
    w = hlt.TransposeOp(hlt.ReverseOp(w, axes=taps), permutation=(0, 2, *phases, 1, *taps))
    channels = op.groups * outer * prod(s.stride for s in sides)
    return hlt.ReshapeOp(w, shape=(channels, inner // op.groups, *(s.taps for s in sides)))


def spread(w: Value, dilations: tuple[int, ...]) -> Value:
    """The kernel with the zeros of its dilations written out."""
    if all(d == 1 for d in dilations):
        return w
    shape = shape_of(w)
    channels, kernel = shape[:2], shape[2:]
    rank = len(kernel)
    w = hlt.ReshapeOp(w, shape=(*channels, *(n for k in kernel for n in (k, 1))))
    gaps = (0, 0, *(n for d in dilations for n in (0, d - 1)))
    w = hlt.PadOp(w, low=(0,) * len(gaps), high=gaps, mode="constant", value=0.0)
    w = hlt.ReshapeOp(w, shape=(*channels, *(k * d for k, d in zip(kernel, dilations))))
    sizes = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations))
    return hlt.SliceOp(w, starts=(0,) * (rank + 2), sizes=(*channels, *sizes), strides=(1,) * (rank + 2))


def shuffled(made: Value, op: hlt.ConvTransposeOp, sides: list[Side]) -> Value:
    """``[N, Co * phases, *positions]`` as ``[N, Co, *result]``: position and phase of a dim stand side by side."""
    shape = shape_of(op.result)
    rank = len(sides)
    strides, positions = [s.stride for s in sides], [s.positions for s in sides]
    y: Value = made
    if prod(strides) > 1:
        y = hlt.ReshapeOp(y, shape=(*shape[:2], *strides, *positions))
        pairs = tuple(axis for i in range(rank) for axis in (2 + rank + i, 2 + i))
        y = hlt.TransposeOp(y, permutation=(0, 1, *pairs))
        y = hlt.ReshapeOp(y, shape=(*shape[:2], *(n * s for n, s in zip(positions, strides))))
    if shape_of(y) == shape:
        return y
    starts = (0, 0, *(s.start for s in sides))
    return hlt.SliceOp(y, starts=starts, sizes=shape, strides=(1,) * (rank + 2))
