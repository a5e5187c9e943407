"""nest: a compute with reaches becomes loops around register tiles.

    loop.compute ... dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/~7 k/4 k* m* n* n@16">
 -> loop.for 24 { loop.for 14 { tile init; loop.for 192 carry { tile step }; tile finish } loop.for 5 { ... } }

Loops of parallel dims come out as `loop.for`; `parallelize` chooses which are shared out. Each loop level becomes
one loop per run of equal tiles, so every tile below has static register axes; a run of one tile is no loop at all.
Kernels with shared loops get those around the nests of all their computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, IntegerAttr, ModuleOp, StringAttr, UnitAttr, i64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop import (
    INDEX,
    Access,
    AccessAttr,
    AxesAttr,
    Axis,
    ComputeOp,
    ForOp,
    IndexOp,
    KernelOp,
    Level,
    MergeOp,
    ParallelOp,
    Reach,
    TileOp,
    TileType,
    YieldOp,
    segments,
)
from mlc.lowering.loops.levels import Run, Span, ceil_div, runs, spans
from mlc.lowering.loops.place import Ends, Place


class Nest:
    """Builds the nest of one compute."""

    def __init__(self, op: ComputeOp, ends: Ends, shared: Sequence[Level] = (), number: int = 0) -> None:
        assert op.reach is not None and op.schedule is not None
        self.op = op
        self.ends = ends
        self.limits = ends.of(op)
        self.number = number
        self.plan = op.schedule.data
        names = op.dims.extents
        outer = tuple(v for v in shared if v.dim in names)
        self.spans = spans(op.dims.data, self.plan._replace(levels=(*outer, *self.plan.levels)))
        self.levels = self.spans[len(outer) :]
        self.kinds = op.dims.kinds
        self.lanes = self.plan.lanes
        self.reaches: list[Reach] = [r.data for r in op.reach]
        self.ins = len(op.ins)
        self.outs = len(op.outs)
        self.subscripts = len(op.operands) - len(op.subscripts)

    def build(self, block: Block, place: Place) -> None:
        """Append the nest to ``block``."""
        self._build(block, 0, place, None)

    def _build(self, block: Block, depth: int, place: Place, accs: list[SSAValue] | None) -> list[SSAValue] | None:
        left = self.levels[depth:]
        loops = [s for s in left if s.level.kind == "/"]
        if self.op.has_reduction and accs is None and all(self.kinds[s.level.dim] == "r" for s in loops):
            started = self._tile(block, "init", place, [])
            folded = self._build(block, depth, place, started)
            assert folded is not None
            self._finish(block, place, folded)
            return None
        if not loops:
            if self.op.has_reduction:
                assert accs is not None
                return self._tile(block, "step", place, accs)
            self._tile(block, "finish", place, [])
            return None
        if left[0].level.kind != "/":
            raise VerifyException("[schedule_order] register levels stand inside all loops")
        return self._loops(block, depth, place, accs)

    def _loops(self, block: Block, depth: int, place: Place, accs: list[SSAValue] | None) -> list[SSAValue] | None:
        span = self.levels[depth]
        tiles = runs(place.extents[span.level.dim], span.level)
        for number, run in enumerate(tiles):
            if span.level.bind:
                body = Block(arg_types=[INDEX])
                self._build(body, depth + 1, place.inside(span, run, body.args[0]), None)
                block.add_op(_bound_loop(tiles, number, span.level, body))
                continue
            limit = self.limits.get(span.level.dim)
            trips = self.ends.trips(block, limit, place, span.level.dim, run) if limit is not None else None
            if run.count == 1 and trips is None:
                accs = self._build(block, depth + 1, place.inside(span, run, None), accs)
                continue
            types = [INDEX, *(a.type for a in accs or ())]
            body = Block(arg_types=types)
            inner = place.inside(span, run, body.args[0])
            if limit is not None and self._is_rows(depth, accs):
                result = self._rows(body, depth, inner, limit)
            else:
                result = self._build(body, depth + 1, inner, list(body.args[1:]) if accs is not None else None)
            body.add_op(YieldOp.of(*(result or ())))
            loop = ForOp.make(run.count, body, accs or (), trips)
            _label(loop, f"{self.number}:{span.key}", self.kinds[span.level.dim])
            block.add_op(loop)
            accs = list(loop.res) if accs is not None else None
        return accs

    def _is_rows(self, depth: int, accs: list[SSAValue] | None) -> bool:
        """Whether the tiles of a loop are rows of accumulators, as many as the tile is high."""
        dim = self.levels[depth].level.dim
        inside = [s for s in self.levels[depth + 1 :] if s.level.dim == dim]
        return (
            self.op.has_reduction
            and accs is None
            and self.kinds[dim] == "p"
            and [s.level.kind for s in inside] == ["*"]
            and inside[0].step == 1
        )

    def _rows(self, block: Block, depth: int, place: Place, limit: SSAValue) -> None:
        """A tile of rows, of which the last one may be cut short by the dim's end: then a lower one computes it."""
        dim = self.levels[depth].level.dim
        sizes = _heights(place.extents[dim])
        if len(sizes) == 1:
            self._build(block, depth + 1, place, None)
            return
        for size, smaller in zip(sizes, [*sizes[1:], 0]):
            trips = self.ends.choice(block, limit, place, dim, smaller, size if size != sizes[0] else None)
            body = Block(arg_types=[INDEX])
            self._build(body, depth + 1, replace(place, extents={**place.extents, dim: size}), None)
            body.add_op(YieldOp.of())
            loop = ForOp.make(1, body, (), trips)
            loop.attributes["sequential"] = UnitAttr()
            block.add_op(loop)

    def _axes(self, place: Place, *, carried: bool = False) -> list[tuple[Axis, str, str]]:
        """Register axes with actual sizes: (axis, dim, level key).

        A kept reduction axis is as large as the accumulators (``carried``) or as what is left to read here.
        """
        found: list[tuple[Axis, str, str]] = []
        for span in self.levels:
            level = span.level
            if level.kind == "/":
                continue
            extent = place.extents[level.dim]
            if level.kind == "@":
                found.append((Axis(level.dim + "@", level.size, "l"), level.dim, span.key))
                continue
            if level.kind == "+":
                size = ceil_div(min(extent, self._kept(level.dim)) if carried else extent, span.step)
                found.append((Axis(level.dim, size, "a"), level.dim, span.key))
                continue
            kind = "r" if self.kinds[level.dim] == "r" else "p"
            found.append((Axis(level.dim, ceil_div(extent, span.step), kind), level.dim, span.key))
        return found

    def _kept(self, dim: str) -> int:
        """Elements of a kept reduction dim that the accumulators hold: the step of its innermost loop."""
        steps = [s.step for s in self.levels if s.level.dim == dim and s.level.kind == "/"]
        return steps[-1] if steps else self.op.dims.extents[dim]

    def _access(self, index: int, axes: Sequence[tuple[Axis, str, str]], place: Place) -> Access:
        return self._place_access(self.reaches[index], axes, place)

    def _place_access(self, reach: Reach, axes: Sequence[tuple[Axis, str, str]], place: Place) -> Access:
        const = reach.const
        ivs: list[int] = []
        for position in place.loops:
            per_tile = reach.coefficient(position.key)
            const += per_tile * position.start // position.nominal
            if position.iv is not None:
                ivs.append(per_tile * position.step // position.nominal)
        coefficients = ((axis.name, reach.coefficient(key)) for axis, _, key in axes)
        return Access(const, tuple(ivs), tuple((n, c) for n, c in coefficients if c), reach.full, reach.subscripts)

    def _index_access(self, dim: str, axes: Sequence[tuple[Axis, str, str]], place: Place) -> Access:
        """The value of a dim as an access whose unit is one element."""
        steps = tuple((s.key, s.step) for s in self.spans if s.level.dim == dim)
        return self._place_access(Reach(0, steps), axes, place)

    def _tile(self, block: Block, what: str, place: Place, accs: list[SSAValue]) -> list[SSAValue]:
        op = self.op
        axes = self._axes(place, carried=what != "step")
        if what == "init":
            axes = [a for a in axes if a[0].kind != "r"]
        elif what == "finish" and op.has_reduction:
            axes = [a for a in axes if self.kinds[a[1]] != "r"]
        source = {"init": op.init, "step": op.map, "finish": op.finish}[what].block
        body = Block()
        env: dict[SSAValue, SSAValue] = {}
        used = [i for i in range(self.ins) if source.args[i].first_use is not None]
        for i in used:
            env[source.args[i]] = body.insert_arg(source.args[i].type, len(body.args))
        indices = [o for o in source.ops if isinstance(o, IndexOp)]
        for index in indices:
            env[index.result] = body.insert_arg(index.result.type, len(body.args))
        for argument in source.args[self.ins :]:
            env[argument] = body.insert_arg(argument.type, len(body.args))
        for inner in source.ops:
            if not isinstance(inner, IndexOp):
                body.add_op(inner.clone(value_mapper=env))
        outs = self._tile_outs(what)
        tile = self._make_tile(body, place, axes, used, indices, accs, outs, what)
        block.add_op(tile)
        return list(tile.res)

    def _tile_outs(self, what: str) -> list[int]:
        """Operand numbers that the tile writes."""
        if what == "finish":
            return list(range(self.ins, self.ins + self.outs))
        if what == "step":
            return list(range(self.ins + self.outs, self.subscripts))
        return []

    def _make_tile(
        self,
        body: Block,
        place: Place,
        axes: list[tuple[Axis, str, str]],
        used: list[int],
        indices: list[IndexOp],
        accs: list[SSAValue],
        outs: list[int],
        what: str,
    ) -> TileOp:
        op = self.op
        ivs = [p.iv for p in place.loops if p.iv is not None]
        results: list[Attribute] = [a.type for a in accs] if what == "step" else []
        if what == "init":
            kept = [a[0] for a in axes]
            results = [TileType.get(kept, a.type) for a in op.combine.block.args[: op.accumulators]]
        subscripts = range(self.subscripts, len(op.operands)) if self._subscripted(used, outs) else range(0)
        properties: dict[str, Attribute] = {
            "access": ArrayAttr([AccessAttr(self._access(i, axes, place)) for i in (*used, *outs, *subscripts)]),
            "axes": AxesAttr(tuple(a[0] for a in axes)),
            "operandSegmentSizes": segments(len(used), len(accs), len(ivs), len(outs), len(subscripts)),
        }
        if indices:
            accesses = [AccessAttr(self._index_access(o.dim.data, axes, place)) for o in indices]
            properties["indices"] = ArrayAttr(accesses)
        tail = self._tail(axes, place)
        if tail:
            properties["tail"] = StringAttr(tail)
        if self.plan.group:
            properties["group"] = IntegerAttr(self.plan.group, i64)
        ahead = [used.index(i) for i in self.plan.prefetch if i in used] if what == "step" else []
        if ahead:
            properties["prefetch"] = DenseArrayBase.from_list(i64, ahead)
        return TileOp.create(
            operands=[
                *(op.operands[i] for i in used),
                *accs,
                *ivs,
                *(op.operands[i] for i in (*outs, *subscripts)),
            ],
            result_types=results,
            properties=properties,
            regions=[Region(body)],
        )

    def _subscripted(self, used: Sequence[int], outs: Sequence[int]) -> bool:
        return any(self.reaches[i].subscripts for i in (*used, *outs))

    def _tail(self, axes: Sequence[tuple[Axis, str, str]], place: Place) -> str:
        """``dim:valid`` where the last register of a lane dim is partly filled (``dim:valid:r`` of a reduction)."""
        for axis, dim, _ in axes:
            valid = place.extents[dim] % axis.size if axis.kind == "l" else 0
            if valid:
                return f"{dim}:{valid}" + (":r" if self.kinds[dim] == "r" else "")
        return ""

    def _finish(self, block: Block, place: Place, accs: list[SSAValue]) -> None:
        axes = [a for a in self._axes(place, carried=True) if a[0].kind != "r"]
        folded = [a[0] for a in axes if a[0].kind == "a" or (a[0].kind == "l" and self.kinds[a[1]] == "r")]
        if folded:
            left = [a[0] for a in axes if a[0] not in folded]
            merge = MergeOp.create(
                operands=accs,
                result_types=[TileType.get(left, a.type) for a in self.op.combine.block.args[: len(accs)]],
                properties={"axes": AxesAttr(tuple(folded))},
                regions=[self.op.combine.clone()],
            )
            block.add_op(merge)
            accs = list(merge.res)
        self._tile(block, "finish", place, accs)


def _heights(rows: int) -> list[int]:
    """Rows of the tiles for what may be left of one: halves, down to 2."""
    found = [rows]
    while found[-1] > 2:
        found.append(ceil_div(found[-1], 2))
    return found


def nest_kernel(kernel: KernelOp) -> None:
    """Replace the computes of a kernel by their nests, in place."""
    block = kernel.body.block
    computes = kernel.computes()
    if not computes:
        return
    shared = kernel.shared.data.levels if kernel.shared is not None else ()
    ends = Ends(kernel)
    holder = Block()
    for group in _together(computes, shared):
        levels = shared if _walks(group[0], shared) else ()
        extents = {d.name: d.extent for c in group for d in c.dims.data}
        _shared_loops(holder, group, levels, levels, Place(extents, ()), ends)
    last: Operation = computes[-1]
    for op in list(holder.ops):
        op.detach()
        block.insert_op_before(op, last)
    for compute in computes:
        compute.detach()
        compute.erase()


def _walks(compute: ComputeOp, shared: tuple[Level, ...]) -> bool:
    """Whether the shared loops go around a compute: it has a dim of theirs."""
    return any(v.dim in compute.dims.extents for v in shared)


def _together(computes: list[ComputeOp], shared: tuple[Level, ...]) -> list[list[ComputeOp]]:
    """Neighbouring computes inside the shared loops, and those before and after."""
    return [list(group) for _, group in groupby(computes, lambda c: _walks(c, shared))]


def _bound_loop(tiles: Sequence[Run], number: int, level: Level, body: Block) -> ParallelOp:
    """The loop over one run of tiles of a level that blocks or threads of a GPU share out."""
    body.add_op(YieldOp.of())
    first, total = sum(r.count for r in tiles[:number]), sum(r.count for r in tiles)
    return ParallelOp.make(first, tiles[number].count, total, body, level.bind)


def _label(loop: ForOp, key: str, kind: str) -> None:
    loop.attributes["dim"] = StringAttr(key)
    if kind == "s":
        loop.attributes["sequential"] = UnitAttr()


def _shared_loops(
    block: Block,
    computes: list[ComputeOp],
    shared: tuple[Level, ...],
    left: tuple[Level, ...],
    place: Place,
    ends: Ends,
) -> None:
    """Loops over the shared levels that are ``left``; the outermost stays even around one tile.

    It says that the computes inside belong together: outside of it they would be shared out apart.
    """
    if not left:
        for number, compute in enumerate(computes):
            walked = {v.dim for v in shared}
            extents = {n: place.extents[n] if n in walked else e for n, e in compute.dims.extents.items()}
            Nest(compute, ends, shared, number).build(block, replace(place, extents=extents))
        return
    level = left[0]
    kinds = computes[0].dims.kinds
    extent = place.extents[level.dim]
    span = Span(level, level.size, extent, ceil_div(extent, level.size))
    limit = ends.of(computes[0]).get(level.dim)
    tiles = runs(extent, level)
    for number, run in enumerate(tiles):
        if level.bind:
            body = Block(arg_types=[INDEX])
            _shared_loops(body, computes, shared, left[1:], place.inside(span, run, body.args[0]), ends)
            block.add_op(_bound_loop(tiles, number, level, body))
            continue
        trips = ends.trips(block, limit, place, level.dim, run) if limit is not None else None
        if run.count == 1 and trips is None and len(left) < len(shared):
            _shared_loops(block, computes, shared, left[1:], place.inside(span, run, None), ends)
            continue
        body = Block(arg_types=[INDEX])
        _shared_loops(body, computes, shared, left[1:], place.inside(span, run, body.args[0]), ends)
        body.add_op(YieldOp.of())
        loop = ForOp.make(run.count, body, (), trips)
        _label(loop, level.key, kinds[level.dim])
        block.add_op(loop)


@dataclass(frozen=True)
class NestPass(ModulePass):
    """Computes become loops around register tiles."""

    name = "nest"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            nest_kernel(kernel)
