"""Scaled dot-product attention spelled out, batched over heads: ``softmax(q k^T * scale + mask) v``.

Keys may be hidden by selections of -inf; code for a range of lengths hides those beyond the extent so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
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


class Condition(NamedTuple):
    """Booleans that are ``shown`` where a key counts."""

    value: SSAValue
    shown: bool


class Scores(NamedTuple):
    """``product * factor``, plus all ``terms``, or -inf where one of ``conditions`` hides the key."""

    product: hlt.DotGeneralOp
    factor: float = 1.0
    terms: tuple[SSAValue, ...] = ()
    conditions: tuple[Condition, ...] = ()


def attention(op: hlt.DotGeneralOp) -> Value | None:
    """``hlt.attention`` for the product of a softmax over keys with values, with up to two batch dims.

    Scores may have terms added to them, and keys be hidden by ``where(visible, scores, -inf)``. Where every score of a
    query is -inf, ``hlt.attention`` yields 0, and the spelled-out form NaN unless it guards against that with
    ``where(isnan(p), 0, p)``; the guard goes.
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
    scores = _scores(softmax.x)
    require(scores is not None, "the scores are no product")
    assert scores is not None, "just required"
    product = scores.product
    require(len(product.lhs_batch) == len(batch), "the scores have another number of batch dims")
    require(len(product.lhs_contract) == 1, "queries and keys have several common dims")
    require(len(product.lhs_free) == len(product.rhs_free) == 1, "queries or keys have several dims")
    require(len(op.rhs_free) == 1, "values have several dims")
    q, k = _unscaled(product.lhs), _unscaled(product.rhs)
    result = hlt.AttentionOp(
        _laid_out(q.x, (*product.lhs_batch, *product.lhs_free, *product.lhs_contract)),
        _laid_out(k.x, (*product.rhs_batch, *product.rhs_free, *product.rhs_contract)),
        _laid_out(op.rhs, (*op.rhs_batch, *op.rhs_contract, *op.rhs_free)),
        _joined(hlt.AddOp, [_mask(term) for term in scores.terms if not _is_zero(term)]),
        _joined(hlt.AndOp, [_shown(condition) for condition in scores.conditions]),
        scale=scores.factor * q.factor * k.factor,
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


def _scores(value: SSAValue) -> Scores | None:
    """What leads from a product to ``value``: a factor next to it, then terms and selections of -inf."""
    op = value.owner
    if isinstance(op, hlt.DotGeneralOp):
        return Scores(op)
    if isinstance(op, hlt.MulOp | hlt.DivOp):
        factor, inner = _factor(op), _scores(op.lhs)
        plain = inner is not None and not inner.terms and not inner.conditions
        return inner._replace(factor=inner.factor * factor) if factor and inner and plain else None
    if isinstance(op, hlt.AddOp):
        for lhs, term in either_order(op):
            if inner := _scores(lhs):
                require(value.has_one_use(), "the scores are used elsewhere")
                return inner._replace(terms=(*inner.terms, term))
    if isinstance(op, hlt.SelectOp):
        for kept, other, shown in ((op.on_true, op.on_false, True), (op.on_false, op.on_true, False)):
            if is_splat(other, -math.inf) and (inner := _scores(kept)):
                require(value.has_one_use(), "the scores are used elsewhere")
                return inner._replace(conditions=(*inner.conditions, Condition(op.cond, shown)))
    return None


def _is_zero(value: SSAValue) -> bool:
    return is_splat(value, 0.0) or is_splat(value, -0.0)


def _shown(condition: Condition) -> Value:
    value = _mask(condition.value)
    return value if condition.shown else hlt.NotOp(value)


def _mask(value: SSAValue) -> Value:
    """The mask at rank 4, with extents of 1 where it is repeated."""
    repeated = spread(value)
    if repeated is None:
        return _four(value)
    extents = dict(zip(repeated.dims, hlt.shape_of(repeated.x)))
    rank = len(hlt.shape_of(value))
    return _four(hlt.ReshapeOp(repeated.x, shape=[extents.get(dim, 1) for dim in range(rank)]))


def _joined(make: type[hlt.BinaryOp], masks: Sequence[Value]) -> Value | None:
    """One mask of all, repeated no more than they are together."""
    if not masks:
        return None
    shape = np.broadcast_shapes(*map(hlt.shape_of, masks))
    wide = [m if hlt.shape_of(m) == shape else hlt.BroadcastOp(m, shape=shape, dims=range(4)) for m in masks]
    return functools.reduce(make, wide)


def _unscaled(value: SSAValue) -> Scaled:
    """A constant factor taken off ``value``, also where it stands before reshapes and transposes."""
    op = value.owner
    if isinstance(op, _PASSABLE):
        inner = _unscaled(op.x)
        if inner.x is op.x:
            return Scaled(1.0, value)
        return Scaled(inner.factor, _again(op, inner.x))
    if isinstance(op, hlt.MulOp | hlt.DivOp) and (factor := _factor(op)):
        inner = _unscaled(op.lhs)
        return Scaled(inner.factor * factor, inner.x)
    return Scaled(1.0, value)


def _factor(op: hlt.MulOp | hlt.DivOp) -> float | None:
    """The number that ``op`` multiplies its first operand by, neither zero nor infinite."""
    factor = number(op.rhs)
    if not factor or not math.isfinite(factor):
        return None
    return factor if isinstance(op, hlt.MulOp) else 1 / factor


def _again(op: Operation, x: Value) -> Value:
    return type(op).create(operands=[SSAValue.get(x)], result_types=op.result_types, properties=dict(op.properties))


def _laid_out(value: Value, order: Sequence[int]) -> Value:
    """``value`` with its dims in ``order``, at rank 4."""
    return _four(hlt.TransposeOp(value, permutation=order))


def _four(value: Value) -> Value:
    shape = hlt.shape_of(value)
    return hlt.ReshapeOp(value, shape=(*(1,) * (4 - len(shape)), *shape))
