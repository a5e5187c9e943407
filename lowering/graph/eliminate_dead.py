"""Operations whose results nothing uses."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mlc.lowering.graph.rewrite import Rules, run_rules


@dataclass(frozen=True)
class EliminateDeadPass(ModulePass):
    """Erase what is not used; every operation of hlt is pure."""

    name = "eliminate-dead"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        run_rules(op, Rules())
