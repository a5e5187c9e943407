"""List the machines that mlc compiles for: names that ``--target`` takes, and the facts behind them."""

from __future__ import annotations

import argparse
import json

from mlc.codegen.targets import all_targets
from mlc.codegen.targets.base import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    targets = all_targets()
    if args.json:
        print(json.dumps({name: facts(target) for name, target in targets.items()}, indent=2))
        return 0
    print(f"{'target':16} {'triple':30} {'cpu':16} {'vector':>6} {'registers':>9}  features")
    for name, target in targets.items():
        vector = f"{8 * target.vector_bytes} b"
        features = " ".join(sorted(target.features))
        print(f"{name:16} {target.triple:30} {target.cpu:16} {vector:>6} {target.registers:9}  {features}")
    return 0


def facts(target: Target) -> dict[str, object]:
    """What JSON output says about a target; ``vector_bits`` is the width of one register."""
    return {
        "triple": target.triple,
        "cpu": target.cpu,
        "kind": target.kind,
        "vector_bits": 8 * target.vector_bytes,
        "registers": target.registers,
        "features": sorted(target.features),
        "instructions": sorted({row.op for row in target.rows}),
    }
