"""mlc and other runtimes behind one interface, each in a process of its own.

A child is ``python -m mlc.report.peers RUNTIME MODEL THREADS FEEDS.npz OPTIONS``: it says on standard output that it
is ready (or why it can't be), then for each line with a number on standard input runs so often, and answers with the
seconds that each run took. Everything is one JSON text per line. Processes keep runtimes from sharing threads and
memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.errors import MlcError, UnsupportedError, UsageError, nearest

Array: TypeAlias = NDArray[Any]
Step: TypeAlias = Callable[[], object]
Options: TypeAlias = Mapping[str, Any]


def _mlc(model: str, feeds: Mapping[str, Array], threads: int, options: Options) -> Step:
    import mlc
    from mlc.operators import load_plugin

    for path in options.get("plugins", ()):
        load_plugin(path)
    options = {name: value for name, value in options.items() if name != "plugins"}
    if model.endswith(".so"):
        net = mlc.load(model, threads=threads)
    else:
        net = mlc.compile(model, threads=threads, **options)
    return net.bind(feeds, net.run(feeds))


def _onnxruntime(model: str, feeds: Mapping[str, Array], threads: int, _: Options) -> Step:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    library: Any = onnxruntime
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # Its threads spin while it runs, but not while others are timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return lambda: session.run_with_iobinding(binding)


def _openvino(model: str, feeds: Mapping[str, Array], threads: int, _: Options) -> Step:
    library: Any = import_module("openvino")
    core = library.Core()
    network = core.read_model(model)
    network.reshape({name: list(array.shape) for name, array in feeds.items()})
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    for name, array in feeds.items():
        request.set_tensor(name, library.Tensor(array))
    return request.infer


RUNTIMES: Mapping[str, Callable[[str, Mapping[str, Array], int, Options], Step]] = {
    "mlc": _mlc,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
"""How each runtime, told the model, the inputs, the threads and mlc's options, makes a function that runs once."""


def run_onnxruntime(model: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by name; UnsupportedError when onnxruntime is not installed or can't run the model."""
    try:
        import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise UnsupportedError("onnxruntime is not installed", hint="pip install 'mlc-compiler[compare]'") from error
    library: Any = onnxruntime
    try:
        session = library.InferenceSession(model, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(feeds))))
    except Exception as error:
        raise UnsupportedError(f"onnxruntime can't run the model: {' '.join(str(error).split())}") from error


@dataclass
class Peer:
    """A runtime in a child process, ready to run; ``setup`` is the seconds it took to get ready."""

    name: str
    process: subprocess.Popen[str]
    version: str
    setup: float

    @classmethod
    def start(cls, name: str, model: str, feeds: Path, threads: int, options: Options) -> Self:
        """Start a runtime on a model; ``options`` are for `mlc.compile`.

        UnsupportedError says why that failed; UsageError for an unknown runtime.
        """
        if name not in RUNTIMES:
            raise UsageError(f"unknown runtime {name!r}", hint=nearest(name, RUNTIMES))
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "mlc.report.peers",
                name,
                model,
                str(threads),
                str(feeds),
                json.dumps(options),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        peer = cls(name, process, "", 0.0)
        answer = peer._answer()
        if "error" in answer:
            peer.stop()
            raise UnsupportedError(f"{name}: {answer['error']}")
        peer.version, peer.setup = answer["version"], answer["setup"]
        return peer

    def run(self, times: int) -> list[float]:
        """The seconds that each of so many runs took."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        return list(self._answer()["seconds"])

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the process ended with status {self.process.wait()}"}
        return json.loads(line)


def _serve(name: str, model: str, threads: int, feeds: Path, options: Options) -> None:
    """The child: answers on what was standard output; whatever a runtime prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def reply(answer: Mapping[str, object]) -> None:
        replies.write(json.dumps(answer) + "\n")

    start = time.perf_counter()
    try:
        with np.load(feeds, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        step = RUNTIMES[name](model, arrays, threads, options)
        step()
    except ImportError as error:
        reply({"error": f"not installed ({error})"})
        return
    except Exception as error:
        reply({"error": error.describe() if isinstance(error, MlcError) else " ".join(str(error).split())})
        return
    reply({"version": _version(name), "setup": time.perf_counter() - start})
    for line in sys.stdin:
        reply({"seconds": _times(step, int(line))})


def _times(step: Step, count: int) -> Sequence[float]:
    clock = time.perf_counter
    seconds: list[float] = []
    for _ in range(count):
        start = clock()
        step()
        seconds.append(clock() - start)
    return seconds


def _version(name: str) -> str:
    from importlib.metadata import version

    return version({"mlc": "mlc-compiler"}.get(name, name))


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), json.loads(sys.argv[5]))
