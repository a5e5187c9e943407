"""Memory of results that nobody uses any more, for the results of later calls.

The system hands out large blocks page by page, each zeroed when it is first touched: for some models that takes
longer than computing what goes there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

LEAST_BYTES = 1 << 18
"""Smaller arrays come from the C library, which keeps what it gets back."""

Raw = np.ndarray[Any, np.dtype[np.uint8]]


def _room(size: int) -> int:
    """The size of the block for so many bytes: one of eight per doubling, so that results may grow a little."""
    unit = 1 << max(size.bit_length() - 4, 12)
    return -(-size // unit) * unit


class Pool:
    """Arrays whose memory comes back when the last view of it is gone; safe to use from several threads.

    At most `spare` blocks wait for a later call: twice as many as the call that had most took at once, for a loop in
    which the results of one call are the inputs of the next.
    """

    def __init__(self) -> None:
        self._blocks: deque[Raw] = deque()
        self.spare = 0

    def expect(self, count: int) -> None:
        """A call has so many results."""
        self.spare = max(self.spare, 2 * count)

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """An array of anything, like ``np.empty``."""
        size = dtype.itemsize
        for extent in shape:
            size *= extent
        if size < LEAST_BYTES:
            return np.empty(shape, dtype)
        lease = _Lease(self, self._block(_room(size)))
        return np.asarray(lease)[:size].view(dtype).reshape(shape)

    def _block(self, size: int) -> Raw:
        """A block of that size: one that waits, else a new one."""
        for _ in range(len(self._blocks)):
            try:
                block = self._blocks.popleft()
            except IndexError:  # another thread took the last one
                break
            if block.nbytes == size:
                return block
            self._blocks.append(block)
        return np.empty(size, np.uint8)

    def take_back(self, block: Raw) -> None:
        """Keep a block for later; the one that waits longest goes where there are too many."""
        self._blocks.append(block)
        while len(self._blocks) > self.spare:
            try:
                self._blocks.popleft()
            except IndexError:
                break

    @property
    def waiting(self) -> int:
        """Blocks that nobody uses."""
        return len(self._blocks)


class _Lease:
    """A block in use: NumPy keeps this as long as there are views of its memory."""

    __slots__ = ("__array_interface__", "_block", "_pool")

    def __init__(self, pool: Pool, block: Raw) -> None:
        self._pool, self._block = pool, block
        self.__array_interface__ = block.__array_interface__

    def __del__(self) -> None:
        self._pool.take_back(self._block)
