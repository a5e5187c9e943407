"""Scaled dot-product attention spelled out: ``softmax(q k^T * scale + mask) v``, batched over heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.composites.matching import either_order, number, require, spread
from mlc.lowering.graph.match import is_splat, producer

_PASSABLE = (hlt.ReshapeOp, hlt.TransposeOp)


class Scaled(NamedTuple):
    """``factor * x``."""

    factor: float
    x: Value


class Masked(NamedTuple):
    """Scores before the mask, and the mask."""

    scores: SSAValue
    mask: Value | None


def attention(op: hlt.DotGeneralOp) -> Value | None:
    """``hlt.attention`` for the product of a softmax over keys with values, with up to two batch dims.

    Where every score of a query is -inf, ``hlt.attention`` yields 0, and the spelled-out form NaN unless it guards
    against that with ``where(isnan(p), 0, p)``; the guard goes.
    """
    weights = _unguarded(op.lhs)
    softmax = producer(weights, hlt.SoftmaxOp)
    if softmax is None:
        return None
    rank = len(hlt.shape_of(weights))
    batch = tuple(range(rank - 2))
    require(not softmax.log and softmax.axis == rank - 1, "the softmax is not over the last axis")
    require(rank <= 4, f"there are {rank - 2} batch dims")
    require(op.lhs_batch == batch and op.lhs_contract == (rank - 1,), "the product is not over the keys")
    require(op.lhs.has_one_use() and _only_for(weights, op.lhs), "the weights are used elsewhere")
    masked = _unmasked(softmax.x)
    scaled = _unscaled(masked.scores)
    product = producer(SSAValue.get(scaled.x), hlt.DotGeneralOp)
    require(product is not None, "the scores are no product")
    assert product is not None, "just required"
    require(len(product.lhs_batch) == len(batch), "the scores have another number of batch dims")
    require(len(product.lhs_contract) == 1, "queries and keys have several common dims")
    require(len(product.lhs_free) == len(product.rhs_free) == 1, "queries or keys have several dims")
    require(len(op.rhs_free) == 1, "values have several dims")
    q, k = _unscaled(product.lhs), _unscaled(product.rhs)
    result = hlt.AttentionOp(
        _laid_out(q.x, (*product.lhs_batch, *product.lhs_free, *product.lhs_contract)),
        _laid_out(k.x, (*product.rhs_batch, *product.rhs_free, *product.rhs_contract)),
        _laid_out(op.rhs, (*op.rhs_batch, *op.rhs_contract, *op.rhs_free)),
        masked.mask and _four(masked.mask),
        scale=scaled.factor * q.factor * k.factor,
    )
    return hlt.ReshapeOp(result, shape=hlt.shape_of(op.result))


def _unguarded(value: SSAValue) -> SSAValue:
    """``p`` of ``where(isnan(p), 0, p)``."""
    select = producer(value, hlt.SelectOp)
    if select is None or not is_splat(select.on_true, 0.0):
        return value
    check = producer(select.cond, hlt.IsNanOp)
    return select.on_false if check is not None and check.x is select.on_false else value


def _only_for(inner: SSAValue, outer: SSAValue) -> bool:
    """Whether ``inner`` is used by nothing but what makes ``outer`` of it."""
    if inner is outer:
        return inner.has_one_use()
    guard = outer.owner
    assert isinstance(guard, hlt.SelectOp), "a guard was taken off"
    return all(use.operation in (guard, guard.cond.owner) for use in inner.uses)


def _unmasked(value: SSAValue) -> Masked:
    """Scores and mask of a sum; what leads to a product are the scores."""
    add = producer(value, hlt.AddOp)
    if add is None:
        return Masked(value, None)
    for scores, mask in either_order(add):
        if isinstance(SSAValue.get(_unscaled(scores).x).owner, hlt.DotGeneralOp):
            require(value.has_one_use(), "the scores are used elsewhere")
            return Masked(scores, None if is_splat(mask, 0.0) or is_splat(mask, -0.0) else _mask(mask))
    return Masked(value, None)


def _mask(value: SSAValue) -> Value:
    """The mask with extents of 1 where it is repeated."""
    repeated = spread(value)
    if repeated is None:
        return value
    extents = dict(zip(repeated.dims, hlt.shape_of(repeated.x)))
    rank = len(hlt.shape_of(value))
    return hlt.ReshapeOp(repeated.x, shape=[extents.get(dim, 1) for dim in range(rank)])


def _unscaled(value: SSAValue) -> Scaled:
    """A constant factor taken off ``value``, also where it stands before reshapes and transposes."""
    op = value.owner
    if isinstance(op, _PASSABLE):
        inner = _unscaled(op.x)
        if inner.x is op.x:
            return Scaled(1.0, value)
        return Scaled(inner.factor, _again(op, inner.x))
    if isinstance(op, hlt.MulOp | hlt.DivOp):
        factor = number(op.rhs)
        if factor and math.isfinite(factor):
            inner = _unscaled(op.lhs)
            return Scaled(inner.factor * (factor if isinstance(op, hlt.MulOp) else 1 / factor), inner.x)
    return Scaled(1.0, value)


def _again(op: Operation, x: Value) -> Value:
    return type(op).create(operands=[SSAValue.get(x)], result_types=op.result_types, properties=dict(op.properties))


def _laid_out(value: Value, order: Sequence[int]) -> Value:
    """``value`` with its dims in ``order``, at rank 4."""
    return _four(hlt.TransposeOp(value, permutation=order))


def _four(value: Value) -> Value:
    shape = hlt.shape_of(value)
    return hlt.ReshapeOp(value, shape=(*(1,) * (4 - len(shape)), *shape))
