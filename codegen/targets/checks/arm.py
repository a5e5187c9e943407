"""The check on 32-bit ARM: the capabilities that Linux hands a process.

Where the system does not answer (no /proc), nothing is known and the check passes.

Reference: Linux, arch/arm/include/uapi/asm/hwcap.h.
"""

from __future__ import annotations

from mlc.codegen.targets.checks.base import Linux, mask

HWCAP: dict[str, int] = {
    "neon": 12,
    "vfp3": 13,
    "vfp4": 16,
    "hwdiv-arm": 17,
    "fullfp16": 23,
    "dotprod": 24,
}
"""LLVM's feature name -> bit of AT_HWCAP. Conversions of half precision, and what else is missing, have none."""

_SYSTEM = Linux(
    "i32",
    arguments=3,
    # push r7; mov r7,r0; mov r0,r1; mov r1,r2; mov r2,r3; svc 0; pop r7; bx lr
    instructions="04702de5 0070a0e1 0100a0e1 0210a0e1 0320a0e1 000000ef 04709de4 1eff2fe1",
    opening=(5,),
    reading=3,
    closing=6,
)


def check(features: frozenset[str]) -> str:
    """``NAME_cpu_ok``."""
    return _SYSTEM.function + _SYSTEM.capabilities("NAME_cpu_ok", mask(HWCAP, features))
