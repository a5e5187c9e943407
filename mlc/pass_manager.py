"""Running passes in order, and watching them: verification, IR dumps and times.

Dumps and times go to standard error, so that standard output stays the IR.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from mlc.errors import InternalError
from mlc.verifier import verify

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass


@dataclass(frozen=True)
class Watch:
    """What to check and report while passes run; the default is nothing.

    ``print_after`` holds names of passes whose result is printed, ``print_after_all`` prints after each,
    ``print_after_change`` after each that changed the IR (which costs two prints per pass).
    """

    verify_each: bool = False
    print_after: frozenset[str] = frozenset()
    print_after_all: bool = False
    print_after_change: bool = False
    time_passes: bool = False


@dataclass(frozen=True)
class PassTime:
    """One line of the time report."""

    name: str
    seconds: float
    operations: int


@dataclass
class PassManager:
    """Applies steps to a module under a `Watch`; ``watch.time_passes`` fills ``times``."""

    context: Context
    watch: Watch = Watch()
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    times: list[PassTime] = field(default_factory=list[PassTime])

    def run(self, module: ModuleOp, passes: Iterable[ModulePass]) -> None:
        """Apply ``passes`` in order."""
        for each in passes:
            self.apply(module, each.name, each.apply)

    def apply(self, module: ModuleOp, name: str, step: Callable[[Context, ModuleOp], None]) -> None:
        """Apply the step that flags know as ``name``; `InternalError` when verification is on and fails."""
        before = print_ir(module) if self.watch.print_after_change else ""
        start = time.perf_counter()
        step(self.context, module)
        seconds = time.perf_counter() - start
        if self.watch.time_passes:
            self.times.append(PassTime(name, seconds, sum(1 for _ in module.walk())))
        self._dump(module, name, before)
        if self.watch.verify_each:
            self._verify(module, name)

    def report(self) -> None:
        """Print the time of each pass, in order of running."""
        total = sum(entry.seconds for entry in self.times) or 1.0
        print(f"{'pass':32} {'seconds':>9} {'share':>6} {'ops after':>10}", file=self.stream)
        for entry in self.times:
            share = f"{entry.seconds / total:.0%}"
            print(f"{entry.name:32} {entry.seconds:9.4f} {share:>6} {entry.operations:10}", file=self.stream)

    def _dump(self, module: ModuleOp, name: str, before: str) -> None:
        wanted = self.watch.print_after_all or name in self.watch.print_after
        if not (wanted or self.watch.print_after_change):
            return
        after = print_ir(module)
        if wanted or after != before:
            print(f"// -----// IR after {name} //----- //\n{after}", file=self.stream)

    def _verify(self, module: ModuleOp, name: str) -> None:
        from xdsl.utils.exceptions import VerifyException

        try:
            verify(module)
        except VerifyException as error:
            raise InternalError(f"the IR is invalid after {name}: {error}") from error


def print_ir(module: ModuleOp, *, generic: bool = False) -> str:
    """The module as text, ended by a newline."""
    from xdsl.printer import Printer

    stream = StringIO()
    Printer(stream=stream, print_generic_format=generic).print_op(module)
    return stream.getvalue() + "\n"
