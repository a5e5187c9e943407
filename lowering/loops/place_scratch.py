"""place_scratch: scratch buffers shrink to one tile of the shared loops.

    loop.kernel shared <"d1/4"> { %s = loop.scratch : memref<1536xf32> ... }
 -> loop.kernel shared <"d1/4"> { %s = loop.scratch : memref<4xf32> ... }

Every iteration of the shared loops uses the same small buffer; `split` leaves the shared levels out of its address.
An index expression keeps the dim's name, so the map still says which element of the whole is meant.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import MemRefType, ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from mlc.dialects.loop import ComputeOp, KernelOp, ScratchOp, buffer_type
from mlc.dialects.loop.affine import bounds, constant, substitute


def shrink(kernel: KernelOp) -> None:
    """Give every scratch buffer the extents that one tile of the shared loops needs."""
    if kernel.shared is None:
        return
    steps: dict[str, int] = {}
    for level in kernel.shared.data.levels:
        steps[level.dim] = min(level.size, steps.get(level.dim, level.size))
    for op in list(kernel.body.block.ops):
        if isinstance(op, ScratchOp) and op.table is None:
            shape = _tile_shape(op, steps)
            if shape != buffer_type(op.result).get_shape():
                Rewriter.replace_value_with_new_type(op.result, MemRefType(buffer_type(op.result).element_type, shape))


def _tile_shape(op: ScratchOp, steps: dict[str, int]) -> tuple[int, ...]:
    """Per dim of the buffer: how far its index moves within one tile, over all uses."""
    needed = [1] * buffer_type(op.result).get_num_dims()
    for use in op.result.uses:
        compute = use.operation
        if not isinstance(compute, ComputeOp) or compute.maps is None:
            return buffer_type(op.result).get_shape()
        ranges = {n: min(e, steps.get(n, e)) for n, e in compute.dims.extents.items()}
        for i, expr in enumerate(compute.maps.data[use.index].data):
            inside = substitute(expr, {n: constant(0) for n in ranges if ranges[n] == 1}, ranges)
            needed[i] = max(needed[i], bounds(inside, ranges)[1] + 1)
    return tuple(needed)


@dataclass(frozen=True)
class PlaceScratchPass(ModulePass):
    """Scratch buffers shrink to one tile of the shared loops."""

    name = "place-scratch"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            shrink(kernel)
