"""Kernels from the same loop IR as PTX: right thread by thread, accepted by ptxas, within the register file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlc.codegen.targets import find_target
from mlc.testing.gpu import GpuKernel, assemble
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, layer_norm, softmax

TARGET = find_target("cuda-sm80")

SMALL = {
    "gemm": gemm(70, 37, 23),
    "conv": conv(9, 3, 10),
    "depthwise": depthwise(9, 20),
    "softmax": softmax(150, 33),
    "layer norm": layer_norm(5, 19),
    "one row": softmax(1, 33),
    "elementwise": elementwise(5, 190),
}


@pytest.mark.parametrize("name", SMALL)
def test_threads_agree_with_the_reference(name: str) -> None:
    sample: Sample = SMALL[name]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    GpuKernel.of(sample.kernel, TARGET).emulate(arrays)
    assert np.abs(arrays[-1] - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_every_thread_counts() -> None:
    """The comparison above can fail: without the last block the result is incomplete."""
    sample = SMALL["gemm"]
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    kernel = GpuKernel.of(sample.kernel, TARGET)
    assert kernel.launch["block.y"] == 2
    registers = TARGET.index_registers
    confused = kernel.ir.replace(f"@{registers['block.y']}()", f"@{registers['block.z']}()")
    replace(kernel, ir=confused).emulate(arrays)
    assert np.abs(arrays[-1] - expected).max() > 1e-3


@pytest.mark.parametrize("name", SMALL)
def test_ptxas_accepts(name: str, tmp_path: Path) -> None:
    kernel = GpuKernel.of(SMALL[name].kernel, TARGET)
    made = assemble(kernel.ptx, TARGET.cpu, tmp_path)
    assert made.registers <= 255
    assert made.spills == 0


def test_gemm_loads_global_memory_and_multiplies_in_registers(tmp_path: Path) -> None:
    """Sixteen results per thread: 64 multiply-adds on 32 loads per four steps, nothing on the stack."""
    kernel = GpuKernel.of(gemm(512, 512, 512).kernel, TARGET)
    assert kernel.launch == {"block.y": 8, "thread.y": 16, "block.x": 8, "thread.x": 16}
    ptx = kernel.ptx
    assert ".visible .entry gemm(" in ptx
    assert ".maxntid 256" in ptx
    assert ptx.count("fma.rn.f32") == 64
    assert "ld.local" not in ptx and "st.local" not in ptx
    loads = [line for line in ptx.splitlines() if line.strip().startswith("ld.")]
    assert all("ld.global" in line or "ld.param" in line for line in loads)
    made = assemble(ptx, TARGET.cpu, tmp_path)
    assert made.stack == 0
    assert made.registers <= 128
