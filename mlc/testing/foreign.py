"""Run many compiled models on every foreign machine: emulated processors, and node."""

from __future__ import annotations

from pathlib import Path

from mlc.codegen.targets import find_target
from mlc.testing.cross import MACHINES, Emulated
from mlc.testing.libraries import Job, Outcome, run_libraries
from mlc.testing.node import Node, run_modules

WASM = "wasm32"
TARGETS = (*dict.fromkeys(target for target, _, _ in MACHINES.values()), WASM)
"""Names of all foreign targets that can be run here."""


def threads_of(target: str) -> tuple[int, ...]:
    """Numbers of threads to try."""
    return (1, 2) if find_target(target).threads else (1,)


def runs(target: str, jobs: list[Job], folder: Path) -> dict[str, list[Outcome]]:
    """The outcomes on every machine that the target's code must run on."""
    if target == WASM:
        return {"node": run_modules(Node(find_target(target)), jobs, folder)}
    names = [name for name, entry in MACHINES.items() if entry[0] == target]
    return {name: run_libraries(Emulated.named(name), jobs, folder) for name in names}
