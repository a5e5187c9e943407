"""Matrix products and convolutions: a register tile of rows and vectors, reused along the rows.

    n/32 m/~7 k/4 k* m* n* n@16 pack(1) prefetch(1)

The constant factor is packed in nest order, panels outermost, and its next panel is prefetched while there are rows to
hide that behind. The reduction is not blocked: whole sums stay in registers.
"""

from __future__ import annotations

from math import prod

from mlc.dialects.loop import Level, Plan
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.schedules.space import Space

PREFETCH_BYTES = 256 << 10
PREFETCH_ROWS = 8

VECTORS_BY_ROWS = ((1, (8, 6)), (4, (4, 3)))
"""Vectors per row for few rows, with many registers and with few: they alone keep the multiply-adds busy."""

ROWS_BY_VECTORS = ({1: 14, 2: 7, 3: 4, 4: 4}, {1: 12, 2: 6, 3: 4})
"""Rows per tile by its vectors, with many registers and with few: 14 or 12 accumulators hide the latency."""

SCALAR_VECTORS = 4
"""The most vectors per row where multiply-adds take one factor from a register that is no vector's."""

LANE_VECTORS = 3
"""The most vectors per row where multiply-adds take one factor from a lane."""


def reuse_dims(space: Space, lane: str) -> list[str]:
    """Parallel dims along which some factor that moves with the lanes stays put, innermost first."""
    factors = space.facts.factors
    if len(factors) < 2 or not lane:
        return []
    moving = [o for o in factors if o.depends(lane)]
    others = [o for o in factors if not o.depends(lane)]
    found = [
        n
        for n in space.facts.parallel
        if n != lane
        and space.extents[n] > 1
        and any(not o.depends(n) for o in moving)
        and any(o.depends(n) for o in others)
    ]
    return sorted(found, key=lambda n: (min(o.stride(n) for o in others if o.depends(n)), n))


def reuse_plan(space: Space, lane: str, rows: list[str]) -> Plan:
    """The schedule of a compute with reuse along ``rows``."""
    vectors, tile = _tile(space, lane, rows)
    facts = space.facts
    pack = space.packs(lane)
    inner, take = _unrolled(space, vectors * prod(tile.values()))
    batch = [n for n in facts.parallel if n != lane and n not in tile]
    fixed = [n for n in batch if all(o.depends(n) for o in facts.factors)]
    outward = list(reversed(tile))
    levels = space.single_loops(space.by_output(fixed))
    levels += space.loops(lane, vectors * space.width)
    levels += space.single_loops(space.by_output([n for n in batch if n not in fixed]))
    for name in outward:
        levels += space.loops(name, tile[name], balanced=not space.is_packed(name, pack))
    levels += _reduction_loops(space, inner, take)
    levels += [Level(n, "*") for n in (inner, *outward)]
    return Plan((*levels, *space.vector(lane)), pack, _prefetch(space, pack, tile))


def _tile(space: Space, lane: str, rows: list[str]) -> tuple[int, dict[str, int]]:
    """Vectors per row, and rows per dim of the register tile."""
    few = 0 if space.many_registers else 1
    count = prod(space.extents[n] for n in rows)
    if space.target.splat == "lane" and count > VECTORS_BY_ROWS[-1][0]:
        vectors, height = lane_tile(space, lane, rows[0])
    elif space.target.splat == "scalar" and count > VECTORS_BY_ROWS[-1][0]:
        vectors = min(SCALAR_VECTORS, ceil_div(space.extents[lane], space.width))
        height = (space.target.registers - 1 - vectors) // vectors
    else:
        vectors = next((v[few] for most, v in VECTORS_BY_ROWS if count <= most), 2)
        vectors = max(1, min(vectors, ceil_div(space.extents[lane], space.width)))
        height = ROWS_BY_VECTORS[few].get(vectors, 1)
        kept = vectors + (space.target.splat == "lane")
        free = space.target.registers - 2 - vectors - space.temporaries
        height = min(height, max(1, free // kept))
    tile: dict[str, int] = {}
    for name in rows:
        tile[name] = _even_rows(space, name, min(height, space.extents[name]))
        height //= tile[name]
        if height < 2:
            break
    return vectors, tile


def lane_tile(space: Space, lane: str, row: str) -> tuple[int, int]:
    """Vectors per row and rows of the tile with most multiply-adds per load where rows are lanes of vectors.

    A vector of the other factor holds several rows where those are neighbours in memory, else one row of several
    steps. Vectors that lie side by side are loaded in pairs. Two registers stay free, or one where all are pairs.
    """
    others = [o for o in space.facts.factors if not o.depends(lane)]
    along = any(o.is_unit(row) for o in others)
    paired = along or all(o.step(row) == space.target.vector_bytes for o in others)
    free = space.target.registers - (1 if paired else 2)

    def loads(tile: tuple[int, int]) -> float:
        vectors, height = tile
        return vectors / 2 + height / space.width / (2 if paired else 1)

    fitting = [
        (vectors, height)
        for vectors in range(1, min(LANE_VECTORS, ceil_div(space.extents[lane], space.width)) + 1)
        for height in range(space.width if along else 1, free, space.width if along else 1)
        if vectors * height + vectors + (height // space.width if along else height) <= free
    ]
    return max(fitting, key=lambda tile: (tile[0] * tile[1] / loads(tile), tile))


def _even_rows(space: Space, name: str, most: int) -> int:
    """Rows of a dim per tile, up to ``most``, so that tiles are about equally high."""
    extent = space.extents[name]
    if space.facts.blocks.get(name):
        return space.whole_steps(name, most)
    return ceil_div(extent, ceil_div(extent, most))


def _unrolled(space: Space, accumulators: int) -> tuple[str, int]:
    """The reduction dim to unroll in registers, the one whose elements lie closest, and how many of them."""
    factors = space.facts.factors
    name = min(space.reduction_order(), key=lambda n: min((abs(o.step(n)) or 1 << 40 for o in factors), default=0))
    extent = space.extents[name]
    most = max(1, space.target.unroll_budget // max(1, accumulators))
    # LLVM adds up several steps first where an instruction leaves adding to another one: that takes registers.
    unroll = 1 if space.temporaries else space.target.reduction_unroll
    if extent <= min(most, 2 * unroll) and space.whole_steps(name, extent) == extent:
        return name, extent
    if space.target.splat == "lane" and extent >= space.width:
        return name, space.whole_steps(name, space.width)
    return name, space.whole_steps(name, min(unroll, most))


def _reduction_loops(space: Space, inner: str, take: int) -> list[Level]:
    """Loops over blocks, then over the rest of the window, then over the unrolled dim."""
    levels: list[Level] = []
    last: list[Level] = []
    for name in space.reduction_order():
        loops = space.loops(name, take if name == inner else 1)
        if name == inner:
            loops, last = loops[:-1], loops[-1:]
        levels += loops
    return [*levels, *last]


def _prefetch(space: Space, pack: tuple[int, ...], tile: dict[str, int]) -> tuple[int, ...]:
    """Packed factors that come from beyond the second-level cache while there are rows to hide it behind."""
    if prod(space.extents[n] for n in tile) < PREFETCH_ROWS:
        return ()
    extents = space.extents
    found: list[int] = []
    for number in pack:
        operand = space.facts.operands[number]
        if operand.bytes * prod(extents[n] for n in extents if operand.depends(n)) > PREFETCH_BYTES:
            found.append(number)
    return tuple(found)
