"""Products: zeros beyond the extent of a dim that is summed over."""

from __future__ import annotations

from collections.abc import Sequence

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, capacities, is_bounded
from mlc.frontends.onnx.bounded.builder import BoundedBuilder, Request, bounded_axes, rule, zero_axes
from mlc.frontends.onnx.bounded.rules.reduction import window_extent
from mlc.frontends.onnx.value import Value


@rule(hlt.DotGeneralOp)
def dot_general(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    x, y = (request.operand(i) for i in (0, 1))
    batch, other_batch = request.numbers("lhs_batch"), request.numbers("rhs_batch")
    inner, other_inner = request.numbers("lhs_contract"), request.numbers("rhs_contract")
    left = [x.shape[axis] for axis in (*batch, *inner)]
    right = [y.shape[axis] for axis in (*other_batch, *other_inner)]
    if left != right:
        raise request.refused(f"dims {left} against {right}")
    result = b.static(hlt.DotGeneralOp, b.filled(x, inner, 0), b.filled(y, other_inner, 0), **request.attributes)
    rows = [*batch, *(axis for axis in range(x.rank) if axis not in (*batch, *inner))]
    columns = [axis for axis in range(y.rank) if axis not in (*other_batch, *other_inner)]
    shape = [*(x.shape[axis] for axis in rows), *(y.shape[axis] for axis in columns)]
    zero = [i for i, axis in enumerate(rows) if axis in zero_axes(x)]
    zero += [len(rows) + i for i, axis in enumerate(columns) if axis in zero_axes(y)]
    return (b.bounded(shape, result, zero),)


@rule(hlt.ConvOp)
def conv(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """What lies beyond an image is its padding."""
    x, w = (request.operand(i) for i in (0, 1))
    if bounded_axes(w) or isinstance(x.shape[1], Extent):
        raise request.refused("bounded channels or kernels")
    ready = b.filled(x, range(2, x.rank), 0)
    result = b.static(hlt.ConvOp, ready, w, **request.attributes)
    windows = zip(
        *(x.shape[2:], w.shape[2:]),
        *(request.numbers(name) for name in ("strides", "dilations", "pads_low", "pads_high")),
    )
    return (b.bounded((x.shape[0], w.shape[0], *(window_extent(*window) for window in windows)), result),)


@rule(hlt.AttentionOp)
def attention(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    """Keys beyond their number are not visible, whatever they hold; nor are, as the last key moves, later ones."""
    q, k, v = (request.operand(i) for i in range(3))
    mask, visible = (*request.operands[3:], None, None)[:2]
    queries, keys = q.shape[2], k.shape[2]
    shape = (q.shape[0], q.shape[1], queries, v.shape[3])
    causal = request.number("causal")
    if not is_bounded((queries, keys)):
        result = b.static(hlt.AttentionOp, *request.operands, **request.attributes)
        return (b.bounded(shape, result),)
    if causal:
        visible = _both(b, visible, _before(b, queries, keys))
    if isinstance(keys, Extent):
        visible = _both(b, visible, b.bounded((1, 1, 1, keys), b.inside((1, 1, 1, keys), 3)))
    scale = request.attributes["scale"]
    result = b.static(hlt.AttentionOp, q, k, b.filled(v, (2,), 0), mask, visible, scale=scale, causal=False)
    return (b.bounded(shape, result),)


def _before(b: BoundedBuilder, queries: int, keys: int) -> Value:
    """Which keys come before each query or with it, the last query being level with the last key."""
    ahead = b.sub(b.iota((1, 1, queries, keys), 3), b.iota((1, 1, queries, keys), 2))
    shift = b.broadcast_to(b.extent(keys - queries), capacities(ahead.shape))
    return b.compare("le", ahead, b.bounded(ahead.shape, shift))


def _both(b: BoundedBuilder, visible: Value | None, allowed: Value) -> Value:
    """Which keys both let a query see."""
    return allowed if visible is None else b.elementwise(hlt.AndOp, visible, allowed)
