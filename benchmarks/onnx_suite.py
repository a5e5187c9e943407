"""The score on ONNX's own backend suite: how many cases pass, and how many of these without a call to the host.

python -m benchmarks.onnx_suite                          # compiled for this machine
python -m benchmarks.onnx_suite --every -o docs/FILE.md  # also for AVX2, and ahead of time
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Iterator, Sequence
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


def run_suite(configuration: Configuration) -> list[Outcome]:
    """The outcomes of all cases; ahead of time, of those whose shapes are known without inputs."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = [run_case(case, configuration, Path(folder)) for case in suite().values()]
    return [o for o in outcomes if o.static] if configuration.ahead_of_time else outcomes


def report(results: dict[str, list[Outcome]]) -> str:
    """A page of Markdown."""
    first = next(iter(results.values()))
    lines = [
        "# ONNX's backend suite",
        "",
        f"onnx {onnx.__version__}, mlc {mlc_version()}, {datetime.date.today().isoformat()}; "
        "made by `python -m benchmarks.onnx_suite`. Ahead of time, only models take part that have one code.",
        "",
        "| configuration | cases | pass | share | without host calls | seconds |",
        "|---|---|---|---|---|---|",
        *(_row(name, outcomes) for name, outcomes in results.items()),
        "",
        *_listing("Failures", ((o.name, o.error or "") for o in first if o.error)),
        *_listing("Passes with host calls", ((o.name, ", ".join(o.host_calls)) for o in first if o.host_calls)),
    ]
    return "\n".join(lines)


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    passed = [o for o in outcomes if o.error is None]
    compiled = sum(not o.host_calls for o in passed)
    seconds = sum(o.seconds for o in outcomes)
    share = len(passed) / len(outcomes)
    return f"| {name} | {len(outcomes)} | {len(passed)} | {share:.1%} | {compiled / len(passed):.1%} | {seconds:.0f} |"


def _listing(title: str, entries: Iterator[tuple[str, str]]) -> Iterator[str]:
    found = list(entries)
    yield f"## {title}: {len(found)}"
    yield ""
    for name, text in found:
        words = " ".join(text.replace("|", " ").replace("<", " ").split())
        yield f"- `{name}`: {words[:160]}"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", action="store_true", help="run every configuration, not the native one alone")
    parser.add_argument("-o", "--output", type=Path, help="write the report to this file")
    args = parser.parse_args()
    chosen = CONFIGURATIONS if args.every else {"native": CONFIGURATIONS["native"]}
    text = report({name: run_suite(configuration) for name, configuration in chosen.items()})
    if args.output:
        args.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
