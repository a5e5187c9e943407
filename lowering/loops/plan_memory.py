"""plan_memory: every intermediate buffer gets a place in one arena; buffers that never live together share it.

A buffer lives from the first call that touches it (or a view of it) to the last; one that was there before a loop,
as long as the loop runs. Where a kernel's result may overwrite
an operand that dies there (`find_inplace`), the two are one buffer. Buffers are placed largest first, each at the
lowest offset that is free for its whole life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, UnitAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, BlockArgument, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import BufferOp, CallOp, IfOp, KernelOp, RepeatOp, ViewOp, buffer_type
from mlc.lowering.loops.find_inplace import inplace_pairs
from mlc.lowering.loops.levels import element_bytes

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


@dataclass
class Life:
    """Buffers at one place, their size, and the first and last call that touch them."""

    buffers: list[BufferOp]
    size: int
    first: int
    last: int
    offset: int = 0


def root(value: SSAValue) -> SSAValue:
    """The buffer behind a chain of views."""
    while isinstance(value.owner, ViewOp):
        value = value.owner.source
    return value


ALIASES = "aliases"
"""Attribute of a kernel that is called with a result in an operand's place."""


def view_offset(value: SSAValue) -> int:
    """Bytes from the start of the buffer behind a chain of views."""
    offset = 0
    while isinstance(value.owner, ViewOp):
        if value.owner.offset is not None:
            offset += value.owner.offset.value.data
        value = value.owner.source
    return offset


def size_of(value: SSAValue) -> int:
    """Bytes of a buffer, rounded up to whole lines."""
    type_ = buffer_type(value)
    size = prod(type_.get_shape()) * element_bytes(type_.element_type)
    return -(-size // ALIGNMENT) * ALIGNMENT


def roots(value: SSAValue) -> list[SSAValue]:
    """The buffers behind a value: both places of what a loop hands on."""
    base = root(value)
    owner = base.owner.parent_op() if isinstance(base, BlockArgument) else base.owner
    if not isinstance(owner, RepeatOp) or base is owner.counter:
        return [base]
    return [found for place in owner.pair_of(base) for found in roots(place)]


class _Lives:
    """The lives of all buffers of a program; the clock counts calls and what control flow reads."""

    def __init__(self) -> None:
        self.found: dict[SSAValue, Life] = {}
        self.calls: list[tuple[CallOp, int]] = []
        self.time = 0

    def touch(self, values: Iterable[SSAValue]) -> None:
        """One tick, in which these buffers are read or written."""
        for base in [base for value in values for base in roots(value)]:
            if not isinstance(base.owner, BufferOp):
                continue
            life = self.found.get(base)
            if life is None:
                self.found[base] = Life([base.owner], size_of(base), self.time, self.time)
            else:
                life.last = self.time
        self.time += 1

    def walk(self, block: Block) -> None:
        """The operations of a block in order, then in order inside."""
        for op in block.ops:
            match op:
                case CallOp():
                    self.calls.append((op, self.time))
                    self.touch(op.args)
                case IfOp():
                    self.touch([op.condition])
                    for region in op.regions:
                        self.walk(region.block)
                case RepeatOp():
                    self._repeat(op)
                case _:
                    pass

    def _repeat(self, op: RepeatOp) -> None:
        """What a loop finds when it starts lives until it ends: the next iteration may read it again."""
        start = self.time
        self.touch(op.operands)
        self.walk(op.body.block)
        inside = {inner.result for inner in op.body.walk() if isinstance(inner, BufferOp)}
        around = [base for base, life in self.found.items() if life.last >= start and base not in inside]
        for base in around:
            self.found[base].first = min(self.found[base].first, start)
        self.touch([*op.operands, *around])


def lives(main: FuncOp, kernels: Mapping[str, KernelOp] | None = None) -> list[Life]:
    """The lives of all buffers of ``@main``; with ``kernels``, results take over operands where they may."""
    walked = _Lives()
    walked.walk(main.body.block)
    if kernels is not None:
        for op, time in walked.calls:
            _take_over(op, time, kernels[op.kernel], walked.found)
    return list({id(life): life for life in walked.found.values()}.values())


def _take_over(call: CallOp, time: int, kernel: KernelOp, found: dict[SSAValue, Life]) -> None:
    """Join the lives of a result that starts and an operand that ends with this call."""
    bases = [root(v) for v in call.args]
    for operand, result in inplace_pairs(kernel):
        old, new = found.get(bases[operand]), found.get(bases[result])
        if old is None or new is None or old is new or bases.count(bases[operand]) != 1:
            continue
        whole = old.size == new.size == size_of(call.args[operand]) == size_of(call.args[result])
        if old.last != time or new.first != time or not whole:
            continue
        old.buffers += new.buffers
        old.last = new.last
        for value, life in found.items():
            if life is new:
                found[value] = old
        kernel.attributes[ALIASES] = UnitAttr()


def place(lifetimes: list[Life]) -> int:
    """Choose offsets; returns the arena's size in bytes."""
    placed: list[Life] = []
    for life in sorted(lifetimes, key=lambda e: (-e.size, e.first)):
        overlapping = sorted(
            (o for o in placed if o.first <= life.last and life.first <= o.last), key=lambda o: o.offset
        )
        offset = 0
        for other in overlapping:
            if other.offset - offset >= life.size:
                break
            offset = max(offset, other.offset + other.size)
        life.offset = offset
        placed.append(life)
    return max((e.offset + e.size for e in placed), default=0)


def main_of(module: ModuleOp) -> FuncOp | None:
    """The program's entry."""
    return next((o for o in module.ops if isinstance(o, FuncOp) and o.sym_name.data == "main"), None)


@dataclass(frozen=True)
class PlanMemoryPass(ModulePass):
    """Every intermediate buffer gets a place in one arena."""

    name = "plan-memory"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        main = main_of(op)
        if main is None:
            return
        lifetimes = lives(main, {k.sym_name.data: k for k in op.ops if isinstance(k, KernelOp)})
        size = place(lifetimes)
        for life in lifetimes:
            for buffer in life.buffers:
                buffer.properties["offset"] = IntegerAttr(life.offset, i64)
        main.attributes["arena"] = IntegerAttr(size, i64)
