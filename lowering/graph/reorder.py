"""Movement goes down past what computes, and vanishes where it meets its inverse. See ``rules/sinking``."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mlc.dialects.context import weights_of
from mlc.lowering.graph.canonicalize import simplifications
from mlc.lowering.graph.rewrite import Rules, run_rules
from mlc.lowering.graph.rules import sinking


@dataclass(frozen=True)
class ReorderPass(ModulePass):
    """Sink reshapes, transposes and broadcasts, simplifying on the way."""

    name = "reorder"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        run_rules(op, Rules(simplifications(weights_of(ctx)), sinking.RULES))
