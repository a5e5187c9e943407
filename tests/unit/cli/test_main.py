"""The command line: what goes wrong is one line and an exit code."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from mlc.cli import main as cli
from mlc.cli.main import COMMANDS, main
from mlc.errors import InternalError, MismatchError, ModelError, UnsupportedError

CLI_FOLDER = Path(cli.__file__).parent
HELPERS = {"__init__", "arguments", "main", "parser", "show", "reproducer"}

RunCommand = Callable[[argparse.Namespace], int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[RunCommand], None]:
    """Installs a function as the sub-command ``probe``, with one flag ``--threads``."""

    def install(run: RunCommand) -> None:
        module = types.ModuleType("mlc.cli.probe", "Do what the test says.")
        module.__dict__.update(add_arguments=add_arguments, run=run)
        monkeypatch.setitem(sys.modules, "mlc.cli.probe", module)
        monkeypatch.setitem(COMMANDS, "probe", "a test's own")

    return install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int)


def raising(error: BaseException) -> RunCommand:
    def run(_: argparse.Namespace) -> int:
        raise error

    return run


def test_every_module_is_a_command() -> None:
    assert {file.stem for file in CLI_FOLDER.glob("*.py")} - HELPERS == set(COMMANDS)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out and text in out for name, text in COMMANDS.items())


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_have_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: mlc {name}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mlc ")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ModelError("no graph", node="m.onnx"), 1, "mlc: error: m.onnx: no graph\n"),
        (MismatchError("3 differ"), 3, "mlc: error: 3 differ\n"),
        (UnsupportedError("no kernel", hint="try -O0"), 4, "mlc: error: no kernel (try -O0)\n"),
        (FileNotFoundError(2, "No such file or directory", "a.onnx"), 1, "mlc: error: a.onnx: No such file"),
        (KeyboardInterrupt(), 130, "mlc: error: interrupted\n"),
    ],
)
def test_errors_become_a_line_and_a_status(
    error: BaseException,
    status: int,
    line: str,
    command: Callable[[RunCommand], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(raising(error))
    assert main(["probe"]) == status
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize("error", [ZeroDivisionError("a / b"), InternalError("invalid after fuse")])
def test_a_bug_leaves_a_reproducer(
    error: Exception,
    command: Callable[[RunCommand], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("MLC_JOBS", "3")
    command(raising(error))
    assert main(["probe", "--threads", "2"]) == 70
    (path,) = tmp_path.iterdir()
    line = capsys.readouterr().err
    assert line.startswith("mlc: error: a bug in mlc: ")
    assert line.endswith(f"reproducer: {path}\n")
    assert line.count("\n") == 1
    text = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert "command:   mlc probe --threads 2" in text
    assert "MLC_JOBS=3" in text
    assert "xdsl=" in text
    assert type(error).__name__ in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prob"], "unknown command 'prob' (did you mean 'probe'? valid:"),
        (["probe", "--thread", "2"], "unknown argument '--thread' (did you mean --threads?)"),
        (
            ["probe", "--threads", "two"],
            "argument --threads: invalid int value: 'two' (see `mlc probe --help`)",
        ),
        (["probe", "x.onnx"], "unknown argument 'x.onnx' (see `mlc probe --help`)"),
        (["--verbos", "probe"], "unknown argument '--verbos' (did you mean --verbose?)"),
    ],
)
def test_usage_errors_advise(
    arguments: list[str],
    words: str,
    command: Callable[[RunCommand], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(lambda _: 0)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"mlc: error: {words}")


def test_verbosity_adds_up_on_both_sides(command: Callable[[RunCommand], None]) -> None:
    seen: list[int] = []
    command(lambda args: seen.append(args.verbosity) or 0)
    for arguments in (["probe"], ["-v", "probe", "-v"], ["-q", "probe"], ["probe", "-vv"]):
        assert main(arguments) == 0
    assert seen == [0, 2, -1, 2]


def test_unknown_variables_are_reported(
    command: Callable[[RunCommand], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLC_JOB", "2")
    command(lambda _: 0)
    assert main(["probe"]) == 0
    assert "MLC_JOB means nothing (did you mean 'MLC_JOBS'?" in capsys.readouterr().err
    assert main(["probe", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_no_bug() -> None:
    script = "import sys; from mlc.cli.main import main; sys.exit(main(['--version']))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, b"")
