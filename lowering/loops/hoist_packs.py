"""hoist_packs: packs of weights leave the kernels, so that they run once, when the artefact is built.

   loop.kernel @k (%a, %b: memref<768x768xf32>) { %p = loop.pack %b ... -> memref<24x192x4x2x16xf32> ... }
   loop.call @k(%x, %w)
-> loop.kernel @k (%a, %b: memref<24x192x4x2x16xf32>) { ... }
   %p = loop.pack %w ...   loop.call @k(%x, %p)
"""

from __future__ import annotations

from dataclasses import dataclass

from mlc.dialects.loop import CallOp, KernelOp, PackOp
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import BlockArgument
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import VerifyException


def hoist(kernel: KernelOp) -> dict[int, PackOp]:
    """Take the packs of a kernel's constant arguments out of it; returns them by argument number."""
    found: dict[int, PackOp] = {}
    for op in list(kernel.body.block.ops):
        if not isinstance(op, PackOp):
            continue
        source = op.source
        if not isinstance(source, BlockArgument) or source not in kernel.constant_args:
            raise VerifyException("[pack_constant] only constants are packed ahead of time")
        if source.index in found:
            raise VerifyException("[pack_once] a constant has one packed form per kernel")
        op.result.replace_all_uses_with(source)
        op.detach()
        found[source.index] = op
        if any(use.operation is not op for use in source.uses):
            Rewriter.replace_value_with_new_type(source, op.result.type)
    return found


@dataclass(frozen=True)
class HoistPacksPass(ModulePass):
    """Packs of weights leave the kernels."""

    name = "hoist-packs"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        packs = {o.sym_name.data: hoist(o) for o in op.ops if isinstance(o, KernelOp)}
        done: dict[tuple[object, str], PackOp] = {}
        for call in [o for o in op.walk() if isinstance(o, CallOp)]:
            for index, pack in packs.get(call.kernel, {}).items():
                weight = call.args[index]
                key = (weight, f"{pack.reach} {pack.dims} {pack.schedule}")
                made = done.get(key)
                if made is None:
                    made = done[key] = PackOp.create(
                        operands=[weight], result_types=[pack.result.type], properties=dict(pack.properties)
                    )
                    block = call.parent_block()
                    assert block is not None
                    block.insert_op_before(made, call)
                call.operands[index] = made.result
        for pack in (p for by_index in packs.values() for p in by_index.values()):
            pack.erase()
