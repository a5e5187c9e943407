"""Equal operations on equal operands are one."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.lowering.graph.rewrite import functions

Key = tuple[type[Operation], tuple[SSAValue, ...], tuple[tuple[str, Attribute], ...], tuple[Attribute, ...]]


@dataclass(frozen=True)
class EliminateCommonPass(ModulePass):
    """Compute once what is computed twice. Which node it came from makes no difference."""

    name = "eliminate-common"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for block in functions(op):
            seen: dict[Key, Operation] = {}
            for member in list(block.ops):
                if isinstance(member, hlt.HltOp):
                    _keep_first(member, seen)


def _keep_first(op: Operation, seen: dict[Key, Operation]) -> None:
    properties = tuple(sorted(op.properties.items(), key=lambda item: item[0]))
    key: Key = (type(op), tuple(op.operands), properties, tuple(op.result_types))
    first = seen.setdefault(key, op)
    if first is op:
        return
    for old, new in zip(op.results, first.results, strict=True):
        old.replace_all_uses_with(new)
    op.detach()
    op.erase()
