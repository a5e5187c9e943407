"""Hypothesis strategies for shapes, element types and arrays: the raw material of property-based tests.

Shapes hug the widths of vector registers, where tails and masks go wrong. Arrays are drawn from a seed, not element
by element, so that a big one costs as little as a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from xdsl.dialects.builtin import bf16, f16, f32, f64, i1, i8, i16, i32, i64
from xdsl.ir import Attribute

from mlc.dialects.hlt import is_bool, is_float, numpy_dtype
from mlc.dialects.hlt.dtypes import ui8, ui16, ui32, ui64

Array: TypeAlias = npt.NDArray[Any]

EXTENTS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
"""Extents at, just below and just above the lane counts of 4 to 32 lanes, in the order of shrinking."""

FLOATS: tuple[Attribute, ...] = (f32, f64, f16, bf16)
INTEGERS: tuple[Attribute, ...] = (i32, i64, i8, i16, ui8, ui16, ui32, ui64)
ELEMENTS: tuple[Attribute, ...] = (*FLOATS, *INTEGERS, i1)

MAX_ELEMENTS = 4096


def extents(limit: int = EXTENTS[-1]) -> st.SearchStrategy[int]:
    """One extent of at most ``limit``."""
    return st.sampled_from([extent for extent in EXTENTS if extent <= limit])


@st.composite
def shapes(draw: st.DrawFn, min_rank: int = 1, max_rank: int = 4, max_elements: int = MAX_ELEMENTS) -> tuple[int, ...]:
    """A shape of ``min_rank`` to ``max_rank`` dims and at most ``max_elements`` elements."""
    shape: list[int] = []
    for _ in range(draw(st.integers(min_rank, max_rank))):
        extent = draw(extents(max_elements))
        max_elements //= extent
        shape.append(extent)
    return tuple(draw(st.permutations(shape)))


def elements(among: Sequence[Attribute] = ELEMENTS) -> st.SearchStrategy[Attribute]:
    """One of the element types ``among``, all of them by default."""
    return st.sampled_from(among)


def arrays(
    shape: Sequence[int], element: Attribute, *, special: bool = False, scale: float = 1.0
) -> st.SearchStrategy[Array]:
    """An array of ``element``: floats are normal with deviation ``scale``, integers uniform over their range.

    With ``special``, up to an eighth of the elements are the type's corner cases: for floats NaN, infinities, both
    zeros, the largest and the smallest numbers, for integers the ends of the range, 0, 1 and -1.
    """
    return st.integers(0, 2**32 - 1).map(lambda seed: random_array(seed, shape, element, special=special, scale=scale))


def random_array(
    seed: int, shape: Sequence[int], element: Attribute, *, special: bool = False, scale: float = 1.0
) -> Array:
    """What `arrays` draws, from its seed."""
    generator = np.random.default_rng(seed)
    dtype = numpy_dtype(element)
    if is_bool(element):
        return generator.integers(0, 2, size=tuple(shape)).astype(np.bool_)
    if is_float(element):
        array = (scale * generator.standard_normal(tuple(shape))).astype(dtype)
    else:
        bounds = np.iinfo(dtype)
        array = generator.integers(bounds.min, bounds.max, size=tuple(shape), dtype=dtype, endpoint=True)
    if special and array.size:
        corners = corner_cases(element)
        places = generator.integers(0, array.size, size=max(1, array.size // 8))
        array.flat[places] = corners[generator.integers(0, len(corners), size=len(places))]
    return array


def corner_cases(element: Attribute) -> Array:
    """The values of a type that code forgets."""
    dtype = numpy_dtype(element)
    if is_bool(element):
        return np.array([False, True])
    if not is_float(element):
        bounds = np.iinfo(dtype)
        return np.array([bounds.min, bounds.max, 0, 1, *([-1] if bounds.min else [])], dtype)
    from mlc.testing.tolerances import float_info

    info = float_info(dtype)
    numbers = (0.0, 1.0, float(info.max), float(info.smallest_normal), float(info.smallest_subnormal), np.inf)
    return np.array([np.nan, *numbers, *(-number for number in numbers)]).astype(dtype)
