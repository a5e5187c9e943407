"""parallelize: in every nest, one loop level becomes `loop.parallel`, shared out among threads.

    loop.for 24 { loop.for 14 {...} loop.for 5 {...} }  ->  loop.parallel 0 + 24 of 24 { loop.for 14 ... }

The level is the outermost one over a parallel dim with enough tiles to balance: a multiple of the threads, or so
many that the remainder does not matter. Runs of the same dim (tiles of 7, then of 6) stand side by side and are
shared out as one range of tiles. A nest with nothing to share becomes one tile, which one thread runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation
from xdsl.passes import ModulePass

from mlc.dialects.loop import (
    INDEX,
    ForOp,
    KernelOp,
    MergeOp,
    PackOp,
    ParallelOp,
    ScratchOp,
    TileOp,
    YieldOp,
)

ENOUGH = 8
"""Tiles per thread from which on a remainder costs little."""


def _is_shareable(op: Operation) -> bool:
    """A loop without carried values: its dim is parallel (or shared), so that its tiles are independent."""
    return isinstance(op, ForOp) and not op.inits and "sequential" not in op.attributes


def _dim(op: Operation) -> str:
    attr = op.attributes.get("dim")
    return attr.data if isinstance(attr, StringAttr) else ""


def _candidates(block: Block) -> Iterator[list[ForOp]]:
    """Groups of sibling loops over one level, outermost first, as long as nothing but loops surrounds them."""
    work = [o for o in block.ops if isinstance(o, TileOp | ForOp | MergeOp)]
    loops = [o for o in work if isinstance(o, ForOp)]
    if not loops:
        return
    if len(loops) == len(work) and all(_is_shareable(o) for o in loops) and len({_dim(o) for o in loops}) == 1:
        yield loops
        if len(loops) == 1:
            yield from _candidates(loops[0].body.block)


def _balance(tiles: int, threads: int) -> float:
    """The share of the threads that are busy on average."""
    return tiles / (-(-tiles // threads) * threads)


def _choose(groups: Sequence[list[ForOp]], threads: int) -> list[ForOp] | None:
    best: list[ForOp] | None = None
    best_balance = 0.0
    for group in groups:
        tiles = sum(o.count.value.data for o in group)
        balance = 1.0 if tiles >= ENOUGH * threads else _balance(tiles, threads)
        if balance > best_balance + 0.05:
            best, best_balance = group, balance
    return best


def _share(group: Sequence[ForOp]) -> None:
    """Turn sibling loops into parallel loops over one range of tiles."""
    total = sum(o.count.value.data for o in group)
    first = 0
    for loop in group:
        count = loop.count.value.data
        body = loop.body.detach_block(0)
        parallel = ParallelOp.make(first, count, total, body)
        parallel.attributes.update(loop.attributes)
        block = loop.parent_block()
        assert block is not None
        block.insert_op_before(parallel, loop)
        block.erase_op(loop)
        first += count


def _alone(ops: Sequence[Operation]) -> None:
    """Wrap operations in one tile that one thread runs."""
    body = Block(arg_types=[INDEX])
    parallel = ParallelOp.make(0, 1, 1, body)
    block = ops[0].parent_block()
    assert block is not None
    block.insert_op_before(parallel, ops[0])
    for op in ops:
        op.detach()
        body.add_op(op)
    body.add_op(YieldOp.of())


def _nests(block: Block) -> list[list[Operation]]:
    """The kernel's top-level operations in nests: sibling loops of one level, or a run of anything else."""
    nests: list[list[Operation]] = []
    for op in block.ops:
        if isinstance(op, ScratchOp | PackOp):
            continue
        last = nests[-1][-1] if nests else None
        both_loops = last is not None and _is_shareable(last) and _is_shareable(op) and _dim(last) == _dim(op) != ""
        neither = last is not None and not _is_shareable(last) and not _is_shareable(op)
        if both_loops or neither:
            nests[-1].append(op)
        else:
            nests.append([op])
    return nests


def parallelize_kernel(kernel: KernelOp, threads: int) -> None:
    """Choose and mark the parallel loop of every nest of a kernel."""
    block = kernel.body.block
    ops = [o for o in block.ops if not isinstance(o, ScratchOp | PackOp)]
    if not ops:
        return
    if any(isinstance(o, ParallelOp) for o in kernel.walk()):
        return  # the schedule binds loops itself
    if "dependent" in kernel.attributes:
        _alone(ops)
        return
    for nest in _nests(block):
        groups: list[list[ForOp]] = []
        loops = [o for o in nest if isinstance(o, ForOp)]
        if len(loops) == len(nest) and all(_is_shareable(o) for o in loops):
            groups.append(loops)
            if len(loops) == 1:
                groups += _candidates(loops[0].body.block)
        chosen = _choose(groups, threads)
        if chosen is None:
            _alone(nest)
        else:
            _share(chosen)


@dataclass(frozen=True)
class ParallelizePass(ModulePass):
    """In every nest, one loop level is shared out among threads."""

    name = "parallelize"
    threads: int = 2

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            parallelize_kernel(kernel, self.threads)
