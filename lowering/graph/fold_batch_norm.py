"""Batch normalisation becomes part of the convolution or matrix product before it, or a product and a sum.

``(y + b - mean) / sqrt(variance + epsilon) * scale + bias`` is ``y * s + t`` with constants ``s`` and ``t`` per
channel. Where ``y`` is linear in constant weights, ``s`` goes into these. All of it is computed in float64 and
rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.dialects.hlt import Value
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.derive import Array, constant_op, derive, readable
from mlc.lowering.graph.match import full_like, producer
from mlc.lowering.graph.rewrite import Rules, run_rules

Linear = hlt.ConvOp | hlt.ConvTransposeOp | hlt.DotGeneralOp


@dataclass(frozen=True)
class FoldBatchNormPass(ModulePass):
    """Take batch normalisations apart into scaled weights and a bias."""

    name = "fold-batch-norm"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        store = weights_of(ctx)

        def fold(norm: hlt.BatchNormOp) -> Value:
            return _into_weights(norm, store) or _as_product_and_sum(norm, store)

        rules = Rules()
        rules.on(hlt.BatchNormOp)(fold)
        run_rules(op, rules)


class Source(NamedTuple):
    """What a batch normalisation normalises: a linear operation with constant weights, and a bias per channel."""

    op: Linear
    weights: hlt.ConstantOp
    bias: hlt.ConstantOp | None


def _into_weights(norm: hlt.BatchNormOp, store: WeightStore | None) -> Value | None:
    source = _source(norm.x, store)
    parameters = _parameters(norm, store)
    if source is None or parameters is None:
        return None
    spread = _channel_of(source.op)
    if spread is None:
        return None
    scale, _, _, variance = parameters

    def scaled(weights: Array, scale: Array, variance: Array) -> Array:
        factor = _factor(scale, variance, norm_epsilon)
        return (weights.astype(np.float64) * spread(factor)).astype(weights.dtype)

    norm_epsilon = norm.epsilon
    constants = (source.weights, scale, variance)
    recipe = f"batch_norm epsilon={norm_epsilon!r} {source.op.name} {sorted(source.op.properties.items())}"
    weights = derive(store, recipe, constants, hlt.tensor(source.weights.result), scaled)
    shift = _shift(norm, parameters, source.bias, store)
    if weights is None or shift is None:
        return None
    result = source.op.clone({source.weights.result: weights.result})
    return hlt.AddOp(result, hlt.BroadcastOp(shift, shape=hlt.shape_of(norm.x), dims=(1,)))


def _source(value: SSAValue, store: WeightStore | None) -> Source | None:
    """The linear operation behind ``value``, through a constant bias; each used only here."""
    if not value.has_one_use():
        return None
    bias, sum_ = None, producer(value, hlt.AddOp)
    if sum_ is not None:
        bias = _channel_constant(sum_.rhs, store)
        value = sum_.lhs
        if bias is None or not value.has_one_use():
            return None
    op = value.owner
    if not isinstance(op, hlt.ConvOp | hlt.ConvTransposeOp | hlt.DotGeneralOp):
        return None
    for operand in op.operands[::-1]:
        weights = constant_op(operand)
        if weights is not None and readable(operand, store):
            return Source(op, weights, bias)
    return None


def _channel_constant(value: SSAValue, store: WeightStore | None) -> hlt.ConstantOp | None:
    """The constant ``[C]`` that ``value: [N, C, *]`` repeats, if it is one."""
    broadcast = producer(value, hlt.BroadcastOp)
    if broadcast is None or broadcast.dims != (1,) or not readable(broadcast.x, store):
        return None
    return constant_op(broadcast.x)


def _channel_of(op: Linear) -> Callable[[Array], Array] | None:
    """A function that lays a factor per channel of the result out over the weights; None if it can't be."""
    if isinstance(op, hlt.ConvOp):
        return _along(0, len(hlt.shape_of(op.w)))
    if isinstance(op, hlt.ConvTransposeOp):
        inputs, outputs, *kernel = hlt.shape_of(op.w)
        groups = op.groups

        def spread(factor: Array) -> Array:
            rows = np.repeat(factor.reshape(groups, outputs), inputs // groups, axis=0)
            return rows.reshape(inputs, outputs, *(1 for _ in kernel))

        return spread
    return _dot_channel(op)


def _dot_channel(op: hlt.DotGeneralOp) -> Callable[[Array], Array] | None:
    """Dim 1 of a product must be a free dim of its constant operand."""
    left = op.lhs_batch + op.lhs_free
    constant_left = constant_op(op.rhs) is None
    if (len(left) > 1) != constant_left or len(op.lhs_batch) > 1:
        return None
    if constant_left:
        return _along(left[1], len(hlt.shape_of(op.lhs)))
    place = 1 - len(left)
    return _along(op.rhs_free[place], len(hlt.shape_of(op.rhs))) if place < len(op.rhs_free) else None


def _along(axis: int, rank: int) -> Callable[[Array], Array]:
    return lambda factor: factor.reshape([-1 if dim == axis else 1 for dim in range(rank)])


def _parameters(norm: hlt.BatchNormOp, store: WeightStore | None) -> list[hlt.ConstantOp] | None:
    """Scale, bias, mean and variance, if all are constants that can be read."""
    values = (norm.scale, norm.bias, norm.mean, norm.variance)
    found = [constant_op(value) for value in values if readable(value, store)]
    constants = [op for op in found if op is not None]
    return constants if len(constants) == 4 else None


def _factor(scale: Array, variance: Array, epsilon: float) -> Array:
    return scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)


def _shift(
    norm: hlt.BatchNormOp,
    parameters: Sequence[hlt.ConstantOp],
    bias: hlt.ConstantOp | None,
    store: WeightStore | None,
) -> hlt.ConstantOp | None:
    """The constant ``(own - mean) * factor + bias``, where ``own`` is the bias of what is normalised, if any."""
    epsilon = norm.epsilon

    def compute(scale: Array, shift: Array, mean: Array, variance: Array, *own: Array) -> Array:
        centre = sum((array.astype(np.float64) for array in own), -mean.astype(np.float64))
        return (centre * _factor(scale, variance, epsilon) + shift.astype(np.float64)).astype(shift.dtype)

    sources = [*parameters, *([] if bias is None else [bias])]
    return derive(store, f"batch_norm_bias epsilon={epsilon!r}", sources, hlt.tensor(norm.bias), compute)


def _as_product_and_sum(norm: hlt.BatchNormOp, store: WeightStore | None) -> Value:
    """``x * s + t``, with ``s`` and ``t`` constant if the parameters are."""
    factor, shift = _constant_terms(norm, store) or _computed_terms(norm)
    shape = hlt.shape_of(norm.x)
    product = hlt.MulOp(norm.x, hlt.BroadcastOp(factor, shape=shape, dims=(1,)))
    return hlt.AddOp(product, hlt.BroadcastOp(shift, shape=shape, dims=(1,)))


def _constant_terms(norm: hlt.BatchNormOp, store: WeightStore | None) -> tuple[Operation, Operation] | None:
    parameters = _parameters(norm, store)
    if parameters is None:
        return None
    epsilon = norm.epsilon

    def compute(scale: Array, variance: Array) -> Array:
        return _factor(scale, variance, epsilon).astype(scale.dtype)

    scale, _, _, variance = parameters
    recipe = f"batch_norm_scale epsilon={epsilon!r}"
    factor = derive(store, recipe, (scale, variance), hlt.tensor(norm.scale), compute)
    shift = _shift(norm, parameters, None, store)
    return None if factor is None or shift is None else (factor, shift)


def _computed_terms(norm: hlt.BatchNormOp) -> tuple[Operation, Operation]:
    deviation = hlt.SqrtOp(hlt.AddOp(norm.variance, full_like(norm.variance, norm.epsilon)))
    factor = hlt.DivOp(norm.scale, deviation)
    return factor, hlt.SubOp(norm.bias, hlt.MulOp(norm.mean, factor))
