"""Run passes over textual IR, as mlir-opt does.

    mlc opt model.hlt.mlir -p 'canonicalize,fuse{limit=4}'

Reads FILE (or standard input) and writes the result to standard output. Dumps and times go to standard error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlc import knobs
from mlc.errors import ModelError, UnsupportedError, UsageError, nearest
from mlc.pass_manager import PassManager, Watch, print_ir
from mlc.registry import make_context, parse_passes, passes
from mlc.verifier import verify

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass

SEPARATOR = re.compile(r"^// -----.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Chunk:
    """A piece of a file that is parsed on its own; ``line`` is the number of lines before it."""

    name: str
    text: str
    line: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="the IR; - is standard input")
    parser.add_argument("-p", "--passes", default="", metavar="PASSES", help="passes in order: a,b{option=1}")
    parser.add_argument("-o", "--output", default="-", metavar="FILE", help="where to write the result")
    parser.add_argument(
        "--split-input-file", action="store_true", help="take the parts between `// -----` lines one by one"
    )
    parser.add_argument(
        "--verify-diagnostics", action="store_true", help="print errors in the IR as the output and go on"
    )
    parser.add_argument("--print-op-generic", action="store_true", help="print operations in generic form")
    parser.add_argument(
        "--allow-unregistered-dialect",
        action="store_true",
        help="accept operations of unknown dialects",
    )
    add_watch_arguments(parser)


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that watch passes run, for every command that runs some; `watch_from` reads them."""
    parser.add_argument(
        "--verify-each",
        action=argparse.BooleanOptionalAction,
        default=knobs.VERIFY_EACH.get(),
        help="verify the IR after each pass",
    )
    parser.add_argument("--print-ir-after", action="append", default=[], metavar="PASS", help="print the IR after PASS")
    parser.add_argument("--print-ir-after-all", action="store_true", help="print the IR after every pass")
    parser.add_argument(
        "--print-ir-after-change", action="store_true", help="print the IR after each pass that changed it"
    )
    parser.add_argument("--time-passes", action="store_true", help="report the time that each pass took")


def watch_from(args: argparse.Namespace) -> Watch:
    """The `Watch` that the flags of `add_watch_arguments` ask for; UsageError for a pass that there is not."""
    for name in args.print_ir_after:
        if name not in passes():
            raise UsageError(f"unknown pass {name!r}", hint=nearest(name, passes()))
    return Watch(
        verify_each=args.verify_each,
        print_after=frozenset(args.print_ir_after),
        print_after_all=args.print_ir_after_all,
        print_after_change=args.print_ir_after_change,
        time_passes=args.time_passes,
    )


def run(args: argparse.Namespace) -> int:
    pipeline = parse_passes(args.passes)
    manager = PassManager(make_context(allow_unregistered=args.allow_unregistered_dialect), watch_from(args))
    results = [_process(chunk, manager, pipeline, args) for chunk in _chunks(args)]
    _write(args.output, "// -----\n".join(results))
    if args.time_passes:
        manager.report()
    return 0


def _process(chunk: Chunk, manager: PassManager, pipeline: tuple[ModulePass, ...], args: argparse.Namespace) -> str:
    """The text that ``chunk`` becomes: its module after the passes, or (--verify-diagnostics) its error."""
    try:
        module = parse_module(chunk, manager.context)
        _run_passes(module, manager, pipeline)
    except (ModelError, UnsupportedError) as error:
        if not args.verify_diagnostics:
            raise
        return f"{error.describe()}\n"
    return print_ir(module, generic=args.print_op_generic)


def parse_module(chunk: Chunk, context: Context) -> ModuleOp:
    """Parse and verify; `ModelError` says where in the file, or in which operation, and why not."""
    from xdsl.utils.exceptions import VerifyException

    try:
        module = _parse(chunk, context)
        verify(module)
    except VerifyException as error:
        raise ModelError(_one_line(str(error)), node=chunk.name) from error
    except RecursionError as error:
        raise ModelError("the IR is nested too deeply", node=chunk.name) from error
    return module


def _parse(chunk: Chunk, context: Context) -> ModuleOp:
    from xdsl.utils.exceptions import ParseError

    from mlc.text import TextParser

    try:
        return TextParser(context, chunk.text, chunk.name).parse_module()
    except ParseError as error:
        at = error.span.get_location()
        raise ModelError(_one_line(error.msg), node=f"{at.file}:{at.line + chunk.line}:{at.col}") from error


def _run_passes(module: ModuleOp, manager: PassManager, pipeline: tuple[ModulePass, ...]) -> None:
    from xdsl.utils.exceptions import PassFailedException, VerifyException

    try:
        manager.run(module, pipeline)
    except (PassFailedException, VerifyException) as error:
        raise ModelError(_one_line(str(error))) from error


def _chunks(args: argparse.Namespace) -> Iterator[Chunk]:
    name, text = _read(args.file)
    if not args.split_input_file:
        yield Chunk(name, text)
        return
    line = 0
    start = 0
    for separator in SEPARATOR.finditer(text):
        yield Chunk(name, text[start : separator.start()], line)
        line += text.count("\n", start, separator.end())
        start = separator.end()
    yield Chunk(name, text[start:], line)


def _read(file: str) -> tuple[str, str]:
    if file == "-":
        return "<stdin>", sys.stdin.read()
    try:
        return file, Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"not UTF-8 text: {error.reason} at byte {error.start}", node=file) from None


def _write(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")


def _one_line(message: str) -> str:
    return "; ".join(filter(None, map(str.strip, message.splitlines())))
