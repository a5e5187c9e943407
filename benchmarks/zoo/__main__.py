"""Command line of the zoo: `python -m benchmarks.zoo list | build NAME -o MODEL.onnx | check`."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.zoo import build, inputs, registry, sanity


def _list() -> None:
    print(f"{'name':<20}{'parameters':>12}  inputs")
    for name in registry.names():
        feeds = inputs(name)
        shown = ", ".join(f"{key}{list(np.shape(value))}" for key, value in list(feeds.items())[:3])
        more = f", and {len(feeds) - 3} more" if len(feeds) > 3 else ""
        print(f"{name:<20}{registry.entry(name).parameters:>12,}  {shown}{more}")


def _build(name: str, output: Path, seed: int, data: Path | None) -> None:
    model = build(name, seed=seed)
    output.write_bytes(model.SerializeToString())
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
    if data is not None:
        arrays: dict[str, Any] = {**inputs(name, seed)}
        np.savez(data, **arrays)


def _check(names: list[str]) -> int:
    """Print how the outputs behave; 1 when any is at fault."""
    print(f"{'name':<20}{'output':<20}{'shape':<18}{'mean':>8}{'std':>8}{'corr.':>8}{'ampl.':>8}  fault")
    faults = 0
    for name in names:
        for s in sanity.check(name):
            numbers = "".join(f"{v:8.3f}" for v in (s.mean, s.std, s.correlation, s.amplification))
            print(f"{name:<20}{s.output:<20}{list(s.shape)!s:<18}{numbers}  {s.fault}")
            faults += bool(s.fault)
    return int(faults > 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description="Real architectures, seeded weights.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the models")
    make = commands.add_parser("build", help="write a model")
    make.add_argument("name", choices=registry.names(), metavar="NAME")
    make.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.onnx")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--inputs", type=Path, metavar="FILE.npz", help="write the model's inputs too")
    check = commands.add_parser("check", help="run models with onnxruntime and show how their outputs behave")
    check.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    options = parser.parse_args()
    if options.command == "check":
        return _check(options.names or list(registry.names()))
    if options.command == "list":
        _list()
    else:
        _build(options.name, options.output, options.seed, options.inputs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
