"""Schedules for GPUs: loops bound to blocks and threads, scalar code and a small register tile per thread.

    d0/64:block.y d0/4:thread.y d1/64:block.x d1/4:thread.x k/4 k* d0* d1*        d0/128:block.x d0/1:thread.x

Threads are independent: nothing is handed from one to another, so there is neither shared memory nor a barrier.
"""

from __future__ import annotations

from mlc.dialects.loop import Level, Plan
from mlc.lowering.loops.schedules.space import Space

TILE = 4
"""Results per thread along each of two dims with reuse."""

SIDE = 16
"""Threads per block along each of two dims."""

ROW = 128
"""Threads per block along one dim."""

UNROLL = 4
AXES = "xyz"


def gpu_plan(space: Space, rows: list[str]) -> Plan:
    """The schedule of one compute; ``rows`` are the dims along which a factor is reused, if any.

    Dims that shared loops have bound already are left to those.
    """
    parallel = [n for n in space.by_output(space.facts.parallel) if space.extents[n] > 1 and n not in space.shared]
    along = parallel[-1:] + [n for n in reversed(parallel[:-1]) if n in rows][:1] if rows else []
    tile = dict.fromkeys(along, TILE) if len(along) == 2 else {}
    reductions = space.reduction_order()
    unrolled = reductions[-1:] if reductions else parallel[-1:] if space.shared else []
    levels: list[Level] = []
    free = list(AXES) if not space.shared else []
    for name in reversed(parallel):
        if free and name not in unrolled:
            levels = [*_bound(space, name, free.pop(0), tile), *levels]
    levels += [Level(n, "/", 1) for n in parallel if not any(v.dim == n for v in levels) and n not in unrolled]
    for name in (*reductions[:-1], *unrolled):
        levels += space.loops(name, UNROLL if name in unrolled else 1)
    return Plan((*levels, *(Level(n, "*") for n in (*unrolled, *tile))))


def _bound(space: Space, name: str, axis: str, tile: dict[str, int]) -> list[Level]:
    """A dim over the blocks and, with a tile or along the first axis, over the threads of a block."""
    step = tile.get(name, 1)
    threads = SIDE if tile else ROW if axis == "x" else 1
    if name not in tile and tile:
        threads = 1
    if threads == 1:
        return [Level(name, "/", step, bind=f"block.{axis}")]
    if space.extents[name] <= step * threads:
        return [Level(name, "/", step, bind=f"thread.{axis}")]
    return [Level(name, "/", step * threads, bind=f"block.{axis}"), Level(name, "/", step, bind=f"thread.{axis}")]


def gpu_rows(extents: dict[str, int], common: list[str]) -> Plan:
    """Loops around computes that depend on each other: one thread per row of the dims that all of them have."""
    levels: list[Level] = []
    for axis, name in zip(AXES, reversed(common)):
        threads = ROW if axis == "x" else 1
        if threads > 1 and extents[name] > threads:
            levels = [
                Level(name, "/", threads, bind=f"block.{axis}"),
                Level(name, "/", 1, bind=f"thread.{axis}"),
                *levels,
            ]
        else:
            levels = [Level(name, "/", 1, bind=f"{'thread' if threads > 1 else 'block'}.{axis}"), *levels]
    levels = [*(Level(n, "/", 1) for n in common[: -len(AXES)]), *levels]
    return Plan(tuple(levels))
