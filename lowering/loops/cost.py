"""What a scheduled nest costs: instructions, counted from its register tiles, over what the target does per cycle.

The count is that of the text to be emitted: an operation, a load or a store occurs once for each register index that
it depends on, and runs as often as the loops around it say. Memory that is slower than the caches is left out: what is
large enough to feel it is large enough for every decision that is taken here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod

from xdsl.dialects import arith
from xdsl.dialects.builtin import AnyFloat
from xdsl.ir import Block, Operation, SSAValue

from mlc.codegen.targets import Target
from mlc.dialects.loop import ForOp, MergeOp, ParallelOp, TileOp, TripsOp, YieldOp, buffer_type, tile_type
from mlc.dialects.loop.attrs import Access, Axis
from mlc.lowering.loops.levels import element_bytes

SLOW = frozenset({"arith.divf", "math.sqrt", "arith.divsi", "arith.divui", "arith.remsi", "arith.remui", "arith.remf"})
"""Operations that take the place of `SLOW_COST` others."""
SLOW_COST = 8
_MOVING = frozenset({"arith.select", "arith.bitcast", "arith.sitofp", "arith.uitofp", "arith.extf", "arith.truncf"})


def cycles(ops: Iterable[Operation], target: Target) -> float:
    """Estimated cycles of one thread for loops, tiles and merges, all iterations counted."""
    return sum(map(_instructions, ops)) / target.per_cycle


def _instructions(op: Operation) -> int:
    match op:
        case ForOp() if _is_exception(op):
            return 0
        case ForOp() | ParallelOp():
            return op.count.value.data * (1 + sum(map(_instructions, op.body.block.ops)))
        case TileOp():
            return _of_tile(op)
        case MergeOp():
            sizes = prod(a.size for a in tile_type(op.sources[0]).axes.data)
            return sizes * len(op.body.block.ops)
        case _:
            return 0


def _is_exception(op: ForOp) -> bool:
    """Whether a loop stands in for another one where a dim ends early."""
    return op.trips is not None and isinstance(op.trips.owner, TripsOp) and op.trips.owner.until is not None


def flops(ops: Iterable[Operation]) -> int:
    """Floating-point operations of loops, tiles and merges as they are emitted: lanes counted, two per multiply-add."""
    return sum(map(_flops, ops))


def _flops(op: Operation) -> int:
    match op:
        case ForOp() | ParallelOp():
            return op.count.value.data * flops(op.body.block.ops)
        case TileOp():
            return _of_region(op.body.block, op.axes.data, _followed(op), _floating, lanes=True)
        case MergeOp():
            sizes = prod(a.size for a in tile_type(op.sources[0]).axes.data)
            return sizes * sum(map(_floating, op.body.block.ops))
        case _:
            return 0


def _floating(op: Operation) -> int:
    """How many floating-point operations an operation of a region is."""
    if not any(isinstance(v.type, AnyFloat) for v in op.results):
        return 0
    return 2 if op.name == "math.fma" else op.name not in _MOVING


def _weight(op: Operation) -> int:
    """How many operations' time an operation of a region takes."""
    return SLOW_COST if op.name in SLOW else 1


def _of_tile(op: TileOp) -> int:
    """Operations, loads and stores of a register tile."""
    axes = op.axes.data
    accesses = [a.data for a in op.access]
    inputs, outs = accesses[: len(op.buffers)], accesses[len(op.buffers) : len(op.buffers) + len(op.outs)]
    block = op.body.block
    loads = [i for i, argument in enumerate(block.args[: len(inputs)]) if argument.first_use is not None]
    memory = [(inputs[i], op.buffers[i]) for i in loads] + list(zip(outs, op.outs, strict=True))
    return sum(_accesses(a, v, axes) for a, v in memory) + _of_region(block, axes, _followed(op), _weight)


def _followed(op: TileOp) -> dict[SSAValue, set[str]]:
    """The axes that each argument of a tile's region moves with."""
    indices = [a.data for a in op.indices] if op.indices is not None else []
    tiles = [{a.name for a in tile_type(t).axes.data} for t in op.tiles]
    inputs = [a.data for a in op.access][: len(op.buffers)]
    moving = [*(_axes_of(a) for a in (*inputs, *indices)), *tiles]
    return dict(zip(op.body.block.args, moving, strict=True))


def _axes_of(access: Access) -> set[str]:
    return {name for name, _ in access.axes}


def _accesses(access: Access, buffer: SSAValue, axes: Sequence[Axis]) -> int:
    """How many loads or stores reach an operand: one per register, or one per lane where lanes are no neighbours."""
    names = _axes_of(access)
    count = prod(a.size for a in axes if a.kind != "l" and a.name in names)
    lane = next((a for a in axes if a.kind == "l"), None)
    step = dict(access.axes).get(lane.name, 0) if lane else 0
    whole = lane is None or access.full or step in (0, element_bytes(buffer_type(buffer).element_type))
    return count if lane is None or (whole and not access.subscripts) else count * lane.size


def _of_region(
    block: Block,
    axes: Sequence[Axis],
    arguments: Mapping[SSAValue, set[str]],
    weight: Callable[[Operation], int],
    *,
    lanes: bool = False,
) -> int:
    """The region's operations, each so often as there are registers (or ``lanes``) that its operands follow."""
    follows: dict[SSAValue, set[str]] = dict(arguments)
    total = 0
    for op in block.ops:
        if isinstance(op, YieldOp | arith.ConstantOp):
            continue
        names = set[str]().union(*(follows.get(v, set()) for v in op.operands))
        follows.update(dict.fromkeys(op.results, names))
        total += weight(op) * prod(a.size for a in axes if (lanes or a.kind != "l") and a.name in names)
    return total
