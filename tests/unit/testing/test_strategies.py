"""What the strategies draw is what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32, i1, i8, i32
from xdsl.ir import Attribute
from xdsl.parser import Parser

from mlc.dialects import hlt
from mlc.pass_manager import print_ir
from mlc.registry import make_context
from mlc.testing import strategies
from mlc.testing.programs import FAMILIES, PRODUCTIONS, Production, Program, programs
from mlc.verifier import verify


@given(strategies.shapes(min_rank=0, max_rank=5, max_elements=100))
def test_shapes_keep_their_bounds(shape: tuple[int, ...]) -> None:
    assert len(shape) <= 5
    assert math.prod(shape) <= 100
    assert set(shape) <= set(strategies.EXTENTS)


@pytest.mark.parametrize("element", strategies.ELEMENTS, ids=str)
def test_arrays_have_type_and_shape(element: Attribute) -> None:
    array = strategies.random_array(1, (3, 5), element)
    assert (array.shape, array.dtype) == ((3, 5), hlt.numpy_dtype(element))
    assert len(np.unique(array)) > 1


@pytest.mark.parametrize("element", strategies.FLOATS, ids=str)
def test_special_arrays_hold_every_corner_case(element: Attribute) -> None:
    array = strategies.random_array(3, (4096,), element, special=True).astype(np.float64)
    for corner in strategies.corner_cases(element).astype(np.float64):
        same = (array == corner) & (np.signbit(array) == np.signbit(corner)) | (np.isnan(array) & np.isnan(corner))
        assert same.any(), corner


def test_plain_arrays_are_finite() -> None:
    assert np.isfinite(strategies.random_array(3, (4096,), f32)).all()


@settings(max_examples=40)
@given(st.sampled_from(FAMILIES).flatmap(lambda family: programs(families=[family], elements=strategies.ELEMENTS)))
def test_programs_verify_and_read_back(program: Program) -> None:
    verify(program.module)
    text = print_ir(program.module)
    again = Parser(make_context(), text).parse_module()
    assert print_ir(again) == text


@settings(max_examples=40)
@given(programs(max_steps=8))
def test_programs_run_and_stay_finite(program: Program) -> None:
    results = program.reference()
    assert results
    assert all(np.isfinite(result).all() for result in results)
    wide = program.reference(widen=True)
    assert all(result.dtype == np.float64 for result in wide)


@settings(max_examples=20)
@given(programs(elements=(i8, i32)))
def test_integer_programs_run(program: Program) -> None:
    assert all(result.dtype.kind in "iu" for result in program.reference())


SOURCES = [hlt.Tensor((2, 4, 5, 6), f32), hlt.Tensor((3, 5), i32), hlt.Tensor((7,), i1), hlt.Tensor((3, 5), f32)]


@pytest.mark.parametrize("item", PRODUCTIONS, ids=lambda item: item.build.__name__)
def test_every_production_is_reached(item: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlc.testing.programs.PRODUCTIONS", [item])
    fitting = next(x for x in SOURCES if item.fits(x))
    counts: list[int] = []

    @settings(max_examples=5, database=None)
    @given(programs(max_steps=1, elements=(fitting.element,), shapes=st.just(fitting.shape)))
    def count(program: Program) -> None:
        verify(program.module)
        counts.append(sum(isinstance(op, hlt.HltOp) for op in program.module.walk()))

    count()
    assert all(counts)
