"""Gathers and scatters: indices count from the true extent, and those beyond an extent point at element 0."""

from __future__ import annotations

from collections.abc import Sequence

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, capacity
from mlc.frontends.onnx.bounded.builder import BoundedBuilder, Request, bounded_axes, rule, storage_of, zero_axes
from mlc.frontends.onnx.value import Value


def resolved(b: BoundedBuilder, indices: Value, extent: int) -> Value:
    """Storage of indices into a dim of ``extent``, counted from the front.

    Those that are out of range are so for the storage, too; those that lie beyond the extents of ``indices`` are 0.
    """
    ready = storage_of(b.filled(indices, range(indices.rank), 0))
    if not isinstance(extent, Extent):
        return ready
    limit = b.broadcast_to(b.cast(b.extent(extent), ready.dtype), ready.shape)
    wrapped = b.select(b.compare("lt", ready, 0), b.add(ready, limit), ready)
    inside = b.elementwise(hlt.AndOp, b.compare("ge", wrapped, 0), b.compare("lt", wrapped, limit))
    if bounded_axes(indices):
        inside = b.elementwise(hlt.OrOp, inside, b.compare("eq", ready, 0))
    return b.select(inside, wrapped, capacity(extent))


@rule(hlt.GatherOp)
def gather(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x, indices, axis = request.x, request.operand(1), request.number("axis")
    result = b.static(hlt.GatherOp, x, resolved(b, indices, x.shape[axis]), axis=axis)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    moved = [i if i < axis else i + indices.rank - 1 for i in zero_axes(x) if i != axis]
    return (b.bounded(shape, result, moved),)


@rule(hlt.GatherElementsOp)
def gather_elements(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x, indices, axis = request.x, request.operand(1), request.number("axis")
    if any(i != axis and a != z for i, (a, z) in enumerate(zip(x.shape, indices.shape))):
        raise request.refused(f"indices {list(indices.shape)} into {list(x.shape)}")
    result = b.static(hlt.GatherElementsOp, x, resolved(b, indices, x.shape[axis]), axis=axis)
    return (b.bounded(indices.shape, result),)


@rule(hlt.GatherNdOp)
def gather_nd(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Dims that indices lead into are numbers; as many indices as there are may be bounded."""
    x, indices, batch = request.x, request.operand(1), request.number("batch_dims")
    width = indices.shape[-1]
    if isinstance(width, Extent) or set(bounded_axes(x)) & set(range(batch, batch + width)):
        raise request.refused("a bounded dim to index")
    if x.shape[:batch] != indices.shape[:batch]:
        raise request.refused(f"batch dims {list(x.shape[:batch])} and {list(indices.shape[:batch])}")
    result = b.static(hlt.GatherNdOp, x, b.filled(indices, range(indices.rank), 0), batch_dims=batch)
    return (b.bounded((*indices.shape[:-1], *x.shape[batch + width :]), result),)


@rule(hlt.ScatterElementsOp)
def scatter_elements(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """The number of updates is fixed."""
    x, indices, updates = (request.operand(i) for i in range(3))
    if bounded_axes(indices) or bounded_axes(updates):
        raise request.refused("a bounded number of updates")
    ready = resolved(b, indices, x.shape[request.number("axis")])
    return (b.bounded(x.shape, b.static(hlt.ScatterElementsOp, x, ready, updates, **request.attributes)),)


@rule(hlt.ScatterNdOp)
def scatter_nd(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """The number of updates is fixed, and so are the dims that indices lead into."""
    x, indices, updates = (request.operand(i) for i in range(3))
    width = indices.shape[-1]
    if bounded_axes(indices) or set(bounded_axes(x)) & set(range(width)):
        raise request.refused("a bounded number of updates, or a bounded dim to index")
    if updates.shape != (*indices.shape[:-1], *x.shape[width:]):
        raise request.refused(f"updates of shape {list(updates.shape)}")
    return (b.bounded(x.shape, b.static(hlt.ScatterNdOp, x, indices, updates, **request.attributes)),)
