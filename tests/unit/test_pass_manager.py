"""Passes run in order; what watches them reports on another stream."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from xdsl.context import Context
from xdsl.dialects import test
from xdsl.dialects.builtin import ModuleOp, i32
from xdsl.passes import ModulePass

from mlc.errors import InternalError
from mlc.pass_manager import PassManager, Watch, print_ir
from mlc.registry import make_context


@dataclass(frozen=True)
class Append(ModulePass):
    """Adds an operation."""

    name = "append"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        op.body.block.add_op(test.TestOp(result_types=[i32]))


@dataclass(frozen=True)
class Idle(ModulePass):
    """Does nothing."""

    name = "idle"

    def apply(self, ctx: Context, op: ModuleOp) -> None: ...


def reorder(_: Context, module: ModuleOp) -> None:
    definition = test.TestOp(result_types=[i32])
    module.body.block.add_ops((test.TestOp(operands=[definition.results[0]]), definition))


def run(watch: Watch) -> str:
    """What is reported while idle, append and idle run."""
    stream = io.StringIO()
    manager = PassManager(make_context(), watch, stream)
    manager.run(ModuleOp([]), (Idle(), Append(), Idle()))
    if watch.time_passes:
        manager.report()
    return stream.getvalue()


@pytest.mark.parametrize(
    ("watch", "titles"),
    [
        (Watch(), []),
        (Watch(print_after_all=True), ["idle", "append", "idle"]),
        (Watch(print_after_change=True), ["append"]),
        (Watch(print_after=frozenset(["idle"])), ["idle", "idle"]),
        (Watch(print_after=frozenset(["idle"]), print_after_change=True), ["idle", "append", "idle"]),
    ],
)
def test_dumps(watch: Watch, titles: list[str]) -> None:
    lines = [line for line in run(watch).splitlines() if "IR after" in line]
    assert lines == [f"// -----// IR after {title} //----- //" for title in titles]


def test_times_count_operations() -> None:
    rows = [line.split() for line in run(Watch(time_passes=True)).splitlines()]
    assert [(row[0], row[-1]) for row in rows[1:]] == [("idle", "1"), ("append", "2"), ("idle", "2")]


def test_verification_names_the_pass_to_blame() -> None:
    manager = PassManager(make_context(), Watch(verify_each=True))
    with pytest.raises(InternalError, match="the IR is invalid after reorder: "):
        manager.apply(ModuleOp([]), "reorder", reorder)


def test_without_verification_nobody_looks() -> None:
    PassManager(make_context()).apply(ModuleOp([]), "reorder", reorder)


def test_ir_prints_in_both_forms() -> None:
    assert print_ir(ModuleOp([])) == "builtin.module {\n}\n"
    assert print_ir(ModuleOp([]), generic=True).startswith('"builtin.module"() ({')
