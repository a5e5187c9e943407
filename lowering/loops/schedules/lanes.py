"""Which dim the lanes of a vector run along."""

from __future__ import annotations

from mlc.lowering.loops.check_schedule import is_repeatable
from mlc.lowering.loops.facts import Operand
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.schedules.space import Space

TRANSPOSED_COST = 5.0
"""Cycles per vector to load along another dim and transpose in registers."""

MERGE_COST = 3.0
"""Cycles per lane to fold the lanes of a reduction at its end."""


def choose_lane(space: Space) -> str:
    """The dim whose neighbours share a vector, or "" for scalar code.

    A parallel dim that no operand strides over wins over any reduction: nothing has to be merged.
    """
    smooth = {n: lane_cost(space, n) for n in _candidates(space, "p") if is_smooth(space, n)}
    costs = smooth or {n: lane_cost(space, n) for n in _candidates(space, "pr")}
    best = min(costs, key=lambda n: costs[n], default="")
    limit = float(space.width) * max(1, len(space.facts.operands))
    return best if best and costs[best] < limit else ""


def _candidates(space: Space, kinds: str) -> list[str]:
    facts = space.facts
    allowed = kinds if not space.has_reduction or is_repeatable(facts.op) else kinds.replace("r", "")
    return [n for n, k in facts.kinds.items() if k in allowed and space.extents[n] > 1]


def is_smooth(space: Space, name: str) -> bool:
    """Whether every operand stays, moves by neighbours, or can be packed so that it does.

    What is read or written once per result counts only where results are not folded from many elements.
    """
    folds = space.fold_length() >= space.width
    walked = [o for o in space.facts.operands if o.in_map or not folds]
    smooth = all(not o.depends(name) or o.is_unit(name) or space.is_packable(o) for o in walked)
    return smooth and any(o.depends(name) for o in space.facts.outputs)


def lane_cost(space: Space, name: str) -> float:
    """Rough cycles per vector for loads and stores, divided by the share of lanes in use."""
    extent, width = space.extents[name], space.width
    used = extent / (ceil_div(extent, width) * width)
    reduces = space.facts.kinds[name] == "r"
    length = space.fold_length()
    cost = 0.0
    for operand in space.facts.operands:
        weight = 1.0 if operand.in_map or reduces else 1.0 / length
        cost += weight * _access_cost(space, operand, name, reduces)
    if reduces:
        cost += MERGE_COST * width / max(1, length)
    return cost / used


def _access_cost(space: Space, operand: Operand, name: str, reduces: bool) -> float:
    width = float(space.width)
    if operand.output and reduces:
        return 1.0 if operand.is_unit(name) else width if operand.depends(name) else 0.0
    if operand.is_unit(name) or (space.is_packable(operand) and operand.depends(name)):
        return 1.0
    if not operand.depends(name):
        return 0.5
    if not operand.output and transposable(space, operand, name):
        return TRANSPOSED_COST
    return width * (1.5 if operand.output else 1.0)


def transposable(space: Space, operand: Operand, lane: str) -> bool:
    """Whether another dim is long enough to load whole vectors along it and transpose them."""
    return lane not in operand.scattered and any(
        operand.is_unit(n) and n != lane and space.extents[n] >= space.width and operand.bytes == 4
        for n in space.facts.parallel
        if n not in space.shared or space.shared[n] >= space.width
    )
