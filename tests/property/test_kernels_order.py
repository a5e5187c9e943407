"""Compiled scans, sorts and selections of the best agree with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.builtin import f16, f32, f64, i8, i32, i64
from xdsl.ir import Attribute, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.hlt.dtypes import ui16
from mlc.dialects.interpreters import run_function
from mlc.lowering.graph.legal.sort import RANKED
from mlc.testing.kernels import TARGETS, Builder, program, run_kernels
from mlc.testing.strategies import extents, random_array
from mlc.testing.tolerances import EXACT, Evaluation, Exact, Reduction, assert_within

Array = NDArray[Any]
MOVED = Exact(signed_zero=True)


@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_scan(target: str, kind: str, data: st.DataObject) -> None:
    """Integers exactly; floats to the rounding of their running totals."""
    shape = tuple(data.draw(st.lists(extents(33), min_size=1, max_size=3)))
    axis, element = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.sampled_from([f32, i32, i64]))
    exclusive, reverse = data.draw(st.booleans()), data.draw(st.booleans())

    def build(b: Builder, v: Sequence[SSAValue]) -> SSAValue:
        return b(hlt.ScanOp(*v, kind=kind, axis=axis, exclusive=exclusive, reverse=reverse))

    module = program([tensor_type(shape, element)], build)
    x = random_array(1, shape, element)
    (actual,) = run_kernels(module, [x], target=target, threads=2)
    (exact,) = run_function(module, [x], widen=True)
    policy: Any = EXACT
    if element == f32 and kind in ("sum", "prod"):
        magnitude = np.cumsum(np.abs(x.astype(np.float64)), axis).max() if kind == "sum" else np.abs(exact)
        policy = Reduction(shape[axis], np.broadcast_to(magnitude, shape))
    assert_within(actual, exact if policy is not EXACT else exact.astype(x.dtype), policy)


def test_scan_of_halves() -> None:
    """The total is kept in f32."""
    module = program([tensor_type((300,), f16)], lambda b, v: b(hlt.ScanOp(*v, kind="sum", axis=0)))
    x = random_array(1, (300,), f16)
    (exact,) = run_function(module, [x], widen=True)
    assert_within(run_kernels(module, [x])[0], exact, Evaluation(exact.astype(np.float16)))


@pytest.mark.parametrize("element", [f32, i8])
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_sort(target: str, element: Any, data: st.DataObject) -> None:
    """Values and indices: ties, NaN, infinities and zeros of both signs among them."""
    shape = tuple(data.draw(st.lists(extents(33), min_size=1, max_size=3)))
    axis, descending = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.booleans())
    module = program([tensor_type(shape, element)], lambda b, v: b(hlt.SortOp(*v, axis=axis, descending=descending)))
    x = random_array(1, shape, element, special=True)
    x = np.where(random_array(2, shape, i8) > 64, x.flat[0], x)
    for actual, expected in zip(run_kernels(module, [x], target=target), run_function(module, [x]), strict=True):
        assert_within(actual, expected, MOVED)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_top_k(target: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(extents(33), min_size=1, max_size=3)))
    axis, largest = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.booleans())
    k = data.draw(st.integers(0, shape[axis]))
    module = program([tensor_type(shape, f32)], lambda b, v: b(hlt.TopKOp(*v, k=k, axis=axis, largest=largest)))
    x = random_array(1, shape, f32, special=True)
    for actual, expected in zip(run_kernels(module, [x], target=target), run_function(module, [x]), strict=True):
        assert_within(actual, expected, MOVED)


def awkward(shape: tuple[int, ...], element: Attribute) -> Array:
    """Few different numbers, so that many are equal; of floats both zeros, infinities and NaN, too."""
    x = random_array(3, shape, element)
    if not hlt.is_float(element):
        return x % 7 if element == i8 else x
    x = np.round(x)
    x.flat[::5] = -0.0
    x.flat[1::97] = np.inf
    x.flat[2::89] = -np.inf
    x.flat[3::101] = np.nan
    return x


@pytest.mark.parametrize("element", [f32, f64, f16, i8, ui16, i32, i64], ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_long_rows(element: Attribute, descending: bool) -> None:
    """Sorted by their bits: stable, and NaN is the largest number."""
    shape, axis = ((RANKED + 27, 2), 0) if element == i64 else ((2, RANKED + 1), 1)

    def build(b: Builder, v: Sequence[SSAValue]) -> list[SSAValue]:
        whole = b(hlt.SortOp(*v, axis=axis, descending=descending))
        return [*whole, *b(hlt.TopKOp(*v, k=37, axis=axis, largest=descending, sorted=True))]

    module = program([tensor_type(shape, element)], build)
    x = awkward(shape, element)
    for actual, expected in zip(run_kernels(module, [x], threads=2), run_function(module, [x]), strict=True):
        assert_within(actual, expected, MOVED)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_the_first_few_of_many(target: str, data: st.DataObject) -> None:
    """All of them, one, and as many as there are short rows."""
    length = data.draw(st.integers(RANKED + 1, 2 * RANKED))
    k = data.draw(st.sampled_from([1, 5, RANKED, RANKED + 1, length]))
    module = program(
        [tensor_type((length,), f32)], lambda b, v: b(hlt.TopKOp(*v, k=k, axis=0, largest=True, sorted=True))
    )
    x = awkward((length,), f32)
    for actual, expected in zip(run_kernels(module, [x], target=target), run_function(module, [x]), strict=True):
        assert_within(actual, expected, MOVED)
