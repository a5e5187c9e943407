"""The check on AArch64: Linux lets a program read the identification registers.

Reference: Arm ARM D19 (ID_AA64 registers).
"""

from __future__ import annotations

from mlc.codegen.targets.checks.base import unknown

# identification register -> LLVM feature name -> (lowest bit of the four-bit field, least value)
FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "ID_AA64ISAR0_EL1": {"aes": (4, 1), "sha2": (12, 1), "crc": (16, 1), "lse": (20, 2), "rdm": (28, 1),
                         "dotprod": (44, 1), "fp16fml": (48, 1)},
    "ID_AA64ISAR1_EL1": {"complxnum": (16, 1), "rcpc": (20, 1), "bf16": (44, 1), "i8mm": (52, 1)},
    "ID_AA64PFR0_EL1": {"fullfp16": (16, 1), "sve": (32, 1)},
    "3:0:0:4:4": {"sve2": (0, 1)},  # ID_AA64ZFR0_EL1, a name that LLVM knows only with SVE
}  # fmt: skip
BASELINE = frozenset({"neon", "fp-armv8"})
"""What every processor has."""

MACS = BASELINE | {"crc", "lse", "rdm", "dotprod", "fullfp16", "fp16fml", "rcpc", "complxnum", "aes", "sha2"}
"""What every processor has that macOS runs on: the M1's."""


def check(features: frozenset[str]) -> str:
    """``NAME_cpu_ok``."""
    known = {name for fields in FIELDS.values() for name in fields}
    if strange := features - known - BASELINE:
        raise unknown(strange)
    steps: list[str] = []
    metadata: list[str] = []
    for number, (register, fields) in enumerate(FIELDS.items()):
        wanted = {name: fields[name] for name in sorted(fields.keys() & features)}
        if not wanted:
            continue
        metadata.append(f'!{number} = !{{!"{register}"}}\n')
        steps.append(f"  %id{number} = call i64 @llvm.read_volatile_register.i64(metadata !{number})\n")
        steps += [_step(number, low, least) for low, least in wanted.values()]
    return f"""
declare i64 @llvm.read_volatile_register.i64(metadata)
define internal i1 @NAME_cpu_ok() nounwind BASELINE {{
{"".join(steps)}  ret i1 true
no:
  ret i1 false
}}
{"".join(metadata)}"""


def _step(number: int, low: int, least: int) -> str:
    """Branch to ``no`` unless the signed four-bit field at ``low`` reaches ``least``."""
    label = f"{number}.{low}"
    return f"""  %up{label} = shl i64 %id{number}, {60 - low}
  %field{label} = ashr i64 %up{label}, 60
  %ok{label} = icmp sge i64 %field{label}, {least}
  br i1 %ok{label}, label %next{label}, label %no
next{label}:
"""
