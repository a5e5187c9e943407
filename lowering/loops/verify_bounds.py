"""verify_bounds: every access of every tile lies inside its buffer.

Addresses are sums of a constant and of independent terms per induction variable, register axis, lane and subscript,
so the exact range follows from the ranges of those. Lanes masked at the end of a dim do not count; an operand that
is ``full`` is accessed in whole vectors, and its buffer has to have room for them. Calls must pass buffers of the
kernels' types, and buffers must lie inside the arena. What fails here is a defect of an earlier pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.ir import BlockArgument, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import (
    Access,
    BufferOp,
    CallOp,
    ForOp,
    KernelOp,
    ParallelOp,
    RepeatOp,
    TileOp,
    ViewOp,
    buffer_type,
)
from mlc.errors import InternalError
from mlc.lowering.loops.levels import element_bytes
from mlc.lowering.loops.plan_memory import main_of


def extent(term: int, count: int) -> tuple[int, int]:
    """The least and greatest of ``term * i`` for ``i`` in ``0 .. count - 1``."""
    last = term * (count - 1)
    return min(0, last), max(0, last)


def reached(tile: TileOp, access: Access, ivs: dict[SSAValue, int]) -> tuple[int, int]:
    """The first and last byte address, relative to the buffer, at which an element of the access may start."""
    low = high = access.const
    terms = [(c, ivs[iv]) for iv, c in zip(tile.ivs, access.ivs, strict=True)]
    terms += [(c, s.extent) for s, c in access.subscripts]
    axes = {a.name: a.size for a in tile.axes.data}
    masked, valid = _tail(tile) if not access.full else ("", 0)
    bytes_per = dict(access.axes)
    terms += [(c, axes[n]) for n, c in access.axes if n not in (masked, masked + "@")]
    for term, count in terms:
        lo, hi = extent(term, count)
        low, high = low + lo, high + hi
    if masked:
        lo, hi = _masked(axes, bytes_per, masked, valid)
        low, high = low + lo, high + hi
    return low, high


def _tail(tile: TileOp) -> tuple[str, int]:
    """The dim whose last register is partly filled, and its valid lanes."""
    if tile.tail is None:
        return "", 0
    name, valid = tile.tail.data.split(":")[:2]
    return name, int(valid)


def _masked(axes: dict[str, int], bytes_per: dict[str, int], name: str, valid: int) -> tuple[int, int]:
    """The range over a dim's registers and lanes, of which the last register has ``valid`` lanes."""
    registers, lanes = axes.get(name, 1), axes[name + "@"]
    register, lane = bytes_per.get(name, 0), bytes_per.get(name + "@", 0)
    start = register * (registers - 1)
    last = [start + e for e in extent(lane, valid)]
    before = [a + b for a in extent(register, registers - 1) for b in extent(lane, lanes)] if registers > 1 else last
    return min(*last, *before), max(*last, *before)


def check_tile(tile: TileOp, ivs: dict[SSAValue, int], kernel: str) -> None:
    """Check all accesses of a tile; raises InternalError."""
    for value, attr in zip((*tile.buffers, *tile.outs, *tile.subscripts), tile.access, strict=True):
        type_ = buffer_type(value)
        size = element_bytes(type_.element_type)
        low, high = reached(tile, attr.data, ivs)
        there = prod(type_.get_shape()) * size
        if low < 0 or high + size > there:
            raise InternalError(
                f"bytes {low} to {high + size} of a buffer of {there} ({type_}) are accessed: {attr.data}", node=kernel
            )


def check_kernel(kernel: KernelOp) -> None:
    """Check every tile of a kernel; raises InternalError."""
    ivs: dict[SSAValue, int] = {}
    for op in kernel.walk():
        if isinstance(op, ForOp | ParallelOp):
            ivs[op.body.block.args[0]] = op.count.value.data
        elif isinstance(op, TileOp):
            check_tile(op, ivs, kernel.sym_name.data)


def check_calls(module: ModuleOp) -> None:
    """Check that calls pass buffers of the kernels' types, and that the arena holds all buffers."""
    kernels = {o.sym_name.data: o for o in module.ops if isinstance(o, KernelOp)}
    main = main_of(module)
    if main is None:
        return
    arena = main.attributes.get("arena")
    for op in main.walk():
        if isinstance(op, CallOp):
            _check_call(op, kernels[op.kernel])
        elif isinstance(op, ViewOp):
            _check_view(op)
        elif isinstance(op, BufferOp) and op.offset is not None and isinstance(arena, IntegerAttr):
            end = op.offset.value.data + _bytes(op.result)
            if op.offset.value.data < 0 or end > arena.value.data:
                raise InternalError(f"a buffer ends at byte {end} of an arena of {arena.value.data}")


def _check_view(view: ViewOp) -> None:
    """Check that the last part that a moving view reaches lies inside its source."""
    if view.index is None or view.step is None or view.offset is None:
        return
    loop = view.index.owner.parent_op() if isinstance(view.index, BlockArgument) else None
    if not isinstance(loop, RepeatOp) or loop.limit is None:
        raise InternalError("a view moves with something else than a loop with a limit")
    steps = max(loop.limit.value.data - 1, 0)
    end = view.offset.value.data + steps * view.step.value.data + _bytes(view.result)
    if loop.limit.value.data and end > _bytes(view.source):
        raise InternalError(f"a view moves up to byte {end} of a buffer of {_bytes(view.source)}")


def _bytes(value: SSAValue) -> int:
    type_ = buffer_type(value)
    return prod(type_.get_shape()) * element_bytes(type_.element_type)


def _check_call(call: CallOp, kernel: KernelOp) -> None:
    passed, wanted = [v.type for v in call.args], [a.type for a in kernel.args]
    if passed != wanted:
        named = ", ".join(map(str, wanted))
        raise InternalError(
            f"a call passes {', '.join(map(str, passed))} where the kernel takes {named}", node=call.kernel
        )


@dataclass(frozen=True)
class VerifyBoundsPass(ModulePass):
    """Check that every access of every tile lies inside its buffer."""

    name = "verify-bounds"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            check_kernel(kernel)
        check_calls(op)
