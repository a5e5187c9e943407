"""Quantisation against its definition in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.errors import ModelError

Build = Callable[..., Any]
Array = np.ndarray[Any, Any]

TYPES = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16}


def quantized(x: Array, scale: Array, zero_point: Array) -> Array:
    limits = np.iinfo(zero_point.dtype)
    rounded = np.rint(x / scale) + zero_point.astype(np.float64)
    return np.clip(rounded, limits.min, limits.max).astype(zero_point.dtype)


def spread(p: Array, granularity: str) -> Array:
    """A parameter per element of ``[3, 4, 2]``, or one that broadcasts to it."""
    if granularity == "axis":
        return p[:, None]
    return p.repeat(2, axis=1) if granularity == "block" else p


GRANULARITIES = {
    "tensor": ((), "axis = 0"),
    "axis": ((4,), "axis = 1"),
    "block": ((3, 2, 2), "axis = 1, block_size = 2"),
}


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(tuple(TYPES)),
    granularity=st.sampled_from(tuple(GRANULARITIES)),
    seed=st.integers(0, 100),
)
def test_quantize_and_back(build: Build, kind: str, granularity: str, seed: int) -> None:
    """Powers of two as scales keep all arithmetic exact."""
    shape, attributes = GRANULARITIES[granularity]
    random = np.random.default_rng(seed)
    x = (random.integers(-4000, 4000, (3, 4, 2)) / 16).astype(np.float32)
    scale = (2.0 ** random.integers(-8, 2, shape)).astype(np.float32)
    limits = np.iinfo(TYPES[kind])
    zero_point = random.integers(limits.min, limits.max, shape, endpoint=True).astype(TYPES[kind])
    extents = list(shape) or ""
    program = build(
        f"""
        g (float[3, 4, 2] x, float{extents} s, {kind}{extents} z) => (float[] y) {{
            q = QuantizeLinear <{attributes}> (x, s, z)
            y = DequantizeLinear <{attributes}> (q, s, z) }}"""
    )
    wide_scale, wide_zero = spread(scale, granularity), spread(zero_point, granularity)
    integers = quantized(x, wide_scale, wide_zero)
    expected = (integers.astype(np.int32) - wide_zero.astype(np.int32)).astype(np.float32) * wide_scale
    np.testing.assert_array_equal(program(x, scale, zero_point), expected)


def test_output_type_from_the_attribute(build: Build) -> None:
    program = build("g (float[2] x, float s) => (int16[2] y) { y = QuantizeLinear <output_dtype = 5> (x, s) }")
    result = program(np.array([1e9, -7.5], np.float32), np.array(0.5, np.float32))
    assert result.dtype == np.int16
    np.testing.assert_array_equal(result, [32767, -15])


def test_integer_products_take_zero_points_per_row_and_column(build: Build) -> None:
    program = build(
        """
        g (uint8[2, 3] a, int8[3, 4] b, uint8[2] az, int8[4] bz) => (int32[2, 4] y) {
            rows = Constant <value_ints = [2, 1]> ()
            column = Reshape (az, rows)
            y = MatMulInteger (a, b, column, bz) }"""
    )
    random = np.random.default_rng(1)
    a, b = random.integers(0, 255, (2, 3)).astype(np.uint8), random.integers(-128, 127, (3, 4)).astype(np.int8)
    az, bz = np.array([3, 250], np.uint8), np.array([-128, 0, 5, 127], np.int8)
    wide = [x.astype(np.int32) for x in (a, b, az, bz)]
    np.testing.assert_array_equal(program(a, b, az, bz), (wide[0] - wide[2][:, None]) @ (wide[1] - wide[3]))


@pytest.mark.parametrize(
    ("shape", "attributes", "message"),
    [("3", "axis = 1", "3 parameters for 4 entries"), ("3, 3, 2", "block_size = 2", "in blocks of 2")],
)
def test_parameters_must_fit(build: Build, shape: str, attributes: str, message: str) -> None:
    with pytest.raises(ModelError, match=rf"q \(QuantizeLinear\).*{message}"):
        build(
            f"""
            g (float[3, 4, 2] x, float[{shape}] s) => (uint8[] y) {{
                [q] y = QuantizeLinear <{attributes}> (x, s) }}"""
        )
