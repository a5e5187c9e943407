"""Windows over padded operands: the padding becomes explicit, and a mean becomes a sum and its divisors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlc.dialects import hlt
from mlc.dialects.hlt import Value, element_of, is_float, numpy_dtype, shape_of
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.legal.constants import table
from mlc.lowering.graph.match import full_like
from mlc.lowering.graph.rewrite import Rules


def rules(store: WeightStore | None) -> Rules:
    """The rule; tables of divisors go to ``store``."""
    found = Rules()

    @found.on(hlt.ReduceWindowOp)
    def pad(op: hlt.ReduceWindowOp) -> Value | None:
        return explicit_padding(op, store)

    return found


def explicit_padding(op: hlt.ReduceWindowOp, store: WeightStore | None) -> Value | None:
    """The same windows over an explicit pad with the identity of the kind."""
    high = [a + b for a, b in zip(op.pads_high, op.overhang)]
    if not any(op.pads_low) and not any(high):
        return None
    padded = hlt.PadOp(op.x, low=op.pads_low, high=high, mode="constant", value=_identity(op))
    kind = "sum" if op.kind == "mean" else op.kind
    pooled = hlt.ReduceWindowOp(padded, kind=kind, window=op.window, strides=op.strides, dilations=op.dilations)
    return pooled if op.kind != "mean" else _divided(pooled, window_counts(op), store)


def _identity(op: hlt.ReduceWindowOp) -> float:
    if op.kind != "max":
        return 0.0
    element = element_of(op.x)
    return float("-inf") if is_float(element) else float(np.iinfo(numpy_dtype(element)).min)


def _divided(total: hlt.ReduceWindowOp, counts: NDArray[np.int64], store: WeightStore | None) -> Value | None:
    """Sums times the reciprocals of their counts."""
    if counts.size == 1:
        return hlt.MulOp(total, full_like(total, 1.0 / max(1, int(counts.reshape(-1)[0]))))
    moving = [i for i, extent in enumerate(counts.shape) if extent != 1]
    shares = 1.0 / np.maximum(counts, 1).reshape([counts.shape[i] for i in moving])
    factors = table(shares.astype(numpy_dtype(element_of(total))), store)
    if factors is None:
        return None
    return hlt.MulOp(total, hlt.BroadcastOp(factors, shape=shape_of(total), dims=tuple(moving)))


def window_counts(op: hlt.ReduceWindowOp) -> NDArray[np.int64]:
    """How many cells each window of a mean divides by; dims whose counts are all alike have extent 1."""
    rank = len(op.window)
    counts = np.ones((1,) * rank, np.int64)
    for axis, extent in enumerate(shape_of(op.x)):
        low, high = op.pads_low[axis], op.pads_high[axis]
        first, last = (-low, extent + high) if op.count_include_pad else (0, extent)
        starts = np.arange(shape_of(op.result)[axis]) * op.strides[axis] - low
        cells = starts[:, None] + np.arange(op.window[axis]) * op.dilations[axis]
        inside = ((cells >= first) & (cells < last)).sum(1)
        if inside.size and inside.min() == inside.max():
            inside = inside[:1]
        counts = counts * inside.reshape([-1 if i == axis else 1 for i in range(rank)])
    return counts
