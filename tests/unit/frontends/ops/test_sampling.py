"""Images read between their pixels, and the other way of columns to images, against ONNX's evaluator and by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlc.errors import ModelError
from mlc.testing.onnx_nodes import by_native_code, by_onnx, by_reference, node_model

Array = NDArray[Any]
MODES = ("linear", "nearest", "cubic")
PADDINGS = ("zeros", "border", "reflection")


def normal(*shape: int, seed: int = 1, scale: float = 1.0) -> Array:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize(("mode", "padding", "aligned"), list(itertools.product(MODES, PADDINGS, (0, 1))))
def test_grid_sample(mode: str, padding: str, aligned: int) -> None:
    """Points far beyond the border, too."""
    inputs = {"x": normal(2, 3, 4, 5), "grid": normal(2, 3, 7, 2, seed=2)}
    model = node_model("GridSample", inputs, mode=mode, padding_mode=padding, align_corners=aligned)
    (actual,), (wanted,) = by_reference(model, inputs), by_onnx(model, inputs)
    np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


def test_grid_sample_at_odd_numbers() -> None:
    """Infinite coordinates and NaN lead to some pixel or to zero, never outside."""
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0], np.float32)
    inputs = {"x": normal(1, 1, 4, 5), "grid": np.stack([odd, odd[::-1]], -1).reshape(1, 1, 6, 2)}
    for mode, padding in itertools.product(MODES, PADDINGS):
        (actual,) = by_native_code(node_model("GridSample", inputs, mode=mode, padding_mode=padding), inputs)
        assert actual.shape == (1, 1, 1, 6)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align(mode: str, ratio: int) -> None:
    boxes = np.array([[0, 0, 9, 9], [1.5, 2, 4, 8], [-3, -2, 3, 20], [5, 5, 5, 5]], np.float32)
    inputs = {"x": normal(2, 3, 10, 12), "rois": boxes, "which": np.array([0, 1, 1, 0], np.int64)}
    for transformation in ("half_pixel", "output_half_pixel"):
        attributes: dict[str, Any] = {"coordinate_transformation_mode": transformation, "mode": mode}
        attributes |= {"sampling_ratio": ratio, "output_height": 2, "output_width": 3, "spatial_scale": 0.75}
        model = node_model("RoiAlign", inputs, **attributes)
        (actual,), (wanted,) = by_reference(model, inputs), by_onnx(model, inputs)
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


def test_deform_conv_without_offsets_is_a_convolution() -> None:
    x, w = normal(2, 4, 7, 8), normal(6, 2, 3, 2, seed=2)
    attributes: dict[str, Any] = {"strides": [2, 1], "pads": [1, 0, 1, 2], "dilations": [1, 2], "group": 2}
    (wanted,) = by_onnx(node_model("Conv", {"x": x, "w": w}, **attributes), {"x": x, "w": w})
    offsets = np.zeros((2, 2 * 6 * 2, *wanted.shape[2:]), np.float32)
    inputs = {"x": x, "w": w, "offset": offsets}
    (actual,) = by_reference(node_model("DeformConv", inputs, offset_group=2, **attributes), inputs)
    np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


def test_deform_conv() -> None:
    offsets = normal(1, 2 * 4 * 2, 3, 3, seed=3)
    inputs = {"x": normal(1, 4, 4, 4), "w": normal(2, 4, 2, 2, seed=2), "offset": offsets, "b": normal(2)}
    inputs |= {"mask": normal(1, 2 * 4, 3, 3, seed=4)}
    model = node_model("DeformConv", inputs, offset_group=2)
    (actual,), (wanted,) = by_reference(model, inputs), by_onnx(model, inputs)
    np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_columns_to_images(strides: tuple[int, int]) -> None:
    attributes: dict[str, Any] = {"strides": strides, "pads": [1, 0, 0, 2], "dilations": [1, 2]}
    shape, block = np.array([6, 9], np.int64), np.array([2, 3], np.int64)
    counts = [(6 + 1 - 2) // strides[0] + 1, (9 + 2 - 5) // strides[1] + 1]
    inputs = {"x": normal(2, 3 * 6, counts[0] * counts[1]), "image": shape, "block": block}
    model = node_model("Col2Im", inputs, **attributes)
    (actual,), (wanted,) = by_reference(model, inputs), by_onnx(model, inputs)
    np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)
    short = {**inputs, "x": inputs["x"][:, :, 1:]}
    with pytest.raises(ModelError, match="places in an image"):
        by_reference(node_model("Col2Im", short, **attributes), short)
