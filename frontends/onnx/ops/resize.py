"""Interpolation to another size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value

Number = TypeVar("Number", int, float)

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
POLICIES = ("stretch", "not_larger", "not_smaller")


@onnx_op("Resize")
def resize(b: Builder, node: Node) -> Value:
    x = node.input(0)
    axes = node.axes(node.ints("axes", tuple(range(x.rank))), x.rank)
    shape, scales = _target(node, x, axes)
    coordinates = node.string("coordinate_transformation_mode", "half_pixel", choices=COORDINATES)
    return b.op(
        hlt.ResizeOp,
        x,
        shape=shape,
        scales=scales,
        mode=node.string("mode", "nearest", choices=("nearest", "linear", "cubic")),
        coordinates=coordinates,
        nearest_mode=node.string("nearest_mode", "round_prefer_floor", choices=NEAREST),
        cubic_coeff=node.float("cubic_coeff_a", -0.75),
        exclude_outside=node.bool("exclude_outside", False),
        extrapolation_value=node.float("extrapolation_value", 0.0),
        roi=_region(node, x, axes) if coordinates == "tf_crop_and_resize" else (),
        antialias=node.bool("antialias", False),
    )


def _target(node: Node, x: Value, axes: Sequence[int]) -> tuple[list[int], list[float]]:
    """Shape and scale factors of all dims, from input scales or input sizes (either may be empty)."""
    shape, scales = list(x.shape), [1.0] * x.rank
    given = node.optional(2)
    if given is not None and given.size:
        factors = [float(factor) for factor in node.known(2, "scales").ravel()]
        for axis, factor in _paired(node, axes, factors, "scales"):
            if not (factor > 0 and math.isfinite(factor)):
                raise node.invalid(f"scale {factor} is not positive")
            shape[axis], scales[axis] = math.floor(x.shape[axis] * factor), factor
        return shape, scales
    if node.optional(3) is None:
        raise node.invalid("neither scales nor sizes are given")
    sizes = dict(_paired(node, axes, node.known_ints(3, "sizes"), "sizes"))
    if any(x.shape[axis] == 0 or size < 1 for axis, size in sizes.items()):
        raise node.invalid(f"can't resize shape {list(x.shape)} to sizes {list(sizes.values())}")
    ratios = {axis: size / x.shape[axis] for axis, size in sizes.items()}
    policy = node.string("keep_aspect_ratio_policy", "stretch", choices=POLICIES)
    if policy != "stretch" and ratios:
        common = min(ratios.values()) if policy == "not_larger" else max(ratios.values())
        ratios = dict.fromkeys(ratios, common)
        sizes = {axis: math.floor(x.shape[axis] * common + 0.5) for axis in sizes}
    for axis, size in sizes.items():
        shape[axis], scales[axis] = size, ratios[axis]
    return shape, scales


def _paired(node: Node, axes: Sequence[int], values: Sequence[Number], what: str) -> list[tuple[int, Number]]:
    if len(values) != len(axes):
        raise node.invalid(f"{len(values)} {what} for {len(axes)} axes")
    return list(zip(axes, values))


def _region(node: Node, x: Value, axes: Sequence[int]) -> list[float]:
    """The region of interest in all dims: starts, then ends."""
    roi = [float(edge) for edge in node.known(1, "the region of interest").ravel()]
    if len(roi) != 2 * len(axes):
        raise node.invalid(f"a region of {len(roi)} numbers for {len(axes)} axes")
    starts, ends = [0.0] * x.rank, [1.0] * x.rank
    for i, axis in enumerate(axes):
        starts[axis], ends[axis] = roi[i], roi[i + len(axes)]
    return starts + ends
