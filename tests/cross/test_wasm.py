"""The benchmark of WebAssembly kernels runs in node."""

from __future__ import annotations

from benchmarks.wasm import kernels
from mlc.testing.require import require_tool


def test_the_benchmark_runs() -> None:
    require_tool("node")
    assert all(kernel.milliseconds(1) > 0 for kernel in kernels().values())
