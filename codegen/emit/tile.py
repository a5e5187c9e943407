"""loop.tile to LLVM IR: the register tile is unrolled here and nowhere else.

Loads, splats and equal subexpressions are emitted once per tile. Groups of independent points go through the
scalar region operation by operation, so that their dependence chains interleave; stores follow their group.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from xdsl.ir import Attribute, Operation, SSAValue

from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.memory import Memory, Operand
from mlc.codegen.emit.region import Constant, Ref, Step, program_of
from mlc.codegen.emit.scalar import emit_op
from mlc.codegen.emit.subscripts import Checks, Source, SubscriptEmitter
from mlc.codegen.emit.writer import spelling
from mlc.dialects.loop import Access, Axis, TileOp, buffer_type, tile_type

Registers: TypeAlias = dict[tuple[int, ...], str]
"""The values of a tile by register index (lanes excluded), in the order of the tile's axes."""

DEFAULT_GROUP = 4
"""Points whose chains interleave when the schedule does not say, where their values fit into registers."""

MANY_REGISTERS = 32
"""Fewer hold one point's values and constants at most, unless operations take operands from memory."""


@dataclass
class Point:
    """One register index of the tile: its index per axis, its temporaries and loaded arguments."""

    index: dict[str, int]
    key: tuple[int, ...]
    temps: list[str] = field(default_factory=list)
    args: dict[int, str] = field(default_factory=dict)


class TileEmitter:
    """Unrolls one tile operation.

    ``pointer(buffer, access)`` gives the address of the tile's first element without the access's constant;
    ``index_base(access)`` the value of an index access at register index 0 (constant included).
    """

    def __init__(
        self,
        ctx: Lanes,
        op: TileOp,
        pointer: Callable[[SSAValue, Access], str],
        index_base: Callable[[Access], str],
        tiles: Sequence[Registers],
        checks: Checks | None,
    ) -> None:
        self.ctx = ctx
        self.out = ctx.out
        self.op = op
        self.axes = op.axes.data
        self.lane = next((a for a in self.axes if a.kind == "l"), None)
        self.memo: dict[object, str] = {}
        self.picked: dict[str, tuple[str, int]] = {}
        self.program = program_of(op.body.block)
        accesses = [a.data for a in op.access]
        buffers = [*op.buffers, *op.outs, *op.subscripts]
        operands = [self._operand(b, a, pointer) for b, a in zip(buffers, accesses)]
        sources = len(operands) - len(op.subscripts)
        self.operands = operands[:sources]
        self.subscripts = SubscriptEmitter(
            self.out, checks, [Source(o.base, o.element, o.offsets, o.lane) for o in operands[sources:]]
        )
        self.inputs = len(op.buffers)
        self.indices = [a.data for a in op.indices] if op.indices is not None else []
        self.index_bases = [index_base(a) for a in self.indices]
        self.index_types = [a.type for a in op.body.block.args[self.inputs : self.inputs + len(self.indices)]]
        self.tiles = [dict(t) for t in tiles]
        self.tile_axes = [register_axes(t) for t in op.tiles]
        self.tail_dim, self.valid, self.tail_reduces = self._parse_tail()
        self.last = next((a.size - 1 for a in self.axes if a.name == self.tail_dim), 0)
        self.memory = Memory(ctx, self.valid)

    def _parse_tail(self) -> tuple[str, int, bool]:
        if self.op.tail is None:
            return "", 0, False
        parts = self.op.tail.data.split(":")
        return parts[0], int(parts[1]), len(parts) > 2

    def _operand(self, buffer: SSAValue, access: Access, pointer: Callable[[SSAValue, Access], str]) -> Operand:
        element = buffer_type(buffer).element_type
        size = spelling(element)[2]
        offsets = dict(access.axes)
        lane = offsets.pop(self.lane.name, 0) if self.lane else 0
        base = pointer(buffer, access)
        if access.const:
            base = self.out.value(f"getelementptr inbounds i8, ptr {base}, i64 {access.const}")
        return Operand(base, element, access, offsets, lane, access.full, self._lane_axis(access, offsets, lane, size))

    def _lane_axis(self, access: Access, offsets: dict[str, int], lane: int, size: int) -> Axis | None:
        """The register axis along which whole vectors of this operand lie, when its lanes do not.

        For splats, targets with by-lane multiply-adds read such a vector once and use its lanes.
        """
        if lane == size or self.lane is None:
            return None
        if lane == 0 and self.ctx.target.splat != "lane":
            return None
        for axis in self.axes:
            whole = axis.size % self.ctx.width == 0 or (access.full and lane == 0)
            if axis.kind != "l" and offsets.get(axis.name) == size and whole:
                return axis
        return None

    # --- unrolling

    def emit(self) -> list[Registers]:
        """Append the tile's code; returns the registers of each result."""
        order = [a for a in self.axes if a.kind == "r"] + [a for a in self.axes if a.kind in "pa"]
        reduced = sum(a.kind == "r" for a in self.axes)
        names = [a.name for a in order]
        group = self._group()
        results: list[Registers] = [dict(t) for t in self.tiles] if self.op.res and self.op.tiles else []
        if self.op.res and not results:
            results = [{} for _ in self.op.res]
        for fold in itertools.product(*(range(a.size) for a in order[:reduced])):
            points = list(itertools.product(*(range(a.size) for a in order[reduced:])))
            for start in range(0, len(points), group):
                batch = [Point(dict(zip(names, fold + p)), p) for p in points[start : start + group]]
                self._batch(batch, results)
        return results

    def _group(self) -> int:
        if self.op.group is not None:
            return self.op.group.value.data
        target = self.ctx.target
        roomy = target.registers >= MANY_REGISTERS or target.splat == "memory"
        return DEFAULT_GROUP if len(self.program.steps) > 2 and roomy else 1

    def _batch(self, batch: list[Point], results: list[Registers]) -> None:
        for op, refs in self.program.steps:
            for point in batch:
                point.temps.append(self._step(op, [self._ref(point, r) for r in refs]))
        for point in batch:
            values = [self._ref(point, r) for r in self.program.results]
            for number, registers in enumerate(results):
                key = self._result_key(number, point)
                registers[key] = self._blend(point, number, values[number], registers.get(key))
                if self.tiles:
                    self.tiles[number][key] = registers[key]
            for out, value in zip(self.operands[self.inputs :], values[len(results) :]):
                self._store(out, point, value)

    def _step(self, op: Operation, args: list[str]) -> str:
        """One operation of the region. What is done to a splat lane is done to the vector that it comes from, once."""
        picked = self.picked.get(args[0]) if len(args) == 1 else None
        if picked is None:
            return self._memo((op, *args), lambda: emit_op(self.ctx, op, args))
        vector, lane = picked
        whole = self._memo((op, vector), lambda: emit_op(self.ctx, op, [vector]))
        return self._memo((op, vector, lane), lambda: self._pick(op.results[0].type, whole, lane))

    def _pick(self, element: Attribute, vector: str, lane: int) -> str:
        """One lane of a vector in all lanes."""
        value = self.ctx.shuffle(self.ctx.type(element), vector, "poison", [lane] * self.ctx.width)
        self.picked[value] = (vector, lane)
        return value

    def _result_key(self, number: int, point: Point) -> tuple[int, ...]:
        axes = register_axes(self.op.res[number])
        return tuple(point.index[n] for n in axes)

    def _blend(self, point: Point, number: int, value: str, old: str | None) -> str:
        """Keep the accumulator in lanes past the end of a reduction."""
        if not (self.tail_reduces and old is not None and self._is_tail(point)):
            return value
        type_ = self.ctx.type(tile_type(self.op.res[number]).element)
        width = self.ctx.width
        return self.out.value(f"select <{width} x i1> {self._mask()}, {type_} {value}, {type_} {old}")

    def _is_tail(self, point: Point) -> bool:
        return self.valid > 0 and point.index.get(self.tail_dim, 0) == self.last

    def _mask(self) -> str:
        return "<" + ", ".join(f"i1 {'true' if i < self.valid else 'false'}" for i in range(self.ctx.width)) + ">"

    # --- operands

    def _ref(self, point: Point, ref: Ref) -> str:
        if isinstance(ref, Step):
            return point.temps[ref.number]
        if isinstance(ref, Constant):
            return ref.spell(self.ctx)
        found = point.args.get(ref.number)
        if found is None:
            found = point.args[ref.number] = self._argument(point, ref.number)
        return found

    def _argument(self, point: Point, number: int) -> str:
        if number < self.inputs:
            return self._load(self.operands[number], number, point)
        number -= self.inputs
        if number < len(self.indices):
            return self._index(number, point)
        number -= len(self.indices)
        return self.tiles[number][tuple(point.index[n] for n in self.tile_axes[number])]

    def _load(self, operand: Operand, number: object, point: Point) -> str:
        offset = operand.offset(point.index)
        memory = self.memory
        if operand.access.subscripts:
            if self.lane is not None and self.subscripts.follow_lanes(operand.access):
                lanes = self._lane_addresses(operand, offset, point)
                return memory.gather(operand, lanes, partial=self._is_tail(point))
            operand = self._located(operand, point)
            number = (number, operand.base)
        if self.lane is None:
            return self._memo(("scalar", number, offset), lambda: memory.scalar(operand, offset))
        if operand.lane == 0:
            if operand.along is not None:
                return self._by_lane(operand, number, offset, point)
            return self._memo(("splat", number, offset), lambda: memory.splat(operand, offset))
        partial = self._is_tail(point) and not operand.full
        if operand.is_contiguous:
            return self._memo(
                ("vector", number, offset, partial), lambda: memory.vector(operand, offset, partial=partial)
            )
        if operand.along is not None and not partial:
            return self._transposed(operand, number, offset, point)
        lanes = memory.strided(operand, offset)
        return self._memo(("gather", number, offset, partial), lambda: memory.gather(operand, lanes, partial=partial))

    def _located(self, operand: Operand, point: Point) -> Operand:
        """An operand whose subscripts are the same in all lanes, as an ordinary one at this point."""
        return replace(operand, base=self.subscripts.address(operand.base, operand.access, point.index), along=None)

    def _lane_addresses(self, operand: Operand, offset: int, point: Point) -> Callable[[int], str]:
        """Addresses of the lanes of an operand whose subscripts differ from lane to lane."""

        def address(lane: int) -> str:
            base = self.subscripts.address(operand.base, operand.access, point.index, lane)
            return self.memory.address(replace(operand, base=base), offset + lane * operand.lane)

        return address

    def _memo(self, key: object, make: Callable[[], str]) -> str:
        value = self.memo.get(key)
        if value is None:
            value = self.memo[key] = make()
        return value

    def _by_lane(self, operand: Operand, number: object, offset: int, point: Point) -> str:
        """A splat taken from a lane of a vector that lies along a register axis."""
        assert operand.along is not None
        lane = point.index[operand.along.name] % self.ctx.width
        start = offset - lane * operand.size

        def make() -> str:
            vector = self._memo(("vector", number, start, False), lambda: self.memory.vector(operand, start))
            return self._pick(operand.element, vector, lane)

        return self._memo(("lane", number, offset), make)

    def _transposed(self, operand: Operand, number: object, offset: int, point: Point) -> str:
        """Strided lanes whose neighbours lie along a register axis: load vectors along it and transpose."""
        assert operand.along is not None
        width = self.ctx.width
        place = point.index[operand.along.name] % width
        start = offset - place * operand.size
        key = ("transposed", number, start)
        if (key, 0) not in self.memo:
            rows = [self.memory.vector(operand, start + lane * operand.lane) for lane in range(width)]
            for i, value in enumerate(self.ctx.transpose(operand.element, rows)):
                self.memo[(key, i)] = value
        return self.memo[(key, place)]

    def _index(self, number: int, point: Point) -> str:
        """The value of a dim at this point, in the type of the region's argument."""
        access, element = self.indices[number], self.index_types[number]
        offsets = dict(access.axes)
        lane = offsets.pop(self.lane.name, 0) if self.lane else 0
        offset = sum(c * point.index[n] for n, c in offsets.items() if n in point.index)
        return self._memo(("index", number, offset), lambda: self._make_index(number, offset, lane, element))

    def _make_index(self, number: int, offset: int, lane: int, element: Attribute) -> str:
        scalar = spelling(element)[0]
        base = self.index_bases[number]
        index = self.ctx.target.index
        value = self.out.value(f"add {index} {base}, {offset}")
        if scalar != index:
            narrower = int(scalar[1:]) < int(index[1:])
            value = self.out.value(f"{'trunc' if narrower else 'sext'} {index} {value} to {scalar}")
        if self.ctx.width == 1:
            return value
        splat = self.ctx.splat(element, value)
        if lane == 0:
            return splat
        steps = ", ".join(f"{scalar} {lane * i}" for i in range(self.ctx.width))
        return self.out.value(f"add {self.ctx.type(element)} {splat}, <{steps}>")

    def _store(self, operand: Operand, point: Point, value: str) -> None:
        offset = operand.offset(point.index)
        if operand.access.subscripts:
            if self.lane is not None and self.subscripts.follow_lanes(operand.access):
                lanes = self._lane_addresses(operand, offset, point)
                self.memory.scatter(operand, value, lanes, partial=self._is_tail(point))
                return
            operand = self._located(operand, point)
        self.memory.store(operand, offset, value, partial=self._is_tail(point) and not operand.full)


def register_axes(tile: SSAValue) -> list[str]:
    """The axes of a tile that number its registers."""
    return [a.name for a in tile_type(tile).axes.data if a.kind != "l"]
