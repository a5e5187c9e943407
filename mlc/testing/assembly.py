"""Reading emitted assembly: functions, innermost loops, counts of instructions, accesses to the stack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlc.codegen.targets import Target
    from mlc.dialects.loop import KernelOp

_LABEL = re.compile(r"^(\.?L?[A-Za-z_.$][\w.$]*):")
_COMMENT = re.compile(r"\s*(#\s|//|@\s).*$")
_TARGET = re.compile(r"(\.LBB\w+)\s*$")
_STACK = re.compile(r"\(%[re]sp|\[sp\b")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its mnemonic and the operands' text."""

    mnemonic: str
    operands: str

    @property
    def touches_stack(self) -> bool:
        """Whether it reads or writes memory by the stack pointer (pushes and pops of saved registers do not count)."""
        return bool(_STACK.search(self.operands))


@dataclass(frozen=True)
class Listing:
    """A function's instructions, and where its labels stand."""

    instructions: tuple[Instruction, ...]
    labels: dict[str, int]

    @classmethod
    def of(cls, text: str) -> Listing:
        """Read the assembly of a module with one function."""
        instructions: list[Instruction] = []
        labels: dict[str, int] = {}
        for raw in text.splitlines():
            line = _COMMENT.sub("", raw).strip().removeprefix("{vex}").strip()
            label = _LABEL.match(line)
            if label:
                labels[label[1]] = len(instructions)
            elif line and not line.startswith("."):
                mnemonic, _, operands = line.partition("\t")
                instructions.append(Instruction(mnemonic.strip(), operands.strip()))
        return cls(tuple(instructions), labels)

    def innermost_loops(self) -> list[Listing]:
        """The loops that hold no other loop, in order."""
        spans = [(start, end) for end in range(len(self.instructions)) if (start := self._back(end)) is not None]
        spans += self._blocks()
        inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
        return [Listing(self.instructions[start : end + 1], {}) for start, end in inner]

    def _blocks(self) -> list[tuple[int, int]]:
        """Where WebAssembly's loops begin and end."""
        spans: list[tuple[int, int]] = []
        starts: list[int] = []
        for position, instruction in enumerate(self.instructions):
            if instruction.mnemonic == "loop":
                starts.append(position)
            elif instruction.mnemonic == "end_loop":
                spans.append((starts.pop(), position))
        return spans

    def _back(self, position: int) -> int | None:
        """Where the instruction jumps back to, if it does."""
        target = _TARGET.search(self.instructions[position].operands)
        start = self.labels.get(target[1]) if target else None
        return start if start is not None and start <= position else None

    def count(self, pattern: str) -> int:
        """Instructions whose mnemonic and operands, joined by a space, match a regular expression from the start."""
        return sum(bool(re.match(pattern, f"{i.mnemonic} {i.operands}")) for i in self.instructions)

    @property
    def mnemonics(self) -> Counter[str]:
        """How often each mnemonic occurs."""
        return Counter(i.mnemonic for i in self.instructions)

    @property
    def stack_accesses(self) -> list[Instruction]:
        """Instructions that read or write the stack."""
        return [i for i in self.instructions if i.touches_stack]

    def busiest_loop(self, pattern: str) -> Listing:
        """The innermost loop with most instructions that match ``pattern``."""
        return max(self.innermost_loops(), key=lambda loop: loop.count(pattern))


def assembly(kernel: KernelOp, target: Target) -> str:
    """The assembly of a kernel that has not been scheduled yet."""
    from mlc.codegen.emit.function import emit_kernel
    from mlc.codegen.object import compile_assembly
    from mlc.testing.loops import kernel_of, lower_loops

    lowered = kernel_of(lower_loops(kernel, target))
    return compile_assembly(lowered.sym_name.data, emit_kernel(lowered, target), target)


def undefined_symbols(kernel: KernelOp, target: Target) -> Sequence[str]:
    """What a kernel's object needs from elsewhere."""
    from mlc.codegen.elf import parse_object
    from mlc.codegen.emit.function import emit_kernel
    from mlc.codegen.object import compile_ir
    from mlc.testing.loops import kernel_of, lower_loops

    lowered = kernel_of(lower_loops(kernel, target))
    (data,) = compile_ir([(lowered.sym_name.data, emit_kernel(lowered, target))], target, jobs=1)
    return [s.name for s in parse_object(data).symbols if s.name and not s.defined]
