"""plan_memory: every intermediate buffer gets a place in one arena; buffers that never live together share it.

A buffer lives from the first call that touches it (or a view of it) to the last. Buffers are placed largest first,
each at the lowest offset that is free for its whole life.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import BufferOp, CallOp, ViewOp, buffer_type
from mlc.lowering.loops.levels import element_bytes

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


@dataclass
class Life:
    """A buffer, its size, and the first and last call that touch it."""

    buffer: BufferOp
    size: int
    first: int
    last: int
    offset: int = 0


def root(value: SSAValue) -> SSAValue:
    """The buffer behind a chain of views."""
    while isinstance(value.owner, ViewOp):
        value = value.owner.source
    return value


def size_of(value: SSAValue) -> int:
    """Bytes of a buffer, rounded up to whole lines."""
    type_ = buffer_type(value)
    size = prod(type_.get_shape()) * element_bytes(type_.element_type)
    return -(-size // ALIGNMENT) * ALIGNMENT


def lives(main: FuncOp) -> list[Life]:
    """The lives of all buffers of ``@main``."""
    found: dict[SSAValue, Life] = {}
    time = 0
    for op in main.body.block.ops:
        if not isinstance(op, CallOp):
            continue
        time += 1
        for value in op.args:
            base = root(value)
            if not isinstance(base.owner, BufferOp):
                continue
            life = found.get(base)
            if life is None:
                found[base] = Life(base.owner, size_of(base), time, time)
            else:
                life.last = time
    return list(found.values())


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
        lifetimes = lives(main)
        size = place(lifetimes)
        for life in lifetimes:
            life.buffer.properties["offset"] = IntegerAttr(life.offset, i64)
        main.attributes["arena"] = IntegerAttr(size, i64)
