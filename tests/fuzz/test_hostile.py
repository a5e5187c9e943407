"""Hostile models through the command line: refused in one line, soon, with little memory, and nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc.testing.bounded import BoundedRunner, Outcome
from tests.fuzz.hostile import ALLOWED, CASES
from tests.fuzz.mutants import mutants

CPU_SECONDS = 5.0
ANONYMOUS_BYTES = 1 << 30
REFUSED = (1, 4)
UNBOUND = 2
"""A dim has no extent: not the model's fault."""

MUTANTS = 150


@pytest.fixture(scope="module")
def runner() -> Iterator[BoundedRunner]:
    with BoundedRunner() as server:
        yield server


def check(outcome: Outcome, allowed: tuple[int, ...] = (0, *REFUSED)) -> None:
    """Compiled, or refused in one clear line; in either case within the bounds."""
    lines = outcome.errors.splitlines()
    assert outcome.status in allowed, outcome
    assert outcome.status == 0 or (len(lines) == 1 and lines[0].startswith("mlc: error: ")), outcome
    assert "Traceback" not in outcome.errors and len(outcome.errors) < 2000, outcome
    assert outcome.cpu_seconds < CPU_SECONDS, outcome
    assert outcome.anonymous_bytes < ANONYMOUS_BYTES, outcome


@pytest.mark.parametrize("name", CASES)
def test_hostile(name: str, runner: BoundedRunner, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = CASES[name](folder)
    outcome = runner.run(["compile", str(path), "-o", str(tmp_path / "out.so"), "--no-cache"])
    check(outcome)
    assert name in ALLOWED or outcome.status in REFUSED, outcome
    assert "secret" not in outcome.errors.replace("-secret.bin", "")
    assert outcome.status == 0 or sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".so") == []


def test_damaged_models(runner: BoundedRunner, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    refused = 0
    for data in mutants(MUTANTS):
        path.write_bytes(data)
        outcome = runner.run(
            ["compile", str(path), "--target", "x86-64-v1", "-o", str(tmp_path / "out.so"), "--no-cache"]
        )
        check(outcome, allowed=(0, *REFUSED, UNBOUND))
        refused += outcome.status != 0
    assert MUTANTS // 4 < refused < MUTANTS
