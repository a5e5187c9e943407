"""legalize: operations without a kernel of their own become operations that have one.

    hlt.conv <pads 1>            ->  hlt.pad, hlt.conv <pads 0>     (the pad joins the kernel that makes its operand)
    hlt.reduce_window <mean>     ->  pad, sum of the window, division by the counts
    hlt.attention                ->  dot_general, softmax, dot_general
    hlt.group_norm               ->  layer_norm over each group, scale and shift
    hlt.lrn                      ->  squares, a window over the channels, a power
    hlt.conv_transpose           ->  hlt.conv for all phases, and a shuffle (`legal.conv_transpose`)
    hlt.lstm, hlt.gru, hlt.rnn   ->  dot_general for all steps, cells of one direction (`legal.recurrent`)
    hlt.sort, hlt.top_k          ->  ranks, or a loop over the bits, and scatters (`legal.sort`)
    hlt.resize                   ->  gathers and products, dim by dim (`legal.resize`)

Every rule keeps the reference meaning; afterwards all padding is explicit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.hlt.dtypes import element_type, numpy_dtype
from mlc.lowering.graph.kinds import MATERIALIZE
from mlc.lowering.graph.legal import conv_transpose, pooling, recurrent, resize, scan, sort
from mlc.lowering.graph.match import full
from mlc.lowering.graph.rewrite import Rules, run_rules

RULES = Rules()


def splat_like(value: Value, number: float) -> hlt.ConstantOp:
    """A constant of the shape and type of ``value``."""
    return full(number, shape_of(value), numpy_dtype(element_of(value)))


def broadcast_channel(vector: Value, like: Sequence[int]) -> hlt.BroadcastOp:
    """A vector along dim 1 of a shape."""
    return hlt.BroadcastOp(vector, shape=tuple(like), dims=(1,))


@RULES.on(hlt.ConvOp)
def explicit_conv_padding(op: hlt.ConvOp) -> Value | None:
    if not any(op.pads_low) and not any(op.pads_high):
        return None
    padded = hlt.PadOp(op.x, low=(0, 0, *op.pads_low), high=(0, 0, *op.pads_high), mode="constant", value=0.0)
    return hlt.ConvOp(padded, op.w, strides=op.strides, dilations=op.dilations, groups=op.groups)


@RULES.on(hlt.AttentionOp)
def attention(op: hlt.AttentionOp) -> Value:
    """``softmax(q k^T * scale + mask) v``; a query that sees no key yields 0 as the operation says."""
    product = hlt.DotGeneralOp(op.q, op.k, lhs_batch=(0, 1), rhs_batch=(0, 1), lhs_contract=(3,), rhs_contract=(3,))
    scores: Value = hlt.MulOp(product, splat_like(product, op.scale))
    shape = shape_of(scores)
    if op.mask is not None:
        scores = hlt.AddOp(scores, _repeated(op.mask, shape))
    if op.causal:
        scores = _causal(scores, shape)
    if op.visible is not None:
        scores = hlt.SelectOp(_repeated(op.visible, shape), scores, splat_like(scores, float("-inf")))
    hides = op.mask is not None or op.visible is not None or op.causal
    weights = hlt.SoftmaxOp(scores, axis=3, safe=hides)
    return hlt.DotGeneralOp(weights, op.v, lhs_batch=(0, 1), rhs_batch=(0, 1), lhs_contract=(3,), rhs_contract=(2,))


def _repeated(mask: Value, shape: Sequence[int]) -> Value:
    """A mask whose extents are 1 where it is repeated, at ``shape``."""
    return mask if shape_of(mask) == shape else hlt.BroadcastOp(mask, shape=shape, dims=(0, 1, 2, 3))


def _causal(scores: Value, shape: Sequence[int]) -> Value:
    """Hide key ``j`` from query ``i`` when ``j > i + N - M``."""
    i64 = np.dtype(np.int64)

    query = hlt.IotaOp(shape=tuple(shape), axis=2, dtype=element_type(i64))
    key = hlt.IotaOp(shape=tuple(shape), axis=3, dtype=element_type(i64))
    limit = hlt.AddOp(query, full(shape[3] - shape[2], tuple(shape), i64))
    hidden = hlt.CompareOp(key, limit, predicate="gt")
    return hlt.SelectOp(hidden, splat_like(scores, float("-inf")), scores)


@RULES.on(hlt.DotGeneralOp)
def rows_of_the_right_operand(op: hlt.DotGeneralOp) -> Value | None:
    """A right operand computed at run time lies with its free dims innermost, so that lanes run along them."""
    rhs = op.rhs
    free = op.rhs_free
    if isinstance(rhs.owner, hlt.ConstantOp) or not free or not op.rhs_contract:
        return None
    shape = shape_of(rhs)
    order = (*op.rhs_batch, *op.rhs_contract, *free)
    rows = prod(shape_of(op.lhs)[i] for i in op.lhs_free)
    columns = prod(shape[i] for i in free)
    if order == tuple(range(len(shape))) or rows < 4 or columns < 4:
        return None
    if max(free) > max(op.rhs_contract) and sorted(order) == list(order):
        return None
    turned = hlt.TransposeOp(rhs, permutation=order)
    turned.attributes[MATERIALIZE] = UnitAttr()
    batch, contract = len(op.rhs_batch), len(op.rhs_contract)
    return hlt.DotGeneralOp(
        op.lhs,
        turned,
        lhs_batch=op.lhs_batch,
        rhs_batch=tuple(range(batch)),
        lhs_contract=op.lhs_contract,
        rhs_contract=tuple(range(batch, batch + contract)),
    )


@RULES.on(hlt.GroupNormOp)
def group_norm(op: hlt.GroupNormOp) -> Value:
    """A layer norm over the elements of each group, then scale and bias by channel."""
    shape = shape_of(op.x)
    grouped = hlt.ReshapeOp(op.x, shape=(shape[0], op.groups, prod(shape[1:]) // op.groups))
    normal = hlt.ReshapeOp(hlt.LayerNormOp(grouped, axis=2, epsilon=op.epsilon), shape=shape)
    scaled = hlt.MulOp(normal, broadcast_channel(op.scale, shape))
    return hlt.AddOp(scaled, broadcast_channel(op.bias, shape))


@RULES.on(hlt.LrnOp)
def lrn(op: hlt.LrnOp) -> Value:
    """``x / (bias + alpha / size * sum of squares over neighbouring channels) ** beta``."""
    rank = len(shape_of(op.x))
    low = (op.size - 1) // 2

    def along_channels(n: int, other: int = 0) -> tuple[int, ...]:
        return tuple(n if i == 1 else other for i in range(rank))

    squares = hlt.MulOp(op.x, op.x)
    sums = hlt.ReduceWindowOp(
        squares,
        kind="sum",
        window=along_channels(op.size, 1),
        pads_low=along_channels(low),
        pads_high=along_channels(op.size - 1 - low),
    )
    scaled = hlt.MulOp(sums, splat_like(sums, op.alpha / op.size))
    base = hlt.AddOp(scaled, splat_like(sums, op.bias))
    power = hlt.PowOp(base, splat_like(base, -op.beta))
    return hlt.MulOp(op.x, power)


@dataclass(frozen=True)
class LegalizePass(ModulePass):
    """Operations without a kernel of their own become operations that have one."""

    name = "legalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        store = weights_of(ctx)
        parts = (
            conv_transpose.rules(store),
            pooling.rules(store),
            recurrent.RULES,
            resize.rules(store),
            scan.RULES,
            sort.RULES,
        )
        run_rules(op, Rules(RULES, *parts))
