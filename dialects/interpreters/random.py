"""Reference meaning of the random generator."""

from __future__ import annotations

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.hlt.random import MULTIPLIERS, ROUNDS, WEYL
from mlc.dialects.interpreters.registry import Array, reference

_WORD = 0xFFFFFFFF


@reference(hlt.RandomBitsOp, moves_data=True)
def random_bits(op: hlt.RandomBitsOp) -> Array:
    """One column of four words per counter."""
    index = np.arange(op.count, dtype=np.uint64)
    stream = np.full(op.count, op.stream & (2**64 - 1), np.uint64)
    halves = [part for word in (index, stream) for part in (word & np.uint64(_WORD), word >> np.uint64(32))]
    return philox(halves, (op.seed & _WORD, op.seed >> 32 & _WORD))


def philox(counter: list[Array], key: tuple[int, int]) -> Array:
    """``[4, n]`` words from counters of four 32-bit words ``[n]`` each (kept in uint64) and a key of two."""
    c0, c1, c2, c3 = counter
    for step in range(ROUNDS):
        k0, k1 = (np.uint64((k + step * w) & _WORD) for k, w in zip(key, WEYL))
        p0: Array = np.uint64(MULTIPLIERS[0]) * c0
        p1: Array = np.uint64(MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ k0,
            p1 & np.uint64(_WORD),
            (p0 >> np.uint64(32)) ^ c3 ^ k1,
            p0 & np.uint64(_WORD),
        )
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)
