"""What no file of the project may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = (
    "mlc",
    "dialects",
    "frontends",
    "lowering",
    "codegen",
    "tests",
    "benchmarks",
    "docs",
    "examples",
    ".ci",
)
SUFFIXES = {".py", ".md", ".mlir", ".toml", ".txt", ".yml", ".c", ".h", ".sh", ""}

# Spelled in pieces, or this file would be its own first finding.
FORBIDDEN = {
    "an unfinished mark": re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r"\b"),
    "a local path": re.compile("/wo" + "rk/|/ro" + "ot/|/ho" + "me/"),
    "a download address": re.compile("files\\.python" + "hosted|/sim" + "ple/"),
}


def project_files() -> Iterator[Path]:
    """The project's own text files."""
    yield from (file for file in ROOT.iterdir() if file.is_file() and file.suffix in SUFFIXES)
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and file.suffix in SUFFIXES and "__pycache__" not in file.parts:
                yield file


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in project_files()
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def test_the_patterns_find_what_they_forbid() -> None:
    samples = {
        "an unfinished mark": "# TO" + "DO: later",
        "a local path": "/wo" + "rk/main",
        "a download address": "https://x/sim" + "ple/y",
    }
    assert all(FORBIDDEN[what].search(sample) for what, sample in samples.items())
