"""Fused groups of hlt operations to loop kernels, by operator family."""

from __future__ import annotations

from collections.abc import Sequence

from mlc.dialects import hlt
from mlc.dialects.loop import KernelOp
from mlc.lowering.kernels import (
    contraction,
    elementwise,
    index,
    normalization,
    random,
    recurrent,
    reduction,
    scan,
    shape,
    words,
)
from mlc.lowering.kernels.builder import KernelBuilder, Place, lower_operation, lowerable

FAMILIES = (contraction, elementwise, index, normalization, random, recurrent, reduction, scan, shape, words)


def lower_fusion(fusion: hlt.FusionOp, name: str, places: Sequence[Place | None] = ()) -> KernelOp:
    """The kernel of one fusion: its arguments are the fusion's operands, then its results.

    ``places`` says of each whether it lies inside a larger tensor, which then is the argument.

    Raises UnsupportedError, naming the node, for an operation without a kernel.
    """
    block = fusion.body.block
    terminator = block.last_op
    assert isinstance(terminator, hlt.YieldOp)
    builder = KernelBuilder(name, block.args, terminator.operands, fusion.result_types, places)
    for op in block.ops:
        if op is not terminator:
            lower_operation(builder, op)
    return builder.kernel()


__all__ = ["FAMILIES", "KernelBuilder", "Place", "lower_fusion", "lowerable"]
