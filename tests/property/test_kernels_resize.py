"""Compiled resizes and transposed convolutions agree with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp, f16, f32, i8
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.interpreters import run_function
from mlc.dialects.weights import WeightStore
from mlc.testing.kernels import TARGETS, Builder, program, run_kernels
from mlc.testing.strategies import extents, random_array
from mlc.testing.tolerances import EXACT, Evaluation, Exact, Reduction, assert_within

Array = NDArray[Any]
COORDINATES = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners"),
    *("asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"),
)


def run(module: ModuleOp, arrays: list[Array], target: str) -> tuple[Array, Array, Array]:
    """What the kernels compute, the exact result, and a plain evaluation in the model's own types."""
    (actual,) = run_kernels(module, arrays, target=target, threads=2, weights=WeightStore())
    (exact,) = run_function(module, arrays, widen=True)
    (plain,) = run_function(module, arrays)
    return actual, exact, plain


@st.composite
def resizes(draw: st.DrawFn, mode: str) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape and the attributes of a resize."""
    shape = tuple(draw(st.lists(extents(17), min_size=1, max_size=3)))
    attributes: dict[str, Any] = {"mode": mode, "coordinates": draw(st.sampled_from(COORDINATES))}
    attributes["shape"] = tuple(
        draw(st.sampled_from([n, 2 * n, 3 * n, n + 1, max(1, n - 1), (n + 1) // 2])) for n in shape
    )
    if attributes["coordinates"] == "tf_crop_and_resize":
        ends = [draw(st.sampled_from([(0.0, 1.0), (0.25, 0.75), (-0.25, 1.25)])) for _ in shape]
        attributes["roi"] = (*(a for a, _ in ends), *(b for _, b in ends))
        attributes["extrapolation_value"] = 7.0
    if mode == "nearest":
        attributes["nearest_mode"] = draw(st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    else:
        attributes["exclude_outside"] = draw(st.booleans())
        attributes["antialias"] = draw(st.booleans())
    return shape, attributes


@pytest.mark.parametrize("element", [f32, i8])
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_nearest(target: str, element: Any, data: st.DataObject) -> None:
    """Elements move; none changes."""
    shape, attributes = data.draw(resizes("nearest"))
    module = program([tensor_type(shape, element)], lambda b, v: b(hlt.ResizeOp(*v, **attributes)))
    actual, _, plain = run(module, [random_array(1, shape, element, special=True)], target)
    assert_within(actual, plain, Exact(signed_zero=True))


@pytest.mark.parametrize(
    ("target", "element"), [*((target, f32) for target in TARGETS), ("native", f16), ("x86-64-v3", f16)]
)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_weighted(target: str, mode: str, element: Any, data: st.DataObject) -> None:
    shape, attributes = data.draw(resizes(mode))
    module = program([tensor_type(shape, element)], lambda b, v: b(hlt.ResizeOp(*v, **attributes)))
    actual, exact, plain = run(module, [random_array(1, shape, element)], target)
    if element == f16:  # the reference rounds after every step
        plain = exact.astype(np.float16)
    assert_within(actual, exact, Evaluation(plain, factor=8.0))


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_integers_are_truncated(target: str, data: st.DataObject) -> None:
    shape, attributes = data.draw(resizes("linear"))
    attributes["shape"] = tuple(2 * n for n in shape)
    attributes |= {"coordinates": "half_pixel", "roi": (), "antialias": False}
    module = program([tensor_type(shape, i8)], lambda b, v: b(hlt.ResizeOp(*v, **attributes)))
    actual, _, plain = run(module, [random_array(1, shape, i8)], target)
    assert_within(actual, plain, EXACT)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_conv_transpose(target: str, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 2))
    groups = data.draw(st.sampled_from([1, 1, 2]))
    inner, outer = data.draw(extents(9)) * groups, data.draw(extents(17))
    space = tuple(data.draw(extents(9)) for _ in range(rank))
    kernel, strides, dilations = ([data.draw(st.integers(1, n)) for _ in range(rank)] for n in (4, 3, 2))
    full = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(space, kernel, strides, dilations)]
    low = [data.draw(st.integers(0, min(n - 1, 3))) for n in full]
    high = [data.draw(st.integers(0, min(n - 1 - p, 3))) for n, p in zip(full, low)]
    extra = [data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(strides, dilations)]
    shapes = (2, inner, *space), (inner, outer, *kernel)
    x, w = random_array(1, shapes[0], f32), random_array(2, shapes[1], f32)

    def build(b: Builder, v: Sequence[SSAValue]) -> SSAValue:
        return b(
            hlt.ConvTransposeOp(
                *v,
                strides=strides,
                pads_low=low,
                pads_high=high,
                dilations=dilations,
                output_padding=extra,
                groups=groups,
            )
        )

    module = program([tensor_type(s, f32) for s in shapes], build)
    actual, exact, _ = run(module, [x, w], target)
    (magnitude,) = run_function(module, [np.abs(x), np.abs(w)])
    terms = inner // groups * int(np.prod(kernel))
    assert_within(actual, exact, Reduction(terms, magnitude))
