"""ONNX's own backend suite, compiled for this machine and run, at the suite's own tolerances.

Every case of the installed onnx package takes part. ``onnx_expected_failures.txt`` says which fail and why: each of
its patterns must match a case, and no case that it matches may pass.
"""

from __future__ import annotations

import fnmatch
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mlc.testing.onnx_suite import Configuration, Difference, compare, run_case, suite

EXPECTED_FAILURES = Path(__file__).with_name("onnx_expected_failures.txt")

PARTS = 8
"""The cases are run in this many tests, so that several workers can share them."""

LEAST_PASSING = 1600
"""How many cases pass at least: a harness that skips everything must not look green."""

SECONDS = 60.0
"""The most that a case may take; the slowest, real models, take a few."""


@cache
def expected_failures() -> dict[str, str]:
    """Pattern of case names -> why they fail."""
    lines = EXPECTED_FAILURES.read_text().splitlines()
    entries = [line.partition("#") for line in lines if line.strip() and not line.startswith("#")]
    assert all(reason.strip() for _, _, reason in entries), "every expected failure has a reason"
    return {pattern.strip(): reason.strip() for pattern, _, reason in entries}


def expected_failure(name: str) -> str | None:
    return next((p for p in expected_failures() if fnmatch.fnmatchcase(name, p)), None)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_cases(part: int, tmp_path: Path) -> None:
    surprises: list[str] = []
    passed = 0
    for name in sorted(suite())[part::PARTS]:
        outcome, expected = run_case(suite()[name], Configuration(), tmp_path), expected_failure(name)
        passed += outcome.error is None
        if outcome.error is not None and expected is None:
            surprises.append(f"{name} fails: {outcome.error[:300]}")
        if outcome.error is None and expected is not None:
            surprises.append(f"{name} passes, but {expected!r} is expected to fail")
        if outcome.seconds > SECONDS:
            surprises.append(f"{name} takes {outcome.seconds:.0f} s")
    assert not surprises, "\n".join(surprises)
    assert passed >= LEAST_PASSING // PARTS


def test_every_expected_failure_is_about_a_case() -> None:
    assert not [pattern for pattern in expected_failures() if not fnmatch.filter(suite(), pattern)]


@pytest.mark.parametrize("name", ["test_add", "test_cumsum_1d", "test_sign_model", "test_Conv1d"])
def test_a_case_of_each_kind_through_a_library(name: str, tmp_path: Path) -> None:
    expected = expected_failure(name)
    outcome = run_case(suite()[name], Configuration("x86-64-v3", ahead_of_time=True), tmp_path)
    assert (outcome.error is None) == (expected is None), outcome.error


def test_the_comparison_can_fail() -> None:
    one = np.ones(3, np.float32)
    compare([one, [one], None], [one, [one], None], 1e-3, 1e-7)
    for wrong in (one + np.float32(0.01), one.astype(np.float64), one[:2], [one], None):
        with pytest.raises(Difference):
            compare([wrong], [one], 1e-3, 1e-7)
    for wrong in ([one + 1], [one, one], [], one, None, [one.astype(np.float64)]):
        with pytest.raises(Difference):
            compare([wrong], [[one]], 1e-3, 1e-7)
