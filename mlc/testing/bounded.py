"""Running the ``mlc`` command many times over under watch: how long it takes, and how much memory.

A server process imports the compiler once and forks for every command, so that hundreds of runs take seconds and a
run that crashes, hangs or eats memory harms nothing else: ``python -m mlc.testing.bounded`` reads one JSON list of
arguments per line and answers each with one JSON object, the fields of `Outcome`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

POLL_SECONDS = 0.002
WALL_SECONDS = 60.0
"""A run is killed after this time of the clock; a busy machine may make it several times its processor time."""

ANONYMOUS_BYTES = 2 << 30
"""A run is killed when it has more anonymous memory than this."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    ``status`` is the exit code, or minus the number of the signal that ended it; ``cpu_seconds`` its own processor
    time; ``anonymous_bytes`` the most memory of its own it was seen to hold beyond what the server gave it.
    """

    status: int
    cpu_seconds: float
    anonymous_bytes: int
    output: str
    errors: str


class BoundedRunner:
    """The server, as a context manager."""

    def __enter__(self) -> Self:
        environment = {**os.environ, "MLC_JOBS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "mlc.testing.bounded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._server.communicate()

    def run(self, arguments: Sequence[str]) -> Outcome:
        """Run ``mlc`` with these arguments."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(list(arguments)), file=self._server.stdin, flush=True)
        return Outcome(**json.loads(self._server.stdout.readline()))


def serve() -> None:
    """Answer every line of standard input."""
    from mlc.cli import compile, main
    from mlc.driver import compile_model
    from mlc.frontends.onnx.import_ import import_model

    del compile, compile_model, import_model  # imported so that forks need not
    for line in sys.stdin:
        outcome = _watched(main.main, json.loads(line))
        print(json.dumps(asdict(outcome)), flush=True)


def _watched(command: object, arguments: list[str]) -> Outcome:
    assert callable(command)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            status = 70
            try:
                status = int(command(arguments))  # type: ignore[arg-type]
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        status, seconds, most = _watch(child)
        output.seek(0)
        errors.seek(0)
        return Outcome(status, seconds, most, output.read(), errors.read())


def _watch(child: int) -> tuple[int, float, int]:
    """The exit code, processor seconds, and most anonymous bytes of a child."""
    deadline = time.monotonic() + WALL_SECONDS
    first, most = _anonymous_bytes(child), 0
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, most
        most = max(most, _anonymous_bytes(child) - first)
        if most > ANONYMOUS_BYTES or time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _anonymous_bytes(process: int) -> int:
    """``RssAnon`` of a process; 0 when it has ended."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii") as file:
            line = next((line for line in file if line.startswith("RssAnon:")), None)
    except (OSError, ValueError):
        return 0
    return int(line.split()[1]) * 1024 if line else 0


if __name__ == "__main__":
    serve()
