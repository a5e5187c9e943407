"""Matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.match import producer
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()


@RULES.on(hlt.ConvOp)
def conv_of_pad(op: hlt.ConvOp) -> Value | None:
    """A spatial border of zeros is the convolution's own padding."""
    pad = producer(op.x, hlt.PadOp)
    if pad is None or pad.mode != "constant" or pad.value != 0.0:
        return None
    if any((*pad.low[:2], *pad.high[:2])):
        return None
    return hlt.ConvOp(
        pad.x,
        op.w,
        strides=op.strides,
        pads_low=[a + b for a, b in zip(op.pads_low, pad.low[2:])],
        pads_high=[a + b for a, b in zip(op.pads_high, pad.high[2:])],
        dilations=op.dilations,
        groups=op.groups,
    )


@RULES.on(hlt.ConvOp)
def conv_of_one_pixel(op: hlt.ConvOp) -> Value | None:
    """A 1x1 kernel on a 1x1 image is a matrix product."""
    x, w, result = hlt.shape_of(op.x), hlt.shape_of(op.w), hlt.shape_of(op.result)
    if op.groups != 1 or any(extent != 1 for extent in (*x[2:], *w[2:], *result[2:])):
        return None
    if any((*op.pads_low, *op.pads_high)):
        return None
    product = hlt.DotGeneralOp(
        hlt.ReshapeOp(op.x, shape=x[:2]), hlt.ReshapeOp(op.w, shape=w[:2]), lhs_contract=(1,), rhs_contract=(1,)
    )
    return hlt.ReshapeOp(product, shape=result)


@RULES.on(hlt.DotGeneralOp)
def dot_of_transposes(op: hlt.DotGeneralOp) -> Value | None:
    """The dims of an operand are renamed, unless the order of its free dims would change."""
    lhs = _untransposed(op.lhs, op.lhs_batch, op.lhs_contract, op.lhs_free)
    rhs = _untransposed(op.rhs, op.rhs_batch, op.rhs_contract, op.rhs_free)
    if lhs is None and rhs is None:
        return None
    left = lhs or (op.lhs, op.lhs_batch, op.lhs_contract)
    right = rhs or (op.rhs, op.rhs_batch, op.rhs_contract)
    return _dot(left, right)


Side = tuple[SSAValue, Sequence[int], Sequence[int]]
"""One operand of a product, its batch dims and its contracted dims."""


def _dot(left: Side, right: Side) -> hlt.DotGeneralOp:
    return hlt.DotGeneralOp(
        left[0],
        right[0],
        lhs_batch=left[1],
        rhs_batch=right[1],
        lhs_contract=left[2],
        rhs_contract=right[2],
    )


def _untransposed(
    value: SSAValue, batch: tuple[int, ...], contract: tuple[int, ...], free: tuple[int, ...]
) -> Side | None:
    transpose = producer(value, hlt.TransposeOp)
    if transpose is None:
        return None
    order = transpose.permutation
    places = [order[dim] for dim in free]
    if places != sorted(places):
        return None
    return transpose.x, [order[dim] for dim in batch], [order[dim] for dim in contract]


@RULES.on(hlt.DotGeneralOp)
def dot_of_units(op: hlt.DotGeneralOp) -> Value | None:
    """Batch dims that are all of extent 1 batch nothing."""
    lhs, rhs = hlt.shape_of(op.lhs), hlt.shape_of(op.rhs)
    if not op.lhs_batch or any(lhs[dim] != 1 for dim in op.lhs_batch):
        return None
    product = _dot(
        _without(op.lhs, lhs, op.lhs_batch, op.lhs_contract), _without(op.rhs, rhs, op.rhs_batch, op.rhs_contract)
    )
    return hlt.ReshapeOp(product, shape=hlt.shape_of(op.result))


def _without(value: SSAValue, shape: tuple[int, ...], batch: tuple[int, ...], contract: tuple[int, ...]) -> Side:
    kept = [dim for dim in range(len(shape)) if dim not in batch]
    return (
        SSAValue.get(hlt.ReshapeOp(value, shape=[shape[dim] for dim in kept])),
        (),
        [kept.index(dim) for dim in contract],
    )
