"""Cycles of a loop on a processor that isn't here, as LLVM's machine code analyser (llvm-mca) models it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from mlc.testing.require import require_tool

if TYPE_CHECKING:
    from mlc.codegen.targets import Target
    from mlc.testing.assembly import Listing

TOOL = "llvm-mca-19"
ITERATIONS = 200

_LABEL = re.compile(r"\.LBB\w+")
_CYCLES = re.compile(r"Total Cycles:\s+(\d+)")


def cycles(loop: Listing, target: Target, cpu: str) -> float:
    """Cycles per iteration of an innermost loop on LLVM's model of ``cpu``; all loads hit the first-level cache.

    Skips the test (fails it in CI) where the tool is missing. Raises CalledProcessError where it refuses the code.
    """
    body = "\n".join(f"\t{i.mnemonic}\t{i.operands}" for i in loop.instructions)
    label = _LABEL.search(body)
    text = f"{label[0]}:\n{body}\n" if label else f"{body}\n"
    command = [require_tool(TOOL), f"-mtriple={target.triple}", f"-mcpu={cpu}", f"-iterations={ITERATIONS}"]
    if target.llvm_features:
        command.append(f"-mattr={target.llvm_features}")
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    found = _CYCLES.search(done.stdout)
    assert found, f"{TOOL} says nothing of cycles"
    return int(found[1]) / ITERATIONS
