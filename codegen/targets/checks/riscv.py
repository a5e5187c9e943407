"""The check on 64-bit RISC-V: Linux's probe, AT_HWCAP before there was one, and the length of vector registers.

Where the system does not answer (an old kernel, no /proc), nothing is known and the check passes.

Reference: Linux, Documentation/arch/riscv/hwprobe.rst.
"""

from __future__ import annotations

from mlc.codegen.targets.checks.base import Linux, code, mask

HWPROBE: dict[str, int] = {
    "d": 0, "c": 1, "v": 2, "zba": 3, "zbb": 4, "zbs": 5, "zfh": 27, "zfhmin": 28, "zvfh": 30, "zvfhmin": 31,
}  # fmt: skip
"""LLVM's feature name -> bit of RISCV_HWPROBE_KEY_IMA_EXT_0."""

HWCAP: dict[str, int] = {"c": 2, "d": 3, "v": 21}
"""LLVM's feature name -> bit of AT_HWCAP: that of the extension's letter."""

_SYSTEM = Linux(
    "i64",
    arguments=5,
    # mv a7,a0; mv a0,a1; mv a1,a2; mv a2,a3; mv a3,a4; mv a4,a5; ecall; ret
    instructions="93080500 13850500 93050600 13860600 93060700 13870700 73000000 67800000",
    opening=(56, -100),
    reading=63,
    closing=57,
)
_VLENB = "732520c2 67800000"
"""csrr a0,vlenb; ret"""

_PROBE, _IMA_EXT_0 = 258, 4
_VECTOR_LENGTH = "zvl"


def check(features: frozenset[str]) -> str:
    """``NAME_cpu_ok``: the kernel's probe (or AT_HWCAP), then the length of vector registers.

    The register with that length exists only with vectors: it is read where the probe has found them, or where nothing
    is known of them.
    """
    bits = mask(HWPROBE, features)
    lengths = [int(name[len(_VECTOR_LENGTH) : -1]) for name in features if name.startswith(_VECTOR_LENGTH)]
    ending = "  ret i1 true\n"
    if lengths:
        ending = f"""  %bytes = call i64 @NAME_vector_bytes()
  %long = icmp uge i64 %bytes, {max(lengths) // 8}
  ret i1 %long
"""
    return f"""{_SYSTEM.function}{_SYSTEM.capabilities("NAME_letters", mask(HWCAP, features))}
define internal i64 @NAME_vector_bytes() noinline nounwind BASELINE prologue {code(_VLENB)} {{
  ret i64 0
}}

define internal i1 @NAME_cpu_ok() nounwind BASELINE {{
  %pair = alloca [2 x i64], align 8
  %value.at = getelementptr i8, ptr %pair, i64 8
  store i64 {_IMA_EXT_0}, ptr %pair, align 8
  store i64 0, ptr %value.at, align 8
  %at = ptrtoint ptr %pair to i64
  %status = {_SYSTEM.call(_PROBE, "%at", 1)}
  %answered = icmp eq i64 %status, 0
  %key = load volatile i64, ptr %pair, align 8
  %known.key = icmp eq i64 %key, {_IMA_EXT_0}
  %known = and i1 %answered, %known.key
  br i1 %known, label %compare, label %older
older:
  %letters = call i1 @NAME_letters()
  br i1 %letters, label %lengths, label %no
compare:
  %value = load volatile i64, ptr %value.at, align 8
  %has = and i64 %value, {bits}
  %ok = icmp eq i64 %has, {bits}
  br i1 %ok, label %lengths, label %no
lengths:
{ending}no:
  ret i1 false
}}
"""
