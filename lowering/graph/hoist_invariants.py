"""What every iteration of a loop computes alike is computed once, before it.

    hlt.loop carry(%s = %a) { %w = hlt.exp %b   %t = hlt.add %s, %w   hlt.yield %t }
 -> %w = hlt.exp %b
    hlt.loop carry(%s = %a) { %t = hlt.add %s, %w   hlt.yield %t }

Movement alone stays where it is read through an index. So does what may fail: the loop may not run at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.lowering.graph.kinds import MATERIALIZE, MAY_FAIL, MOVEMENT
from mlc.lowering.graph.rewrite import blocks


@dataclass(frozen=True)
class HoistInvariantsPass(ModulePass):
    """Compute before a loop what all its iterations would compute alike."""

    name = "hoist-invariants"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for block in reversed(blocks(op)):
            loop = block.parent_op()
            if isinstance(loop, hlt.LoopOp):
                _hoist(loop)


def _hoist(loop: hlt.LoopOp) -> None:
    """Move what does not change out of one loop, operands first."""
    body, around = loop.body.block, loop.parent
    assert around is not None, "a loop stands in a block"
    invariant: dict[Operation, None] = {}
    for op in body.ops:
        if _may_move(op) and all(_is_fixed(operand.owner, body, invariant) for operand in op.operands):
            invariant[op] = None
    wanted = _with_operands([op for op in invariant if _is_work(op)], invariant)
    for op in [op for op in invariant if op in wanted]:
        op.detach()
        around.insert_op_before(op, loop)


def _may_move(op: Operation) -> bool:
    return isinstance(op, hlt.HltOp) and not isinstance(op, MAY_FAIL)


def _is_fixed(maker: Operation | Block, body: Block, invariant: dict[Operation, None]) -> bool:
    """Whether what ``maker`` makes is the same in every iteration."""
    if isinstance(maker, Block):
        return maker is not body
    return maker.parent is not body or maker in invariant


def _is_work(op: Operation) -> bool:
    """Whether doing ``op`` once is worth keeping its result in memory."""
    if isinstance(op, hlt.ConstantOp | hlt.IotaOp):
        return False
    return type(op) not in MOVEMENT or MATERIALIZE in op.attributes


def _with_operands(ops: list[Operation], invariant: dict[Operation, None]) -> set[Operation]:
    """``ops`` and what they are made of, as far as that is ``invariant``."""
    found: set[Operation] = set()
    while ops:
        op = ops.pop()
        if op in invariant and op not in found:
            found.add(op)
            ops += [operand.owner for operand in op.operands if isinstance(operand.owner, Operation)]
    return found
