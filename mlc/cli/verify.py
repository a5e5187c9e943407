"""Compare a model's results with a reference; exit code 0 when they agree, 3 when they don't.

    mlc verify model.onnx
    mlc verify model.onnx --against=onnxruntime -i x=x.npy
    mlc verify model.onnx --test-data folder         # input_0.pb, output_0.pb, ...
    mlc verify model.onnx --all-tensors
    mlc verify model.onnx --target=aarch64 --mcpu=cortex-a76

The reference evaluates the model in float64. An error of up to 4 times that of a plain float32 evaluation is granted
(with --dtype=f16, of one that rounds the same tensors to f16); integers must be equal. With --all-tensors every kernel
is judged on the inputs that it really gets. Code for another machine is linked to a program and run under an emulator:
qemu-user, or node for WebAssembly. Dims within bounds are judged at their greatest, their least, and half-way between,
unless inputs are given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.cli.arguments import (
    add_emulator_argument,
    add_input_arguments,
    add_model_arguments,
    amount,
    cache_from,
    count,
    inputs_from,
    request_from,
    runnable_model,
)
from mlc.cli.show import show_json
from mlc.errors import MismatchError, ModelError, UsageError, printable

if TYPE_CHECKING:
    from mlc.api import Maker
    from mlc.dialects.bounds import Where
    from mlc.emulation import EmulatedModel
    from mlc.model import Array, CompiledModel
    from mlc.testing.models import Tolerance, Verdict

PLACES: tuple[Where, ...] = ("greatest", "least", "middle")
"""Which of the dims within bounds are judged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    add_input_arguments(parser)
    add_emulator_argument(parser)
    parser.add_argument(
        "--against",
        default="reference",
        metavar="WHAT",
        help="reference (the default), onnxruntime, or a shared library that mlc wrote",
    )
    parser.add_argument("--test-data", type=Path, metavar="DIR", help="take input_N.pb and output_N.pb from DIR")
    parser.add_argument("--all-tensors", action="store_true", help="judge every kernel, not just the outputs")
    parser.add_argument("--rtol", type=amount, help="allow this relative error instead")
    parser.add_argument("--atol", type=amount, help="allow this absolute error instead")
    parser.add_argument("--max-ulp", type=count, help="allow so many units in the last place instead")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from mlc.api import Maker
    from mlc.testing.models import Tolerance

    tolerance = Tolerance(args.rtol, args.atol, args.max_ulp)
    maker = Maker(request_from(args), cache_from(args))
    start = time.perf_counter()
    verdicts = list(_verdicts(maker, args, tolerance))
    seconds = time.perf_counter() - start
    bad = [v for v in verdicts if not v.ok]
    if args.json:
        show_json({"ok": not bad, "seconds": seconds, "tensors": [asdict(v) for v in verdicts]})
        return MismatchError.exit_code if bad else 0
    for verdict in [*bad, *(v for v in verdicts if v.ok and (args.verbosity > 0 or not args.all_tensors))]:
        print(printable(_line(verdict)))
    print(f"{len(verdicts) - len(bad)} of {len(verdicts)} tensors agree ({seconds:.1f} s)")
    return MismatchError.exit_code if bad else 0


def _line(verdict: Verdict) -> str:
    shape = "x".join(map(str, verdict.shape)) or "scalar"
    state = "ok  " if verdict.ok else "FAIL"
    return f"{state} {verdict.name} [{shape}]: error {verdict.relative:.2e} of the largest element; {verdict.message}"


def _verdicts(maker: Maker, args: argparse.Namespace, tolerance: Tolerance) -> Iterator[Verdict]:
    from mlc.emulation import EmulatedModel
    from mlc.testing.models import compare

    model = runnable_model(maker, args)
    if args.all_tensors and isinstance(model, EmulatedModel):
        raise UsageError("--all-tensors runs kernels in this process: it can't judge another machine's")
    for inputs, stored in _cases(model, args):
        if args.all_tensors:
            yield from _all_tensors(maker, inputs, tolerance)
            continue
        actual = model.run(inputs)
        plain: Mapping[str, Array] = {}
        expected: Mapping[str, Array] = stored or {}
        if stored is None:
            expected, plain = _expected(maker, args, inputs)
        for name, wanted in expected.items():
            yield compare(name, actual[name], wanted, plain=plain.get(name), tolerance=tolerance)


def _cases(
    model: CompiledModel | EmulatedModel, args: argparse.Namespace
) -> Iterator[tuple[dict[str, Array], dict[str, Array] | None]]:
    """Inputs to run on, and the expected outputs where there are stored ones.

    Where dims have bounds, the greatest come first: then shorter calls find what longer ones left.
    """
    if args.test_data:
        yield _test_data(args.test_data, model)
        return
    seen: list[list[tuple[int, ...]]] = []
    for where in PLACES:
        inputs = inputs_from(args, model, where)
        shapes = [array.shape for array in inputs.values()]
        if shapes not in seen:
            seen.append(shapes)
            yield inputs, None


def _all_tensors(maker: Maker, inputs: Mapping[str, Array], tolerance: Tolerance) -> Iterator[Verdict]:
    from mlc.driver import Compilation, import_source
    from mlc.testing.fusions import verify_fusions

    imported = import_source(maker.loaded, maker.request, inputs)
    compilation = Compilation.of(imported, maker.loaded.name, maker.request.options())
    yield from verify_fusions(compilation, [inputs[info.name] for info in imported.inputs], tolerance)


def _expected(
    maker: Maker, args: argparse.Namespace, inputs: Mapping[str, Array]
) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    """What the outputs are compared with, and those of a plain evaluation where that is the measure."""
    if args.against == "reference":
        from mlc.driver import import_source
        from mlc.testing.models import evaluations

        imported = import_source(maker.loaded, maker.request, inputs)
        arrays = [inputs[info.name] for info in imported.inputs]
        names = [info.name for info in imported.outputs]
        expected, plain = evaluations(imported, arrays, maker.request.options())
        return dict(zip(names, expected)), dict(zip(names, plain))
    if args.against == "onnxruntime":
        from mlc.report.peers import run_onnxruntime

        return run_onnxruntime(args.model, inputs), {}
    if args.against.endswith(".so"):
        from mlc.api import load

        return load(args.against, threads=args.threads).run(inputs), {}
    raise UsageError(f"can't verify against {args.against!r}", hint="valid: reference, onnxruntime, FILE.so")


def _test_data(folder: Path, model: CompiledModel | EmulatedModel) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs and expected outputs in the layout of ONNX's own tests."""
    from mlc.arrays import read_tensor

    groups: list[dict[str, Array]] = []
    for kind, specs in (("input", model.inputs), ("output", model.outputs)):
        files = [folder / f"{kind}_{index}.pb" for index in range(len(specs))]
        missing = [str(file) for file in files if not file.exists()]
        if missing:
            raise ModelError(f"no test data: {', '.join(missing)}")
        groups.append({spec.name: read_tensor(file) for spec, file in zip(specs, files)})
    return groups[0], groups[1]
