"""The score on ONNX's own backend suite: how many cases pass, and how many of these without a call to the host.

python -m benchmarks.onnx_suite                          # compiled for this machine
python -m benchmarks.onnx_suite --every -o docs/FILE.md  # also for AVX2, and ahead of time
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import onnx

from mlc.testing.onnx_suite import Configuration, Outcome, run_case, suite
from mlc.version import mlc_version

CONFIGURATIONS = {
    "native": Configuration(),
    "AVX2": Configuration("x86-64-v3"),
    "native, ahead of time": Configuration(ahead_of_time=True),
    "AVX2, ahead of time": Configuration("x86-64-v3", ahead_of_time=True),
}


CHUNK = 8
"""Cases handed to a process at a time."""


@dataclass(frozen=True)
class Score:
    """What became of the cases in one configuration, and the seconds that it took."""

    outcomes: Sequence[Outcome]
    seconds: float

    @property
    def failures(self) -> dict[str, str]:
        """Name and reason."""
        return {o.name: o.error for o in self.outcomes if o.error is not None}


def run_suite(configuration: Configuration, jobs: int) -> Score:
    """All cases, in as many processes; ahead of time, those whose shapes are known without inputs."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        run = partial(_run_named, configuration=configuration, folder=Path(folder))
        outcomes = list(pool.map(run, suite(), chunksize=CHUNK))
    taken = [o for o in outcomes if o.static] if configuration.ahead_of_time else outcomes
    return Score(taken, time.perf_counter() - start)


def _run_named(name: str, configuration: Configuration, folder: Path) -> Outcome:
    home = folder / name
    home.mkdir()
    return run_case(suite()[name], configuration, home)


def report(results: dict[str, Score]) -> str:
    """A page of Markdown: failures in full for the first configuration, then what other ones fail besides."""
    first = next(iter(results.values()))
    lines = [
        "# ONNX's backend suite",
        "",
        f"onnx {onnx.__version__}, mlc {mlc_version()}, {datetime.date.today().isoformat()}; "
        "made by `python -m benchmarks.onnx_suite`. Ahead of time, only models take part that have one code.",
        "",
        "| configuration | cases | pass | share | without host calls | seconds |",
        "|---|---|---|---|---|---|",
        *(_row(name, score) for name, score in results.items()),
        "",
        *_listing("Failures", first.failures),
    ]
    for name, score in results.items():
        more = {case: reason for case, reason in score.failures.items() if case not in first.failures}
        if score is not first:
            lines += _listing(f"Further failures, {name}", more)
    lines += _listing(
        "Passes with host calls", {o.name: ", ".join(o.host_calls) for o in first.outcomes if o.host_calls}
    )
    return "\n".join(lines)


def _row(name: str, score: Score) -> str:
    passed = [o for o in score.outcomes if o.error is None]
    compiled = sum(not o.host_calls for o in passed) / len(passed)
    count = len(score.outcomes)
    return f"| {name} | {count} | {len(passed)} | {len(passed) / count:.1%} | {compiled:.1%} | {score.seconds:.0f} |"


def _listing(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    yield f"## {title}: {len(entries)}"
    yield ""
    for name, text in entries.items():
        words = " ".join(text.replace("|", " ").replace("<", " ").split())
        yield f"- `{name}`: {words[:160]}"
    if entries:
        yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", action="store_true", help="run every configuration, not the native one alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per processor)")
    parser.add_argument("-o", "--output", type=Path, help="write the report to this file")
    args = parser.parse_args()
    chosen = CONFIGURATIONS if args.every else {"native": CONFIGURATIONS["native"]}
    text = report({name: run_suite(configuration, args.jobs) for name, configuration in chosen.items()})
    if args.output:
        args.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
