"""What a range of shapes costs: one code for all lengths of a sentence, beside code for one length alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.zoo import build, inputs

LENGTHS = (1, 16, 64, 128, 256, 512)
LONGEST = 512


def dynamic(model: str = "bert_base_dynamic", threads: int = 1, seconds: float = 2.0) -> Iterator[dict[str, Any]]:
    """BERT with sentences of 1 to 512 tokens: one code for all lengths beside code for each, interleaved: 1 thread."""
    import mlc

    proto, example = build(model), inputs(model)
    whole = mlc.compile(proto, dims={"batch": 1, "seq": f"1..{LONGEST}"}, threads=threads, cache=False)
    for length in LENGTHS:
        feeds = {name: np.resize(array[:1], (1, length)) for name, array in example.items()}
        alone = mlc.compile(proto, dims={"batch": 1, "seq": length}, threads=threads, cache=False)
        mine, other = _interleaved(lambda f=feeds: whole.run(f), lambda f=feeds, n=alone: n.run(f), seconds)
        yield {
            "what": f"{model}, {length} of {LONGEST} tokens",
            "threads": threads,
            "range ms": min(mine) * 1e3,
            "alone ms": min(other) * 1e3,
            "vs alone": statistics.median(b / a for a, b in zip(mine, other)),
        }


def _interleaved(
    first: Callable[[], object], second: Callable[[], object], seconds: float
) -> tuple[list[float], list[float]]:
    """Seconds of each call of two, in turn; at least three of each after one that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    first()
    second()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[1]) < 3:
        for call, into in zip((first, second), times):
            start = time.perf_counter()
            call()
            into.append(time.perf_counter() - start)
    return times
