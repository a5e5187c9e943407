"""A result may lie where an operand lay that dies with it: whatever the schedule, every element is read first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import UnitAttr, f32
from xdsl.ir import SSAValue

from mlc.codegen.emit.function import emit_kernel
from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.loop import KernelOp, ScheduleAttr
from mlc.lowering.loops.collapse import collapse_kernel
from mlc.lowering.loops.find_inplace import inplace_pairs
from mlc.lowering.loops.fuse import fuse_kernel
from mlc.lowering.loops.plan_memory import ALIASES
from mlc.testing.computes import drawn_plan, plans
from mlc.testing.kernels import TARGETS
from mlc.testing.loops import CompiledLoop, kernel_of, lower_loops, machine_code
from mlc.testing.samples import Add, Sample, sample
from mlc.testing.strategies import extents


def residual(m: int, n: int, k: int) -> Sample:
    """``relu(x @ w + y)``, whose result may take the place of ``y``."""

    def build(add: Add, x: SSAValue, w: SSAValue, y: SSAValue) -> SSAValue:
        total = add(hlt.AddOp(add(hlt.DotGeneralOp(x, w, lhs_contract=(1,), rhs_contract=(0,))), y))
        return add(hlt.MaximumOp(total, add(hlt.ConstantOp(np.broadcast_to(np.float32(0), (m, n))))))

    types: list[Any] = [tensor_type(shape, f32) for shape in ((m, k), (k, n), (m, n))]
    return sample("residual", types, build, weights=(1,))


def check(made: Sample, kernel: KernelOp, target: str, threads: int, seed: int) -> None:
    """Run a kernel with its result in place of ``y``."""
    machine = find_target(target)
    with drawn_plan():
        module = lower_loops(kernel, machine, threads=threads)
    lowered = kernel_of(module)
    assert (2, 3) in inplace_pairs(lowered)
    lowered.attributes[ALIASES] = UnitAttr()
    ir = emit_kernel(lowered, machine)
    x, w, y, _ = made.arrays(seed)
    (expected,) = made.expected([x, w, y, np.zeros_like(y)])
    CompiledLoop(module, ir, machine_code("residual", ir, machine))(x, w, y, y, threads=threads)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def fused(made: Sample) -> KernelOp:
    kernel = made.kernel.clone()
    fuse_kernel(kernel)
    collapse_kernel(kernel)
    return kernel


@settings(max_examples=20)
@given(data=st.data())
def test_results_in_place_of_operands(data: st.DataObject) -> None:
    made = residual(data.draw(st.integers(2, 9)), data.draw(extents(33)), data.draw(extents(9)))
    kernel = fused(made)
    if data.draw(st.booleans()):
        (compute,) = kernel.computes()
        compute.properties["schedule"] = ScheduleAttr(data.draw(plans(kernel, room=16)))
    target, threads = data.draw(st.sampled_from(TARGETS)), data.draw(st.sampled_from([1, 2]))
    check(made, kernel, target, threads, data.draw(st.integers(0, 99)))


@pytest.mark.parametrize("plan", ["d0/1 k0/1 k0@2 k0* d1* pack(1)", "d0/2 k0/3 k0@4 k0* d0* d1* pack(1)"])
@pytest.mark.parametrize("depth", [2, 3, 7])
def test_weights_packed_for_more_lanes_than_a_loop_takes(plan: str, depth: int) -> None:
    made = residual(4, 2, depth)
    kernel = fused(made)
    (compute,) = kernel.computes()
    compute.properties["schedule"] = ScheduleAttr.of(plan)
    check(made, kernel, "native", 1, 0)
