"""The check that a processor has the features an artefact was compiled for, as LLVM IR text: one file for each ISA.

Where a system shows its programs nothing to ask for, all machines that it runs on are assumed to have what the code
needs, or else it is refused.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Target
from mlc.codegen.targets.checks import aarch64, arm, riscv, x86
from mlc.errors import UnsupportedError

_CHECKS = {"x86_64": x86.check, "aarch64": aarch64.check, "armv7": arm.check, "riscv64": riscv.check}
_ANY_SYSTEM = frozenset({"x86_64"})
"""Architectures whose processors answer programs themselves, whatever the system."""

_ASSUMED = {"macosx": aarch64.MACS}

_ALWAYS = "define internal i1 @NAME_cpu_ok() nounwind {\n  ret i1 true\n}\n"


def cpu_check_ir(name: str, target: Target, baseline: str) -> str:
    """Defines ``i1 @name_cpu_ok()`` (internal); ``baseline`` is the attribute text of code for any processor.

    Raises UnsupportedError for a feature that the tables here don't know how to ask for.
    """
    check = _CHECKS.get(target.triple.partition("-")[0])
    if check is None:
        body = _ALWAYS
    elif has_check(target):
        body = check(target.features)
    else:
        body = _assumed(target)
    return body.replace("NAME", name).replace("BASELINE", baseline)


def has_check(target: Target) -> bool:
    """Whether code for the target can ask what the processor has."""
    architecture = target.triple.partition("-")[0]
    return architecture in _CHECKS and (architecture in _ANY_SYSTEM or target.system == "linux")


def _assumed(target: Target) -> str:
    given = _ASSUMED.get(target.system.rstrip("0123456789."), aarch64.BASELINE)
    if unknown := target.features - given:
        raise UnsupportedError(
            f"code for {target.triple} can't ask for the processor features {', '.join(sorted(unknown))}"
        )
    return _ALWAYS


__all__ = ["cpu_check_ir", "has_check"]
