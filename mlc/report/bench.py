"""Timing runtimes against each other: in turns, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlc.report.peers import Array, Peer

TURN_SECONDS = 0.05
PAUSE_SECONDS = 0.005
"""Between turns: whatever still spins goes to sleep."""


@dataclass
class Timing:
    """What one runtime took: seconds of each run, turn by turn; ``error`` says why there are none."""

    name: str
    version: str = ""
    setup: float = 0.0
    turns: list[list[float]] = field(default_factory=list[list[float]])
    error: str = ""

    @property
    def seconds(self) -> list[float]:
        """All runs, sorted."""
        return sorted(second for turn in self.turns for second in turn)

    @property
    def minimum(self) -> float:
        return self.seconds[0]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def percentile(self, percent: float) -> float:
        """The time within which so many percent of the runs end."""
        return float(np.percentile(self.seconds, percent))


@dataclass(frozen=True)
class Plan:
    """How long to measure: ``iterations`` per runtime, or (0) for ``duration`` seconds each, after warming up."""

    iterations: int = 0
    warmup: float = 0.2
    duration: float = 2.0


def compare_runtimes(
    names: Sequence[str],
    model: str,
    feeds: Mapping[str, Array],
    threads: int,
    plan: Plan,
    options: Mapping[str, Any] | None = None,
) -> list[Timing]:
    """Time runtimes on one model. One that can't run it has an ``error``; the first one's error is raised.

    ``options`` are for `mlc.compile`.
    """
    from mlc.errors import UnsupportedError

    timings = [Timing(name) for name in names]
    peers: dict[str, Peer] = {}
    with tempfile.TemporaryDirectory(prefix="mlc-bench-") as folder:
        data = Path(folder) / "feeds.npz"
        arrays: dict[str, Any] = dict(feeds)
        np.savez(data, **arrays)
        try:
            for timing in timings:
                try:
                    peer = Peer.start(timing.name, model, data, threads, options or {})
                except UnsupportedError as error:
                    if timing is timings[0]:
                        raise
                    timing.error = error.message
                    continue
                peers[timing.name] = peer
                timing.version, timing.setup = peer.version, peer.setup
            _measure([(peers[t.name], t) for t in timings if t.name in peers], plan)
        finally:
            for peer in peers.values():
                peer.stop()
    return timings


def _measure(pairs: Sequence[tuple[Peer, Timing]], plan: Plan) -> None:
    """Rounds of one turn each, in an order that rotates."""
    counts = {peer.name: _warm_up(peer, plan.warmup) for peer, _ in pairs}
    spent = dict.fromkeys(counts, 0.0)
    order = list(pairs)
    while order and not all(_enough(plan, timing, spent[peer.name]) for peer, timing in pairs):
        for peer, timing in order:
            time.sleep(PAUSE_SECONDS)
            count = counts[peer.name]
            if plan.iterations:
                count = min(count, plan.iterations - sum(map(len, timing.turns)))
            if count > 0:
                timing.turns.append(peer.run(count))
                spent[peer.name] += sum(timing.turns[-1])
        order.append(order.pop(0))


def _warm_up(peer: Peer, seconds: float) -> int:
    """Run for a while; returns how many runs make a turn."""
    fastest = min(peer.run(3))
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        fastest = min([fastest, *peer.run(max(1, int(TURN_SECONDS / max(fastest, 1e-7))))])
    return max(1, min(20_000, int(TURN_SECONDS / max(fastest, 1e-7))))


def _enough(plan: Plan, timing: Timing, spent: float) -> bool:
    if plan.iterations:
        return sum(map(len, timing.turns)) >= plan.iterations
    return spent >= plan.duration and len(timing.turns) >= 3


def ratio(mine: Timing, other: Timing) -> float:
    """How many times faster ``mine`` is: the median over rounds of the ratio of the two turns' medians."""
    pairs = zip(mine.turns, other.turns)
    return statistics.median(statistics.median(theirs) / statistics.median(ours) for ours, theirs in pairs)


def rows(timings: Iterable[Timing], percentiles: Sequence[float], flops: int, peak: float) -> list[dict[str, Any]]:
    """What to report per runtime: times in milliseconds, and where ``flops`` are known GFLOP/s and share of peak."""
    listed = list(timings)
    found: list[dict[str, Any]] = []
    for timing in listed:
        row: dict[str, Any] = {"runtime": timing.name, "version": timing.version}
        if timing.error:
            found.append({**row, "error": timing.error})
            continue
        row |= {"runs": len(timing.seconds), "min_ms": timing.minimum * 1e3, "median_ms": timing.median * 1e3}
        row |= {f"p{percent:g}_ms": timing.percentile(percent) * 1e3 for percent in percentiles}
        if flops:
            gflops = flops / timing.minimum / 1e9
            row |= {"gflops": gflops, "share_of_peak": gflops / peak if peak else None}
        if timing is not listed[0]:
            row |= {"mlc_is_faster_by": ratio(listed[0], timing)}
            row |= {"mlc_is_faster_by_min": timing.minimum / listed[0].minimum}
        found.append(row)
    return found
