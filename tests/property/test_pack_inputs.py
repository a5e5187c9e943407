"""Products whose rows were stored anew mean the same, whatever the shapes and the order of the operand's dims."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.loop import CallOp, KernelOp
from mlc.lowering.loops.collapse import CollapsePass
from mlc.lowering.loops.fuse import FusePass
from mlc.lowering.loops.pack_inputs import REUSE, PackInputsPass
from mlc.registry import make_context
from mlc.testing.loops import loop_program, lower_loops, run_calls
from mlc.testing.samples import Add, Sample, gemm, sample


@st.composite
def products(draw: st.DrawFn) -> Sample:
    """Sums of products of an input of up to four dims, in any order, with a constant or another input."""
    batch = draw(st.lists(st.integers(1, 3), max_size=1))
    rows, folds = draw(st.integers(1, 20)), draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    columns = draw(st.sampled_from([REUSE - 1, REUSE, REUSE + 3]))
    order = draw(st.permutations(range(len(batch) + 1 + len(folds))))
    logical = [*batch, rows, *folds]
    shape = tuple(logical[i] for i in order)
    place = [order.index(i) for i in range(len(logical))]
    contract = tuple(place[len(batch) + 1 :])

    def build(add: Add, x: SSAValue, w: SSAValue) -> SSAValue:
        fold = tuple(range(len(folds)))
        return add(hlt.DotGeneralOp(x, w, lhs_contract=contract, rhs_contract=fold))

    types: list[Any] = [tensor_type(shape, f32), tensor_type((*folds, columns), f32)]
    return sample("product", types, build, weights=(1,) if draw(st.booleans()) else ())


@settings(max_examples=25, deadline=None)
@given(products())
def test_the_result_is_the_same(case: Sample) -> None:
    arrays = case.arrays()
    (expected,) = case.expected(arrays)
    module = lower_loops(case.kernel, find_target("aarch64"), passes=[CollapsePass(), PackInputsPass(target="aarch64")])
    run_calls(module, arrays)
    assert np.abs(arrays[-1] - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@settings(max_examples=15, deadline=None)
@given(products())
def test_what_is_packed_can_be_scheduled(case: Sample) -> None:
    lower_loops(case.kernel, find_target("aarch64"), threads=2)


def test_it_is_done_where_it_pays() -> None:
    """Enough rows and columns, on targets that multiply by lanes."""
    assert _calls(rows=16, columns=REUSE, target="aarch64") == 2
    assert _calls(rows=7, columns=REUSE, target="aarch64") == 1
    assert _calls(rows=16, columns=REUSE - 1, target="aarch64") == 1
    assert _calls(rows=16, columns=REUSE, target="x86-64-v3") == 1


def _calls(*, rows: int, columns: int, target: str) -> int:
    module = loop_program(gemm(rows, columns, 4).kernel)
    for step in (FusePass(), CollapsePass(), PackInputsPass(target=target)):
        step.apply(make_context(), module)
    assert sum(isinstance(op, KernelOp) for op in module.ops) == sum(isinstance(op, CallOp) for op in module.walk())
    return sum(isinstance(op, CallOp) for op in module.walk())
