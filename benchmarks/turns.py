"""Timing calls in turns, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def ratio(mine: Sequence[float], others: Sequence[float]) -> float:
    """How many times as fast: the median over the rounds."""
    return statistics.median(b / a for a, b in zip(mine, others))


def interleaved(calls: Sequence[Callable[[], object]], seconds: float = 2.0) -> list[list[float]]:
    """Seconds of each turn of each call, one after the other; at least three turns after one that does not count."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[-1]) < 3:
        for call, into in zip(calls, times):
            start = time.perf_counter()
            call()
            into.append(time.perf_counter() - start)
    return times
