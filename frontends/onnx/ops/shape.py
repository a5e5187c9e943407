"""Operators that rearrange tensors or speak about their shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.extents import broadcast_shapes, greatest, is_bounded, least
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value, extents_value


@onnx_op("Shape")
def shape(b: Builder, node: Node) -> Value:
    """A slice of the shape; out-of-range bounds clamp as Python's do."""
    extents = node.input(0).shape[node.int("start", 0) : node.int("end", None)]
    return extents_value(extents)


@onnx_op("Size")
def size(b: Builder, node: Node) -> Value:
    return extents_value(node.input(0).size)


@onnx_op("Reshape")
def reshape(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.reshape(x, _resolve_shape(node, x, node.known_ints(1, "the shape"), node.bool("allowzero", False)))


def _resolve_shape(node: Node, x: Value, asked: Sequence[int], allow_zero: bool) -> list[int]:
    """The result shape: 0 copies the input's extent unless ``allow_zero``, one -1 takes what is left."""
    if not allow_zero and any(extent == 0 and i >= x.rank for i, extent in enumerate(asked)):
        raise node.invalid(f"shape {list(asked)} copies a dim that the input {list(x.shape)} lacks")
    target = [x.shape[i] if extent == 0 and not allow_zero else extent for i, extent in enumerate(asked)]
    if any(extent < -1 for extent in target) or target.count(-1) > 1:
        raise node.invalid(f"shape {list(asked)} has more than one -1 or a smaller number")
    if -1 in target:
        rest = math.prod(extent for extent in target if extent != -1)
        if rest == 0 or x.size % rest:
            raise node.invalid(f"can't infer -1 in shape {list(asked)} from input {list(x.shape)}")
        target[target.index(-1)] = x.size // rest
    if math.prod(target) != x.size:
        raise node.invalid(f"can't reshape {list(x.shape)} to {list(asked)}: element counts differ")
    return target


@onnx_op("Flatten")
def flatten(b: Builder, node: Node) -> Value:
    x, axis = node.input(0), node.int("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise node.invalid(f"axis {axis} is out of range for rank {x.rank}")
    split = axis + x.rank if axis < 0 else axis
    return b.reshape(x, (math.prod(x.shape[:split]), math.prod(x.shape[split:])))


def axes_argument(node: Node, index: int = 1) -> tuple[int, ...] | None:
    """Axes given as input ``index`` or, in older opsets, as an attribute; None when not given."""
    given = node.optional_ints(index, "axes")
    return node.ints("axes", None) if given is None else given


@onnx_op("Squeeze")
def squeeze(b: Builder, node: Node) -> Value:
    x, given = node.input(0), axes_argument(node)
    ones = tuple(i for i, extent in enumerate(x.shape) if extent == 1)
    axes = ones if given is None else node.axes(given, x.rank)
    if not set(axes) <= set(ones):
        raise node.invalid(f"can't squeeze axes {list(axes)} of shape {list(x.shape)}: not all are 1")
    return b.squeeze(x, axes)


@onnx_op("Unsqueeze")
def unsqueeze(b: Builder, node: Node) -> Value:
    x, given = node.input(0), axes_argument(node)
    if given is None:
        raise node.invalid("axes are missing")
    return b.expand_dims(x, node.axes(given, x.rank + len(given)))


@onnx_op("Transpose")
def transpose(b: Builder, node: Node) -> Value:
    x = node.input(0)
    permutation = node.ints("perm", tuple(reversed(range(x.rank))))
    if sorted(permutation) != list(range(x.rank)):
        raise node.invalid(f"attribute perm {list(permutation)} is no permutation of {x.rank} dims")
    return b.transpose(x, permutation)


@onnx_op("Concat")
def concat(b: Builder, node: Node) -> Value:
    inputs = node.variadic()
    return b.concat(inputs, node.axis(node.int("axis"), inputs[0].rank))


@onnx_op("Split")
def split(b: Builder, node: Node) -> list[Value]:
    x = node.input(0)
    axis = node.axis(node.int("axis", 0), x.rank)
    sizes = node.optional_ints(1, "split sizes")
    sizes = node.ints("split", None) if sizes is None else sizes
    if sizes is None:
        sizes = _even_parts(node, x.shape[axis], node.int("num_outputs", len(node.proto.output)))
    if len(sizes) != len(node.proto.output):
        raise node.invalid(f"{len(sizes)} split sizes for {len(node.proto.output)} outputs")
    if sum(sizes) != x.shape[axis] or any(size < 0 for size in sizes):
        raise node.invalid(f"split sizes {list(sizes)} do not add up to the extent {x.shape[axis]}")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [b.slice_axis(x, axis, start, size) for start, size in zip(starts, sizes)]


def _even_parts(node: Node, extent: int, parts: int) -> tuple[int, ...]:
    """``extent`` cut in ``parts``, all of one size but the last."""
    if parts != len(node.proto.output):
        raise node.invalid(f"{len(node.proto.output)} outputs for {parts} parts")
    part = -(-extent // parts)
    return tuple(greatest(0, least(part, extent - i * part)) for i in range(parts))


@onnx_op("Slice")
def slice_(b: Builder, node: Node) -> Value:
    """Slicing as in Python; a negative step reverses the input's dim first."""
    x = node.input(0)
    starts, ends = node.known_ints(1, "starts"), node.known_ints(2, "ends")
    axes = node.optional_ints(3, "axes")
    axes = node.axes(range(len(starts)) if axes is None else axes, x.rank)
    steps = node.optional_ints(4, "steps") or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise node.invalid("starts, ends, axes and steps differ in length")
    if 0 in steps:
        raise node.invalid("a slice's step is zero")
    begin, sizes, strides = [0] * x.rank, list(x.shape), [1] * x.rank
    reversed_axes: list[int] = []
    for start, end, axis, step in zip(starts, ends, axes, steps):
        if is_bounded((start, end, x.shape[axis])):
            begin[axis], sizes[axis], strides[axis] = *_bounded_slice(x.shape[axis], start, end, step), abs(step)
            reversed_axes += [axis] if step < 0 else []
            continue
        taken = range(x.shape[axis])[start:end:step]
        backward = step < 0 and len(taken) > 1
        begin[axis] = x.shape[axis] - 1 - taken[0] if backward else taken[0] if taken else 0
        sizes[axis], strides[axis] = len(taken), abs(step) if len(taken) > 1 else 1
        reversed_axes += [axis] if backward else []
    if reversed_axes:
        x = b.op(hlt.ReverseOp, x, axes=tuple(sorted(reversed_axes)))
    return b.slice(x, begin, sizes, strides)


def _bounded_slice(extent: int, start: int, end: int, step: int) -> tuple[int, int]:
    """Where a slice of a dim that may be bounded begins, and how many elements it takes.

    With a negative step, both are meant for the dim reversed.
    """
    if step < 0:
        start, end = -1 - start, -1 - end
    first, last = (_from_front(place, extent) for place in (start, end))
    return first, (greatest(last - first, 0) + abs(step) - 1) // abs(step)


def _from_front(place: int, extent: int) -> int:
    """A bound as Python's slices take it: counted from the end if negative, then clamped."""
    return least(place if place >= 0 else greatest(extent + place, 0), extent)


@onnx_op("Pad")
def pad(b: Builder, node: Node) -> Value:
    """Negative amounts cut. A padding value known only at run time is selected in by a mask."""
    x = node.input(0)
    mode = node.string("mode", "constant", choices=("constant", "reflect", "edge", "wrap"))
    amounts, axes = node.known_ints(1, "pads"), node.optional_ints(3, "axes")
    axes = node.axes(range(x.rank) if axes is None else axes, x.rank)
    if len(amounts) != 2 * len(axes):
        raise node.invalid(f"{len(amounts)} pads for {len(axes)} axes")
    low, high = [0] * x.rank, [0] * x.rank
    for i, axis in enumerate(axes):
        low[axis], high[axis] = amounts[i], amounts[i + len(axes)]
    x = _crop(b, node, x, low, high)
    low, high = [greatest(0, n) for n in low], [greatest(0, n) for n in high]
    fill = node.optional(2)
    if mode != "constant" or fill is None:
        return b.pad(x, low, high, mode=mode)
    if fill.known is not None:
        return b.pad(x, low, high, value=float(node.known_scalar(2, "the padding value")))
    inside = b.pad(b.full(x.shape, True, np.bool_), low, high)
    padded = b.pad(x, low, high)
    return b.select(inside, padded, b.broadcast_to(b.reshape(fill, ()), padded.shape))


def _crop(b: Builder, node: Node, x: Value, low: Sequence[int], high: Sequence[int]) -> Value:
    """``x`` cut by the negative amounts of ``low`` and ``high``."""
    starts = [greatest(0, -n) for n in low]
    sizes = [extent - start - greatest(0, -n) for extent, start, n in zip(x.shape, starts, high)]
    if any(size < 0 for size in sizes):
        raise node.invalid(f"pads cut more than the input's shape {list(x.shape)} has")
    return b.slice(x, starts, sizes)


@onnx_op("Expand")
def expand(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.broadcast_to(x, broadcast_shapes(x.shape, node.known_ints(1, "the shape")))


@onnx_op("Tile")
def tile(b: Builder, node: Node) -> Value:
    """A dim repeated r times is a new dim of extent r before it, merged by a reshape."""
    x, repeats = node.input(0), node.known_ints(1, "repeats")
    if len(repeats) != x.rank or any(repeat < 0 for repeat in repeats):
        raise node.invalid(f"repeats {list(repeats)} do not fit rank {x.rank}")
    interleaved: list[int] = []
    kept: list[int] = []
    for extent, repeat in zip(x.shape, repeats):
        if repeat != 1:
            interleaved.append(repeat)
        kept.append(len(interleaved))
        interleaved.append(extent)
    result = [extent * repeat for extent, repeat in zip(x.shape, repeats)]
    return b.reshape(b.broadcast_to(x, interleaved, kept), result)


@onnx_op("DepthToSpace")
def depth_to_space(b: Builder, node: Node) -> Value:
    """Blocks of channels become ``block`` x ``block`` pixels; ``x``: [N, C * block², H, W]."""
    x, block = node.input(0), node.int("blocksize")
    mode = node.string("mode", "DCR", choices=("DCR", "CRD"))
    n, channels, height, width = _image(node, x)
    if block < 1 or channels % (block * block):
        raise node.invalid(f"{channels} channels are no multiple of the squared blocksize {block}")
    depth = channels // (block * block)
    if mode == "DCR":
        x = b.transpose(b.reshape(x, (n, block, block, depth, height, width)), (0, 3, 4, 1, 5, 2))
    else:
        x = b.transpose(b.reshape(x, (n, depth, block, block, height, width)), (0, 1, 4, 2, 5, 3))
    return b.reshape(x, (n, depth, height * block, width * block))


@onnx_op("SpaceToDepth")
def space_to_depth(b: Builder, node: Node) -> Value:
    """Blocks of ``block`` x ``block`` pixels become channels; ``x``: [N, C, H, W]."""
    x, block = node.input(0), node.int("blocksize")
    mode = node.string("mode", "DCR", choices=("DCR", "CRD"))
    n, channels, height, width = _image(node, x)
    if block < 1 or height % block or width % block:
        raise node.invalid(f"{height}x{width} pixels are no multiple of blocksize {block}")
    x = b.reshape(x, (n, channels, height // block, block, width // block, block))
    x = b.transpose(x, (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return b.reshape(x, (n, channels * block * block, height // block, width // block))


def _image(node: Node, x: Value) -> tuple[int, int, int, int]:
    if x.rank != 4:
        raise node.invalid(f"the input must have 4 dims, not {x.rank}")
    n, channels, height, width = x.shape
    return n, channels, height, width
