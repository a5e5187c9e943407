"""loop.tile and loop.merge to LLVM IR: the register tile is unrolled here and nowhere else.

Loads, splats and equal subexpressions are emitted once per tile. Groups of independent points go through the
scalar region operation by operation, so that their dependence chains interleave; stores follow their group.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IntegerAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.partial import Partial
from mlc.codegen.emit.scalar import emit_op
from mlc.codegen.emit.subscripts import Checks, Source, SubscriptEmitter
from mlc.codegen.emit.writer import Writer, spelling
from mlc.dialects.loop import Access, Axis, MergeOp, TileOp, YieldOp, buffer_type, tile_type
from mlc.errors import InternalError

Registers: TypeAlias = dict[tuple[int, ...], str]
"""The values of a tile by register index (lanes excluded), in the order of the tile's axes."""

DEFAULT_GROUP = 4
"""Points whose chains interleave when the schedule does not say."""


@dataclass(frozen=True)
class Ref:
    """Where a scalar operand comes from: ``arg`` number, ``tmp`` number or ``const``."""

    kind: str
    number: int = 0
    value: float | int = 0
    element: Attribute | None = None


@dataclass
class Program:
    """A scalar region as straight-line code: operations with operand references, and the yielded references."""

    steps: list[tuple[Operation, list[Ref]]] = field(default_factory=list)
    results: list[Ref] = field(default_factory=list)


def program_of(block: Block) -> Program:
    """Translate a region once; unrolling then needs no IR."""
    refs: dict[SSAValue, Ref] = {a: Ref("arg", i) for i, a in enumerate(block.args)}
    program = Program()
    for op in block.ops:
        if isinstance(op, arith.ConstantOp):
            refs[op.result] = _constant_ref(op)
        elif isinstance(op, YieldOp):
            program.results = [refs[v] for v in op.values]
        else:
            refs[op.results[0]] = Ref("tmp", len(program.steps))
            program.steps.append((op, [refs[v] for v in op.operands]))
    return program


def _constant_ref(op: arith.ConstantOp) -> Ref:
    value = op.value
    if isinstance(value, FloatAttr | IntegerAttr):
        return Ref("const", value=value.value.data, element=op.result.type)
    raise InternalError(f"a tile's constants are scalars, not {value}")


@dataclass
class Operand:
    """A buffer as the tile reads or writes it; its subscripts are those of ``access``."""

    base: str
    element: Attribute
    access: Access
    offsets: dict[str, int]
    lane: int
    full: bool
    along: Axis | None = None


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
        self.tile_axes = [_register_axes(t) for t in op.tiles]
        self.tail_dim, self.valid, self.tail_reduces = self._parse_tail()
        self.last = next((a.size - 1 for a in self.axes if a.name == self.tail_dim), 0)

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
        return Operand(base, element, access, offsets, lane, access.full, self._lane_axis(offsets, lane, size))

    def _lane_axis(self, offsets: dict[str, int], lane: int, size: int) -> Axis | None:
        """The register axis along which whole vectors of this operand lie, when its lanes do not.

        For splats, targets with by-lane multiply-adds read such a vector once and use its lanes.
        """
        if lane == size or self.lane is None:
            return None
        if lane == 0 and self.ctx.target.splat != "lane":
            return None
        for axis in self.axes:
            if axis.kind != "l" and offsets.get(axis.name) == size and axis.size % self.ctx.width == 0:
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
        return DEFAULT_GROUP if len(self.program.steps) > 2 else 1

    def _batch(self, batch: list[Point], results: list[Registers]) -> None:
        for op, refs in self.program.steps:
            for point in batch:
                args = [self._ref(point, r) for r in refs]
                key = (op, *args)
                value = self.memo.get(key)
                if value is None:
                    value = self.memo[key] = emit_op(self.ctx, op, args)
                point.temps.append(value)
        for point in batch:
            values = [self._ref(point, r) for r in self.program.results]
            for number, registers in enumerate(results):
                key = self._result_key(number, point)
                registers[key] = self._blend(point, number, values[number], registers.get(key))
                if self.tiles:
                    self.tiles[number][key] = registers[key]
            for out, value in zip(self.operands[self.inputs :], values[len(results) :]):
                self._store(out, point, value)

    def _result_key(self, number: int, point: Point) -> tuple[int, ...]:
        axes = _register_axes(self.op.res[number])
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
        if ref.kind == "tmp":
            return point.temps[ref.number]
        if ref.kind == "const":
            assert ref.element is not None
            return self.ctx.constant(ref.value, ref.element)
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

    def _offset(self, operand: Operand, index: dict[str, int]) -> int:
        return sum(c * index[n] for n, c in operand.offsets.items() if n in index)

    def _address(self, operand: Operand, offset: int) -> str:
        if offset == 0:
            return operand.base
        return self.out.value(f"getelementptr inbounds i8, ptr {operand.base}, i64 {offset}")

    def _load(self, operand: Operand, number: object, point: Point) -> str:
        offset = self._offset(operand, point.index)
        if operand.access.subscripts:
            if self.lane is not None and self.subscripts.follow_lanes(operand.access):
                return self._lookup(operand, offset, point)
            operand = self._located(operand, point)
            number = (number, operand.base)
        if self.lane is None:
            return self._memo(("scalar", number, offset), lambda: self._scalar(operand, offset))
        size = spelling(operand.element)[2]
        if operand.lane == 0:
            if operand.along is not None:
                return self._by_lane(operand, number, offset, point)
            return self._memo(("splat", number, offset), lambda: self._splat(self._scalar(operand, offset), operand))
        partial = self._is_tail(point) and not operand.full
        if operand.lane == size:
            return self._memo(("vector", number, offset, partial), lambda: self._vector(operand, offset, partial))
        if operand.along is not None and not partial:
            return self._transposed(operand, number, offset, point)
        return self._memo(("gather", number, offset, partial), lambda: self._gather(operand, offset, partial))

    def _located(self, operand: Operand, point: Point) -> Operand:
        """An operand whose subscripts are the same in all lanes, as an ordinary one at this point."""
        return replace(operand, base=self.subscripts.address(operand.base, operand.access, point.index), along=None)

    def _lane_address(self, operand: Operand, offset: int, point: Point, lane: int) -> str:
        """The address of one lane of an operand whose subscripts differ from lane to lane."""
        base = self.subscripts.address(operand.base, operand.access, point.index, lane)
        return self._address(replace(operand, base=base), offset + lane * operand.lane)

    def _lookup(self, operand: Operand, offset: int, point: Point) -> str:
        """Lanes that subscripts scatter: one checked scalar load each."""
        partial = self._is_tail(point)
        lanes = self.valid if partial else self.ctx.width
        value = "zeroinitializer" if partial else "poison"
        for lane in range(lanes):
            address = self._lane_address(operand, offset, point, lane)
            value = self._insert(value, self._at(operand, address), operand, lane)
        return value

    def _memo(self, key: object, make: Callable[[], str]) -> str:
        value = self.memo.get(key)
        if value is None:
            value = self.memo[key] = make()
        return value

    def _scalar(self, operand: Operand, offset: int) -> str:
        return self._at(operand, self._address(operand, offset))

    def _at(self, operand: Operand, address: str) -> str:
        """One element."""
        stored, size = self._stored(operand)
        return self._from_storage(self.out.value(f"load {stored}, ptr {address}, align {size}"), operand, 1)

    def _insert(self, vector: str, element: str, operand: Operand, lane: int) -> str:
        type_, scalar = self.ctx.type(operand.element), spelling(operand.element)[0]
        return self.out.value(f"insertelement {type_} {vector}, {scalar} {element}, i64 {lane}")

    def _vector(self, operand: Operand, offset: int, partial: bool) -> str:
        stored, size = self._stored(operand)
        width = self.ctx.width
        type_ = f"<{width} x {stored}>"
        address = self._address(operand, offset)
        if partial:
            value = Partial(stored, size, width, self.valid).load(self.out, address)
        else:
            value = self.out.value(f"load {type_}, ptr {address}, align {size}")
        return self._from_storage(value, operand, width)

    def _gather(self, operand: Operand, offset: int, partial: bool) -> str:
        """Lanes that lie apart: one scalar load each."""
        lanes = self.valid if partial else self.ctx.width
        value = "zeroinitializer" if partial else "poison"
        for lane in range(lanes):
            value = self._insert(value, self._scalar(operand, offset + lane * operand.lane), operand, lane)
        return value

    def _splat(self, scalar: str, operand: Operand) -> str:
        type_, width = self.ctx.type(operand.element), self.ctx.width
        name = spelling(operand.element)[0]
        inserted = self.out.value(f"insertelement {type_} poison, {name} {scalar}, i64 0")
        return self.out.value(f"shufflevector {type_} {inserted}, {type_} poison, <{width} x i32> zeroinitializer")

    def _by_lane(self, operand: Operand, number: object, offset: int, point: Point) -> str:
        """A splat taken from a lane of a vector that lies along a register axis."""
        assert operand.along is not None
        size, width = spelling(operand.element)[2], self.ctx.width
        lane = point.index[operand.along.name] % width
        start = offset - lane * size

        def make() -> str:
            vector = self._memo(("vector", number, start, False), lambda: self._vector(operand, start, False))
            type_ = self.ctx.type(operand.element)
            lanes = ", ".join([f"i32 {lane}"] * width)
            return self.out.value(f"shufflevector {type_} {vector}, {type_} poison, <{width} x i32> <{lanes}>")

        return self._memo(("lane", number, offset), make)

    def _transposed(self, operand: Operand, number: object, offset: int, point: Point) -> str:
        """Strided lanes whose neighbours lie along a register axis: load vectors along it and transpose."""
        assert operand.along is not None
        size, width = spelling(operand.element)[2], self.ctx.width
        place = point.index[operand.along.name] % width
        start = offset - place * size
        key = ("transposed", number, start)
        if (key, 0) not in self.memo:
            rows = [self._vector(operand, start + lane * operand.lane, False) for lane in range(width)]
            for i, value in enumerate(transpose(self.ctx, rows, operand.element)):
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
        value = self.out.value(f"add i64 {base}, {offset}")
        if scalar != "i64":
            value = self.out.value(f"trunc i64 {value} to {scalar}")
        if self.ctx.width == 1:
            return value
        type_, width = self.ctx.type(element), self.ctx.width
        first = self.out.value(f"insertelement {type_} poison, {scalar} {value}, i64 0")
        splat = self.out.value(f"shufflevector {type_} {first}, {type_} poison, <{width} x i32> zeroinitializer")
        if lane == 0:
            return splat
        steps = ", ".join(f"{scalar} {lane * i}" for i in range(width))
        return self.out.value(f"add {type_} {splat}, <{steps}>")

    # --- memory types

    def _stored(self, operand: Operand) -> tuple[str, int]:
        """The LLVM type and size in memory: a boolean takes a byte."""
        name, _, size = spelling(operand.element)
        return ("i8" if name == "i1" else name), size

    def _from_storage(self, value: str, operand: Operand, width: int) -> str:
        if spelling(operand.element)[0] != "i1":
            return value
        type_ = "i8" if width == 1 else f"<{width} x i8>"
        zero = "0" if width == 1 else "zeroinitializer"
        return self.out.value(f"icmp ne {type_} {value}, {zero}")

    def _to_storage(self, value: str, operand: Operand) -> str:
        if spelling(operand.element)[0] != "i1":
            return value
        width = self.ctx.width
        source, result = ("i1", "i8") if width == 1 else (f"<{width} x i1>", f"<{width} x i8>")
        return self.out.value(f"zext {source} {value} to {result}")

    def _store(self, operand: Operand, point: Point, value: str) -> None:
        offset = self._offset(operand, point.index)
        stored, size = self._stored(operand)
        value = self._to_storage(value, operand)
        width = self.ctx.width
        if operand.access.subscripts:
            if self.lane is not None and width > 1 and self.subscripts.follow_lanes(operand.access):
                lanes = self.valid if self._is_tail(point) else width
                self._scatter(operand, value, lanes, lambda lane: self._lane_address(operand, offset, point, lane))
                return
            operand = self._located(operand, point)
        if self.lane is None or width == 1:
            self.out.emit(f"  store {stored} {value}, ptr {self._address(operand, offset)}, align {size}")
            return
        type_ = f"<{width} x {stored}>"
        partial = self._is_tail(point) and not operand.full
        if operand.lane == size and not partial:
            self.out.emit(f"  store {type_} {value}, ptr {self._address(operand, offset)}, align {size}")
        elif operand.lane == size:
            Partial(stored, size, width, self.valid).store(self.out, value, self._address(operand, offset))
        else:
            lanes = self.valid if partial else width
            self._scatter(operand, value, lanes, lambda lane: self._address(operand, offset + lane * operand.lane))

    def _scatter(self, operand: Operand, value: str, lanes: int, address: Callable[[int], str]) -> None:
        stored, size = self._stored(operand)
        type_ = f"<{self.ctx.width} x {stored}>"
        for lane in range(lanes):
            element = self.out.value(f"extractelement {type_} {value}, i64 {lane}")
            self.out.emit(f"  store {stored} {element}, ptr {address(lane)}, align {size}")


def _register_axes(tile: SSAValue) -> list[str]:
    return [a.name for a in tile_type(tile).axes.data if a.kind != "l"]


def transpose(ctx: Lanes, rows: list[str], element: Attribute) -> list[str]:
    """Transpose a square of ``width`` vectors in registers, one butterfly stage per bit of the lane number."""
    width, type_ = ctx.width, ctx.type(element)
    step = 1
    while step < width:
        swapped = list(rows)
        for i in range(width):
            if i & step:
                continue
            low, high = rows[i], rows[i + step]
            even = [k if not k & step else width + k - step for k in range(width)]
            odd = [k + step if not k & step else width + k for k in range(width)]
            swapped[i] = _shuffle(ctx, type_, low, high, even)
            swapped[i + step] = _shuffle(ctx, type_, low, high, odd)
        rows = swapped
        step *= 2
    return rows


def _shuffle(ctx: Lanes, type_: str, low: str, high: str, lanes: list[int]) -> str:
    mask = ", ".join(f"i32 {k}" for k in lanes)
    return ctx.out.value(f"shufflevector {type_} {low}, {type_} {high}, <{len(lanes)} x i32> <{mask}>")


def emit_merge(ctx: Lanes, op: MergeOp, sources: Sequence[Registers]) -> list[Registers]:
    """Fold kept axes, then lanes (by halves), of all accumulators at once."""
    program = program_of(op.body.block)
    names = _register_axes(op.sources[0])
    folded = {a.name for a in op.axes.data if a.kind != "l"}
    kept = [i for i, n in enumerate(names) if n not in folded]
    groups: dict[tuple[int, ...], list[list[str]]] = {}
    for key in sources[0]:
        groups.setdefault(tuple(key[i] for i in kept), []).append([s[key] for s in sources])
    results: list[Registers] = [{} for _ in sources]
    lanes = any(a.kind == "l" for a in op.axes.data)
    for key, members in groups.items():
        while len(members) > 1:
            pairs = [
                _combine(ctx, program, members[i], members[i + 1]) if i + 1 < len(members) else members[i]
                for i in range(0, len(members), 2)
            ]
            members = pairs
        values = _fold_lanes(ctx, program, members[0], op) if lanes else members[0]
        for registers, value in zip(results, values):
            registers[key] = value
    return results


def _combine(ctx: Lanes, program: Program, left: list[str], right: list[str]) -> list[str]:
    temps: list[str] = []
    args = [*left, *right]

    def ref(r: Ref) -> str:
        if r.kind == "const":
            assert r.element is not None
            return ctx.constant(r.value, r.element)
        return args[r.number] if r.kind == "arg" else temps[r.number]

    for op, refs in program.steps:
        temps.append(emit_op(ctx, op, [ref(r) for r in refs]))
    return [ref(r) for r in program.results]


def _fold_lanes(ctx: Lanes, program: Program, values: list[str], op: MergeOp) -> list[str]:
    elements = [tile_type(v).element for v in op.sources]
    width = ctx.width
    while width > 1:
        half = width // 2
        narrow = Lanes(ctx.out, ctx.target, half)
        low = [_part(ctx.out, v, e, width, 0, half) for v, e in zip(values, elements)]
        high = [_part(ctx.out, v, e, width, half, half) for v, e in zip(values, elements)]
        values = _combine(narrow, program, low, high)
        width = half
    return values


def _part(out: Writer, value: str, element: Attribute, width: int, start: int, count: int) -> str:
    scalar = spelling(element)[0]
    if count == 1:
        return out.value(f"extractelement <{width} x {scalar}> {value}, i64 {start}")
    mask = ", ".join(f"i32 {start + i}" for i in range(count))
    type_ = f"<{width} x {scalar}>"
    return out.value(f"shufflevector {type_} {value}, {type_} poison, <{count} x i32> <{mask}>")
