"""seed_accumulators: a sum starts from what would be added to it at the end.

    init { 0.0 }  combine { addf }  finish(%bias, %acc) { %y = addf %acc, %bias; maximumf %y, 0.0 }
 -> init { %bias }  combine { addf }  finish(%acc) { maximumf %acc, 0.0 }

Only where every result has one accumulator: lanes and axes that are merged later would count the seed repeatedly.
The order of the additions changes, so `strict` leaves this pass out.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, ModuleOp
from xdsl.ir import Block, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import ComputeOp, YieldOp


def _is_zero(value: SSAValue) -> bool:
    owner = value.owner
    return isinstance(owner, arith.ConstantOp) and isinstance(owner.value, FloatAttr) and owner.value.value.data == 0.0


def _is_plain_sum(op: ComputeOp) -> bool:
    """One accumulator that starts at zero and is folded by addition, in one piece."""
    if not op.has_reduction or op.accumulators != 1 or op.schedule is None or op.elems:
        return False
    kinds = op.dims.kinds
    kept = any(v.kind == "+" or (v.kind == "@" and kinds[v.dim] == "r") for v in op.schedule.data.levels)
    combine, init = op.combine.block, op.init.block
    folded, start = combine.last_op, init.last_op
    assert isinstance(folded, YieldOp)
    assert isinstance(start, YieldOp)
    adds = isinstance(folded.values[0].owner, arith.AddfOp) and len(list(combine.ops)) == 2
    return not kept and adds and _is_zero(start.values[0])


def _seed(op: ComputeOp) -> tuple[arith.AddfOp, int] | None:
    """The addition of an input to the accumulator that ends the sum, and that input's number."""
    finish: Block = op.finish.block
    acc = finish.args[-1]
    user = acc.get_user_of_unique_use()
    if not isinstance(user, arith.AddfOp):
        return None
    other = user.rhs if user.lhs is acc else user.lhs
    for i, argument in enumerate(finish.args[:-1]):
        if other is argument and argument.type == acc.type:
            return user, i
    return None


def seed(op: ComputeOp) -> None:
    """Rewrite one compute, in place, if it has a seed."""
    if not _is_plain_sum(op):
        return
    found = _seed(op)
    if found is None:
        return
    add, number = found
    acc = op.finish.block.args[-1]
    add.result.replace_all_uses_with(acc)
    op.finish.block.erase_op(add)
    init = op.init.block
    for inner in reversed(list(init.ops)):
        init.erase_op(inner)
    init.add_op(YieldOp.of(init.args[number]))


@dataclass(frozen=True)
class SeedAccumulatorsPass(ModulePass):
    """Sums start from what would be added to them at the end."""

    name = "seed-accumulators"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in [o for o in op.walk() if isinstance(o, ComputeOp)]:
            seed(compute)
