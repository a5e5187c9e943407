"""WebAssembly in node: kernels from the same loop IR agree with the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlc.codegen.targets import find_target
from mlc.testing.node import Node
from mlc.testing.require import require_tool
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, layer_norm, softmax

MACHINE = Node(find_target("wasm32"))

SAMPLES = {
    "gemm": gemm(29, 37, 23),
    "conv": conv(9, 16, 24, block=4),
    "conv NCHW": conv(8, 3, 10),
    "depthwise": depthwise(9, 20, block=4),
    "softmax": softmax(5, 33),
    "layer norm": layer_norm(5, 19),
    "elementwise": elementwise(5, 19),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_kernels_agree_with_the_reference(name: str, tmp_path: Path) -> None:
    sample: Sample = SAMPLES[name]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    result = MACHINE.run(sample.kernel, arrays, tmp_path, threads=2)[-1]
    assert np.abs(result - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_relaxed_kernels_agree_with_the_reference(tmp_path: Path) -> None:
    """Node 20 has relaxed SIMD behind a flag."""
    machine = Node(find_target("wasm32-relaxed"), ("--experimental-wasm-relaxed-simd",))
    sample = SAMPLES["gemm"]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    result = machine.run(sample.kernel, arrays, tmp_path)[-1]
    assert np.abs(result - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_notices_a_wrong_result(tmp_path: Path) -> None:
    """The comparison above can fail: with other weights the result is another."""
    sample = SAMPLES["gemm"]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    arrays[1] = arrays[1] + np.float32(1e-2)
    result = MACHINE.run(sample.kernel, arrays, tmp_path)[-1]
    assert np.abs(result - expected).max() > 1e-3


def test_the_benchmark_runs() -> None:
    from benchmarks.wasm import kernels

    require_tool("node")
    assert all(kernel.milliseconds(1) > 0 for kernel in kernels().values())
