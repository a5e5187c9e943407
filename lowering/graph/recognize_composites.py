"""Composite operations that exporters spell out: softmax, normalisations, GELU, attention. See ``composites/``."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.lowering.graph.canonicalize import simplifications
from mlc.lowering.graph.composites.attention import attention
from mlc.lowering.graph.composites.gelu import gelu
from mlc.lowering.graph.composites.matching import explained
from mlc.lowering.graph.composites.normalization import norm_bias, norm_by_division, norm_by_product, norm_scale
from mlc.lowering.graph.composites.softmax import log_softmax, softmax
from mlc.lowering.graph.rewrite import Rules, run_rules

MATCHERS = (
    (hlt.MulOp, gelu),
    (hlt.DivOp, softmax),
    (hlt.SubOp, log_softmax),
    (hlt.DivOp, norm_by_division),
    (hlt.MulOp, norm_by_product),
    (hlt.MulOp, norm_scale),
    (hlt.AddOp, norm_bias),
    (hlt.DotGeneralOp, attention),
)
"""The last operation of each composite, and its matcher."""


@dataclass(frozen=True)
class RecognizeCompositesPass(ModulePass):
    """Put composite operations in place of what spells them out.

    Run it after ``eliminate-common``: a value computed twice looks like two. ``explain`` prints to standard error why
    a matcher that came close did not fire.
    """

    name = "recognize-composites"

    explain: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        composites = Rules()
        for cls, matcher in MATCHERS:
            composites.on(cls)(explained(matcher, explain=self.explain))
        run_rules(op, Rules(composites, simplifications(weights_of(ctx))))
