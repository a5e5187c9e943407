"""Cumulative operations: every element continues from the one before it in the result."""

from __future__ import annotations

from math import prod

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr, constant, dim
from mlc.lowering.kernels.builder import KernelBuilder, Splat, ids, lowers, result_dims
from mlc.lowering.kernels.reduction import fold, identity
from mlc.lowering.narrow import is_unsigned
from mlc.lowering.scalar import Scalar, last


@lowers(hlt.ScanOp)
def lower_scan(builder: KernelBuilder, op: hlt.ScanOp) -> None:
    """The first place along the axis; then a step ``s`` per further place: ``y[s + 1] = y[s] + x[s + 1]``."""
    source, target = builder.source(op.x), builder.result(op.result)
    shape, axis = shape_of(op.x), op.axis
    if not prod(shape):
        return
    unsigned = is_unsigned(element_of(op.x))

    def index(dims: list[Dim], step: Expr) -> list[Expr]:
        """The place that ``step`` steps lead to."""
        places = ids(dims)
        places[axis] = step.times(-1).shifted(shape[axis] - 1) if op.reverse else step
        return places

    first = result_dims([1 if i == axis else n for i, n in enumerate(shape)], "u")
    start = Splat(identity(op.kind, target.element, unsigned), target.element) if op.exclusive else source
    begin = index(first, constant(0))
    builder.compute([(start, begin)], [(target, begin)], first, finish=last)
    if shape[axis] == 1:
        return
    dims = [Dim("s", n - 1, "s") if i == axis else d for i, (n, d) in enumerate(zip(shape, result_dims(shape)))]
    step = dim("s") if shape[axis] > 2 else constant(0)
    here, following = index(dims, step), index(dims, step.shifted(1))

    def finish(s: Scalar, total: SSAValue, x: SSAValue) -> SSAValue:
        return fold(s, op.kind, total, x, unsigned)

    reads = [(target, here), (source, here if op.exclusive else following)]
    builder.compute(reads, [(target, following)], dims, finish=finish)
