"""assign_schedules: an analytic cost model chooses a schedule for every compute that has none.

It looks only at how operands move along dims (`facts`) and at the target's vector width, registers and caches.
Four shapes of compute come out of that, none of them tied to an operator:

- *reuse*: some factor does not depend on some parallel dim (matrix products, convolutions): a register tile of
  rows and vectors, the constant factor packed in nest order, the reduction unrolled a little;
- *window*: nothing to reuse but overlapping windows (depthwise convolutions, pooling): small spatial tiles with the
  window unrolled;
- *row*: the reduction runs along memory (sums and maxima of rows): lanes and several accumulators along it;
- *map*: no reduction: vectors along the output, with a square register tile where an input is transposed.

Correctness never depends on what is chosen here; `split` refuses what does not fit the operands' blocks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, UnitAttr
from xdsl.passes import ModulePass

from mlc.codegen.targets import Target, find_target
from mlc.dialects.loop import ComputeOp, KernelOp, Level, Plan, ScheduleAttr
from mlc.dialects.loop.affine import subscripts_of
from mlc.lowering.loops.check_schedule import is_repeatable
from mlc.lowering.loops.facts import Facts, Operand
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.split import fits

UNROLL_BUDGET = 126
"""Operations per unrolled tile that still run at full speed from the decoded-instruction cache."""

REDUCTION_UNROLL = 4
WINDOW_TILE = (2, 7)
KEPT = 4
ROWS_BYTES = 16 << 10
"""Bytes of rows that shared loops hold at a time: half of a small first-level cache."""

PREFETCH_BYTES = 256 << 10
PREFETCH_ROWS = 8


class Scheduler:
    """Chooses the schedule of one compute, given the dims that shared loops already walk."""

    def __init__(self, facts: Facts, target: Target, shared: dict[str, int]) -> None:
        self.facts = facts
        self.target = target
        self.shared = shared
        self.extents = {n: min(e, shared.get(n, e)) for n, e in facts.extents.items()}
        self.width = self._width()

    def _width(self) -> int:
        """Lanes: a vector of the widest element that has to be computed on, at most four bytes unless stored."""
        sizes = [o.bytes for o in self.facts.operands] or [4]
        widest = max(sizes)
        return self.target.lanes(max(4, widest if widest < 8 or min(sizes) == 8 else 4))

    def plan(self) -> Plan:
        """The schedule."""
        plan = self._ordered(self._plan())
        while self._has_quotients() and not fits(self.facts.op, plan):
            if self.width == 1:
                return self._ordered(self._plain_plan())
            self.width //= 2
            plan = self._ordered(self._plan())
        return plan

    def _ordered(self, plan: Plan) -> Plan:
        """The plan with loops over the dims that run in order, inside those of the parallel dims."""
        ordered = [Level(n, "/", 1) for n, k in self.facts.kinds.items() if k == "s" and self.extents[n] > 1]
        parallel = [v.kind == "/" and self.facts.kinds[v.dim] == "p" for v in plan.levels]
        inside = parallel.index(False) if False in parallel else len(parallel)
        return plan._replace(levels=(*plan.levels[:inside], *ordered, *plan.levels[inside:]))

    def _has_quotients(self) -> bool:
        return any(o.blocks for o in self.facts.operands)

    def _plain_plan(self) -> Plan:
        """One element at a time: what fits where blocks are narrower than any vector."""
        levels: list[Level] = []
        for name in (*self._by_output(self.facts.parallel), *self._reduction_order()):
            extent = self.extents[name]
            sizes = {b for o in self.facts.operands for b in o.blocks.get(name, ()) if b < extent} | {1}
            levels += [Level(name, "/", size) for size in sorted(sizes, reverse=True) if extent > 1]
        return Plan(tuple(levels))

    def _plan(self) -> Plan:
        lane, reduces = self._lane()
        if not self.facts.op.has_reduction:
            return self._map_plan(lane)
        if reduces:
            return self._row_plan(lane)
        rows = self._reuse_dims(lane)
        if rows:
            return self._reuse_plan(lane, rows)
        return self._window_plan(lane)

    # --- lanes

    def _lane(self) -> tuple[str, bool]:
        """The dim whose neighbours share a vector ("" for scalar code), and whether it is a reduction.

        A parallel dim that no operand strides over wins over any reduction: nothing has to be merged.
        """
        limit = float(self.width) * max(1, len(self.facts.operands))
        smooth = {n: self._lane_cost(n) for n in self._lane_candidates("p") if self._is_smooth(n)}
        costs = smooth or {n: self._lane_cost(n) for n in self._lane_candidates("pr")}
        best = min(costs, key=lambda n: costs[n], default="")
        if not best or costs[best] >= limit:
            return "", False
        return best, self.facts.kinds[best] == "r"

    def _lane_candidates(self, kinds: str) -> list[str]:
        allowed = kinds if not self.facts.op.has_reduction or is_repeatable(self.facts.op) else kinds.replace("r", "")
        return [n for n, k in self.facts.kinds.items() if k in allowed and self.extents[n] > 1]

    def _is_smooth(self, name: str) -> bool:
        """Whether every operand stays, moves by neighbours, or can be packed so that it does.

        What is read or written once per result counts only where results are not folded from many elements.
        """
        folds = self._fold_length() >= self.width
        walked = [o for o in self.facts.operands if o.in_map or not folds]
        smooth = all(not o.depends(name) or o.is_unit(name) or o.packable for o in walked)
        return smooth and any(o.depends(name) for o in self.facts.outputs)

    def _fold_length(self) -> int:
        """Elements folded into one result."""
        return prod(self.extents[r] for r in self.facts.reductions) if self.facts.op.has_reduction else 1

    def _lane_cost(self, name: str) -> float:
        """Rough cycles per vector for loads and stores, divided by the share of lanes in use."""
        extent = self.extents[name]
        used = extent / (ceil_div(extent, self.width) * self.width)
        reduces = self.facts.kinds[name] == "r"
        length = self._fold_length()
        cost = 0.0
        for operand in self.facts.operands:
            weight = 1.0 if operand.in_map or reduces else 1.0 / length
            cost += weight * self._access_cost(operand, name, reduces)
        if reduces:
            cost += 3.0 * self.width / max(1, length)
        return cost / used

    def _access_cost(self, operand: Operand, name: str, reduces: bool) -> float:
        step = operand.step(name)
        if operand.output and reduces:
            return 1.0 if step == operand.bytes else 0.0 if not operand.depends(name) else float(self.width)
        if operand.constant and operand.in_map:
            return 0.0
        if step == operand.bytes:
            return 1.0
        if not operand.depends(name):
            return 0.5
        if not operand.output and self._transposable(operand, name):
            return 5.0
        return float(self.width) * (1.5 if operand.output else 1.0)

    def _transposable(self, operand: Operand, lane: str) -> bool:
        """Whether another dim is long enough to load whole vectors along it and transpose them."""
        return lane not in operand.scattered and any(
            operand.is_unit(n) and n != lane and self.extents[n] >= self.width and operand.bytes == 4
            for n in self.facts.parallel
            if n not in self.shared or self.shared[n] >= self.width
        )

    # --- reuse: matrix products and convolutions

    def _reuse_dims(self, lane: str) -> list[str]:
        """Parallel dims along which some factor that moves with the lanes stays put, innermost first."""
        moving = [o for o in self.facts.factors if not lane or o.depends(lane)]
        still = [
            n
            for n in self.facts.parallel
            if n != lane and any(not o.depends(n) for o in moving) and self.extents[n] > 1
        ]
        if len(self.facts.factors) < 2:
            return []
        others = [o for o in self.facts.factors if lane and not o.depends(lane)]
        still = [n for n in still if any(o.depends(n) for o in others)]
        return sorted(still, key=lambda n: (min((o.stride(n) for o in others if o.depends(n)), default=0), n))

    def _tile(self, lane: str, rows: list[str]) -> tuple[int, dict[str, int]]:
        """Vectors per row and rows per dim of the register tile."""
        budget = self.target.registers
        count = prod(self.extents[n] for n in rows) if rows else 1
        vectors_there = ceil_div(self.extents[lane], self.width) if lane else 1
        limit = budget - 2
        if count <= 1:
            vectors = 8 if budget >= 32 else 6
        elif count <= 4:
            vectors = 4 if budget >= 32 else 3
        elif budget >= 32:
            vectors = 2
        else:
            vectors = 2
        vectors = max(1, min(vectors, vectors_there))
        most = max(1, (limit - vectors) // vectors)
        goal = {1: 14, 2: 7, 3: 4, 4: 4}.get(vectors, 1) if budget >= 32 else {1: 12, 2: 6, 3: 4}.get(vectors, 1)
        height = min(most, goal)
        tile: dict[str, int] = {}
        for name in rows:
            take = min(height, self.extents[name])
            blocks = self.facts.blocks.get(name, [])
            if blocks:
                take = max((d for d in range(1, take + 1) if blocks[0] % d == 0), default=1)
            elif take < self.extents[name]:
                take = ceil_div(self.extents[name], ceil_div(self.extents[name], take))
            tile[name] = take
            height //= max(1, take)
            if height < 2:
                break
        return vectors, tile

    def _reuse_plan(self, lane: str, rows: list[str]) -> Plan:
        vectors, tile = self._tile(lane, rows)
        facts = self.facts
        pack = self._packs(lane)
        inner_reduction, unroll = self._reduction_unroll(vectors * prod(tile.values()))
        levels: list[Level] = []
        batch = [n for n in facts.parallel if n != lane and n not in tile]
        fixed = [n for n in batch if all(o.depends(n) for o in facts.factors)]
        walked = [n for n in batch if n not in fixed]
        levels += self._single_loops(self._by_output(fixed))
        levels += self._blocked_loops(lane, vectors * self.width)
        levels += self._single_loops(self._by_output(walked))
        for name in reversed(list(tile)):
            levels += self._blocked_loops(name, tile[name], balanced=True)
        levels += self._reduction_loops(inner_reduction, unroll)
        levels += [Level(n, "*") for n in inner_reduction]
        levels += [Level(n, "*") for n in reversed(list(tile))]
        levels += [Level(lane, "*"), Level(lane, "@", self.width)]
        return Plan(tuple(levels), pack, self._prefetch(pack, tile))

    def _packs(self, lane: str) -> tuple[int, ...]:
        """Constant factors that move with the lanes, or whose blocks the levels need not respect."""
        factors = [o for o in self.facts.factors if o.packable]
        return tuple(o.number for o in factors if (lane and o.depends(lane)) or any(o.blocks.values()))

    def _prefetch(self, pack: tuple[int, ...], tile: dict[str, int]) -> tuple[int, ...]:
        """Packed factors that come from beyond the second-level cache while there are rows to hide it behind."""
        found: list[int] = []
        rows = prod(self.extents[n] for n in self.facts.parallel if n in tile)
        for number in pack:
            operand = self.facts.operands[number]
            size = operand.bytes * prod(self.extents[n] for n in self.extents if operand.depends(n))
            if size > PREFETCH_BYTES and rows >= PREFETCH_ROWS:
                found.append(number)
        return tuple(found)

    def _reduction_order(self) -> list[str]:
        """Reduction dims, outermost first: those that jump furthest in the factors that are not constant."""
        moving = [o for o in self.facts.factors if not o.constant] or self.facts.factors
        return sorted(self.facts.reductions, key=lambda n: -max((abs(o.stride(n)) for o in moving), default=0))

    def _reduction_unroll(self, accumulators: int) -> tuple[dict[str, int], int]:
        """Reduction dims to unroll in registers with the elements of each, and the elements in all."""
        order = self._reduction_order()
        near = sorted(order, key=lambda n: min((abs(o.step(n)) or 1 << 40 for o in self.facts.factors), default=0))
        name = near[0]
        extent = self.extents[name]
        most = max(1, UNROLL_BUDGET // max(1, accumulators))
        take = extent if extent <= min(most, 2 * REDUCTION_UNROLL) else min(REDUCTION_UNROLL, most)
        blocks = self.facts.blocks.get(name, [])
        if blocks and take < extent:
            take = max(d for d in range(1, take + 1) if blocks[0] % d == 0)
        return {name: take}, take

    def _reduction_loops(self, inner: dict[str, int], unroll: int) -> list[Level]:
        """Loops over blocks, then windows, then the unrolled dim."""
        order = self._reduction_order()
        levels: list[Level] = []
        last: list[Level] = []
        for name in order:
            step = inner.get(name, 1)
            loops = self._blocked_loops(name, step)
            if name in inner:
                levels += loops[:-1]
                last = loops[-1:]
            else:
                levels += loops
        return [*levels, *last]

    # --- windows and plain reductions across lanes

    def _window_plan(self, lane: str) -> Plan:
        facts = self.facts
        windows = self._windows()
        taps = prod(self.extents[r] for r in windows)
        rows = self._window_rows(lane, windows)
        vectors = self._window_vectors(lane, rows)
        outputs = vectors * prod(rows.values())
        unrolled = self._unrolled_windows(windows, outputs, taps)
        others = [r for r in self._reduction_order() if r not in unrolled]
        inner = {} if unrolled else self._plain_unroll(others, outputs)
        pack = self._packs(lane)
        levels: list[Level] = []
        batch = [n for n in facts.parallel if n != lane and n not in rows]
        levels += self._single_loops(self._by_output(batch))
        if lane:
            levels += self._blocked_loops(lane, vectors * self.width)
        for name in self._by_output(list(rows)):
            levels += self._blocked_loops(name, rows[name], balanced=True)
        levels += self._reduction_loops_of(others, inner)
        levels += [Level(r, "*") for r in (*unrolled, *inner)]
        levels += [Level(n, "*") for n in self._by_output(list(rows))]
        if lane:
            levels += [Level(lane, "*"), Level(lane, "@", self.width)]
        return Plan(tuple(levels), pack)

    def _windows(self) -> list[str]:
        """Reduction dims that overlap with a parallel dim in some factor's address."""
        return [r for r in self.facts.reductions if self.extents[r] <= 8 and len(self.facts.reductions) > 1]

    def _window_rows(self, lane: str, windows: list[str]) -> dict[str, int]:
        """Spatial register tile: a few outputs along the dims that windows slide over, innermost first."""
        if not windows:
            return {}
        space = [n for n in self._by_output(self.facts.parallel) if n != lane and self.extents[n] > 1]
        space = [n for n in space if all(o.depends(n) for o in self.facts.outputs)][-2:]
        tile: dict[str, int] = {}
        goals = (WINDOW_TILE[1], WINDOW_TILE[0]) if self.target.registers >= 32 else (4, 2)
        for name, goal in zip(reversed(space), goals):
            take = min(goal, self.extents[name])
            if not self.facts.blocks.get(name):
                tile[name] = ceil_div(self.extents[name], ceil_div(self.extents[name], take))
        return tile

    def _window_vectors(self, lane: str, rows: dict[str, int]) -> int:
        if rows or not lane:
            return 1
        return max(1, min(4, ceil_div(self.extents[lane], self.width)))

    def _unrolled_windows(self, windows: list[str], outputs: int, taps: int) -> list[str]:
        """The window dims to unroll: all of them, or the inner ones, within the code budget."""
        kept = [r for r in self._reduction_order() if r in windows]
        while kept and prod(self.extents[r] for r in kept) * outputs > UNROLL_BUDGET:
            kept = kept[1:]
        return kept

    def _plain_unroll(self, order: list[str], outputs: int) -> dict[str, int]:
        if not order:
            return {}
        name = order[-1]
        blocks = self.facts.blocks.get(name, [])
        take = min(self.extents[name], max(1, 16 // outputs))
        if blocks:
            take = max(d for d in range(1, take + 1) if blocks[0] % d == 0)
        return {name: take}

    def _reduction_loops_of(self, order: list[str], inner: dict[str, int]) -> list[Level]:
        levels: list[Level] = []
        for name in order:
            levels += self._blocked_loops(name, inner.get(name, 1))
        return levels

    # --- rows: lanes along the reduction

    def _row_plan(self, lane: str) -> Plan:
        facts = self.facts
        others = [r for r in self._reduction_order() if r != lane]
        rows = {n: e for n, e in self.extents.items() if n in self.shared and e > 1 and facts.kinds[n] == "p"}
        batch = [n for n in facts.parallel if n not in rows]
        chains = max(1, (self.target.registers // 2) // max(1, prod(rows.values())))
        vectors = ceil_div(self.extents[lane], self.width)
        kept = max(1, min(2 * KEPT if not rows else KEPT, chains, vectors))
        levels = self._single_loops(self._by_output(batch))
        levels += self._single_loops(others)
        if vectors > kept:
            levels += self._blocked_loops(lane, kept * self.width)
        levels += [Level(n, "*") for n in rows]
        levels += [Level(lane, "+"), Level(lane, "@", self.width)]
        return Plan(tuple(levels))

    # --- maps: no reduction

    def _map_plan(self, lane: str) -> Plan:
        facts = self.facts
        rows = {n: e for n, e in self.extents.items() if n in self.shared and e > 1 and n != lane}
        square = self._square(lane) if lane else ""
        batch = [n for n in facts.parallel if n not in (lane, square) and n not in rows]
        vectors = (
            1 if square else max(1, min(4 if not rows else 2, ceil_div(self.extents[lane], self.width))) if lane else 1
        )
        levels = self._single_loops(self._by_output(batch))
        if square:
            levels += self._blocked_loops(square, self.width)
        if lane:
            levels += self._blocked_loops(lane, vectors * self.width)
        levels += [Level(n, "*") for n in rows]
        if square:
            levels.append(Level(square, "*"))
        if lane:
            levels += [Level(lane, "*"), Level(lane, "@", self.width)]
        return Plan(tuple(levels))

    def _square(self, lane: str) -> str:
        """The dim along which a transposed input is loaded."""
        for operand in self.facts.inputs:
            if operand.depends(lane) and not operand.is_unit(lane):
                for name in self.facts.parallel:
                    if name != lane and operand.is_unit(name) and self._transposable(operand, lane):
                        return name
        return ""

    # --- loops

    def _by_output(self, names: list[str]) -> list[str]:
        """Dims in the order in which the first output lies in memory, outermost first."""
        out = self.facts.outputs[0]
        return sorted(names, key=lambda n: (-abs(out.stride(n)), n))

    def _single_loops(self, names: list[str]) -> list[Level]:
        """One loop of step 1 per dim (and one per block of it)."""
        levels: list[Level] = []
        for name in names:
            if self.extents[name] > 1:
                levels += self._blocked_loops(name, 1)
        return levels

    def _blocked_loops(self, name: str, step: int, *, balanced: bool = False) -> list[Level]:
        """Loops over a dim down to ``step``, with a level for each block that the step does not cover."""
        extent = self.extents[name]
        blocks = [b for b in self.facts.blocks.get(name, []) if step < b < extent and b % step == 0]
        levels = [Level(name, "/", b) for b in reversed(blocks)]
        inside = min(blocks) if blocks else extent
        if step < inside:
            packed = any(o.packable and o.depends(name) for o in self.facts.operands)
            free = balanced and not packed and not self.facts.blocks.get(name) and name not in self.shared
            levels.append(Level(name, "/", step, balanced=free))
        elif not levels and step >= extent:
            return []
        return levels


def shared_plan(computes: list[ComputeOp], target: Target) -> Plan:
    """Loops around dependent computes: over the parallel dims that all of them have, a few rows at a time."""
    common = [n for n in computes[0].dims.extents if all(c.dims.kinds.get(n) == "p" for c in computes)]
    if not common:
        return Plan(())
    facts = [Facts(c) for c in computes]
    order = sorted(common, key=lambda n: -abs(facts[0].operands[0].stride(n)))
    levels: list[Level] = []
    for name in order[:-1]:
        levels.append(Level(name, "/", 1))
    last = order[-1]
    row = max(
        prod(f.extents[n] for n in f.extents if n not in common and o.depends(n)) * o.bytes
        for f in facts
        for o in f.operands
    )
    fit = max(1, ROWS_BYTES // max(1, row))
    rows = min(4 if target.registers >= 32 else 2, fit, facts[0].extents[last])
    blocks = [b for f in facts for b in f.blocks.get(last, [])]
    while any(b % rows for b in blocks):
        rows -= 1
    levels += [Level(last, "/", b) for b in sorted(set(blocks), reverse=True) if rows < b < facts[0].extents[last]]
    levels.append(Level(last, "/", rows, balanced=not blocks))
    return Plan(tuple(levels))


def depends(computes: list[ComputeOp]) -> bool:
    """Whether some compute reads what another of the kernel writes."""
    written = [v for c in computes for v in (*c.outs, *c.elems)]
    return any(v is w for c in computes for v in (*c.ins, *c.subscripts) for w in written)


def scatters(computes: list[ComputeOp]) -> bool:
    """Whether some compute uses subscripts on what the kernel writes, so that rows aren't independent."""
    written = {v for c in computes for v in (*c.outs, *c.elems)}
    for compute in computes:
        assert compute.maps is not None
        for value, mapping in zip(compute.operands, compute.maps):
            if value in written and any(map(subscripts_of, mapping.data)):
                return True
    return False


def sequence_plan(computes: list[ComputeOp]) -> Plan:
    """Loops around computes that take steps together: the dims of kind ``s`` that several have."""
    count = Counter(d.name for c in computes for d in c.dims.data if d.kind == "s" and d.extent > 1)
    return Plan(tuple(Level(name, "/", 1) for name, times in count.items() if times > 1))


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
        if steps.levels or not plan.levels:
            kernel.attributes["dependent"] = UnitAttr()
    for compute in computes:
        plan = Scheduler(Facts(compute), target, shared).plan()
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
            # The nests that come of them don't show schedules any more: keep the text, for people.
            texts = [f"{c.dims.text()} | {c.schedule.text()}" for c in kernel.computes() if c.schedule]
            kernel.attributes["loop.schedules"] = ArrayAttr([StringAttr(text) for text in texts])
