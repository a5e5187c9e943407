"""What holds at the borders between levels, as code that runs on every compilation.

Each check raises InternalError naming the operation and the level that should have removed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlc.errors import InternalError

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.ir import Operation


def check_fused(module: ModuleOp) -> None:
    """A grouped graph: ``@main`` holds fusions, constants, views and control flow of such, nothing else."""
    from xdsl.dialects.func import FuncOp, ReturnOp

    from mlc.dialects import hlt

    views = hlt.ReshapeOp | hlt.WordsOp
    good = hlt.FusionOp | hlt.CallCOp | hlt.ConstantOp | views | hlt.ControlOp | ReturnOp | hlt.YieldOp
    for function in module.ops:
        if not isinstance(function, FuncOp):
            raise InternalError("a graph consists of functions", node=function.name)
        for block in hlt.blocks_within(function.body.block):
            for op in block.ops:
                if not isinstance(op, good):
                    raise InternalError("this operation is in no fusion", node=_named(op))


def check_kernels(module: ModuleOp) -> None:
    """A loop program: no operation on tensors is left, and every buffer has a static shape."""
    from xdsl.dialects.builtin import MemRefType

    for op in module.walk():
        if op.name.startswith("hlt."):
            raise InternalError("this operation was not lowered to a kernel", node=_named(op))
        for value in _values(op):
            if isinstance(value, MemRefType) and any(extent < 0 for extent in value.get_shape()):
                raise InternalError(f"a buffer of unknown extent: {value}", node=_named(op))


def check_scheduled(module: ModuleOp) -> None:
    """A scheduled program: kernels are loops around tiles, and tiles hold what can be emitted."""
    from mlc.dialects.loop import (
        CallCOp,
        ExtentOp,
        ForOp,
        KernelOp,
        MergeOp,
        ParallelOp,
        PrefetchOp,
        ScratchOp,
        TileOp,
        TripsOp,
        YieldOp,
    )
    from mlc.lowering.loops.expand_math import EXPANSIONS

    structure = (CallCOp, ExtentOp, TripsOp, ForOp, MergeOp, ParallelOp, PrefetchOp, ScratchOp, TileOp, YieldOp)
    for kernel in module.ops:
        if not isinstance(kernel, KernelOp):
            continue
        name = kernel.sym_name.data
        for op in kernel.walk():
            if op is kernel:
                continue
            inside = isinstance(op.parent_op(), TileOp | MergeOp)
            if not inside and not isinstance(op, structure):
                raise InternalError(f"{op.name} is left in the kernel", node=name)
            if type(op) in EXPANSIONS:
                raise InternalError(f"{op.name} was not expanded", node=name)


def _values(op: Operation) -> Iterator[object]:
    for value in op.results:
        yield value.type
    for region in op.regions:
        for block in region.blocks:
            for argument in block.args:
                yield argument.type


def _named(op: Operation) -> str:
    node = op.attributes.get("hlt.node")
    return f"{op.name} {node}" if node is not None else op.name
