"""Coverage-guided fuzzing of everything between a model file and machine code: ``make fuzz``.

Any byte string must compile or be refused with an `MlcError` other than a bug report, within `SECONDS` (most of which
instrumentation takes) and without asking for much memory: libFuzzer's ``-timeout`` and a limit of the process see to
that; libFuzzer's own limit would count the peak of whatever process ran this one.
What is found is written to the current folder as ``crash-*`` or ``timeout-*``, and joins `tests.fuzz.hostile`.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

from tests.fuzz.hostile import CASES
from tests.fuzz.mutants import SEEDS, mutate

INSTRUMENTED = ["mlc.frontends", "mlc.lowering.graph", "mlc.lowering.kernels"]

with atheris.instrument_imports(include=INSTRUMENTED):  # pyright: ignore
    from mlc.driver import compile_model
    from mlc.errors import InternalError, MlcError
    from mlc.frontends.onnx.load import load_model
    from mlc.request import Request, TargetChoice

SECONDS = 20
MEGABYTES = 2048
LARGEST = 1 << 14
"""Bytes of a model to begin with: longer ones only take longer."""


def compile_bytes(data: bytes) -> None:
    """Compile a model for the lowest target; errors meant for users are fine."""
    request = Request(data, TargetChoice("x86-64-v1"))
    try:
        compile_model(load_model(data), request)
    except InternalError:
        raise
    except MlcError:
        return


def mutant(data: bytes, longest: int, seed: int) -> bytes:
    """A changed model; now and then libFuzzer's own idea of one."""
    generator = np.random.default_rng(seed)
    changed = mutate(data, generator) if generator.random() < 0.9 else atheris.Mutate(data, len(data) + 1)
    return changed[:longest]


def seeds(folder: Path) -> None:
    """Write the corpus to begin with: the hostile cases, and small models of many kinds of node."""
    for name, build in CASES.items():
        with tempfile.TemporaryDirectory() as home:
            inside = Path(home) / "model"
            inside.mkdir()
            data = build(inside).read_bytes()
            if len(data) <= LARGEST:
                (folder / f"{name}.onnx").write_bytes(data)
    for name, model in SEEDS.items():
        (folder / f"seed-{name}.onnx").write_bytes(model.SerializeToString())


def main() -> None:
    """``fuzz_onnx.py CORPUS [libFuzzer's options]``."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seeds(folder)
    resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))
    options = [f"-timeout={SECONDS}", "-rss_limit_mb=0", *sys.argv[2:], str(folder)]
    atheris.Setup([sys.argv[0], *options], compile_bytes, custom_mutator=mutant)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
