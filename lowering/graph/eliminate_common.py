"""Equal operations on equal operands are one."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.lowering.graph.rewrite import functions

Key = tuple[type[Operation], tuple[SSAValue, ...], tuple[tuple[str, Attribute], ...], tuple[Attribute, ...]]

Seen = MutableMapping[Key, Operation]


@dataclass(frozen=True)
class EliminateCommonPass(ModulePass):
    """Compute once what is computed twice. Which node it came from makes no difference."""

    name = "eliminate-common"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for block in functions(op):
            _eliminate(block, {})


def _eliminate(block: Block, seen: Seen) -> None:
    """Keep the first of each operation in a block; those inside control flow give way to the ones before it."""
    for op in list(block.ops):
        if isinstance(op, hlt.HltOp):
            _keep_first(op, seen)
        elif isinstance(op, hlt.ControlOp):
            for region in op.regions:
                _eliminate(region.block, ChainMap({}, seen))


def _keep_first(op: Operation, seen: Seen) -> None:
    properties = tuple(sorted(op.properties.items(), key=lambda item: item[0]))
    key: Key = (type(op), tuple(op.operands), properties, tuple(op.result_types))
    first = seen.setdefault(key, op)
    if first is op:
        return
    for old, new in zip(op.results, first.results, strict=True):
        old.replace_all_uses_with(new)
    op.detach()
    op.erase()
