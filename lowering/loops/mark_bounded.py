"""mark_bounded: which dims of computes will end at run-time extents, so that `collapse` keeps them apart.

    dims <"d1=12 d2=512 d3=512:r">  ->  ... {bounded = ["d2", "d3"]}

A note that only helps: `limit-trips` decides, once there are schedules.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.passes import ModulePass

from mlc.dialects.context import weights_of
from mlc.dialects.loop import ComputeOp
from mlc.lowering.loops.demand import demand_of

BOUNDED = "bounded"
"""Attribute of a compute: the dims that will end at run-time extents."""


def bounded_dims(op: ComputeOp) -> set[str]:
    """The dims that the pass noted on a compute."""
    found = op.attributes.get(BOUNDED)
    return {n.data for n in found if isinstance(n, StringAttr)} if isinstance(found, ArrayAttr) else set()


@dataclass(frozen=True)
class MarkBoundedPass(ModulePass):
    """Note on computes which dims will end at run-time extents."""

    name = "mark-bounded"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        demand = demand_of(op, weights_of(ctx))
        if demand is None:
            return
        for call, found in demand.ends.items():
            for compute, ends in zip(demand.kernels[call.kernel].computes(), found, strict=True):
                names = sorted(bounded_dims(compute) | ends.keys())
                if names:
                    compute.attributes[BOUNDED] = ArrayAttr([StringAttr(name) for name in names])
