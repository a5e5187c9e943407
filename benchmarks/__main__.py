"""`python -m benchmarks [FIGURE ...]`: print the figures that mlc states, measured now on this machine."""

import argparse
import sys
from collections.abc import Iterable

from benchmarks.figures import FIGURES, Row, as_json
from benchmarks.machine import describe


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FIGURE", help=f"default: all of {', '.join(FIGURES)}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in FIGURES]
    if unknown:
        parser.error(f"no figure {unknown[0]!r} (there are: {', '.join(FIGURES)})")
    names = options.names or list(FIGURES)
    if options.json:
        print(as_json({name: list(FIGURES[name]()) for name in names}))
        return 0
    print(f"machine: {describe()}")
    for name in names:
        print(f"\n{name}: {' '.join((FIGURES[name].__doc__ or '').split())}")
        show(FIGURES[name]())
    return 0


def show(rows: Iterable[Row]) -> None:
    """Print rows as they come, a heading above the first."""
    heads: list[str] = []
    for row in rows:
        if list(row) != heads:
            heads = list(row)
            print("  " + "".join(_cell(head, head) for head in heads), flush=True)
        print("  " + "".join(_cell(head, _number(head, value)) for head, value in row.items()), flush=True)


def _cell(head: str, text: str) -> str:
    return f"{text:<38}" if head == "what" else f"{text:>{len(head) + 3}}"


def _number(head: str, value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    if head == "of peak":
        return f"{value:.1%}"
    return f"{value:.2f}x" if head.startswith("vs ") else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
