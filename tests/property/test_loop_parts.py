"""The small algorithms of the loop passes, each against its definition: runs of tiles, packs, places in the arena."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import MemRefType, f32
from xdsl.ir import Block

from mlc.dialects.loop import BufferOp, Dim, DimsAttr, Level, PackOp, Plan, Reach, ReachAttr, ScheduleAttr
from mlc.lowering.loops.levels import Span, runs, spans
from mlc.lowering.loops.pack import pack_array
from mlc.lowering.loops.plan_memory import Life, place


@given(st.integers(1, 100), st.integers(1, 20), st.booleans())
def test_runs_cover_a_dim_once(extent: int, size: int, balanced: bool) -> None:
    made = runs(extent, Level("n", "/", size, balanced))
    covered = [r.start + t * r.step + e for r in made for t in range(r.count) for e in range(r.step)]
    assert covered == list(range(extent))
    assert all(1 <= r.step <= size for r in made)
    assert len(made) <= 2
    if balanced:
        assert max(r.step for r in made) - min(r.step for r in made) <= 1
        assert sum(r.count for r in made) == -(-extent // size)


@st.composite
def packs(draw: st.DrawFn) -> PackOp:
    """A pack of a dense matrix: any chain of levels per dim, in any order that a schedule may have."""
    dims: list[Dim] = []
    levels: list[Level] = []
    for name in "nk":
        extent = draw(st.integers(1, 20))
        dims.append(Dim(name, extent))
        lanes = draw(st.sampled_from([1, 1, 4]))
        size = draw(st.integers(1, 3)) * lanes
        outer = [Level(name, "/", size)] if size < extent else []
        if outer and size * 2 < extent and draw(st.booleans()):
            outer.insert(0, Level(name, "/", size * 2))
        levels += [*outer, Level(name, "*"), *([Level(name, "@", lanes)] if lanes > 1 else [])]
    loops = [v for v in levels if v.kind == "/"]
    registers = draw(st.permutations([v for v in levels if v.kind != "/"]))
    order = draw(st.permutations(sorted({v.dim for v in loops})))
    plan = Plan((*sorted(loops, key=lambda v: order.index(v.dim)), *registers))
    n, k = (d.extent for d in dims)
    made: list[Span] = spans(tuple(dims), plan)
    strides = {"n": 4 * k, "k": 4}
    reach = Reach(0, tuple((s.key, s.step * strides[s.level.dim]) for s in made))
    source = Block(arg_types=[MemRefType(f32, [n, k])]).args[0]
    return PackOp.create(
        operands=[source],
        result_types=[MemRefType(f32, [s.count for s in made])],
        properties={"reach": ReachAttr(reach), "dims": DimsAttr(tuple(dims)), "schedule": ScheduleAttr(plan)},
    )


def gathered(pack: PackOp, source: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """What a pack holds, element by element: a level's index moves its dim by its step, inside the levels around it."""
    levels = spans(pack.dims.data, pack.schedule.data)
    out = np.zeros([s.count for s in levels], source.dtype)
    extents = pack.dims.extents
    for index in itertools.product(*(range(s.count) for s in levels)):
        left, at = dict(extents), dict.fromkeys(extents, 0)
        inside = True
        for s, i in sorted(zip(levels, index), key=lambda pair: -pair[0].step):
            moved = i * s.step
            inside = inside and moved < left[s.level.dim]
            at[s.level.dim] += moved
            left[s.level.dim] = min(s.step, left[s.level.dim] - moved)
        if inside:
            out[index] = source[at["n"], at["k"]]
    return out


@settings(max_examples=60)
@given(packs())
def test_packs_are_gathers(pack: PackOp) -> None:
    shape = tuple(pack.dims.extents[n] for n in "nk")
    source = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(pack_array(pack, source), gathered(pack, source))


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20), st.integers(0, 8)), max_size=30))
def test_live_buffers_never_overlap(buffers: list[tuple[int, int, int]]) -> None:
    lives = [
        Life([BufferOp.create(result_types=[MemRefType(f32, [16 * size])])], 64 * size, first, first + length)
        for size, first, length in buffers
    ]
    arena = place(lives)
    assert all(0 <= a.offset and a.offset + a.size <= arena and a.offset % 64 == 0 for a in lives)
    for a, b in itertools.combinations(lives, 2):
        together = a.first <= b.last and b.first <= a.last
        apart = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
        assert apart or not together
    at_once = [sum(a.size for a in lives if a.first <= t <= a.last) for t in range(30)]
    assert arena >= max(at_once)
