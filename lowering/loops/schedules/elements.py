"""No reduction: vectors along the output, with a square register tile where an input is transposed.

Along the output ``d0/64 d0* d0@16``, a square ``d2/16 d3/16 d2* d3* d3@16``.
"""

from __future__ import annotations

from mlc.dialects.loop import Level, Plan
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.schedules.lanes import transposable
from mlc.lowering.loops.schedules.space import Space

VECTORS = 4
VECTORS_BESIDE_ROWS = 2


def element_plan(space: Space, lane: str) -> Plan:
    """The schedule of a compute that maps elements."""
    rows = {n: e for n, e in space.shared_rows().items() if n != lane}
    square = _square(space, lane)
    levels = space.single_loops(space.by_output(_batch(space, {lane, square, *rows})))
    if square:
        levels += space.loops(square, space.width)
    if lane:
        levels += space.loops(lane, _vectors(space, lane, square, bool(rows)) * space.width)
    levels += [Level(n, "*") for n in rows]
    if square:
        levels.append(Level(square, "*"))
    return Plan((*levels, *space.vector(lane)))


def _batch(space: Space, taken: set[str]) -> list[str]:
    return [n for n in space.facts.parallel if n not in taken]


def _vectors(space: Space, lane: str, square: str, rows: bool) -> int:
    """Vectors per tile: enough independent chains, but one column of a square."""
    if square:
        return 1
    return max(1, min(VECTORS_BESIDE_ROWS if rows else VECTORS, ceil_div(space.extents[lane], space.width)))


def _square(space: Space, lane: str) -> str:
    """The dim along which a transposed input is loaded, or ""."""
    if not lane:
        return ""
    for operand in space.facts.inputs:
        if operand.depends(lane) and not operand.is_unit(lane) and transposable(space, operand, lane):
            return next(n for n in space.facts.parallel if n != lane and operand.is_unit(n))
    return ""
