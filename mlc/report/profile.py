"""Where a call's time goes: what each kernel took, for which node of the model."""

from __future__ import annotations

import html
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlc.errors import UsageError, printable

if TYPE_CHECKING:
    from mlc.codegen.jit import Times

LEAST_RUNS = 5


@dataclass(frozen=True)
class KernelTime:
    """One kernel call of the program.

    ``node`` is the model's node that it is for, ``runs`` how often it ran in a call of the model (loops repeat it),
    ``ms`` the milliseconds of all these, on the slowest thread. ``gflops`` counts the arithmetic that the kernel
    really does, polynomials of functions included, in 10^9 operations per second; None where dims of the call decide
    how much it is.
    """

    node: str
    kernel: str
    runs: int
    ms: float
    gflops: float | None


@dataclass(frozen=True)
class Profile:
    """The kernel calls of a model in their order, as medians over ``runs`` calls of it.

    ``ms`` is a whole call. What the kernels don't add up to went into waiting for other threads, and, where dims have
    bounds, into copies of inputs and outputs. Clocks are read around every kernel: that takes some 50 ns each.
    """

    model: str
    threads: int
    runs: int
    ms: float
    kernels: tuple[KernelTime, ...]

    @property
    def between_ms(self) -> float:
        """Milliseconds outside of the kernels."""
        return max(0.0, self.ms - sum(k.ms for k in self.kernels))

    def slowest(self, count: int | None = None) -> list[KernelTime]:
        """The kernel calls that take longest, these first."""
        return sorted(self.kernels, key=lambda k: -k.ms)[:count]

    def __str__(self) -> str:
        return self.text()

    def text(self, top: int | None = None) -> str:
        """A table of the slowest ``top`` calls (None: of all)."""
        shown = self.slowest(top)
        lines = [f"{self.model}: {self.ms:.4g} ms per call, {self.threads} thread(s), median of {self.runs}", _HEAD]
        lines += [_line(k.ms, self.ms, k.gflops, k.runs, k.kernel, k.node) for k in shown]
        if rest := self.slowest()[len(shown) :]:
            lines.append(_line(sum(k.ms for k in rest), self.ms, None, len(rest), "others", ""))
        lines.append(_line(self.between_ms, self.ms, None, 0, "between kernels", ""))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "between_ms": self.between_ms}

    def to_html(self, path: str | Path) -> None:
        """Write a page with a bar for each kernel call, in the order of the program. UsageError where that fails."""
        longest = max((k.ms for k in self.kernels), default=0.0) or 1.0
        rows = "".join(_row(k, longest) for k in self.kernels)
        title = html.escape(f"{self.model}: {self.ms:.4g} ms, {self.threads} thread(s)")
        page = _PAGE.replace("TITLE", title).replace("ROWS", rows)
        try:
            Path(path).write_text(page, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"can't write {path}: {error.strerror}") from error


_HEAD = f"{'ms':>9} {'share':>6} {'GFLOP/s':>8} {'runs':>5}  kernel, node"


def _line(ms: float, whole: float, gflops: float | None, runs: int, kernel: str, node: str) -> str:
    rate = "" if not gflops else f"{gflops:.1f}"
    share = ms / whole if whole else 0.0
    return printable(f"{ms:9.4f} {share:6.1%} {rate:>8} {runs or '':>5}  {kernel}{f'  {node}' if node else ''}")


def _row(kernel: KernelTime, longest: float) -> str:
    rate = "" if not kernel.gflops else f"{kernel.gflops:.1f}"
    bar = f'<div style="width:{100 * kernel.ms / longest:.2f}%"></div>'
    cells = (f"{kernel.ms:.4f}", rate, html.escape(kernel.kernel), html.escape(kernel.node))
    return f"<tr><td class=bar>{bar}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title><style>
body { font: 14px system-ui, sans-serif; margin: 2em }
td, th { padding: 1px 1em 1px 0; text-align: left; font-variant-numeric: tabular-nums; white-space: nowrap }
.bar { width: 20em }
.bar div { background: steelblue; height: 1em; min-width: 1px }
</style></head><body><h1>TITLE</h1>
<table><tr><th></th><th>ms</th><th>GFLOP/s</th><th>kernel</th><th>node</th></tr>
ROWS</table></body></html>
"""


def profile(model: str, run: Callable[[], Times], calls: Sequence[dict[str, Any]], duration: float) -> Profile:
    """The profile of ``run`` (`mlc.codegen.jit.Session.timer`) over so many seconds, after a tenth of them.

    ``calls`` says ``kernel``, ``node`` and ``flops`` of every call.
    """
    noted, seconds = _measured(run, duration)
    slowest = np.stack([times[:, :, 0].max(axis=0) for times in noted])
    spent = np.median(slowest, axis=0) * 1e-6
    runs = noted[-1][:, :, 1].max(axis=0)
    kernels = tuple(
        KernelTime(
            call["node"],
            call["kernel"],
            int(count),
            float(ms),
            None if call["flops"] < 0 or not ms else float(call["flops"] * count / ms * 1e-6),
        )
        for call, ms, count in zip(calls, spent, runs, strict=True)
    )
    threads = int((noted[-1][:, :, 1].sum(axis=1) > 0).sum())
    return Profile(model, threads, len(noted), statistics.median(seconds) * 1e3, kernels)


def _measured(run: Callable[[], Times], duration: float) -> tuple[list[Times], list[float]]:
    """What the threads noted, and the seconds of each run."""
    run()
    stop = time.perf_counter() + duration / 10
    while time.perf_counter() < stop:
        run()
    noted: list[Times] = []
    seconds: list[float] = []
    stop = time.perf_counter() + duration
    while time.perf_counter() < stop or len(noted) < LEAST_RUNS:
        start = time.perf_counter()
        noted.append(run())
        seconds.append(time.perf_counter() - start)
    return noted, seconds
