"""Conversions between number types, each with one rounding, and exact integer products."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.ir import Attribute

from mlc.dialects.hlt.dtypes import element_type, is_float, numpy_dtype
from mlc.dialects.hlt.narrow import FLOAT_FORMATS, bit_width, is_narrow, is_narrow_integer

Array = np.ndarray[Any, np.dtype[Any]]

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_NARROW = (np.dtype(np.float16), np.dtype(np.float32), _BFLOAT16)
_DOUBLE_DIGITS = 53
_IN_ORDER_LIMIT = 1 << 22
"""Multiply-adds of a float32 product whose sums are taken in order, which is slow: some 10 ms."""


def lift(array: Array) -> Array:
    """Floats as float64, which is exact; everything else as it is."""
    return array.astype(np.float64) if array.dtype in _NARROW else array


def settle(array: Array, element: Attribute, *, widen: bool) -> Array:
    """``array`` as an operation's result: in the element type, or with ``widen`` in float64 if that is a float."""
    dtype = np.dtype(np.float64) if widen and is_float(element) else numpy_dtype(element)
    return round_to(array, dtype)


def round_to(array: Array, dtype: np.dtype[Any]) -> Array:
    """``array`` in ``dtype`` after one rounding to nearest even; integers wrap."""
    if array.dtype == dtype:
        return array
    element = element_type(dtype)
    if element in FLOAT_FORMATS:
        return _to_narrow_float(array, element, saturate=True)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == _BFLOAT16 and array.dtype == np.float64:
            return _round_to_odd(array).astype(dtype)
        return array.astype(dtype)


def cast(array: Array, dtype: np.dtype[Any], *, saturate: bool = True) -> Array:
    """``hlt.cast``: floats to integers truncate, saturate and take NaN to 0; to bool is unequal to 0."""
    source, target = element_type(array.dtype), element_type(dtype)
    if is_narrow_integer(source):
        array = array.astype(_carrier(source))
    if is_narrow_integer(target):
        return _to_narrow_integer(array, target)
    if target in FLOAT_FORMATS:
        return _to_narrow_float(to_double(array), target, saturate=saturate)
    if dtype == np.bool_:
        return array != 0
    if dtype.kind in "iu":
        return array.astype(dtype) if array.dtype.kind in "iub" else _saturate(lift(array), dtype)
    return round_to(to_double(array), dtype)


def to_double(array: Array) -> Array:
    """``array`` as float64; of 64-bit integers, such that one more rounding gives the nearest narrower float."""
    if array.dtype in _NARROW or array.dtype == np.float64:
        return lift(array)
    if is_narrow(element_type(array.dtype)):
        return array.astype(np.float64)
    return (_fit_double(array) if array.dtype.itemsize == 8 else array).astype(np.float64)


def exact_matmul(lhs: Array, rhs: Array) -> Array:
    """``lhs @ rhs``: in their own type for floats; for integers exact modulo 2**64, through float64 where that is
    exact.
    """
    shape = (*np.broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2]), lhs.shape[-2], rhs.shape[-1])
    if lhs.dtype == np.float32 and math.prod(shape) * lhs.shape[-1] <= _IN_ORDER_LIMIT:
        return _matmul_in_order(lhs, rhs, shape)
    if lhs.dtype.kind == "f":
        return np.matmul(lhs, rhs)
    bound = lhs.shape[-1] * _magnitude(lhs) * _magnitude(rhs)
    if bound < 2**_DOUBLE_DIGITS:
        return np.matmul(lhs.astype(np.float64), rhs.astype(np.float64)).astype(np.int64)
    return np.matmul(lhs.astype(np.int64), rhs.astype(np.int64))


def _matmul_in_order(lhs: Array, rhs: Array, shape: tuple[int, ...]) -> Array:
    """``lhs @ rhs`` with the terms of each sum added one after the other, as a plain program does.

    BLAS keeps several partial sums: its error is smaller by chance, and of few elements chance is all there is.
    """
    result = np.zeros(shape, lhs.dtype)
    for k in range(lhs.shape[-1]):
        result += lhs[..., k : k + 1] * rhs[..., k : k + 1, :]
    return result


def _magnitude(array: Array) -> int:
    """The largest absolute value, 0 of no elements."""
    return max(abs(int(array.min())), abs(int(array.max()))) if array.size else 0


def _saturate(array: Array, dtype: np.dtype[Any]) -> Array:
    info = np.iinfo(dtype)
    whole = np.trunc(np.nan_to_num(array, nan=0.0, posinf=np.inf, neginf=-np.inf))
    low, high = float(info.min), float(info.max)
    inside = (whole > low) & (whole < high)
    converted = np.where(inside, whole, 0.0).astype(dtype)
    least, most = dtype.type(info.min), dtype.type(info.max)
    return np.where(whole >= high, most, np.where(whole <= low, least, converted))


def _carrier(element: Attribute) -> np.dtype[Any]:
    """The integers of 8 bits with the signedness of a narrow integer."""
    return np.dtype(np.uint8 if str(element).startswith("u") else np.int8)


def _to_narrow_integer(array: Array, element: Attribute) -> Array:
    """Of integers the lowest bits stay; floats become i32 first."""
    whole = array if array.dtype.kind in "iub" else _saturate(to_double(array), np.dtype(np.int32))
    return (whole.astype(np.uint8) & ((1 << bit_width(element)) - 1)).view(numpy_dtype(element))


def _to_narrow_float(array: Array, element: Attribute, *, saturate: bool) -> Array:
    """float64 rounded to the nearest of the numbers that the codes stand for, of two equally near to the even code."""
    form, dtype = FLOAT_FORMATS[element], numpy_dtype(element)
    numbers = np.arange(form.largest + 1, dtype=np.uint8).view(dtype).astype(np.float64)
    numbers = np.append(numbers, 2 * numbers[-1] - numbers[-2])
    magnitude = np.nan_to_num(np.abs(array), nan=0.0)
    below = np.clip(np.searchsorted(numbers, magnitude, side="right") - 1, 0, form.largest)
    middle = (numbers[below] + numbers[below + 1]) / 2
    code = below + ((magnitude > middle) | ((magnitude == middle) & (below % 2 == 1)))
    code = np.where(code > form.largest, form.largest if saturate else form.beyond, code)
    signed = np.signbit(array) & (form.negative_zero | (code != 0))
    code = np.where(np.isnan(array), form.nan, code | (signed.astype(code.dtype) << form.sign))
    return code.astype(np.uint8).view(dtype)


def _round_to_odd(array: Array) -> Array:
    """float64 to float32 so that a second rounding, to 16 bits or fewer, is as if it were the only one.

    What is not exact is cut towards zero and its last bit set (Boldo and Melquiond, "Emulation of FMA and correctly
    rounded sums: proved algorithms using rounding to odd", 2008).
    """
    nearest = array.astype(np.float32)
    bits = nearest.view(np.int32).copy()
    inexact = np.isfinite(array) & (nearest.astype(np.float64) != array)
    bits -= inexact & (np.abs(nearest) > np.abs(array))
    bits |= inexact
    return bits.view(np.float32)


def _fit_double(array: Array) -> Array:
    """64-bit integers rounded to odd to the 53 bits that float64 holds, for one more rounding afterwards."""
    lost = 64 - _DOUBLE_DIGITS
    sticky = (array & ((1 << lost) - 1)) != 0
    odd = ((array >> lost) | sticky) << lost
    large = (array > 2**_DOUBLE_DIGITS) | (array < -(2**_DOUBLE_DIGITS) if array.dtype == np.int64 else False)
    return np.where(large, odd, array)
