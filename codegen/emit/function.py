"""loop.kernel to an LLVM function: loops, address computation, and the tiles inside.

One address computation per buffer and loop level: every access below a loop that depends on its induction variable
shares one ``getelementptr`` in that loop's header; what is left inside tiles are static offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import prod
from typing import TypeAlias

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Block, Operation, SSAValue

from mlc.codegen.emit.extents import emit_extent, emit_trips
from mlc.codegen.emit.external import emit_call_c
from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.merge import emit_merge
from mlc.codegen.emit.subscripts import Checks
from mlc.codegen.emit.tile import Registers, TileEmitter
from mlc.codegen.emit.wide import divide
from mlc.codegen.emit.writer import Writer, spelling
from mlc.codegen.targets import Target
from mlc.dialects.loop import (
    Access,
    CallCOp,
    ExtentOp,
    ForOp,
    KernelOp,
    MergeOp,
    ParallelOp,
    PrefetchOp,
    ScratchOp,
    TileOp,
    TileType,
    TripsOp,
    YieldOp,
    buffer_type,
    tile_type,
)
from mlc.errors import InternalError

Path: TypeAlias = tuple[tuple[SSAValue, int], ...]
"""Induction variables, outer to inner, each with its bytes per iteration."""

Phi: TypeAlias = tuple[str, str, str, str]
"""A value that a loop carries: its type, its name, and its first and next values."""

End: TypeAlias = Callable[[], tuple[str, list[Phi]]]
"""Appends the end of a loop's body; returns whether to go on, and what the loop carries to count and to address."""


def path_of(access: Access, ivs: list[SSAValue]) -> Path:
    """The induction variables that move an access."""
    return tuple((iv, c) for iv, c in zip(ivs, access.ivs, strict=True) if c)


class FunctionEmitter:
    """Emits one kernel."""

    def __init__(self, kernel: KernelOp, target: Target) -> None:
        self.kernel = kernel
        self.target = target
        self.index = target.index
        self.out = Writer()
        self.block = "entry"
        self.ivs: dict[SSAValue, str] = {}
        self.pointers: dict[tuple[SSAValue, Path], str] = {}
        self.tiles: dict[SSAValue, Registers] = {}
        self.prefixes: dict[SSAValue, dict[tuple[SSAValue, Path], None]] = {}
        self.shares: dict[int, tuple[str, str]] = {}
        self.checks: Checks | None = None

    def emit(self) -> str:
        """The function's text, without its declarations."""
        block = self.kernel.body.block
        names = [f"%a{i}" for i in range(len(block.args))]
        for argument, name in zip(block.args, names):
            self.pointers[argument, ()] = name
        self.checks = self._checks()
        self._collect(block)
        self._shares(block)
        self._block(block)
        self.out.emit("  ret void")
        return self._head(len(names)) + "\n".join(self.out.lines) + "\n}\n"

    def _head(self, arguments: int) -> str:
        """The function's first lines; on GPUs pointers come in the address space of global memory."""
        name, target = self.kernel.sym_name.data, self.target
        if target.kind == "cpu":
            parameters = [
                *(f"ptr {self._attributes(i)}%a{i}" for i in range(arguments)),
                f"{self.index} %tid",
                f"{self.index} %nt",
            ]
            return f"define void @{name}({', '.join(parameters)}) #0 {{\nentry:\n"
        space = f"ptr addrspace({target.address_space})"
        parameters = [f"{space} {self._attributes(i)}%p{i}" for i in range(arguments)]
        casts = "".join(f"  %a{i} = addrspacecast {space} %p{i} to ptr\n" for i in range(arguments))
        return f"define {target.convention} void @{name}({', '.join(parameters)}) #0 {{\nentry:\n{casts}"

    def _checks(self) -> Checks | None:
        """The status word of a checked kernel, its last argument, and a slot for the notes that don't count."""
        if self.kernel.checked is None:
            return None
        return Checks(self.pointers[self.kernel.args[-1], ()], self.out.value("alloca i32, align 4"))

    def _attributes(self, index: int) -> str:
        aliases = self.kernel.attributes.get("aliases")
        return "" if aliases is not None else "noalias "

    # --- addresses

    def _collect(self, block: Block) -> None:
        """Note which address prefixes each induction variable must provide."""
        for op in block.walk():
            if isinstance(op, TileOp):
                ivs = list(op.ivs)
                for buffer, access in zip([*op.buffers, *op.outs, *op.subscripts], op.access):
                    self._note(buffer, path_of(access.data, ivs))
            elif isinstance(op, PrefetchOp):
                self._note(op.buffer, path_of(op.access.data, list(op.ivs)))

    def _note(self, buffer: SSAValue, path: Path) -> None:
        for end in range(1, len(path) + 1):
            self.prefixes.setdefault(path[end - 1][0], {})[buffer, path[:end]] = None

    def _advance(self, iv: SSAValue) -> None:
        """At the head of a loop: the addresses that its induction variable moves."""
        for buffer, path in self.prefixes.get(iv, ()):
            outer = self.pointers[buffer, path[:-1]]
            offset = self._scaled(self.ivs[iv], path[-1][1])
            address = self.out.value(f"getelementptr inbounds i8, ptr {outer}, {self.index} {offset}")
            if self.target.proven_offsets:  # strength reduction would rewrite it into one that may wrap
                address = self.out.value(f"freeze ptr {address}")
            self.pointers[buffer, path] = address

    def _scaled(self, iv: str, factor: int) -> str:
        return iv if factor == 1 else self.out.value(f"mul nsw {self.index} {iv}, {factor}")

    def _pointer(self, op: TileOp) -> Callable[[SSAValue, Access], str]:
        ivs = list(op.ivs)
        return lambda buffer, access: self.pointers[buffer, path_of(access, ivs)]

    def _index_base(self, op: TileOp) -> Callable[[Access], str]:
        ivs = list(op.ivs)

        def base(access: Access) -> str:
            value = str(access.const)
            for iv, factor in path_of(access, ivs):
                value = self.out.value(f"add {self.index} {self._scaled(self.ivs[iv], factor)}, {value}")
            return value

        return base

    # --- structure

    def _block(self, block: Block) -> None:
        for op in block.ops:
            self._operation(op)

    def _operation(self, op: Operation) -> None:
        match op:
            case TileOp():
                self._tile(op)
            case ForOp():
                self._for(op)
            case ParallelOp():
                self._parallel(op)
            case MergeOp():
                self._merge(op)
            case PrefetchOp():
                self._prefetch(op)
            case ScratchOp():
                self._scratch(op)
            case ExtentOp():
                self.ivs[op.result] = emit_extent(self.out, self.target, op, self.pointers[op.dims, ()])
            case TripsOp():
                self._trips(op)
            case CallCOp():
                emit_call_c(self.out, op, lambda value: self.pointers[value, ()], self.target.pointer_bytes)
            case _:
                raise InternalError(f"{op.name} is not in a form that can be emitted")

    def _scratch(self, op: ScratchOp) -> None:
        type_ = buffer_type(op.result)
        size = prod(type_.get_shape()) * spelling(type_.element_type)[2]
        self.pointers[op.result, ()] = self.out.value(f"alloca [{size} x i8], align 64")

    def _tile(self, op: TileOp) -> None:
        lane = next((a.size for a in op.axes.data if a.kind == "l"), 1)
        tiles = [self.tiles[t] for t in op.tiles]
        emitter = TileEmitter(
            Lanes(self.out, self.target, lane), op, self._pointer(op), self._index_base(op), tiles, self.checks
        )
        for result, registers in zip(op.res, emitter.emit()):
            self.tiles[result] = registers

    def _merge(self, op: MergeOp) -> None:
        width = next((a.size for a in tile_type(op.sources[0]).axes.data if a.kind == "l"), 1)
        merged = emit_merge(Lanes(self.out, self.target, width), op, [self.tiles[s] for s in op.sources])
        for result, registers in zip(op.res, merged):
            self.tiles[result] = registers

    def _prefetch(self, op: PrefetchOp) -> None:
        pointer = self.pointers[op.buffer, path_of(op.access.data, list(op.ivs))]
        if op.access.data.const:
            pointer = self.out.value(f"getelementptr i8, ptr {pointer}, i64 {op.access.data.const}")
        arguments = [("ptr", pointer), ("i32", "0"), ("i32", "2"), ("i32", "1")]
        self.out.call("void", "llvm.prefetch.p0", arguments)

    def _for(self, op: ForOp) -> None:
        if op.trips is None:
            self._loop(op.body.block, "0", str(op.count.value.data), op)
            return
        before, inits = self.block, [self.tiles[t] for t in op.inits]
        with self._unless_empty("0", self.ivs[op.trips]):
            self._loop(op.body.block, "0", self.ivs[op.trips], op)
            after = self.block
        for result, init in zip(op.res, inits):
            last, type_ = self.tiles[result], _vector_type(tile_type(result))
            self.tiles[result] = {
                k: self.out.value(f"phi {type_} [{init[k]}, %{before}], [{last[k]}, %{after}]") for k in init
            }

    @contextmanager
    def _unless_empty(self, low: str, high: str) -> Generator[None]:
        """What is written inside runs if there are tiles from ``low`` to ``high``."""
        body, done = self.out.label(), self.out.label()
        guard = self.out.value(f"icmp slt {self.index} {low}, {high}")
        self.out.emit(f"  br i1 {guard}, label %{body}, label %{done}\n{body}:")
        self.block = body
        yield
        self.out.emit(f"  br label %{done}\n{done}:")
        self.block = done

    def _trips(self, op: TripsOp) -> None:
        """The number of tiles below a limit, which is counted from where the loops around stand."""
        limit = self.ivs[op.limit]
        for iv, step in zip(op.ivs, op.steps.get_values(), strict=True):
            limit = self.out.value(f"sub {self.index} {limit}, {self._scaled(self.ivs[iv], step)}")
        trips = emit_trips(self.out, self.target, limit, op.tiles.data)
        if op.until is not None:
            beyond = self.out.value(f"icmp sgt {self.index} {limit}, {op.until.value.data}")
            trips = self.out.value(f"select i1 {beyond}, {self.index} 0, {self.index} {trips}")
        self.ivs[op.result] = trips

    def _parallel(self, op: ParallelOp) -> None:
        """The share of this thread: its tiles of all, cut to this run."""
        if self.target.kind == "gpu":
            self._bound(op)
            return
        first, count, total = op.first.value.data, op.count.value.data, op.tiles.value.data
        if op.trips:
            before, own, there = (self.ivs[value] for value in op.trips)
            low, high = (self._clamp(end, before, own) for end in self._share(there))
        else:
            low, high = self.shares[total]
            if first or count != total:
                low, high = (self._clamp(end, first, count) for end in (low, high))
        with self._unless_empty(low, high):
            self._loop(op.body.block, low, high, None)

    def _bound(self, op: ParallelOp) -> None:
        """The tile whose number this block or thread has, if there is one."""
        number = self._number(op)
        iv = self.out.value(f"sub {self.index} {number}, {op.first.value.data}")
        body, done = self.out.label(), self.out.label()
        inside = self.out.value(f"icmp ult {self.index} {iv}, {op.count.value.data}")
        self.out.emit(f"  br i1 {inside}, label %{body}, label %{done}\n{body}:")
        self.block = body
        block = op.body.block
        self.ivs[block.args[0]] = iv
        self._advance(block.args[0])
        for inner in block.ops:
            if not isinstance(inner, YieldOp):
                self._operation(inner)
        self.out.emit(f"  br label %{done}\n{done}:")
        self.block = done

    def _number(self, op: ParallelOp) -> str:
        """The number of the block or thread that a loop is bound to; a single tile needs none."""
        if op.bind is None and op.tiles.value.data == 1:
            return "0"
        intrinsic = self.target.index_registers.get(op.bind.data) if op.bind is not None else None
        if intrinsic is None:
            raise InternalError(f"a parallel loop is bound to nothing that {self.target.name} has")
        return self.out.value(f"zext i32 {self.out.call('i32', intrinsic, [])} to {self.index}")

    def _clamp(self, value: str, first: int | str, count: int | str) -> str:
        moved = self.out.value(f"sub {self.index} {value}, {first}")
        return self._extremum("smin", self._extremum("smax", moved, "0"), str(count))

    def _extremum(self, kind: str, a: str, b: str) -> str:
        return self.out.call(self.index, f"llvm.{kind}.{self.index}", [(self.index, a), (self.index, b)])

    def _shares(self, block: Block) -> None:
        """At the function's entry: this thread's range for every number of tiles that occurs."""
        if self.target.kind == "gpu":
            return
        for op in block.walk():
            if isinstance(op, ParallelOp) and not op.trips and op.tiles.value.data not in self.shares:
                self.shares[op.tiles.value.data] = self._share(op.tiles.value.data)

    def _share(self, total: int | str) -> tuple[str, str]:
        """Where this thread's tiles begin and end: all threads have as many, the first ones one more of the rest."""
        index = self.index
        element = IntegerType(8 * self.target.pointer_bytes)
        each = divide(Lanes(self.out, self.target, 1), "udiv", element, str(total), "%nt")
        taken = self.out.value(f"mul nuw nsw {index} {each}, %nt")
        rest = self.out.value(f"sub nuw nsw {index} {total}, {taken}")
        following = self.out.value(f"add nuw nsw {index} %tid, 1")
        bounds: list[str] = []
        for tid in ("%tid", following):
            scaled = self.out.value(f"mul nuw nsw {index} {tid}, {each}")
            more = self._extremum("umin", tid, rest)
            bounds.append(self.out.value(f"add nuw nsw {index} {scaled}, {more}"))
        return bounds[0], bounds[1]

    def _loop(self, body: Block, low: str, high: str, op: ForOp | None) -> None:
        """A counted loop that runs at least once; carried tiles become one phi per register."""
        head, before = self.out.label(), self.block
        exit_ = self.out.label()
        self.out.emit(f"  br label %{head}\n{head}:")
        position = len(self.out.lines)
        self.block = head
        count = self._chained_count if op is not None and self._is_chained(op) else self._count
        end = count(body.args[0], low, high)
        inits = [self.tiles[t] for t in op.inits] if op else []
        phis: list[Registers] = [{k: self.out.name() for k in init} for init in inits]
        for argument, registers in zip(body.args[1:], phis):
            self.tiles[argument] = registers
        last = body.last_op
        assert isinstance(last, YieldOp)
        for inner in body.ops:
            if inner is not last:
                self._operation(inner)
        again, carried = end()
        latch = self.block
        self.out.emit(f"  br i1 {again}, label %{head}, label %{exit_}\n{exit_}:")
        self.block = exit_
        if op is not None:
            for init, registers, value, result in zip(inits, phis, last.values, op.res):
                final = self.tiles[result] = self.tiles[value]
                name = _vector_type(tile_type(result))
                carried += [(name, registers[k], init[k], final[k]) for k in init]
        self.out.lines[position:position] = [
            f"  {phi} = phi {name} [{first}, %{before}], [{next_}, %{latch}]" for name, phi, first, next_ in carried
        ]

    def _count(self, iv: SSAValue, low: str, high: str) -> End:
        """Count up, and compute the addresses that the induction variable moves from it."""
        name = self.ivs[iv] = self.out.name()
        self._advance(iv)

        def end() -> tuple[str, list[Phi]]:
            following = self.out.value(f"add nuw nsw {self.index} {name}, 1")
            return self.out.value(f"icmp slt {self.index} {following}, {high}"), [(self.index, name, low, following)]

        return end

    def _is_chained(self, op: ForOp) -> bool:
        """Whether a loop only moves addresses, and the target wants that done by pointers that move on."""
        inner = list(op.body.block.ops)
        indexed = any(isinstance(o, ForOp) or (isinstance(o, TileOp) and o.indices is not None) for o in inner)
        return self.target.chained and not indexed

    def _chained_count(self, iv: SSAValue, low: str, high: str) -> End:
        """Count down from ``high`` (``low`` is 0), while every address moves on by itself."""
        left = self.out.name()
        moving: list[tuple[str, str, int]] = []
        for buffer, path in self.prefixes.get(iv, ()):
            moving.append((self.out.name(), self.pointers[buffer, path[:-1]], path[-1][1]))
            self.pointers[buffer, path] = moving[-1][0]

        def end() -> tuple[str, list[Phi]]:
            phis: list[Phi] = []
            for pointer, start, step in moving:
                moved = self.out.value(f"getelementptr i8, ptr {pointer}, {self.index} {step}")
                moved = self.out.call("ptr", "llvm.launder.invariant.group.p0", [("ptr", moved)])
                phis.append(("ptr", pointer, start, moved))
            rest = self.out.value(f"add nsw {self.index} {left}, -1")
            return self.out.value(f"icmp ne {self.index} {rest}, 0"), [(self.index, left, high, rest), *phis]

        return end


def _vector_type(tile: TileType) -> str:
    width = next((a.size for a in tile.axes.data if a.kind == "l"), 1)
    scalar = spelling(tile.element)[0]
    return scalar if width == 1 else f"<{width} x {scalar}>"


def emit_kernel(kernel: KernelOp, target: Target) -> str:
    """The LLVM IR module text of one kernel, ready to compile.

    The function takes one pointer per buffer, then the thread's number and their number, each as wide as an address.
    Raises InternalError for an operation without a form on the target.
    """
    emitter = FunctionEmitter(kernel, target)
    text = emitter.emit()
    declarations = "".join(f"declare {d}\n" for d in emitter.out.declarations.values())
    definitions = "\n".join(emitter.out.definitions.values())
    limit = target.thread_limit.format(prod(n for what, n in launch_size(kernel).items() if what.startswith("thread")))
    attributes = f"nounwind {target.attributes} {limit}".rstrip()
    return f"{text}\n{definitions}{declarations}\nattributes #0 = {{ {attributes} }}\n"


def launch_size(kernel: KernelOp) -> dict[str, int]:
    """How many blocks and threads a GPU kernel runs on, by ``block.x``, ``thread.y``, ...: its largest bound loops."""
    size: dict[str, int] = {}
    for op in kernel.walk():
        if isinstance(op, ParallelOp) and op.bind is not None:
            size[op.bind.data] = max(size.get(op.bind.data, 1), op.tiles.value.data)
    return size
