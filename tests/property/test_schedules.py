"""Correctness never depends on the schedule: compiled computes agree bit by bit with their reference meaning."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.dialects.interpreters.loop import run_kernel
from mlc.dialects.loop import KernelOp, Level, Plan, ScheduleAttr
from mlc.lowering.loops.collapse import collapse_kernel
from mlc.lowering.loops.fuse import fuse_kernel
from mlc.testing.computes import Case, cases, drawn_plan, plans
from mlc.testing.kernels import TARGETS
from mlc.testing.loops import compile_loop, guarded, intact
from mlc.testing.samples import layer_norm, softmax
from mlc.testing.strategies import extents
from mlc.testing.tolerances import EXACT, assert_within

ROWS = "d0"
"""The dim of the rows in kernels that normalise rows."""


def check(case: Case, kernel: KernelOp, target: str, threads: int) -> None:
    """Compile and run ``kernel`` on the case's data: outputs as the reference's, nothing else touched.

    A schedule that was given may be refused, one that the compiler chose itself may not.
    """
    inputs = len(case.arrays) - case.outputs
    expected = [a.copy() for a in case.arrays]
    run_kernel(case.kernel, expected)
    with contextlib.nullcontext() if kernel is case.kernel else drawn_plan():
        compiled = compile_loop(kernel, target=target, threads=threads)
    outputs = [guarded(a) for a in case.arrays[inputs:]]
    compiled(*case.arrays[:inputs], *(a for a, _ in outputs), threads=threads)
    for number, (actual, memory) in enumerate(outputs, inputs):
        counts = case.defined(number)
        assert_within(actual[counts], expected[number][counts], EXACT)
        assert intact(actual, memory), "memory beside an output was written"


@pytest.mark.parametrize("reduces", [True, False], ids=["reductions", "maps"])
@settings(max_examples=60)
@given(data=st.data())
def test_any_schedule(reduces: bool, data: st.DataObject) -> None:
    case = data.draw(cases(reduces=reduces))
    plan = data.draw(plans(case.kernel))
    target = data.draw(st.sampled_from(TARGETS))
    check(case, case.scheduled(plan), target, data.draw(st.sampled_from([1, 2, 3])))


@pytest.mark.parametrize("reduces", [True, False], ids=["reductions", "maps"])
@settings(max_examples=30)
@given(data=st.data())
def test_chosen_schedules(reduces: bool, data: st.DataObject) -> None:
    case = data.draw(cases(reduces=reduces))
    target = data.draw(st.sampled_from(TARGETS))
    check(case, case.kernel, target, data.draw(st.sampled_from([1, 2])))


@settings(max_examples=20)
@given(data=st.data())
def test_shared_loops(data: st.DataObject) -> None:
    """Rows are normalised a few at a time, their intermediate values in tile-sized scratch, however each part runs."""
    rows, columns = data.draw(st.integers(2, 9)), data.draw(extents(33).filter(lambda n: n > 1))
    made = data.draw(st.sampled_from([softmax, layer_norm]))(rows, columns)
    kernel = made.kernel.clone()
    fuse_kernel(kernel)
    collapse_kernel(kernel)
    name = ROWS
    assert all(c.dims.extents[name] == rows for c in kernel.computes())
    step = data.draw(st.integers(1, min(rows, 4)))
    level = Level(name, "/", step, balanced=data.draw(st.booleans()))
    kernel.properties["shared"] = ScheduleAttr(Plan((level,)))
    for number, compute in enumerate(kernel.computes()):
        compute.properties["schedule"] = ScheduleAttr(data.draw(plans(kernel, number, {name: step}, room=8)))
    arrays = made.arrays(data.draw(st.integers(0, 99)))
    (expected,) = made.expected(arrays)
    threads = data.draw(st.sampled_from([1, 2]))
    with drawn_plan():
        compiled = compile_loop(kernel, target=data.draw(st.sampled_from(TARGETS)), threads=threads)
    compiled(*arrays, threads=threads)
    assert np.abs(arrays[-1] - expected).max() < 1e-5
