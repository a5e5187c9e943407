"""Gathers and scatters: computes whose operands are addressed by subscripts, values that are checked at run time."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr, constant, subscript
from mlc.errors import ModelError
from mlc.lowering.kernels.builder import Buffer, KernelBuilder, Source, ids, lowers, result_dims
from mlc.lowering.kernels.reduction import fold
from mlc.lowering.narrow import is_unsigned
from mlc.lowering.scalar import Scalar, last

REDUCTIONS = {"add": "sum", "mul": "prod", "max": "max", "min": "min"}
"""The kind of fold by a scatter's reduction."""


def check_extents(op: hlt.HltOp, extents: Sequence[int], shape: Sequence[int]) -> None:
    """Raises ModelError where there are indices, of ``shape``, but no element that one could name."""
    if prod(shape) and 0 in extents:
        raise ModelError("[index_range] an index into 0 elements", node=hlt.node_name(op))


def read(
    builder: KernelBuilder,
    source: Buffer,
    index: Sequence[Expr],
    subscripts: Sequence[tuple[Buffer, Sequence[Expr]]],
    result: SSAValue,
) -> None:
    """``result[d0, d1, ..] = source[index]``."""
    target = builder.result(result)
    dims = result_dims(target.shape)
    builder.compute([(source, index)], [(target, ids(dims))], dims, subscripts=subscripts, finish=last)


@lowers(hlt.GatherOp)
def lower_gather(builder: KernelBuilder, op: hlt.GatherOp) -> None:
    """Result dims: those of ``x`` before ``axis``, those of the indices, the rest of ``x``."""
    source, indices = builder.buffer(op.x), builder.buffer(op.indices)
    extent = source.shape[op.axis]
    shape = shape_of(op.result)
    check_extents(op, [extent], shape)
    places = ids(result_dims(shape))
    after = op.axis + len(indices.shape)
    index = [*places[: op.axis], subscript(0, extent), *places[after:]]
    read(builder, source, index, [(indices, places[op.axis : after])], op.result)


@lowers(hlt.GatherElementsOp)
def lower_gather_elements(builder: KernelBuilder, op: hlt.GatherElementsOp) -> None:
    source, indices = builder.buffer(op.x), builder.buffer(op.indices)
    extent = source.shape[op.axis]
    shape = shape_of(op.result)
    check_extents(op, [extent], shape)
    places = ids(result_dims(shape))
    index = list(places)
    index[op.axis] = subscript(0, extent)
    read(builder, source, index, [(indices, places)], op.result)


@lowers(hlt.GatherNdOp)
def lower_gather_nd(builder: KernelBuilder, op: hlt.GatherNdOp) -> None:
    """One subscript per coordinate: component ``i`` of the last dim of the indices."""
    source, indices = builder.buffer(op.x), builder.buffer(op.indices)
    depth, batch = indices.shape[-1], op.batch_dims
    extents = source.shape[batch : batch + depth]
    shape = shape_of(op.result)
    check_extents(op, extents, shape)
    places = ids(result_dims(shape))
    lead = len(indices.shape) - 1
    coordinates = [subscript(i, extent) for i, extent in enumerate(extents)]
    index = [*places[:batch], *coordinates, *places[lead:]]
    subscripts = [(indices, [*places[:lead], constant(i)]) for i in range(depth)]
    read(builder, source, index, subscripts, op.result)


@lowers(hlt.ScatterElementsOp)
def lower_scatter_elements(builder: KernelBuilder, op: hlt.ScatterElementsOp) -> None:
    """A copy of ``x``; then the updates, in order along ``axis``, where several may meet in one place."""
    indices = builder.buffer(op.indices)
    extent = shape_of(op.x)[op.axis]
    target = _copy(builder, op)
    check_extents(op, [extent], indices.shape)
    dims = [Dim(f"u{i}", n, "s" if i == op.axis else "p") for i, n in enumerate(indices.shape)]
    places = ids(dims)
    index = list(places)
    index[op.axis] = subscript(0, extent)
    _update(builder, op, target, index, places, dims, [(indices, places)])


@lowers(hlt.ScatterNdOp)
def lower_scatter_nd(builder: KernelBuilder, op: hlt.ScatterNdOp) -> None:
    """A copy of ``x``; then the updates slice by slice, in order."""
    indices = builder.buffer(op.indices)
    lead, depth = len(indices.shape) - 1, indices.shape[-1]
    extents = shape_of(op.x)[:depth]
    target = _copy(builder, op)
    shape = shape_of(op.updates)
    check_extents(op, extents, shape)
    dims = [Dim(f"u{i}", n, "s" if i < lead else "p") for i, n in enumerate(shape)]
    places = ids(dims)
    index = [*(subscript(i, extent) for i, extent in enumerate(extents)), *places[lead:]]
    subscripts = [(indices, [*places[:lead], constant(i)]) for i in range(depth)]
    _update(builder, op, target, index, places, dims, subscripts)


@lowers(hlt.UpdateSliceOp)
def lower_update_slice(builder: KernelBuilder, op: hlt.UpdateSliceOp) -> None:
    """A copy of ``x``; then the update."""
    _copy(builder, op)
    update_slice(builder, op)


def update_slice(builder: KernelBuilder, op: hlt.UpdateSliceOp) -> None:
    """The update of a result that is a copy of ``x`` already."""
    target, update, start = builder.result(op.result), builder.source(op.update), builder.buffer(op.start)
    dims = result_dims(shape_of(op.update))
    index = ids(dims)
    index[op.axis] = index[op.axis].plus(subscript(0, op.places))
    builder.compute([(update, ids(dims))], [(target, index)], dims, subscripts=[(start, ())], finish=last)


def _copy(builder: KernelBuilder, op: hlt.ScatterElementsOp | hlt.ScatterNdOp | hlt.UpdateSliceOp) -> Buffer:
    source: Source = builder.source(op.x)
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    builder.compute([(source, ids(dims))], [(target, ids(dims))], dims, finish=last)
    return target


def _update(
    builder: KernelBuilder,
    op: hlt.ScatterElementsOp | hlt.ScatterNdOp,
    target: Buffer,
    index: Sequence[Expr],
    places: Sequence[Expr],
    dims: Sequence[Dim],
    subscripts: Sequence[tuple[Buffer, Sequence[Expr]]],
) -> None:
    updates = (builder.source(op.updates), places)
    if op.reduction == "none":
        builder.compute([updates], [(target, index)], dims, subscripts=subscripts, finish=last)
        return
    kind, unsigned = REDUCTIONS[op.reduction], is_unsigned(element_of(op.x))

    def finish(s: Scalar, old: SSAValue, update: SSAValue) -> SSAValue:
        return fold(s, kind, old, update, unsigned)

    builder.compute([(target, index), updates], [(target, index)], dims, subscripts=subscripts, finish=finish)
