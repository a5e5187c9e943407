"""``import mlc`` and ``mlc --help`` are quick because they import next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"onnx", "llvmlite", "xdsl", "rich", "ml_dtypes", "google"}
IMPORT_SECONDS = 0.3
ATTEMPTS = 5

PROBE = """
import json, sys, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({{name.partition(".")[0] for name in sys.modules}})]), file=sys.stderr)
"""

STATEMENTS = {
    "import mlc": "import mlc",
    "mlc --help": "from mlc.cli.main import main; assert main(['--help']) == 0",
}


def _probe(statement: str) -> tuple[float, set[str]]:
    """Seconds that ``statement`` took in a fresh process, and the top-level modules loaded after it."""
    command = [sys.executable, "-c", PROBE.format(statement=statement)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, modules = json.loads(result.stderr)
    return seconds, set(modules)


@pytest.mark.parametrize("name", STATEMENTS)
def test_start_is_light(name: str) -> None:
    runs = [_probe(STATEMENTS[name]) for _ in range(ATTEMPTS)]
    _, modules = runs[0]
    assert modules & HEAVY == set()
    assert min(seconds for seconds, _ in runs) < IMPORT_SECONDS
