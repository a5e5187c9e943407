"""`make demo`: ResNet-50 compiled, checked against the float64 reference, and timed beside onnxruntime.

The model is the real architecture with seeded weights, built here; nothing is downloaded.
"""

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import mlc
from benchmarks.machine import describe
from benchmarks.zoo import build, inputs
from mlc.cli.bench import table
from mlc.codegen.processors import available_processors
from mlc.codegen.targets import find_target
from mlc.report.bench import Plan, compare_runtimes, rows
from mlc.report.peak import peak_gflops
from mlc.testing.models import compare, reference_outputs


@contextmanager
def step(title: str) -> Generator[None]:
    """Say what is being done, then how long it took."""
    print(f"\n{title}", flush=True)
    start = time.perf_counter()
    yield
    print(f"  ({time.perf_counter() - start:.2f} s)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--model", default="resnet50", help="a model of the zoo (default: resnet50)")
    parser.add_argument("--duration", type=float, default=2.0, help="seconds to time each runtime (default: 2)")
    options = parser.parse_args()
    print(f"machine: {describe()}")
    with tempfile.TemporaryDirectory(prefix="mlc-demo-") as folder:
        return demonstrate(options.model, Path(folder), options.duration)


def demonstrate(name: str, folder: Path, duration: float) -> int:
    """Everything in order; 1 when the results are wrong."""
    path = folder / f"{name}.onnx"
    feeds = inputs(name)
    with step(f"Building {name} with seeded weights"):
        path.write_bytes(build(name).SerializeToString())
        print(f"  {path.stat().st_size / 1e6:.1f} MB of ONNX")

    with step(f"mlc.compile({path.name!r}), without cache"):
        net = mlc.compile(path, cache=False)
        facts = net.metadata
        print(f"  {facts['target']['name']} ({facts['target']['cpu']}), {net.threads} threads")
        print(f"  {len(facts['kernels'])} kernels, arena {facts['arena_bytes'] / 1e6:.1f} MB")

    with step("Running it, and checking against the float64 reference"):
        ok = verify(path, net, feeds)

    library = folder / f"{name}.so"
    with step(f"net.save({library.name!r}), mlc.load({library.name!r})"):
        net.save(library)
        loaded = mlc.load(library)
        same = all(np.array_equal(a, b) for a, b in zip(net.run(feeds).values(), loaded.run(feeds).values()))
        result = "the same" if same else "OTHER results"
        print(f"  {library.stat().st_size / 1e6:.1f} MB, and {name}.h beside it; loaded again it gives {result}")

    for threads in dict.fromkeys((1, available_processors())):
        with step(f"Timing it, {threads} thread(s)"):
            bench(path, feeds, threads, duration, int(facts["extra"]["flops"]))
    print("\nAll good." if ok and same else "\nThe results are WRONG.")
    return 0 if ok and same else 1


def verify(path: Path, net: mlc.CompiledModel, feeds: dict[str, np.ndarray]) -> bool:
    """Whether all outputs are within 4 times the error of a plain float32 evaluation."""
    from mlc.frontends.onnx.import_ import import_model
    from mlc.frontends.onnx.load import load_model

    outputs = net.run(feeds)
    model = import_model(load_model(path))
    arrays = [feeds[info.name] for info in model.inputs]
    wide, plain = (reference_outputs(model, arrays, plain=plain) for plain in (False, True))
    verdicts = [compare(i.name, outputs[i.name], w, plain=p) for i, w, p in zip(model.outputs, wide, plain)]
    for verdict in verdicts:
        state = "ok" if verdict.ok else "WRONG"
        print(f"  {verdict.name}: {state}, error {verdict.relative:.1e} of the largest element; {verdict.message}")
    return all(verdict.ok for verdict in verdicts)


def bench(path: Path, feeds: dict[str, np.ndarray], threads: int, duration: float, flops: int) -> None:
    """Print times of mlc and of onnxruntime, if it is installed."""
    names = ["mlc"]
    if importlib.util.find_spec("onnxruntime") is None:
        print("  onnxruntime is not installed: mlc alone")
    else:
        names.append("onnxruntime")
    peak = peak_gflops(find_target(), threads)
    timings = compare_runtimes(names, str(path), feeds, threads, Plan(duration=duration), {"cache": False})
    lines = table(rows(timings, [90.0], flops, peak), [90.0]).splitlines()
    print("\n".join(f"  {line}" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
