"""Nothing to reuse but overlapping windows: depthwise convolutions, pooling, and sums across lanes.

    g/16 d2/~2 d3/~7 k0* k1* d2* d3* g* g@16 pack(1)

A few neighbouring outputs per vector of channels, with the window unrolled, so that what they share is loaded once.
"""

from __future__ import annotations

from math import prod

from mlc.dialects.loop import Level, Plan
from mlc.lowering.loops.check_schedule import is_repeatable
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.schedules.space import Space

OUTPUTS = ((2, 7), (2, 4))
"""Outputs per tile along the two innermost spatial dims, with many registers and with few."""

LONGEST_WINDOW = 8
VECTORS = 4
CHAINS = 16


def window_plan(space: Space, lane: str) -> Plan:
    """The schedule of a compute that folds small windows, or anything else without reuse."""
    facts = space.facts
    windows = [r for r in facts.reductions if space.extents[r] <= LONGEST_WINDOW and len(facts.reductions) > 1]
    rows = _rows(space, lane) if windows else {}
    vectors = 1 if rows or not lane else max(1, min(VECTORS, ceil_div(space.extents[lane], space.width)))
    outputs = vectors * prod(rows.values())
    unrolled = _unrolled(space, windows, outputs)
    others = [r for r in space.reduction_order() if r not in unrolled]
    inner = _steps(space, others, outputs) if not unrolled else {}
    pack = space.packs(lane)
    levels = space.single_loops(space.by_output([n for n in facts.parallel if n != lane and n not in rows]))
    if lane:
        levels += space.loops(lane, vectors * space.width)
    for name in space.by_output(list(rows)):
        levels += space.loops(name, rows[name], balanced=not space.is_packed(name, pack))
    for name in others:
        levels += space.loops(name, inner.get(name, 1))
    # Sums that nothing else interleaves run as several shorter ones: less latency, and less rounding.
    apart = "+" if is_repeatable(facts.op) else "*"
    levels += [Level(n, "*") for n in unrolled]
    levels += [Level(n, apart) for n in inner]
    levels += [Level(n, "*") for n in space.by_output(list(rows))]
    return Plan((*levels, *space.vector(lane)), pack)


def _rows(space: Space, lane: str) -> dict[str, int]:
    """A few outputs along the dims that windows slide over."""
    names = [n for n in space.by_output(space.facts.parallel) if n != lane and space.extents[n] > 1]
    names = [n for n in names if all(o.depends(n) for o in space.facts.outputs)][-2:]
    goals = OUTPUTS[0 if space.many_registers else 1]
    tile: dict[str, int] = {}
    for name, goal in zip(reversed(names), reversed(goals)):
        extent = space.extents[name]
        if not space.facts.blocks.get(name):
            tile[name] = ceil_div(extent, ceil_div(extent, min(goal, extent)))
    return tile


def _unrolled(space: Space, windows: list[str], outputs: int) -> list[str]:
    """The window dims to unroll: all of them, or the inner ones, within the code budget."""
    kept = [r for r in space.reduction_order() if r in windows]
    while kept and prod(space.extents[r] for r in kept) * outputs > space.target.unroll_budget:
        kept = kept[1:]
    return kept


def _steps(space: Space, order: list[str], outputs: int) -> dict[str, int]:
    """The innermost reduction dim, and how much of it to unroll."""
    if not order:
        return {}
    name = order[-1]
    return {name: space.whole_steps(name, min(space.extents[name], max(1, CHAINS // outputs)))}
