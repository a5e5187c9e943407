"""ARMv7-A with hard floats, NEON and VFPv4 (Cortex-A7): multiply-adds by lanes of 64-bit registers.

``vmla`` reads one factor from a lane, ``vfma`` has no such form; LLVM prefers it on cores where it is not slow. NEON
has no arithmetic on f64, no division and no rounding, and treats denormal numbers as zero.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Instruction, Target
from mlc.codegen.targets.rows import ldexp_by_bits

_FEATURES = frozenset({"neon", "vfp3", "vfp4", "fp16", "hwdiv-arm"})


def _binary(op: str, lanes: int, name: str) -> Instruction:
    return Instruction(
        op=op,
        dtype="f32",
        lanes=lanes,
        text=f"call {{T}} @{name}.{{S}}({{T}} {{0}}, {{T}} {{1}})",
        declare=f"{{T}} @{name}.{{S}}({{T}}, {{T}})",
    )


_MULTIPLY_ADD = Instruction(
    op="math.fma",
    dtype="f32",
    text="call {T} @llvm.fmuladd.{S}({T} {0}, {T} {1}, {T} {2})",
    declare="{T} @llvm.fmuladd.{S}({T}, {T}, {T})",
)

ROWS = (
    _MULTIPLY_ADD,
    *(_binary("arith.maximumf", lanes, "llvm.arm.neon.vmaxs") for lanes in (2, 4)),
    *(_binary("arith.minimumf", lanes, "llvm.arm.neon.vmins") for lanes in (2, 4)),
    *(ldexp_by_bits("f64", lanes) for lanes in (1, 2)),
)

TARGETS = (
    Target(
        name="armv7",
        triple="armv7-unknown-linux-gnueabihf",
        cpu="cortex-a7",
        features=_FEATURES,
        vector_bytes=16,
        registers=16,
        per_cycle=0.5,
        splat="lane",
        rounding=False,
        wide_integers=False,
        abilities_from={"fma": "vfp4", "half": "fp16", "division": "hwdiv-arm"},
        caches=Caches(l1=32 << 10, l2=128 << 10, l3=128 << 10),
        rows=ROWS,
        elf_machine=40,
        llvm_features="+neon,+vfp4,+hwdiv-arm,-slowfpvmlx,-vmlx-hazards,+use-misched",
        chained=True,
        pointer_bytes=4,
    ),
)
