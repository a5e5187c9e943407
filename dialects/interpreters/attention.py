"""Reference meaning of attention."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.registry import Array, reference


@reference(hlt.AttentionOp)
def attention(
    op: hlt.AttentionOp, q: Array, k: Array, v: Array, *, mask: Array | None = None, visible: Array | None = None
) -> Array:
    """All scores at once, shifted by each query's maximum."""
    scores = np.matmul(q, k.swapaxes(2, 3)) * op.scale
    scores = scores if mask is None else scores + mask
    if op.causal:
        queries, keys = scores.shape[2:]
        last_seen = np.arange(keys - queries, keys, dtype=np.int64).reshape(-1, 1)
        hidden: Array = np.arange(keys, dtype=np.int64) > last_seen
        scores = np.where(hidden, -np.inf, scores)
    scores = scores if visible is None else np.where(visible, scores, -np.inf)
    highest = scores.max(axis=3, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(highest == -np.inf, 0.0, highest))
    total = weights.sum(axis=3, keepdims=True)
    return np.matmul(weights / np.where(total == 0.0, 1.0, total), v)
