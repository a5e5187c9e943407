"""The function that every thread runs once per call, as LLVM IR text: kernel calls, branches, loops and barriers.

All threads take the same way: what decides is read from memory after a barrier, and not written again before the
next. Counters, and the places that loops hand values on in, are each thread's own. Only what is too small to share out
is the first thread's alone: control flow in there is its own, and its loops leave their places in the arena for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlc.codegen.runtime import context as ctx
from mlc.codegen.runtime.clock import ENTRY_BYTES
from mlc.codegen.steps import Alone, Branch, BufferRef, Call, Repeat, Step, steps_within
from mlc.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlc.codegen.program import Program

_BASES = {"weights": "%weights", "arena": "%arena", "dims": "%dims", "status": "%status"}
_TABLES = {"input": ctx.FRAME_INPUTS, "output": ctx.FRAME_OUTPUTS}


def steps_ir(program: Program, unwind: str) -> str:
    """``@NAME_steps(frame, thread, threads)``."""
    steps = _Steps(program)
    steps.run(program.steps)
    index = program.target.index
    name, body = program.name, "\n".join([*_own_memory(program), *_own_times(program), *steps.lines])
    widen = "bitcast" if index == "i32" else "zext"
    return f"""
define internal void @{name}_steps(ptr %frame, i32 %thread, i32 %threads) nounwind {unwind} {{
  %own = {widen} i32 %thread to {index}
  %all = {widen} i32 %threads to {index}
  %ctx = load ptr, ptr %frame, align 8
  %weights.at = getelementptr i8, ptr %ctx, i64 {ctx.WEIGHTS}
  %weights = load ptr, ptr %weights.at, align 8
  %arena.at = getelementptr i8, ptr %frame, i64 {ctx.FRAME_ARENA}
  %arena = load ptr, ptr %arena.at, align 8
  %dims.at = getelementptr i8, ptr %frame, i64 {ctx.FRAME_DIMS}
  %dims = load ptr, ptr %dims.at, align 8
  %status = getelementptr i8, ptr %frame, i64 {ctx.FRAME_STATUS}
{body}
  ret void
}}
"""


def _own_memory(program: Program) -> list[str]:
    """What every thread has for itself: the phase of the barrier, counters and places. Without loops, nothing."""
    loops = [step for step in steps_within(program.steps) if isinstance(step, Repeat)]
    lines = [f"  %counter{loop.number} = alloca i64, align 8" for loop in loops]
    lines += [
        f"  %place{loop.first_place + i} = {_slot(loop, i)}" for loop in loops for i in range(2 * len(loop.places))
    ]
    if _counts_phases(program):
        lines += ["  %phase = alloca i32, align 4", "  store i32 0, ptr %phase, align 4"]
    return lines


def _own_times(program: Program) -> list[str]:
    """Where a thread notes how long its calls took, if the program is profiled."""
    if program.times is None:
        return []
    index = program.target.index
    return [
        f"  %times.all = getelementptr i8, ptr %arena, {index} {program.times}",
        f"  %times = getelementptr [{ENTRY_BYTES * len(program.calls)} x i8], ptr %times.all, {index} %own",
    ]


def _slot(loop: Repeat, number: int) -> str:
    """The memory for the address of a place."""
    return (
        "alloca ptr, align 8" if loop.slots is None else f"getelementptr i8, ptr %arena, i64 {loop.slots + 8 * number}"
    )


def _counts_phases(program: Program) -> bool:
    """Whether the number of barriers so far is only known at run time."""
    return program.threads and any(isinstance(step, Branch | Repeat) for step in program.steps)


class _Steps:
    """The lines of the steps function, with numbered temporaries and labels."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.count = 0
        self.calls = 0
        self.labels = 0
        self.phase = 0
        self.dynamic = _counts_phases(program)
        self.alone = False

    def run(self, steps: Sequence[Step]) -> None:
        """Emit steps in order."""
        for step in steps:
            match step:
                case Call():
                    self.call(step)
                case Branch():
                    self.branch(step)
                case Repeat():
                    self.repeat(step)
                case Alone():
                    self.first_thread(step)

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def define(self, value: str) -> str:
        self.count += 1
        self.line(f"%v{self.count} = {value}")
        return f"%v{self.count}"

    def label(self, name: str) -> None:
        """Start a block; the one before it goes on here unless it has ended."""
        if not self.lines or not self.lines[-1].startswith("  br "):
            self.line(f"br label %{name}")
        self.lines.append(f"{name}:")

    # Addresses

    def address(self, ref: BufferRef) -> str:
        """The pointer a reference stands for; inputs and outputs are looked up where used: they are many."""
        base = _BASES.get(ref.space) or self._base(ref)
        if ref.offset:
            base = self.define(f"getelementptr i8, ptr {base}, i64 {ref.offset}")
        for loop, step in ref.moves:
            counter = self.define(f"load i64, ptr %counter{loop}, align 8")
            base = self.define(f"getelementptr [{step} x i8], ptr {base}, i64 {counter}")
        return base

    def _base(self, ref: BufferRef) -> str:
        if ref.space == "counter":
            return f"%counter{ref.index}"
        if ref.space == "place":
            return self.define(f"load ptr, ptr %place{ref.index}, align 8")
        specs = self.program.inputs if ref.space == "input" else self.program.outputs
        if not 0 <= ref.index < len(specs):
            raise InternalError(f"no {ref.space} number {ref.index}")
        table_at = self.define(f"getelementptr i8, ptr %frame, i64 {_TABLES[ref.space]}")
        table = self.define(f"load ptr, ptr {table_at}, align 8")
        slot = self.define(f"getelementptr ptr, ptr {table}, i64 {ref.index}")
        return self.define(f"load ptr, ptr {slot}")

    # Steps

    def barrier(self) -> None:
        """Wait for all threads; nothing at the very start and in programs of one thread."""
        if not self.program.threads or not self.lines or self.alone:
            return
        if self.dynamic:
            before = self.define("load i32, ptr %phase, align 4")
            phase = self.define(f"add i32 {before}, 1")
            self.line(f"store i32 {phase}, ptr %phase, align 4")
        else:
            self.phase += 1
            phase = str(self.phase)
        self.line(f"call void @{self.program.name}_barrier(ptr %ctx, i32 {phase}, i32 %threads)")

    def call(self, call: Call) -> None:
        if call.barrier:
            self.barrier()
        args = "".join(f"ptr {self.address(ref)}, " for ref in call.args)
        index = self.program.target.index
        text = f"call void @{call.kernel}({args}{index} %own, {index} %all)"
        if self.program.times is None:
            self.line(text)
            return
        since = self.define(f"call i64 @{self.program.name}_now()")
        self.line(text)
        entry = self.define(f"getelementptr [{ENTRY_BYTES} x i8], ptr %times, {index} {self.calls}")
        self.line(f"call void @{self.program.name}_note(ptr {entry}, i64 {since})")
        self.calls += 1

    def first_thread(self, step: Alone) -> None:
        """Steps that the other threads skip."""
        if step.barrier:
            self.barrier()
        self.labels += 1
        first, others = f"first{self.labels}", f"others{self.labels}"
        self.line(f"br i1 {self.define('icmp eq i32 %thread, 0')}, label %{first}, label %{others}")
        self.label(first)
        self.alone = True
        self.run(step.steps)
        self.alone = False
        self.label(others)

    def truth(self, ref: BufferRef) -> str:
        """Whether the byte at ``ref`` is not 0."""
        byte = self.define(f"load i8, ptr {self.address(ref)}, align 1")
        return self.define(f"icmp ne i8 {byte}, 0")

    def branch(self, step: Branch) -> None:
        if step.barrier:
            self.barrier()
        self.labels += 1
        then, other, end = (f"{part}{self.labels}" for part in ("then", "else", "end"))
        self.line(f"br i1 {self.truth(step.condition)}, label %{then}, label %{other}")
        self.label(then)
        self.run(step.on_true)
        self.line(f"br label %{end}")
        self.label(other)
        self.run(step.on_false)
        self.label(end)

    def repeat(self, step: Repeat) -> None:
        """A loop with a barrier before each iteration, and one at the end."""
        for number, ref in enumerate([ref for pair in step.places for ref in pair], step.first_place):
            self.line(f"store ptr {self.address(ref)}, ptr %place{number}, align 8")
        counter = f"%counter{step.number}"
        self.line(f"store i64 0, ptr {counter}, align 8")
        self.labels += 1
        head, body, done = (f"{part}{self.labels}" for part in ("head", "body", "done"))
        self.label(head)
        self.barrier()
        now = self.define(f"load i64, ptr {counter}, align 8")
        self.line(f"br i1 {self._goes_on(step, now)}, label %{body}, label %{done}")
        self.label(body)
        self.run(step.body)
        old = self.define(f"load i64, ptr {counter}, align 8")
        following = self.define(f"add i64 {old}, 1")
        self.line(f"store i64 {following}, ptr {counter}, align 8")
        for number in range(step.first_place, step.first_place + 2 * len(step.places), 2):
            self._swap(f"%place{number}", f"%place{number + 1}")
        self.line(f"br label %{head}")
        self.label(done)

    def _goes_on(self, step: Repeat, now: str) -> str:
        """Whether iteration ``now`` takes place."""
        conditions: list[str] = []
        if step.limit is not None:
            conditions.append(self.define(f"icmp slt i64 {now}, {step.limit}"))
        if step.trips is not None:
            trips = self.define(f"load i64, ptr {self.address(step.trips)}, align 8")
            conditions.append(self.define(f"icmp slt i64 {now}, {trips}"))
        if step.keep is not None:
            conditions.append(self.truth(step.keep))
        found = conditions[0]
        for condition in conditions[1:]:
            found = self.define(f"and i1 {found}, {condition}")
        return found

    def _swap(self, left: str, right: str) -> None:
        first, second = (self.define(f"load ptr, ptr {slot}, align 8") for slot in (left, right))
        self.line(f"store ptr {second}, ptr {left}, align 8")
        self.line(f"store ptr {first}, ptr {right}, align 8")
