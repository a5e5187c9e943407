"""prefetch: while one panel of a packed operand is in use, the next one is brought into the second-level cache.

The bytes of the next panel are spread evenly over the iterations of all loops between the panel's loop and the
innermost reduction loop, so that every iteration asks for its share: a line now and then, or a few lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import Access, AccessAttr, ForOp, KernelOp, PrefetchOp, TileOp

LINE = 64


def _loops_around(op: Operation) -> list[ForOp]:
    """The enclosing loops, outermost first."""
    found: list[ForOp] = []
    parent = op.parent_op()
    while parent is not None:
        if isinstance(parent, ForOp):
            found.append(parent)
        parent = parent.parent_op()
    return found[::-1]


def _marked(kernel: KernelOp) -> list[tuple[TileOp, int, list[ForOp]]]:
    """Tiles that ask for prefetching, with the number of the buffer and the loops around."""
    found: list[tuple[TileOp, int, list[ForOp]]] = []
    for op in kernel.walk():
        if isinstance(op, TileOp) and op.prefetch is not None:
            loops = _loops_around(op)
            found += [(op, number, loops) for number in op.prefetch.get_values()]
    return found


def prefetch_kernel(kernel: KernelOp) -> None:
    """Insert prefetches of the next panel beside the tiles that read most of it."""
    most: dict[tuple[SSAValue, ForOp], tuple[int, TileOp, int, list[ForOp], int]] = {}
    for tile, number, loops in _marked(kernel):
        factors = dict(zip(tile.ivs, tile.access.data[number].data.ivs))
        at = next((i for i, loop in enumerate(loops) if factors.get(loop.body.block.args[0])), None)
        if at is None or loops[at].inits:
            continue
        iterations = prod(loop.count.value.data for loop in loops[at + 1 :])
        key = (tile.buffers[number], loops[at])
        if key not in most or iterations > most[key][0]:
            most[key] = (iterations, tile, number, loops, at)
    for iterations, tile, number, loops, at in most.values():
        access = tile.access.data[number].data
        panel = dict(zip(tile.ivs, access.ivs))[loops[at].body.block.args[0]]
        _insert(tile, tile.buffers[number], access, loops[: at + 1], loops[at + 1 :], panel, iterations)


def _insert(
    tile: TileOp,
    operand: SSAValue,
    access: Access,
    outer: list[ForOp],
    inner: list[ForOp],
    panel: int,
    iterations: int,
) -> None:
    """``lines`` prefetches per iteration, at the next panel plus an even share per loop."""
    per_iteration = -(-panel // iterations)
    ivs: list[SSAValue] = []
    coefficients: list[int] = []
    given = dict(zip(tile.ivs, access.ivs))
    for loop in outer:
        ivs.append(loop.body.block.args[0])
        coefficients.append(given.get(loop.body.block.args[0], 0))
    share = per_iteration * iterations
    for loop in inner:
        share //= loop.count.value.data
        ivs.append(loop.body.block.args[0])
        coefficients.append(share)
    block = tile.parent_block()
    assert block is not None
    for line in range(-(-per_iteration // LINE)):
        where = Access(access.const + panel + line * LINE, tuple(coefficients), ())
        op = PrefetchOp.create(operands=[operand, *ivs], properties={"access": AccessAttr(where)})
        block.insert_op_before(op, tile)


@dataclass(frozen=True)
class PrefetchPass(ModulePass):
    """Bring the next panel of packed operands into the second-level cache."""

    name = "prefetch"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            prefetch_kernel(kernel)
