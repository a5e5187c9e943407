"""AArch64 with half-precision arithmetic, and storage in f16 with and without it, agrees with the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from mlc.codegen.targets import resolve
from mlc.testing.cross import Emulated
from mlc.testing.libraries import Case, onnx_cases, run_libraries
from mlc.testing.networks import NETWORKS, transformer
from mlc.testing.samples import half_gemm

COMPILER = "aarch64-linux-gnu-gcc"

CPUS = ("cortex-a53", "cortex-a76")
"""One with vectors of f32 alone, and one with f16 arithmetic and dot products; what the emulator lacks is refused."""

FORMS = [("cortex-a76", "f32"), ("cortex-a53", "f16"), ("cortex-a76", "f16")]


def machine(cpu: str) -> Emulated:
    return Emulated(resolve("aarch64", cpu), COMPILER, ("qemu-aarch64", "-cpu", cpu))


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests verify the IR after each pass; here it would take as long as all the rest."""
    monkeypatch.setenv("MLC_VERIFY_EACH", "0")


@pytest.mark.parametrize(("cpu", "dtype"), FORMS)
def test_networks(cpu: str, dtype: Literal["f32", "f16"], tmp_path: Path) -> None:
    """Small networks, and a transformer block that is large enough for packed rows, on one thread and on two."""
    models = {**NETWORKS, "wide transformer": lambda: transformer(tokens=13, width=264, heads=3)}
    cases: dict[str, Case] = {
        f"{what}, {case.job.threads} threads": case
        for what, make in models.items()
        for case in onnx_cases(make(), "aarch64", mcpu=cpu, dtype=dtype)
    }
    outcomes = run_libraries(machine(cpu), [case.job for case in cases.values()], tmp_path)
    found = [f"{what}: {line}" for (what, c), o in zip(cases.items(), outcomes) for line in c.complaints(o)]
    assert found == []


@pytest.mark.parametrize("columns", [31, 256])
def test_sums_in_f16(columns: int, tmp_path: Path) -> None:
    """Products of f16 added up in f16: as many roundings as terms, each of half a unit at most."""
    sample = half_gemm(13, columns, 24, accumulate=True)
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    result = machine("cortex-a76").run(sample.kernel, arrays, tmp_path, threads=2)[-1].astype(np.float64)
    magnitude = np.abs(arrays[0].astype(np.float64)) @ np.abs(arrays[1].astype(np.float64))
    error = np.abs(result - expected) / magnitude
    assert error.max() <= 4 * np.sqrt(24) * 2.0**-11
    assert error.max() > 2.0**-14, "sums in f32 would be closer"
