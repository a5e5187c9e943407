"""Storage in f16 changes nothing but the rounding: exact where f16 is, never NaN where f32 is not."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from mlc.dialects.interpreters import run_function
from mlc.dialects.interpreters.registry import Array
from mlc.lowering.graph.ranges import LARGEST_HALF, interval
from mlc.lowering.graph.store_half import MIN_ELEMENTS, fits
from mlc.registry import make_context, parse_passes
from mlc.testing.programs import Program, programs
from mlc.verifier import verify

QUICK = settings(max_examples=30, deadline=None)


def stored(program: Program) -> ModuleOp:
    """The program in groups, its tensors stored in f16."""
    module = program.module.clone()
    for each in parse_passes("legalize,group,store-half"):
        each.apply(make_context(), module)
        verify(module)
    return module


def scaled(program: Program, factor: float) -> tuple[Array, ...]:
    """The inputs, floats multiplied by a factor and rounded to f16 (and back)."""
    return tuple(
        np.clip(a * np.float32(factor), -LARGEST_HALF, LARGEST_HALF).astype(np.float16).astype(a.dtype)
        if a.dtype == np.float32
        else a
        for a in program.inputs
    )


@QUICK
@given(programs(families=("shape",)))
def test_moving_what_f16_holds_is_exact(program: Program) -> None:
    inputs = scaled(program, 1.0)
    expected = run_function(program.module, inputs)
    for actual, wanted in zip(run_function(stored(program), inputs), expected, strict=True):
        assert actual.dtype == wanted.dtype
        assert np.array_equal(actual, wanted, equal_nan=True)


@QUICK
@given(programs(), st.sampled_from([1.0, 1e4]))
def test_nothing_becomes_nan(program: Program, factor: float) -> None:
    """Results that leave the range of f16 are saturated where they are stored."""
    inputs = scaled(program, factor)
    with np.errstate(all="ignore"):
        expected = run_function(program.module, inputs)
        assume(all(np.isfinite(a).all() for a in expected))
        results = run_function(stored(program), inputs)
    assert not any(np.isnan(a).any() for a in results if a.dtype.kind == "f")


@QUICK
@given(programs())
def test_intervals_hold(program: Program) -> None:
    """What an operation computes lies in the interval that is derived for it."""

    def check(op: Operation, results: tuple[Array, ...]) -> None:
        for value, array in zip(op.results, results, strict=True):
            numbers = array[~np.isnan(array)] if array.dtype.kind == "f" else array
            if numbers.size and array.dtype.kind == "f":
                low, high = interval(value)
                assert low <= numbers.min()
                assert numbers.max() <= high

    with np.errstate(all="ignore"):
        run_function(program.module, program.inputs, observe=check)


def test_weights_that_f16_does_not_hold() -> None:
    """Too large, or so small that rounding would lose too much."""
    usual = np.random.default_rng(0).standard_normal(MIN_ELEMENTS).astype(np.float32)
    assert fits(usual)
    assert fits(usual * 1e4)
    assert not fits(usual * 1e6)
    assert not fits(usual * 1e-8)
    assert not fits(np.append(usual, np.float32(np.inf)))
