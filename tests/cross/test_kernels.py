"""Kernels from the same loop IR run on every foreign machine and agree with the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlc.codegen.targets import find_target
from mlc.testing.cross import MACHINES, Array, Emulated
from mlc.testing.node import Node
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, layer_norm, softmax

NODES = {
    "wasm32": Node(find_target("wasm32")),
    "wasm32-relaxed": Node(find_target("wasm32-relaxed"), ("--experimental-wasm-relaxed-simd",)),
}
"""Node 20 has relaxed SIMD behind a flag."""

SAMPLES = {
    "gemm": gemm(29, 37, 23),
    "gemm by lanes": gemm(17, 24, 16),
    "conv": conv(9, 16, 24, block=4),
    "conv NCHW": conv(8, 3, 10),
    "depthwise": depthwise(9, 20, block=4),
    "softmax": softmax(5, 33),
    "layer norm": layer_norm(5, 19),
    "elementwise": elementwise(5, 19),
}


def run(machine: str, sample: Sample, arrays: list[Array], folder: Path) -> Array:
    """The result, worked out in two shares."""
    found = NODES[machine] if machine in NODES else Emulated.named(machine)
    return found.run(sample.kernel, arrays, folder, threads=2)[-1]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("machine", [*MACHINES, *NODES])
def test_agrees_with_the_reference(machine: str, name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    result = run(machine, sample, arrays, tmp_path)
    assert np.abs(result - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("machine", ["aarch64", "wasm32"])
def test_notices_a_wrong_result(machine: str, tmp_path: Path) -> None:
    """The comparison above can fail: with other weights the result is another."""
    sample = SAMPLES["gemm"]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    arrays[1] = arrays[1] + np.float32(1e-2)
    assert np.abs(run(machine, sample, arrays, tmp_path) - expected).max() > 1e-3
