"""The in-process runner passes what passes, and fails what fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlc.errors import UsageError
from mlc.testing.filecheck import FileCheckFailure, run_file, run_lines

BODY = """
builtin.module {
}
// CHECK: builtin.module
// WRONG: arith.addi
"""


def run(tmp_path: Path, *lines: str) -> None:
    file = tmp_path / "a b.mlir"
    file.write_text("\n".join(lines) + BODY)
    run_file(file)


@pytest.mark.parametrize(
    "line",
    [
        "// RUN: mlc opt %s | filecheck %s",
        "// RUN: mlc opt %s -p 'cse,dce' \\\n// RUN:   | filecheck %s",
        "// RUN: mlc opt %s | mlc opt | mlc opt - | filecheck %s",
        "// RUN: mlc opt %s | not filecheck %s --check-prefix=WRONG",
        "// RUN: not mlc opt %s -p none 2>&1 | not filecheck %s",
    ],
)
def test_passes(line: str, tmp_path: Path) -> None:
    run(tmp_path, line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("// RUN: mlc opt %s | filecheck %s --check-prefix=WRONG", "failed with status 1"),
        ("// RUN: mlc opt %s | filecheck %s --check-prefix=ABSENT", "No check strings found"),
        ("// RUN: mlc opt %s -p none | filecheck %s", "unknown pass 'none'"),
        ("// RUN: not mlc opt %s | filecheck %s", "succeeded"),
        ("// RUN: mlc opt %s | not filecheck %s", "succeeded"),
        ("// RUN: not mlc opt %s -p none | filecheck %s", "is empty"),
    ],
)
def test_fails(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileCheckFailure, match=reason):
        run(tmp_path, line)


def test_every_line_runs(tmp_path: Path) -> None:
    with pytest.raises(FileCheckFailure, match="WRONG"):
        run(
            tmp_path,
            "// RUN: mlc opt %s | filecheck %s",
            "// RUN: mlc opt %s | filecheck %s --check-prefix=WRONG",
        )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("// nothing to run", "no RUN line"),
        ("// RUN: mlc opt %s", "nothing checks"),
        ("// RUN: rm -rf %s | filecheck %s", "can't run 'rm'"),
        ("// RUN: mlc opt %s | filecheck %s \\", "ends in a backslash"),
    ],
)
def test_malformed(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        run(tmp_path, line)


def test_run_lines_are_found_behind_any_comment_mark() -> None:
    assert run_lines("// RUN: a\n# RUN: b\n  ; RUN: c \nRUN: d") == ["a", "b", "c"]
