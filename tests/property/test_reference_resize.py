"""hlt against ONNX's reference evaluator: resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.testing.hlt_reference import Array, check, few, many, normal, onnx_run, seeds, values_of

COORDINATES = ["half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric"]
NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def resize_case(x: Array, scales: list[float], **attributes: Any) -> None:
    shape = [math.floor(extent * scale) for extent, scale in zip(x.shape, scales)]
    assume(all(extent > 0 for extent in shape))
    names = {"coordinates": "coordinate_transformation_mode", "cubic_coeff": "cubic_coeff_a"}
    onnx_attributes = {
        names.get(name, name): int(value) if isinstance(value, bool) else value for name, value in attributes.items()
    }
    op = hlt.ResizeOp(*values_of([x]), shape=shape, scales=scales, **attributes)
    expected = onnx_run("Resize", [x, None, np.array(scales, np.float32)], **onnx_attributes)
    check(op, [x], expected, 1e-5)


SCALES = st.sampled_from([0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5, 3.0])


@given(seeds, st.sampled_from(COORDINATES), st.sampled_from(NEAREST), SCALES, SCALES)
@many
def test_resize_nearest(seed: int, coordinates: str, nearest: str, first: float, second: float) -> None:
    x = normal(seed, 1, 2, 4, 5)
    first, second = float(np.float32(first)), float(np.float32(second))
    resize_case(x, [1.0, 1.0, first, second], mode="nearest", coordinates=coordinates, nearest_mode=nearest)


@given(
    seeds,
    st.sampled_from(["linear", "cubic"]),
    st.sampled_from(COORDINATES),
    SCALES,
    SCALES,
    st.booleans(),
    st.booleans(),
)
@many
def test_resize_interpolated(
    seed: int, mode: str, coordinates: str, first: float, second: float, exclude: bool, antialias: bool
) -> None:
    x = normal(seed, 1, 2, 4, 5)
    first, second = float(np.float32(first)), float(np.float32(second))
    resize_case(
        x,
        [1.0, 1.0, first, second],
        mode=mode,
        coordinates=coordinates,
        exclude_outside=exclude,
        antialias=antialias,
        cubic_coeff=-0.5,
    )


@given(
    seeds,
    st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from([0.0, 0.2, -0.3]),
    st.sampled_from([0.6, 1.0, 1.4]),
)
@few
def test_resize_crop(seed: int, mode: str, start: float, end: float) -> None:
    x = normal(seed, 1, 1, 4, 5)
    roi = [0.0, 0.0, start, start, 1.0, 1.0, end, end]
    op = hlt.ResizeOp(
        *values_of([x]),
        shape=(1, 1, 3, 7),
        mode=mode,
        coordinates="tf_crop_and_resize",
        roi=roi,
        extrapolation_value=10.0,
    )
    expected = onnx_run(
        "Resize",
        [x, np.array(roi), None, np.array([1, 1, 3, 7])],
        mode=mode,
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=10.0,
    )
    check(op, [x], expected, 1e-5)
