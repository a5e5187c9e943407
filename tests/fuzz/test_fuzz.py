"""A short run of the fuzz target, so that it stays in working order; ``make fuzz`` runs it for long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlc.testing.require import require_module

SECONDS = 20
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_fuzzing_finds_nothing(tmp_path: Path) -> None:
    require_module("atheris")
    target = Path(__file__).with_name("fuzz_onnx.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLC_JOBS": "1"}
    done = subprocess.run(
        [sys.executable, str(target), "corpus", f"-max_total_time={SECONDS}", "-seed=1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr
