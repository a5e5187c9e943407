"""Reference meaning of matrix products and convolutions, all through ``numpy.matmul``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.numerics import exact_matmul
from mlc.dialects.interpreters.registry import Array, reference

_PATCH_LIMIT = 1 << 23
"""The most elements that convolution gathers at a time (64 MiB of float64)."""


@reference(hlt.DotGeneralOp)
def dot_general(op: hlt.DotGeneralOp, lhs: Array, rhs: Array) -> Array:
    """One batched product ``[B, M, K] @ [B, K, N]``."""
    batch = [lhs.shape[dim] for dim in op.lhs_batch]
    left = [lhs.shape[dim] for dim in op.lhs_free]
    right = [rhs.shape[dim] for dim in op.rhs_free]
    sizes = [math.prod(extents) for extents in (batch, left, right)]
    depth = math.prod(lhs.shape[dim] for dim in op.lhs_contract)
    left_matrix = lhs.transpose(op.lhs_batch + op.lhs_free + op.lhs_contract).reshape(sizes[0], sizes[1], depth)
    right_matrix = rhs.transpose(op.rhs_batch + op.rhs_contract + op.rhs_free).reshape(sizes[0], depth, sizes[2])
    return exact_matmul(left_matrix, right_matrix).reshape((*batch, *left, *right))


@reference(hlt.ConvOp)
def conv(op: hlt.ConvOp, x: Array, w: Array) -> Array:
    """Products of the kernel with patches: element by element if depthwise, else as matrices (im2col)."""
    widths = [(0, 0), (0, 0), *zip(op.pads_low, op.pads_high)]
    shape = hlt.shape_of(op)
    patches = _patches(np.pad(x, widths), op, shape[2:], w.shape[2:])
    return (_depthwise if w.shape[1] == 1 else _by_matrices)(op, patches, w, shape)


def _depthwise(op: hlt.ConvOp, patches: Array, w: Array, shape: tuple[int, ...]) -> Array:
    """One multiply-add of whole images per kernel element; each channel has its own kernels."""
    groups, positions = op.groups, shape[2:]
    kernels = w.reshape(groups, -1, *w.shape[2:], *(1,) * len(positions))
    result = np.zeros((shape[0], groups, kernels.shape[1], *positions), patches.dtype)
    for place in itertools.product(*map(range, w.shape[2:])):
        result += patches[:, :, None, *place] * kernels[:, :, *place]
    return result.reshape(shape)


def _by_matrices(op: hlt.ConvOp, patches: Array, w: Array, shape: tuple[int, ...]) -> Array:
    """The kernel matrix times gathered patches, a few rows of one image at a time to bound memory."""
    groups = op.groups
    kernel = w.reshape(groups, w.shape[0] // groups, -1)
    result = np.zeros(shape, w.dtype if w.dtype.kind == "f" else np.int64)
    for image, rows in itertools.product(range(shape[0]), _row_ranges(shape, kernel)):
        window = patches[image, ..., rows, *(slice(None),) * (len(shape) - 3)]
        columns = window.reshape(groups, kernel.shape[2], -1)
        result[image, :, rows] = exact_matmul(kernel, columns).reshape(shape[1], -1, *shape[3:])
    return result


@reference(hlt.ConvTransposeOp)
def conv_transpose(op: hlt.ConvTransposeOp, x: Array, w: Array) -> Array:
    """Each input element spreads the kernel: one product, then one strided addition per kernel element."""
    shape, groups = hlt.shape_of(op), op.groups
    batch, channels = x.shape[:2]
    window = w.shape[2:]
    kernel = w.reshape(groups, channels // groups, -1).transpose(0, 2, 1)
    columns = exact_matmul(kernel, x.reshape(batch, groups, channels // groups, -1))
    columns = columns.reshape(batch, shape[1], *window, *x.shape[2:])
    full = [n + low + high for n, low, high in zip(shape[2:], op.pads_low, op.pads_high)]
    result = np.zeros((batch, shape[1], *full), columns.dtype)
    for place in itertools.product(*map(range, window)):
        spread = zip(place, op.dilations, op.strides, x.shape[2:])
        target = tuple(slice(k * d, k * d + (n - 1) * s + 1, s) if n else slice(0, 0) for k, d, s, n in spread)
        result[:, :, *target] += columns[:, :, *place]
    crop = tuple(slice(low, low + extent) for low, extent in zip(op.pads_low, shape[2:]))
    return result[:, :, *crop]


def _patches(padded: Array, op: hlt.ConvOp, positions: Sequence[int], window: Sequence[int]) -> Array:
    """A view ``[N, Ci, *K, *O]`` of what each kernel element meets at each position."""
    spatial = padded.strides[2:]
    within = [stride * dilation for stride, dilation in zip(spatial, op.dilations)]
    between = [stride * step for stride, step in zip(spatial, op.strides)]
    return np.lib.stride_tricks.as_strided(
        padded,
        (*padded.shape[:2], *window, *positions),
        (*padded.strides[:2], *within, *between),
        writeable=False,
    )


def _row_ranges(shape: Sequence[int], kernel: Array) -> Iterator[slice]:
    """Ranges of the first spatial dim whose patches stay below the limit."""
    per_row = kernel.shape[0] * kernel.shape[2] * math.prod(shape[3:])
    step = max(1, _PATCH_LIMIT // max(1, per_row))
    for start in range(0, shape[2], step):
        yield slice(start, min(start + step, shape[2]))
