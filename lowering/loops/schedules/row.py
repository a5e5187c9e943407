"""The reduction runs along memory: lanes and several accumulators along it, merged at its end.

Rows ``d0`` of elements ``d1``: ``d1/64 d0* d1+ d1@16``.
"""

from __future__ import annotations

from math import prod

from mlc.dialects.loop import Level, Plan
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.schedules.space import Space

KEPT = 4
"""Accumulators along a row; twice as many where there is just one row."""


def row_plan(space: Space, lane: str) -> Plan:
    """The schedule of a compute that folds along ``lane``."""
    rows = space.shared_rows()
    chains = max(1, (space.target.registers // 2) // max(1, prod(rows.values())))
    vectors = ceil_div(space.extents[lane], space.width)
    kept = max(1, min(KEPT if rows else 2 * KEPT, chains, vectors))
    levels = space.single_loops(space.by_output([n for n in space.facts.parallel if n not in rows]))
    levels += space.single_loops([r for r in space.reduction_order() if r != lane])
    if vectors > kept:
        levels += space.loops(lane, kept * space.width)
    levels += [Level(n, "*") for n in rows]
    return Plan((*levels, Level(lane, "+"), Level(lane, "@", space.width)))
