"""What LLVM's position-independent code asks of a linker: one table per machine."""

from __future__ import annotations

from mlc.codegen.elf import EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64
from mlc.codegen.targets.relocations import aarch64, arm, riscv, x86
from mlc.codegen.targets.relocations.rules import Apply, MachineRules, Rule, Use
from mlc.errors import UnsupportedError

_MACHINES = {EM_X86_64: x86.RULES, EM_AARCH64: aarch64.RULES, EM_ARM: arm.RULES, EM_RISCV: riscv.RULES}


def rules_of(machine: int) -> MachineRules:
    """The rules of an ``e_machine``; raises UnsupportedError where mlc can't link itself."""
    if machine not in _MACHINES:
        raise UnsupportedError(
            f"no built-in linker for ELF machine {machine}",
            hint="write an object (.o) or archive (.a) and link it with the target's toolchain",
        )
    return _MACHINES[machine]


__all__ = ["Apply", "MachineRules", "Rule", "Use", "rules_of"]
