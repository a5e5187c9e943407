"""Whole models in what mlc linked agree with the reference, on emulated processors and in node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from xdsl.dialects.builtin import f16, f64, i8, i32, i64

from benchmarks.zoo import build
from mlc.codegen.targets import find_target
from mlc.testing.cross import Emulated
from mlc.testing.foreign import TARGETS, runs, threads_of
from mlc.testing.libraries import Case, Job, Outcome, onnx_cases, program_case, run_libraries
from mlc.testing.networks import NETWORKS
from mlc.testing.programs import Program, programs

PROGRAMS = 32
MOST_CODE = 300 << 10
"""Bytes of a network's objects, without weights."""

MIXED = (f64, i32, f16, i64, i8)


def drawn(count: int) -> list[Program]:
    """Programs that are the same in every run: every other one of floats."""
    found: list[Program] = []

    @settings(
        max_examples=count // 2,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(st.tuples(programs(), programs(elements=MIXED)))
    def collect(pair: tuple[Program, ...]) -> None:
        found.extend(pair)

    collect()
    return found


def complaints(target: str, cases: dict[str, Case], folder: Path) -> list[str]:
    """What is wrong on any machine that the target's code must run on."""
    found: list[str] = []
    for name, outcomes in runs(target, [case.job for case in cases.values()], folder).items():
        for (what, case), outcome in zip(cases.items(), outcomes):
            found += [f"{what} on {name}: {line}" for line in case.complaints(outcome)]
    return found


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests verify the IR after each pass; here it would take as long as all the rest."""
    monkeypatch.setenv("MLC_VERIFY_EACH", "0")


@pytest.mark.parametrize("target", TARGETS)
def test_networks(target: str, tmp_path: Path) -> None:
    """A convolutional net, a transformer block, recurrent cells and norms, on one thread and on two."""
    name, _, cpu = target.partition(":")
    cases = {
        f"{what}, {case.job.threads} threads": case
        for what, make in NETWORKS.items()
        for case in onnx_cases(make(), name, threads_of(target), mcpu=cpu)
    }
    assert complaints(target, cases, tmp_path) == []


@pytest.mark.parametrize("target", TARGETS)
def test_drawn_programs(target: str, tmp_path: Path) -> None:
    machine, found, threads = find_target(target), drawn(PROGRAMS), threads_of(target)
    assert len(found) >= 30
    cases = {
        f"{i}: {program}": program_case(program, machine, threads[i % len(threads)]) for i, program in enumerate(found)
    }
    assert complaints(target, cases, tmp_path) == []


def smaller(model: ModelProto, size: int) -> ModelProto:
    """An image model whose input is ``size`` square."""
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = size
    del model.graph.value_info[:]
    return model


@pytest.mark.parametrize("target", ["aarch64", "armv7", "wasm32"])
@pytest.mark.parametrize("architecture", ["squeezenet1_1", "mobilenet_v2"])
def test_whole_models_on_small_images(architecture: str, target: str, tmp_path: Path) -> None:
    """All layers at 64 x 64: an emulator takes minutes for 224 x 224."""
    (case,) = onnx_cases(smaller(build(architecture), 64), target, threads_of(target)[-1:])
    assert complaints(target, {architecture: case}, tmp_path) == []
    assert sum(map(len, case.job.artefact.objects)) <= MOST_CODE


def test_notices_wrong_results_and_failures(tmp_path: Path) -> None:
    class Shared(Job):
        """To be run by two threads, whatever the artefact says."""

        @property
        def served(self) -> int:
            return 2

    (case,) = onnx_cases(NETWORKS["normalisations"](), "armv7", threads=(1,))
    (outcome,) = run_libraries(Emulated.named("armv7"), [case.job], tmp_path)
    assert case.complaints(outcome) == []
    moved = tuple(a + np.float32(1e-5) for a in outcome.outputs)
    assert len(case.complaints(replace(outcome, outputs=moved))) == 2
    assert case.complaints(Outcome(3, ())) == ["status 3"]
    more = Shared(case.job.artefact, case.job.inputs, threads=2)
    assert run_libraries(Emulated.named("armv7"), [more], tmp_path)[0].status == 104
