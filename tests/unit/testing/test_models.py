"""What `mlc verify` is made of: layouts and back, sums inside programs, and verdicts that can be negative."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32

from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import tensor_type
from mlc.dialects.hlt.layout import Halo, LayoutAttr, PhysicalDim
from mlc.testing.kernels import program
from mlc.testing.layouts import from_memory, to_memory
from mlc.testing.models import Tolerance, compare
from mlc.testing.sums import run_summing


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], LayoutAttr]:
    """A shape, and a layout with blocks and a halo in any order."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    parts: list[PhysicalDim] = []
    for dim in range(len(shape)):
        block = draw(st.sampled_from((0, 2, 4)))
        parts += [PhysicalDim(dim, block), PhysicalDim(dim, block, True)] if block else [PhysicalDim(dim)]
    halo = {dim: (draw(st.integers(0, 2)), draw(st.integers(0, 2))) for dim in range(len(shape))}
    return shape, LayoutAttr.of(draw(st.permutations(parts)), halo)


@given(layouts())
def test_layouts_go_both_ways(case: tuple[tuple[int, ...], LayoutAttr]) -> None:
    shape, layout = case
    array = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    memory = to_memory(array, layout)
    assert memory.shape == layout.physical_shape(shape)
    assert np.count_nonzero(memory) == array.size
    np.testing.assert_array_equal(from_memory(memory, layout, shape), array)


def test_layouts_agree_with_their_maps() -> None:
    layout = LayoutAttr.blocked(4, 1, 4).with_halo({2: Halo(1, 0)})
    array = np.random.default_rng(0).standard_normal((1, 6, 3, 2))
    memory, place = to_memory(array, layout), layout.affine_map()
    for index in np.ndindex(*array.shape):
        assert memory[tuple(place.eval(list(index), []))] == array[index]


def test_the_largest_sum_counts() -> None:
    types = [tensor_type((2, 8), f32), tensor_type((8, 4), f32)]
    module = program(types, lambda b, args: b(hlt.DotGeneralOp(*args, lhs_contract=(1,), rhs_contract=(0,))))
    x, w = -np.ones((2, 8), np.float32), np.ones((8, 4), np.float32)
    (result,), largest = run_summing(module, [x, w], lambda *_: x)
    assert result.dtype == np.float64
    assert largest is not None
    assert (largest.terms, largest.magnitude) == (8, 8.0)


def test_verdicts() -> None:
    wide = np.linspace(1, 2, 100)
    plain = wide.astype(np.float32)
    assert compare("x", plain, wide, plain=plain).ok
    verdict = compare("x", plain * np.float32(1.001), wide, plain=plain)
    assert not verdict.ok
    assert verdict.relative == pytest.approx(0.001, rel=0.01)
    assert compare("x", plain * np.float32(1.001), wide, tolerance=Tolerance(rtol=0.01)).ok
    assert not compare("x", plain * np.float32(1.001), wide, tolerance=Tolerance(max_ulp=10)).ok
    assert not compare("x", plain[:10], wide).ok
    assert not compare("x", np.arange(3), np.arange(3) + 1).ok
    assert not compare("x", np.full(100, np.nan, np.float32), wide).ok
