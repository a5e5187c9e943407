"""List the machines that mlc compiles for, or one of them with its CPUs and features and what each enables.

    mlc targets
    mlc targets aarch64

A name is what ``--target`` takes: one of the list, or a triple such as aarch64-linux-gnu. Its CPUs are what ``--mcpu``
takes, its features what ``--mattr`` adds (+dotprod) and removes (-dotprod).
"""

from __future__ import annotations

import argparse

from mlc.cli.show import show_json
from mlc.codegen.targets import Target, all_targets, find_target
from mlc.codegen.targets.cpus import Cpu, families


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="TARGET", help="show this one's CPUs and features")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    if args.name:
        return _show(find_target(args.name), args.json)
    targets = all_targets()
    if args.json:
        show_json({name: facts(target) for name, target in targets.items()})
        return 0
    print(f"{'target':16} {'triple':30} {'cpu':16} {'vector':>6} {'registers':>9}  features")
    for name, target in targets.items():
        vector = f"{8 * target.vector_bytes} b"
        features = " ".join(sorted(target.features))
        print(f"{name:16} {target.triple:30} {target.cpu:16} {vector:>6} {target.registers:9}  {features}")
    return 0


def _show(target: Target, as_json: bool) -> int:
    found = {**facts(target), **choices(target)}
    if as_json:
        show_json(found)
        return 0
    print(f"{target.name}: {target.triple}, vectors of {8 * target.vector_bytes} bits in {target.registers} registers")
    for title, rows in choices(target).items():
        if rows:
            width = max(map(len, rows))
            print(f"\n{title}:")
            for name, row in rows.items():
                print(f"  {name:{width}}  {row['text']}")
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


def choices(target: Target) -> dict[str, dict[str, dict[str, object]]]:
    """The features and CPUs of a target's family by name, each with a ``text`` for people."""
    family = families().get(target.triple.partition("-")[0])
    if family is None:
        return {"features": {}, "cpus": {}}
    features: dict[str, dict[str, object]] = {
        feature.name: {
            "text": _feature_text(feature.text, feature.name in target.features, feature.aliases),
            "enabled": feature.name in target.features,
            "aliases": list(feature.aliases),
            "implies": list(feature.implies),
        }
        for feature in family.features
    }
    cpus: dict[str, dict[str, object]] = {
        cpu.name: {
            "text": _cpu_text(cpu),
            "features": sorted(cpu.features),
            "in_order": cpu.in_order,
            "caches": [cpu.caches.l1, cpu.caches.l2, cpu.caches.l3],
        }
        for cpu in family.cpus
    }
    return {"features": features, "cpus": cpus}


def _feature_text(text: str, enabled: bool, aliases: tuple[str, ...]) -> str:
    also = f" (also: {', '.join(aliases)})" if aliases else ""
    return f"{text}{also}{' [on]' if enabled else ''}"


def _cpu_text(cpu: Cpu) -> str:
    sizes = "/".join(f"{size >> 10}K" for size in (cpu.caches.l1, cpu.caches.l2, cpu.caches.l3))
    order = "in order, " if cpu.in_order else ""
    return f"{order}caches {sizes}: {' '.join(sorted(cpu.features)) or 'the baseline'}"
