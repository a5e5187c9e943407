"""Local simplifications, until none applies. The rules are in ``rules/``."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mlc.dialects.context import weights_of
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.rewrite import Rules, run_rules
from mlc.lowering.graph.rules import arithmetic, contraction, index, movement, reduction


@dataclass(frozen=True)
class CanonicalizePass(ModulePass):
    """Operations that do nothing, or that one simpler operation can do."""

    name = "canonicalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        run_rules(op, simplifications(weights_of(ctx)))


def simplifications(store: WeightStore | None) -> Rules:
    """All simplifying rules; those on indices may read weights from ``store``."""
    return Rules(movement.RULES, arithmetic.RULES, reduction.RULES, contraction.RULES, index.rules(store))
