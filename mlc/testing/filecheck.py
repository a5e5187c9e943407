"""FileCheck tests in process: the ``// RUN:`` lines of a file, run without starting a single program.

A RUN line is a pipe of the commands ``mlc ...`` and ``filecheck ...``. In it ``%s`` is the file, ``not`` in
front of a command expects it to fail, ``2>&1`` joins its standard error to its output, and a ``\\`` at the
end continues the line::

    // RUN: mlc opt %s -p canonicalize --split-input-file | filecheck %s
    // RUN: not mlc opt %s -p no-such-pass 2>&1 | filecheck %s --check-prefix=UNKNOWN

The same files run under ``lit``, which starts real programs, and give the same verdicts.
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from mlc.errors import UsageError, nearest

RUN_LINE = re.compile(r"^\s*(?://|#|;)\s*RUN:\s*(?P<command>.*?)\s*$", re.MULTILINE)


class FileCheckFailure(AssertionError):
    """A RUN line failed; the message holds the line, the reason and the input that was checked."""


@dataclass(frozen=True)
class Result:
    """What one command of a pipe left behind."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class Stage:
    """One command of a pipe, as its RUN line has it."""

    words: tuple[str, ...]
    expect_failure: bool
    join_errors: bool


def run_lines(text: str) -> list[str]:
    """The commands of a file's RUN lines, continued lines joined."""
    commands: list[str] = []
    pending = ""
    for match in RUN_LINE.finditer(text):
        pending += match["command"]
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        commands.append(pending)
        pending = ""
    if pending:
        raise UsageError(f"the last RUN line ends in a backslash: {pending!r}")
    return commands


def run_file(path: Path) -> None:
    """Run the RUN lines of ``path``; `FileCheckFailure` at the first that fails, `UsageError` without any."""
    commands = run_lines(path.read_text(encoding="utf-8"))
    if not commands:
        raise UsageError("the file has no RUN line", node=str(path))
    for command in commands:
        _run_pipe(command, path)


def _run_pipe(command: str, path: Path) -> None:
    stages = _stages(command, path)
    if stages[-1].words[0] != "filecheck":
        raise UsageError(f"nothing checks the output of: {command}", node=str(path), hint="end it in | filecheck %s")
    piped = ""
    for stage in stages:
        result = _run_command(stage.words, piped)
        if (result.status != 0) != stage.expect_failure:
            raise FileCheckFailure(_explain(command, stage, result, piped))
        piped = result.output + (result.errors if stage.join_errors else "")


def _explain(command: str, stage: Stage, result: Result, piped: str) -> str:
    problem = "succeeded" if stage.expect_failure else f"failed with status {result.status}"
    parts = [f"RUN: {command}", f"{shlex.join(stage.words)} {problem}", result.errors.rstrip()]
    if stage.words[0] == "filecheck":
        parts += ["--- its input:", piped]
    return "\n".join(parts)


def _stages(command: str, path: Path) -> list[Stage]:
    """Split a pipe into its commands, with ``%s`` replaced."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            commands.append([])
        else:
            commands[-1].append(word.replace("%s", str(path)))
    return [_stage(words) for words in commands]


def _stage(words: list[str]) -> Stage:
    join_errors = words[-1:] == ["2>&1"]
    words = words[:-1] if join_errors else words
    expect_failure = words[:1] == ["not"]
    words = words[1:] if expect_failure else words
    if not words or words[0] not in COMMANDS:
        name = words[0] if words else ""
        raise UsageError(f"RUN lines can't run {name!r}", hint=nearest(name, COMMANDS))
    return Stage(tuple(words), expect_failure, join_errors)


def _run_command(words: Sequence[str], piped: str) -> Result:
    with _captured(piped) as (output, errors):
        status = COMMANDS[words[0]](list(words[1:]))
    return Result(status, output.getvalue(), errors.getvalue())


@contextmanager
def _captured(piped: str) -> Generator[tuple[io.StringIO, io.StringIO]]:
    """Standard input holds ``piped``; standard output and error are collected."""
    output, errors = io.StringIO(), io.StringIO()
    stdin, sys.stdin = sys.stdin, io.StringIO(piped)
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            yield output, errors
    finally:
        sys.stdin = stdin


def _mlc(arguments: list[str]) -> int:
    from mlc.cli.main import main

    return main(arguments)


def _filecheck(arguments: list[str]) -> int:
    from filecheck.matcher import Matcher
    from filecheck.options import parse_argv_options

    return Matcher.from_opts(parse_argv_options(["filecheck", *arguments])).run()


COMMANDS: dict[str, Callable[[list[str]], int]] = {"mlc": _mlc, "filecheck": _filecheck}
