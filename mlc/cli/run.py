"""Run a model once, on given or made-up inputs, and show or write what comes out.

    mlc run model.onnx -i x=x.npy -o y.npz

MODEL is an ONNX file, or a shared library that `mlc compile` wrote (which executes it). Code for another machine runs
under an emulator: mlc run model.onnx --target=aarch64
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.cli.arguments import (
    add_emulator_argument,
    add_input_arguments,
    add_model_arguments,
    cache_from,
    inputs_from,
    open_model,
    request_from,
    runnable_model,
)
from mlc.cli.show import show_json
from mlc.errors import printable

if TYPE_CHECKING:
    from mlc.model import Array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    add_input_arguments(parser)
    add_emulator_argument(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the outputs to a .npz or .npy file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from mlc.api import Maker
    from mlc.arrays import write_arrays

    library = args.model.endswith(".so")
    model = open_model(args) if library else runnable_model(Maker(request_from(args), cache_from(args)), args)
    outputs = model.run(inputs_from(args, model))
    if args.output:
        write_arrays(args.output, outputs)
    facts = {name: _facts(array) for name, array in outputs.items()}
    if args.json:
        show_json(facts)
        return 0
    for name, fact in facts.items():
        print(printable(f"{name}: " + ", ".join(f"{key} {_show(value)}" for key, value in fact.items())))
    return 0


def _facts(array: Array) -> dict[str, object]:
    """What is worth knowing of an output at a glance."""
    facts: dict[str, object] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    if array.size and array.dtype.kind in "fiub":
        wide = array.astype("float64")
        facts |= {"min": float(wide.min()), "max": float(wide.max()), "mean": float(wide.mean())}
    return facts


def _show(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
