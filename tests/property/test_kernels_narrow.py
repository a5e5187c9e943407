"""Conversions of narrow types: the reference against ml_dtypes and ONNX, compiled kernels against the reference."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import numpy_helper
from xdsl.dialects.builtin import bf16, f16, f32, f64, i1, i8, i64
from xdsl.ir import Attribute

from mlc.dialects import hlt
from mlc.dialects.hlt import numpy_dtype, tensor_type
from mlc.dialects.hlt.dtypes import ui8, ui16, ui32
from mlc.dialects.hlt.narrow import EXPONENT, FLOAT_FORMATS, NARROW_DTYPES, bit_width
from mlc.dialects.interpreters import run_function
from mlc.dialects.interpreters.numerics import cast
from mlc.testing.kernels import TARGETS, program, run_kernels

Array = NDArray[Any]
few = settings(max_examples=5, deadline=None)
FLOATS = tuple(FLOAT_FORMATS)
TYPES = tuple(NARROW_DTYPES)
CASTABLE = tuple(element for element in TYPES if element != EXPONENT)


def codes(element: Attribute) -> Array:
    """Every element of a narrow type, and some twice, so that no vector width divides their number."""
    count = 1 << bit_width(element)
    return (np.arange(count + 13) % count).astype(np.uint8).view(numpy_dtype(element))


def every_half() -> Array:
    """All numbers of 16 bits."""
    return np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)


def bits(array: Array) -> Array:
    """Elements as integers, all NaN alike."""
    if not hlt.is_float(hlt.element_type(array.dtype)):
        return array.view(f"u{array.itemsize}")
    wide = array.astype(np.float64)
    return np.where(np.isnan(wide), np.nan, wide).view(np.uint64)


def agrees(element: Attribute, target: Attribute, x: Array, machine: str, *, saturate: bool = True) -> None:
    module = program([tensor_type(x.shape, element)], lambda b, v: b(hlt.CastOp(v[0], dtype=target, saturate=saturate)))
    (actual,), (expected,) = run_kernels(module, [x], target=machine), run_function(module, [x])
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(bits(actual), bits(expected))


@pytest.mark.parametrize("element", FLOATS, ids=str)
def test_the_reference_rounds_as_ml_dtypes(element: Attribute) -> None:
    """Up to the sign of NaN, which no one promises."""
    dtype = numpy_dtype(element)
    x = every_half()
    with np.errstate(invalid="ignore"):
        actual, expected = cast(x, dtype, saturate=False), x.astype(dtype)
    nan = np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(actual.astype(np.float64)), nan)
    nan |= np.isnan(x)
    np.testing.assert_array_equal(actual.view(np.uint8)[~nan], expected.view(np.uint8)[~nan])


@pytest.mark.parametrize("element", FLOATS[:4], ids=str)
def test_the_reference_saturates_as_onnx(element: Attribute) -> None:
    with np.errstate(invalid="ignore"):
        x = every_half().astype(np.float32)
        actual = cast(x, numpy_dtype(element)).astype(np.float64)
        wanted = numpy_helper.saturate_cast(x, numpy_dtype(element)).astype(np.float64)
    np.testing.assert_array_equal(actual, wanted)


def test_a_number_just_above_the_middle_is_rounded_once() -> None:
    """2**-40 is lost on the way through f32, and with it what decides."""
    x = np.array([1 + 2.0**-4 + 2.0**-40, 1 + 2.0**-4, 1 + 2.0**-4 - 2.0**-40])
    rounded = cast(x, np.dtype(ml_dtypes.float8_e4m3fn)).astype(np.float64)
    np.testing.assert_array_equal(rounded, [1.125, 1.0, 1.0])
    agrees(f64, FLOATS[0], np.concatenate([x, -x]), "native")


@pytest.mark.parametrize("machine", TARGETS)
@pytest.mark.parametrize("element", TYPES, ids=str)
def test_every_code_is_read(element: Attribute, machine: str) -> None:
    for target in (f32, f16, i8, i1):
        agrees(element, target, codes(element), machine)


@pytest.mark.parametrize("machine", TARGETS)
@pytest.mark.parametrize("element", CASTABLE, ids=str)
def test_every_half_is_written(element: Attribute, machine: str) -> None:
    for saturate in (True, False):
        agrees(f16, element, every_half(), machine, saturate=saturate)


@pytest.mark.parametrize("source", [f32, f64, bf16, i64, ui8, ui32, i1, *TYPES[:2], *TYPES[-4:]], ids=str)
@few
@given(st.data())
def test_writing(source: Attribute, data: st.DataObject) -> None:
    element, machine = data.draw(st.sampled_from(CASTABLE)), data.draw(st.sampled_from(TARGETS))
    dtype = numpy_dtype(source)
    seed, count = data.draw(st.integers(0, 99)), data.draw(st.integers(1, 99))
    raw = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, np.uint8)
    if hlt.is_narrow(source):
        raw &= (1 << bit_width(source)) - 1
    x = (raw & 1).view(np.bool_) if source == i1 else raw.view(dtype)
    if hlt.is_float(source):
        near = data.draw(arrays.arrays(np.float64, 20, elements=st.floats(-70000, 70000)))
        with np.errstate(over="ignore", invalid="ignore"):
            x = np.concatenate([x, near.astype(dtype)])
    agrees(source, element, x, machine, saturate=data.draw(st.booleans()))


@pytest.mark.parametrize("element", CASTABLE, ids=str)
def test_narrow_types_are_moved(element: Attribute) -> None:
    """A pad, a gather and a select see codes, not numbers."""
    x = codes(element)[:8].reshape(2, 4)
    where = np.array([[True, False, True], [False, True, True]])
    places = np.array([3, 0, 4], np.int64)

    def build(b: Any, v: Any) -> Any:
        padded = b(hlt.PadOp(v[0], low=(0, 1), high=(0, 1), mode="constant", value=1.0))
        taken = b(hlt.GatherOp(padded, v[1], axis=1))
        return b(hlt.SelectOp(v[2], taken, b(hlt.SliceOp(v[0], starts=(0, 1), sizes=(2, 3), strides=(1, 1)))))

    module = program([tensor_type((2, 4), element), tensor_type((3,), i64), tensor_type((2, 3), i1)], build)
    (actual,), (expected,) = run_kernels(module, [x, places, where]), run_function(module, [x, places, where])
    np.testing.assert_array_equal(actual.view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize(
    ("source", "target"), [(f32, ui32), (f16, ui16), (TYPES[0], ui8), (TYPES[-4], TYPES[-3])], ids=str
)
def test_bits_are_read_as_another_type(source: Attribute, target: Attribute) -> None:
    raw = np.random.default_rng(3).integers(0, 16, 24 * numpy_dtype(source).itemsize).astype(np.uint8)
    x = raw.view(numpy_dtype(source))
    module = program([tensor_type((24,), source)], lambda b, v: b(hlt.BitcastOp(v[0], dtype=target)))
    for (result,) in (run_kernels(module, [x]), run_function(module, [x])):
        assert result.dtype == numpy_dtype(target)
        np.testing.assert_array_equal(result.view(np.uint8), x.view(np.uint8))
