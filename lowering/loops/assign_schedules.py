"""assign_schedules: an analytic cost model chooses a schedule for every compute that has none.

It looks only at how operands move along dims (`facts`) and at the target's vector width, registers and caches.
Four shapes of compute come out of that, none of them tied to an operator:

- `reuse`: some factor does not depend on some parallel dim (matrix products, convolutions): a register tile of
  rows and vectors, the constant factor packed in nest order, the reduction unrolled a little;
- `window`: nothing to reuse but overlapping windows (depthwise convolutions, pooling): small spatial tiles with the
  window unrolled;
- `row`: the reduction runs along memory (sums and maxima of rows): lanes and several accumulators along it;
- `elements`: no reduction: vectors along the output, with a square register tile where an input is transposed.

Correctness never depends on what is chosen here; `split` refuses what does not fit the operands' blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, UnitAttr
from xdsl.passes import ModulePass

from mlc.codegen.targets import Target, find_target
from mlc.dialects.loop import ComputeOp, KernelOp, Level, Plan, ScheduleAttr
from mlc.lowering.loops.schedules.elements import element_plan
from mlc.lowering.loops.schedules.gpu import gpu_plan
from mlc.lowering.loops.schedules.lanes import choose_lane
from mlc.lowering.loops.schedules.reuse import reuse_dims, reuse_plan
from mlc.lowering.loops.schedules.row import row_plan
from mlc.lowering.loops.schedules.shared import depends, scatters, sequence_plan, shared_plan
from mlc.lowering.loops.schedules.space import Space
from mlc.lowering.loops.schedules.window import window_plan
from mlc.lowering.loops.split import fits

SCHEDULES = "loop.schedules"
"""Attribute of a kernel: dims and schedule of each compute as text, for people, once the nests have replaced them."""


def plan_compute(op: ComputeOp, target: Target, shared: dict[str, int]) -> Plan:
    """The schedule of one compute inside loops of the ``shared`` steps.

    Where operands have blocks that the widest vectors do not fit, narrower ones do, down to single elements.
    """
    space = Space(op, target, shared)
    plan = _in_order(space, _shape(space))
    while any(o.blocks for o in space.facts.operands) and not fits(op, plan):
        if space.width == 1:
            return _in_order(space, _plain(space))
        space.width //= 2
        plan = _in_order(space, _shape(space))
    return plan


def _shape(space: Space) -> Plan:
    """The plan for what kind of compute this is."""
    if space.target.kind == "gpu":
        last = space.by_output([n for n in space.facts.parallel if space.extents[n] > 1])[-1:]
        return gpu_plan(space, reuse_dims(space, last[0]) if last else [])
    lane = choose_lane(space)
    if not space.has_reduction:
        return element_plan(space, lane)
    if lane and space.facts.kinds[lane] == "r":
        return row_plan(space, lane)
    rows = reuse_dims(space, lane)
    return reuse_plan(space, lane, rows) if rows else window_plan(space, lane)


def _plain(space: Space) -> Plan:
    """One element at a time: what fits where blocks are narrower than any vector."""
    levels: list[Level] = []
    for name in (*space.by_output(space.facts.parallel), *space.reduction_order()):
        extent = space.extents[name]
        sizes = {b for o in space.facts.operands for b in o.blocks.get(name, ()) if b < extent} | {1}
        levels += [Level(name, "/", size) for size in sorted(sizes, reverse=True) if extent > 1]
    return Plan(tuple(levels))


def _in_order(space: Space, plan: Plan) -> Plan:
    """The plan with loops over the dims that run in order, inside those of the parallel dims."""
    kinds = space.facts.kinds
    ordered = [Level(n, "/", 1) for n, k in kinds.items() if k == "s" and space.extents[n] > 1]
    parallel = [v.kind == "/" and kinds[v.dim] == "p" for v in plan.levels]
    inside = parallel.index(False) if False in parallel else len(parallel)
    return plan._replace(levels=(*plan.levels[:inside], *ordered, *plan.levels[inside:]))


def schedule_kernel(kernel: KernelOp, target: Target) -> None:
    """Give every compute of a kernel a schedule, and the kernel its shared loops."""
    computes = kernel.computes()
    if any(c.schedule is not None for c in computes):
        return
    shared: dict[str, int] = {}
    if len(computes) > 1 and (depends(computes) or scatters(computes)):
        steps = sequence_plan(computes)
        plan = steps if steps.levels or scatters(computes) else shared_plan(computes, target)
        if plan.levels:
            kernel.properties["shared"] = ScheduleAttr(plan)
            shared = {v.dim: v.size for v in plan.levels}
        extents = computes[0].dims.extents
        if steps.levels or all(v.size >= extents[v.dim] for v in plan.levels):  # no tiles to share out
            kernel.attributes["dependent"] = UnitAttr()
    alone = target.kind == "gpu" and "dependent" in kernel.attributes  # threads of a GPU can't wait for each other
    for compute in computes:
        space = Space(compute, target, shared)
        plan = _in_order(space, _plain(space)) if alone else plan_compute(compute, target, shared)
        compute.properties["schedule"] = ScheduleAttr(plan)


@dataclass(frozen=True)
class AssignSchedulesPass(ModulePass):
    """A cost model chooses a schedule for every compute that has none."""

    name = "assign-schedules"
    target: str = "native"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = find_target(self.target)
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            schedule_kernel(kernel, target)
            texts = [f"{c.dims.text()} | {c.schedule.text()}" for c in kernel.computes() if c.schedule]
            kernel.attributes[SCHEDULES] = ArrayAttr([StringAttr(text) for text in texts])
