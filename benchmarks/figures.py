"""The figures that mlc states, each printed by a function of this file.

Times are minima and medians of interleaved rounds (`mlc.report.bench`); ratios are medians over rounds. A figure is a
table: rows of named cells, which `benchmarks.__main__` prints or writes as JSON.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks import decoding, singles
from benchmarks.dynamic import dynamic
from benchmarks.integers import integers
from benchmarks.small import SMALL
from benchmarks.zoo import build, inputs
from mlc.codegen.targets import find_target
from mlc.report.bench import Plan, compare_runtimes, rows
from mlc.report.peak import peak_gflops

Row = dict[str, Any]
PEERS = ("onnxruntime", "openvino")
MODELS = ("resnet50", "vgg16", "bert_base", "mobilenet_v2")


def peers() -> list[str]:
    """The peers that are installed."""
    return [name for name in PEERS if importlib.util.find_spec(name) is not None]


def timed(
    name: str,
    model: onnx.ModelProto,
    feeds: dict[str, Any],
    threads: int,
    *,
    others: Sequence[str],
    target: str = "native",
    duration: float = 1.0,
) -> Row:
    """One model timed beside ``others``: milliseconds, ratios to each, GFLOP/s and the share of the measured peak."""
    machine = find_target(target)
    with tempfile.TemporaryDirectory(prefix="mlc-figures-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        peak = peak_gflops(machine, threads)
        options = {"target": target, "cache": False}
        timings = compare_runtimes(["mlc", *others], str(path), feeds, threads, Plan(duration=duration), options)
        peak = max(peak, peak_gflops(machine, threads))
        flops = _flops(path, threads, target)
    mine, *rest = rows(timings, (), flops, peak)
    row: Row = {"what": name, "threads": threads, "min ms": mine["min_ms"], "median ms": mine["median_ms"]}
    if flops:
        row |= {"GFLOP/s": mine["gflops"], "of peak": mine["share_of_peak"]}
    for other in rest:
        title = f"vs {other['runtime']}"
        row |= {title: other.get("mlc_is_faster_by"), f"{title} (min)": other.get("mlc_is_faster_by_min")}
    return row


def _flops(path: Path, threads: int, target: str) -> int:
    import mlc

    return int(mlc.compile(path, threads=threads, target=target, cache=False).metadata["extra"]["flops"])


def kernels() -> Iterator[Row]:
    """Products and convolutions, as shares of the multiply-adds that this machine was measured to do: 1 thread."""
    for target in ("native", "x86-64-v3"):
        for single in (*singles.gemms(), *(singles.convolutions() if target == "native" else ())):
            name = f"{single.name} ({target})"
            yield timed(name, single.model, single.feeds, 1, others=(), target=target, duration=0.5)


def memory_bound() -> Iterator[Row]:
    """Softmax, layer norm, GELU and depthwise convolution beside onnxruntime: 1 thread."""
    for single in singles.others():
        others = [name for name in peers() if name == "onnxruntime"]
        yield timed(single.name, single.model, single.feeds, 1, others=others, duration=0.5)


def models(names: Iterable[str] = MODELS) -> Iterator[Row]:
    """Whole networks in float32 beside onnxruntime and OpenVINO: 1 and 2 threads."""
    for name in names:
        for threads in (1, 2):
            yield timed(name, build(name), inputs(name), threads, others=peers(), duration=3.0)


ZOO_ON_THREADS = ("mlp_tiny", "mlp", "lstm", "mobilenet_v2", "resnet50", "bert_base")


def threads(names: Iterable[str] = (*SMALL, *ZOO_ON_THREADS), duration: float = 1.0) -> Iterator[Row]:
    """Microseconds on one thread and on two, each model's runs interleaved: two should never be much slower."""
    for name in names:
        model, feeds = SMALL[name]() if name in SMALL else (build(name), inputs(name))
        one, two = _times_on_threads(model, feeds, duration)
        yield {"what": name, "1 thread us": one * 1e6, "2 threads us": two * 1e6, "vs 1 thread": one / two}


def _times_on_threads(model: onnx.ModelProto, feeds: dict[str, Any], duration: float) -> tuple[float, float]:
    """The least seconds of a run on one thread and on two."""
    import mlc

    steps: list[Callable[[], object]] = []
    for count in (1, 2):
        net = mlc.compile(model, threads=count, cache=False)
        run = partial(net.run, feeds)
        fixed = all(isinstance(extent, int) for output in net.outputs for extent in output.shape or ("?",))
        steps.append(net.bind(feeds, run()) if fixed else run)
    number = max(2, int(2e-3 / _least(steps[0], 3, 1)))
    best, stop = [float("inf")] * 2, time.monotonic() + duration
    while time.monotonic() < stop:
        for place, step in enumerate(steps):
            step()  # wakes the threads, and brings back what the other one's run drove out of the caches
            best[place] = min(best[place], _least(step, 1, number))
    return best[0], best[1]


def compile_time(names: Iterable[str] = ("resnet50", "bert_base")) -> Iterator[Row]:
    """Seconds from a file to a runnable network, in a fresh process that imports nothing yet: cold, and cached."""
    with tempfile.TemporaryDirectory(prefix="mlc-figures-") as folder:
        for name in names:
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(build(name).SerializeToString())
            cold, warm = (_compile_seconds(path, Path(folder) / "cache") for _ in range(2))
            yield {"what": name, "cold s": cold, "warm s": warm}


def _compile_seconds(path: Path, cache: Path) -> float:
    script = f"""
        import time
        start = time.perf_counter()
        import mlc
        mlc.compile({str(path)!r})
        print(time.perf_counter() - start)
    """
    return float(_child(script, {"MLC_CACHE_DIR": str(cache)}))


def import_time() -> Iterator[Row]:
    """Seconds of `import mlc`, the least of five fresh processes."""
    script = "import time; start = time.perf_counter(); import mlc; print(time.perf_counter() - start)"
    yield {"what": "import mlc", "s": min(float(_child(script)) for _ in range(5))}


def call_overhead() -> Iterator[Row]:
    """Microseconds of a call of a tiny network from Python, and what of them is not the network."""
    import mlc

    feeds = inputs("mlp_tiny")
    net = mlc.compile(build("mlp_tiny"), threads=1, cache=False)
    outputs = net.run(feeds)
    code = _code_seconds(net, feeds, outputs)
    step = net.bind(feeds, outputs)
    calls: dict[str, Callable[[], object]] = {
        "bind(...)()": step,
        "run(inputs, out=...)": lambda: net.run(feeds, out=outputs),
        "net(x)": lambda: net(feeds["input"]),
    }
    yield {"what": "the code alone", "us": code * 1e6, "overhead us": 0.0}
    for name, call in calls.items():
        seconds = _least(call)
        yield {"what": name, "us": seconds * 1e6, "overhead us": (seconds - code) * 1e6}


def _least(call: Callable[[], object], repeats: int = 20, number: int = 2000) -> float:
    import timeit

    return min(timeit.repeat(call, repeat=repeats, number=number)) / number


def _code_seconds(net: Any, feeds: dict[str, Any], outputs: dict[str, Any]) -> float:
    """Seconds of one run seen from machine code: a loop of our own around the C function."""
    from benchmarks.loop import seconds_per_call

    return seconds_per_call(net, feeds, outputs)


def memory() -> Iterator[Row]:
    """Peak anonymous memory while a model of 500 MB of weights is compiled, cached and not."""
    for cached in (True, False):
        yield {"what": f"500 MB of weights, {'cached' if cached else 'no cache'}", **measure_memory(500, cached=cached)}


def measure_memory(megabytes: int, *, cached: bool) -> Row:
    """Compile a model with so many MB of weights in a child; its peak anonymous memory, in MB, and the limit."""
    with tempfile.TemporaryDirectory(prefix="mlc-memory-") as folder:
        path = Path(folder) / "model.onnx"
        write_wide_model(path, megabytes)
        script = f"""
            import threading, time
            peak, done = 0, False

            def watch():
                global peak
                while not done:
                    with open("/proc/self/status") as file:
                        line = next(line for line in file if line.startswith("RssAnon"))
                    peak = max(peak, int(line.split()[1]))
                    time.sleep(0.002)

            watcher = threading.Thread(target=watch)
            watcher.start()
            import numpy, mlc
            net = mlc.compile({str(path)!r}, threads=1, cache={cached})
            net(numpy.ones((1, 1024), numpy.float32))
            done = True
            watcher.join()
            print(peak)
        """
        peak = int(_child(script, {"MLC_CACHE_DIR": str(Path(folder) / "cache")})) / 1024
    return {"weights MB": megabytes, "peak RssAnon MB": peak, "limit MB": 1.3 * megabytes + 300}


def write_wide_model(path: Path, megabytes: int) -> None:
    """A chain of products of 1024x1024, each 4 MiB of weights, written without holding them all."""
    from onnx import TensorProto, helper

    count, size = megabytes // 4, 1024
    generator = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    for index in range(count):
        values = generator.standard_normal((size, size), np.float32) / np.float32(np.sqrt(size))
        weights.append(helper.make_tensor(f"w{index}", TensorProto.FLOAT, values.shape, values.tobytes(), raw=True))
        nodes.append(helper.make_node("MatMul", [f"v{index}", f"w{index}"], [f"v{index + 1}"], name=f"dot{index}"))
    tensor = helper.make_tensor_value_info
    ends = [tensor(name, TensorProto.FLOAT, [1, size]) for name in ("v0", f"v{count}")]
    graph = helper.make_graph(nodes, "wide", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def size(network: str = "squeezenet1_1") -> Iterator[Row]:
    """KB of SqueezeNet 1.1 for each target that mlc links for: code and metadata of the library, no weights."""
    from mlc.codegen.targets import all_targets
    from mlc.driver import compile_model, load_source
    from mlc.request import Request, TargetChoice

    model = build(network).SerializeToString()
    for name, target in all_targets().items():
        if target.kind == "gpu":
            continue
        request = Request(model, TargetChoice(name), threads=2 if target.threads else 1)
        built, _ = compile_model(load_source(request), request)
        artefact = built.artefact(network, embed=False)
        image = artefact.module() if target.container == "wasm" else artefact.shared_library()
        yield {"what": name, "threads": request.threads, "library KB": image.size / 1024}


def _child(script: str, environment: dict[str, str] | None = None) -> str:
    """What a script prints in a fresh interpreter."""
    words = [sys.executable, "-P", "-c", textwrap.dedent(script)]
    done = subprocess.run(words, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


FIGURES: dict[str, Callable[[], Iterator[Row]]] = {
    "kernels": kernels,
    "memory-bound": memory_bound,
    "models": models,
    "threads": threads,
    "decoding": decoding.figure,
    "compile-time": compile_time,
    "import-time": import_time,
    "call-overhead": call_overhead,
    "memory": memory,
    "size": size,
    "dynamic": dynamic,
    "integers": integers,
}
"""By the name that `python -m benchmarks NAME` takes."""


def as_json(found: dict[str, list[Row]]) -> str:
    """All figures as JSON text."""
    return json.dumps(found, indent=2)
