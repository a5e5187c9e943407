"""parallelize: in every nest, one loop level becomes `loop.parallel`, shared out among threads.

    loop.for 24 { loop.for 14 {...} loop.for 5 {...} }  ->  loop.parallel 0 + 24 of 24 { loop.for 14 ... }

The level is the outermost one over a parallel dim with enough tiles to balance: a multiple of the threads, or so
many that the remainder does not matter. Runs of the same dim (tiles of 7, then of 6) stand side by side and are
shared out as one range of tiles. A nest with nothing to share becomes one tile, which one thread runs.

So does a whole kernel where sharing saves less time than it costs to hand out its parts, and every kernel where they
save too little together: an estimate of the nests' cycles decides (`mlc.lowering.loops.cost`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.codegen.targets import Target, find_target
from mlc.dialects.loop import (
    INDEX,
    CallOp,
    ExtentOp,
    ForOp,
    KernelOp,
    MergeOp,
    PackOp,
    ParallelOp,
    RepeatOp,
    ScratchOp,
    TileOp,
    Tiles,
    TripsOp,
    YieldOp,
)
from mlc.lowering.loops.cost import cycles

HEAD = (ScratchOp, PackOp, ExtentOp, TripsOp)
"""Operations of a kernel that belong to no nest."""

ENOUGH = 8
"""Tiles per thread from which on a remainder costs little."""

WORTH = 4
"""How many hand-outs sharing a kernel must save: savings are estimates, and threads read what others wrote slowly."""

WORTH_WAKING = 10
"""How many all shared kernels of a program must save together: calling other threads costs, too."""


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
    trips = _trips(group)
    first = 0
    for loop in group:
        count = loop.count.value.data
        body = loop.body.detach_block(0)
        parallel = ParallelOp.make(first, count, total, body, trips=trips.get(loop, ()))
        parallel.attributes.update(loop.attributes)
        block = loop.parent_block()
        assert block is not None
        block.insert_op_before(parallel, loop)
        block.erase_op(loop)
        first += count


def _trips(group: Sequence[ForOp]) -> dict[ForOp, tuple[SSAValue, SSAValue, SSAValue]]:
    """By loop: the tiles of its siblings before it, its own, and all, where their dim may end early."""
    own = [o.trips.owner for o in group if o.trips is not None]
    counts = [op for op in own if isinstance(op, TripsOp)]
    if not counts:
        return {}
    block = counts[0].parent_block()
    assert block is not None
    tiles = [op.tiles.data for op in counts]
    found: dict[ForOp, tuple[SSAValue, SSAValue, SSAValue]] = {}
    joined = [_joined(counts[0], [t for each in tiles[:n] for t in each]) for n in range(len(group) + 1)]
    for op in joined:
        block.insert_op_before(op, counts[0])
    for number, (loop, count) in enumerate(zip(group, counts, strict=True)):
        found[loop] = (joined[number].result, count.result, joined[-1].result)
    return found


def _joined(like: TripsOp, tiles: Sequence[Tiles]) -> TripsOp:
    """How many of ``tiles`` begin below the limit of another count."""
    return TripsOp.make(like.limit, like.ivs, like.steps.get_values(), tiles)


def _drop_unused(kernel: KernelOp) -> None:
    """Counts of tiles whose loops are shared out."""
    for op in [o for o in kernel.walk() if isinstance(o, TripsOp) and o.result.first_use is None]:
        op.detach()
        op.erase()


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
        if isinstance(op, HEAD):
            continue
        last = nests[-1][-1] if nests else None
        both_loops = last is not None and _is_shareable(last) and _is_shareable(op) and _dim(last) == _dim(op) != ""
        neither = last is not None and not _is_shareable(last) and not _is_shareable(op)
        if both_loops or neither:
            nests[-1].append(op)
        else:
            nests.append([op])
    return nests


def _work(kernel: KernelOp) -> list[Operation]:
    """The kernel's top-level operations that run."""
    return [o for o in kernel.body.block.ops if not isinstance(o, HEAD)]


def parallelize_kernel(kernel: KernelOp, threads: int, *, shared: bool = True) -> None:
    """Choose and mark the parallel loop of every nest of a kernel; unless ``shared``, one thread runs all of it."""
    ops = _work(kernel)
    if not ops:
        return
    if any(isinstance(o, ParallelOp) for o in kernel.walk()):
        return  # the schedule binds loops itself
    if "dependent" in kernel.attributes or not shared:
        _alone(ops)
        return
    for nest in _nests(kernel.body.block):
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
    _drop_unused(kernel)


@dataclass(frozen=True)
class Sharing:
    """What it takes for threads to gain anything; ``handout`` is the cost of giving others a part, in cycles."""

    target: Target
    threads: int
    handout: int

    def worthwhile(self, module: ModuleOp) -> set[str]:
        """The kernels to share out: each has to save something, and all together what waking threads costs."""
        kernels = {o.sym_name.data: o for o in module.walk() if isinstance(o, KernelOp)}
        if self.threads == 1:
            return set(kernels)
        saved = {name: self._saved(kernel) for name, kernel in kernels.items()}
        chosen = {name for name, gain in saved.items() if gain >= WORTH * self.handout}
        calls = _calls(module) or dict.fromkeys(kernels, 1)
        total = sum(count * saved[name] for name, count in calls.items() if name in chosen)
        return chosen if total >= WORTH_WAKING * self.handout else set()

    def _saved(self, kernel: KernelOp) -> float:
        """Cycles that a call is shorter by."""
        if "dependent" in kernel.attributes:
            return 0.0
        return cycles(_work(kernel), self.target) * (self.threads - 1) / self.threads


def _calls(module: ModuleOp) -> dict[str, int]:
    """How often a program calls each kernel, as far as it says how long its loops run."""
    found: dict[str, int] = {}
    for call in [o for o in module.walk() if isinstance(o, CallOp)]:
        count, parent = 1, call.parent_op()
        while parent is not None:
            if isinstance(parent, RepeatOp) and parent.limit is not None:
                count *= parent.limit.value.data
            parent = parent.parent_op()
        found[call.kernel] = found.get(call.kernel, 0) + count
    return found


@dataclass(frozen=True)
class ParallelizePass(ModulePass):
    """In every nest, one loop level is shared out among threads."""

    name = "parallelize"
    threads: int = 2
    target: str = "native"
    handout: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        shared = Sharing(find_target(self.target), self.threads, self.handout).worthwhile(op)
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            parallelize_kernel(kernel, self.threads, shared=kernel.sym_name.data in shared)
