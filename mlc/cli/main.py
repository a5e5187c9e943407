"""The ``mlc`` command: finds the sub-command, runs it, and turns an error into one line and an exit code.

A sub-command is a module ``mlc/cli/NAME.py`` with ``add_arguments(parser)`` and ``run(args) -> int``; its
docstring is its help. Only the module of the command that was asked for is imported.

Exit codes: 0 done, 1 bad model or input, 2 usage, 3 mismatch, 4 unsupported operation, 70 a bug in mlc (a
reproducer is written), 130 interrupted, 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol, cast

from mlc.cli.parser import ArgumentParser
from mlc.errors import InternalError, MlcError, UsageError, nearest, printable
from mlc.operators import load_plugin

COMMANDS = {
    "compile": "compile a model to a library, an object or an archive",
    "run": "run a model once",
    "bench": "time a model beside its peers",
    "profile": "show where a model's time goes",
    "verify": "compare a model's results with the reference",
    "check": "list what keeps a model from being compiled",
    "inspect": "show a model, its kernels and what they take",
    "opt": "run passes over textual IR",
    "targets": "list the machines that mlc compiles for",
    "passes": "list the passes and their options",
    "doctor": "say what mlc finds on this machine",
}

INTERRUPTED = 130
BROKEN_PIPE = 141
LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}


class Command(Protocol):
    """What a sub-command's module provides."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
        return status
    except InternalError as error:
        return _report_bug(arguments, error)
    except MlcError as error:
        return _fail(error.describe(), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Point standard output elsewhere, or the interpreter complains again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except Exception as error:
        return _report_bug(arguments, error)


def _dispatch(arguments: list[str]) -> int:
    try:
        return _run_command(arguments)
    except SystemExit as stop:
        # argparse, done with --help or --version.
        return stop.code if isinstance(stop.code, int) else 0


def _run_command(arguments: list[str]) -> int:
    parser = _main_parser()
    args = parser.parse(arguments)
    if args.command is None:
        parser.print_help()
        return UsageError.exit_code
    if args.command not in COMMANDS:
        raise UsageError(f"unknown command {args.command!r}", hint=nearest(args.command, COMMANDS))
    command = cast(Command, importlib.import_module(f"mlc.cli.{args.command}"))
    sub_parser = ArgumentParser(prog=f"mlc {args.command}", description=command.__doc__)
    _add_verbosity(sub_parser)
    command.add_arguments(sub_parser)
    sub_args = sub_parser.parse(args.arguments)
    sub_args.verbosity = args.verbose + sub_args.verbose - args.quiet - sub_args.quiet
    with _logging(sub_args.verbosity):
        _warn_about_variables()
        for path in getattr(sub_args, "plugin", ()):
            load_plugin(path)
        return command.run(sub_args)


def _main_parser() -> ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = ArgumentParser(
        prog="mlc",
        usage="mlc [-v | -q] COMMAND ...",
        description="Compile ONNX models to native code.",
        epilog=f"commands:\n{listing}\n\n`mlc COMMAND --help` says more about each.",
    )
    _add_verbosity(parser)
    parser.add_argument("--version", action=_VersionAction, help="print the version and exit")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_verbosity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more (-vv: even more)")
    parser.add_argument("-q", "--quiet", action="count", default=0, help="say errors only")


class _VersionAction(argparse.Action):
    """Prints the version; a class so that the package metadata is read only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from mlc.version import mlc_version

        print(f"mlc {mlc_version()}")
        parser.exit()


@contextmanager
def _logging(verbosity: int) -> Generator[None]:
    """Send the ``mlc`` logger to standard error while a command runs."""
    logger = logging.getLogger("mlc")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("mlc: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(LEVELS[max(-1, min(verbosity, 2))])
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _log_warning
            yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _log_warning(message: Warning | str, *_: object) -> None:
    """A warning of the `warnings` module as one line, without the place in mlc's own code."""
    logging.getLogger("mlc").warning("warning: %s", printable(" ".join(str(message).split())))


def _warn_about_variables() -> None:
    from mlc.knobs import unknown_variables

    for name, hint in unknown_variables().items():
        logging.getLogger("mlc").warning("warning: environment variable %s means nothing (%s)", name, hint)


def _fail(message: str, status: int) -> int:
    print(f"mlc: error: {message}", file=sys.stderr)
    return status


def _report_bug(arguments: list[str], error: Exception) -> int:
    from mlc.cli.reproducer import write_reproducer

    path = write_reproducer(arguments, error)
    reason = error.describe() if isinstance(error, MlcError) else f"{type(error).__name__}: {error}"
    return _fail(f"a bug in mlc: {' '.join(reason.split())}; reproducer: {path}", InternalError.exit_code)
