"""Softmax spelled out: ``exp(x - max(x)) / sum(exp(x - max(x)))``."""

from __future__ import annotations

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.composites.matching import past_units, require, spread
from mlc.lowering.graph.match import producer


def softmax(op: hlt.DivOp) -> Value | None:
    """``hlt.softmax`` for an exponential divided by its own sum along one axis; the maximum may be left out."""
    exponential = producer(op.lhs, hlt.ExpOp)
    total = _reduced(op.rhs, "sum", op.lhs)
    if exponential is None or total is None:
        return None
    require(len(total) == 1, f"the sum is over axes {list(total)}")
    shifted = producer(exponential.x, hlt.SubOp)
    x = exponential.x
    if shifted is not None and _reduced(shifted.rhs, "max", shifted.lhs) == total:
        x = shifted.lhs
    return hlt.SoftmaxOp(x, axis=total[0])


def log_softmax(op: hlt.SubOp) -> Value | None:
    """``hlt.softmax`` with ``log`` for ``y - log(sum(exp(y)))``, where ``y`` may be ``x - max(x)``."""
    repeated = spread(op.rhs)
    logarithm = producer(past_units(op.rhs if repeated is None else repeated.x), hlt.LogOp)
    if logarithm is None:
        return None
    reduce = producer(past_units(logarithm.x), hlt.ReduceOp)
    exponential = reduce and producer(reduce.x, hlt.ExpOp)
    if reduce is None or exponential is None or reduce.kind != "sum" or exponential.x is not op.lhs:
        return None
    require(len(reduce.axes) == 1, f"the sum is over axes {list(reduce.axes)}")
    require(_is_rest(op.rhs, reduce), "the logarithm is repeated along another axis")
    shifted = producer(op.lhs, hlt.SubOp)
    x = op.lhs
    if shifted is not None and _reduced(shifted.rhs, "max", shifted.lhs) == reduce.axes:
        x = shifted.lhs
    return hlt.SoftmaxOp(x, axis=reduce.axes[0], log=True)


def _reduced(value: SSAValue, kind: str, of: SSAValue) -> tuple[int, ...] | None:
    """The axes of the reduction of ``of`` that ``value`` repeats along those axes."""
    repeated = spread(value)
    reduce = producer(past_units(value if repeated is None else repeated.x), hlt.ReduceOp)
    if reduce is None or reduce.kind != kind or reduce.x is not of or not _is_rest(value, reduce):
        return None
    return reduce.axes


def _is_rest(value: SSAValue, reduce: hlt.ReduceOp) -> bool:
    """Whether ``value`` repeats a result of ``reduce`` just along the axes that are gone."""
    return repeats_along(value, hlt.shape_of(reduce.x), reduce.axes)


def repeats_along(value: SSAValue, shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Whether ``value``, of ``shape``, keeps the dims other than ``axes`` of something and repeats along these."""
    if hlt.shape_of(value) != shape:
        return False
    wide = {dim for dim, extent in enumerate(shape) if extent != 1}
    repeated = spread(value)
    kept = wide if repeated is None else {*repeated.dims} & wide
    return kept == wide - {*axes}
