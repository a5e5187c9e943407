"""hoist_packs: packs of weights leave the kernels, so that they run once, when the artefact is built.

   loop.kernel @k (%a, %b: memref<768x768xf32>) { %p = loop.pack %b ... -> memref<24x192x4x2x16xf32> ... }
   loop.call @k(%x, %w)
-> loop.kernel @k (%a, %b: memref<24x192x4x2x16xf32>) { ... }
   %p = loop.pack %w ...   loop.call @k(%x, %p)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import BlockArgument
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop import CallOp, ConstantOp, KernelOp, PackOp


class Hoisted(NamedTuple):
    """A pack taken out of a kernel: of argument ``source``, passed as argument ``target``."""

    source: int
    target: int
    pack: PackOp


def hoist(kernel: KernelOp) -> list[Hoisted]:
    """Take the packs of a kernel's constant arguments out of it.

    A pack takes the place of its argument; where that is still used otherwise, the pack becomes a new argument,
    after the others (but before the status word).
    """
    block = kernel.body.block
    found: list[Hoisted] = []
    for op in list(block.ops):
        if not isinstance(op, PackOp):
            continue
        source = op.source
        if not isinstance(source, BlockArgument) or source not in kernel.constant_args:
            raise VerifyException("[pack_constant] only constants are packed ahead of time")
        target = source.index
        op.detach()
        if any(use.operation is not op for use in source.uses):
            target = len(block.args) - (kernel.checked is not None)
            op.result.replace_all_uses_with(block.insert_arg(op.result.type, target))
        else:
            op.result.replace_all_uses_with(source)
            Rewriter.replace_value_with_new_type(source, op.result.type)
        found.append(Hoisted(source.index, target, op))
    return found


@dataclass(frozen=True)
class HoistPacksPass(ModulePass):
    """Packs of weights leave the kernels."""

    name = "hoist-packs"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        packs = {o.sym_name.data: hoist(o) for o in op.ops if isinstance(o, KernelOp)}
        done: dict[tuple[object, str], PackOp] = {}
        for call in [o for o in op.walk() if isinstance(o, CallOp)]:
            given = list(call.args)
            passed = list(given)
            for source, target, pack in packs.get(call.kernel, []):
                weight = given[source]
                key = (weight, f"{pack.reach} {pack.dims} {pack.schedule}")
                made = done.get(key)
                if made is None:
                    made = done[key] = PackOp.create(
                        operands=[weight], result_types=[pack.result.type], properties=dict(pack.properties)
                    )
                    constant = weight.owner
                    assert isinstance(constant, ConstantOp), "only constants are packed"
                    block = constant.parent_block()
                    assert block is not None, "a program's constants stand in it"
                    block.insert_op_after(made, constant)
                passed[target : target + (source == target)] = [made.result]
            call.operands = passed
        for hoisted in (h for found in packs.values() for h in found):
            hoisted.pack.erase()
