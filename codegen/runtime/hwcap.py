"""Checks of processor features that only Linux knows, as LLVM IR text: system calls, without the C library.

The instruction that calls the system has no intrinsic, so it stands as prologue bytes of a function. Where the system
does not answer (an old kernel, no /proc), nothing is known and the check passes.

References: Linux, arch/arm/include/uapi/asm/hwcap.h and Documentation/arch/riscv/hwprobe.rst.
"""

from __future__ import annotations

ARM_HWCAP: dict[str, int] = {
    "neon": 12,
    "vfp3": 13,
    "vfp4": 16,
    "hwdiv-arm": 17,
    "fullfp16": 23,
    "dotprod": 24,
}
"""LLVM's feature name -> bit of AT_HWCAP. Conversions of half precision, and what else is missing, have none."""

RISCV_HWPROBE: dict[str, int] = {
    "d": 0, "c": 1, "v": 2, "zba": 3, "zbb": 4, "zbs": 5, "zfh": 27, "zfhmin": 28, "zvfh": 30, "zvfhmin": 31,
}  # fmt: skip
"""LLVM's feature name -> bit of RISCV_HWPROBE_KEY_IMA_EXT_0."""

RISCV_HWCAP: dict[str, int] = {"c": 2, "d": 3, "v": 21}
"""LLVM's feature name -> bit of AT_HWCAP: that of the extension's letter."""

_ARM_CODE = "04702de5 0070a0e1 0100a0e1 0210a0e1 0320a0e1 000000ef 04709de4 1eff2fe1"
"""push r7; mov r7,r0; mov r0,r1; mov r1,r2; mov r2,r3; svc 0; pop r7; bx lr"""
_RISCV_CODE = "93080500 13850500 93050600 13860600 93060700 13870700 73000000 67800000"
"""mv a7,a0; mv a0,a1; mv a1,a2; mv a2,a3; mv a3,a4; mv a4,a5; ecall; ret"""
_VLENB_CODE = "732520c2 67800000"
"""csrr a0,vlenb; ret"""

_AT_HWCAP = 16
_AUXILIARY_PATH = b"/proc/self/auxv\0"
_AUXILIARY_BYTES = 1024
_READ, _OPEN, _CLOSE, _O_CLOEXEC = 3, 5, 6, 0o2000000
_OPENAT, _CLOSE_64, _READ_64, _AT_FDCWD = 56, 57, 63, -100
_HWPROBE, _IMA_EXT_0 = 258, 4
_VECTOR_LENGTH = "zvl"


def code(text: str) -> str:
    """Machine code given in hexadecimal, as an LLVM constant."""
    data = bytes.fromhex(text)
    return f'[{len(data)} x i8] c"' + "".join(f"\\{byte:02X}" for byte in data) + '"'


def _mask(bits: dict[str, int], features: frozenset[str]) -> int:
    return sum(1 << bit for name, bit in bits.items() if name in features)


def arm_check(features: frozenset[str]) -> str:
    """``NAME_cpu_ok`` on 32-bit ARM: the capabilities that the kernel hands a process."""
    mask = _mask(ARM_HWCAP, features)
    path = "".join(f"\\{byte:02X}" for byte in _AUXILIARY_PATH)
    return f"""
@NAME_auxv = internal constant [{len(_AUXILIARY_PATH)} x i8] c"{path}"
define internal i32 @NAME_system(i32 %n, i32 %a, i32 %b, i32 %c) noinline nounwind BASELINE
    prologue {code(_ARM_CODE)} {{
  ret i32 0
}}

define internal i1 @NAME_cpu_ok() nounwind BASELINE {{
entry:
  %pairs = alloca [{_AUXILIARY_BYTES} x i8], align 8
  %path = ptrtoint ptr @NAME_auxv to i32
  %goal = ptrtoint ptr %pairs to i32
  %file = call i32 @NAME_system(i32 {_OPEN}, i32 %path, i32 {_O_CLOEXEC}, i32 0)
  %opened = icmp sge i32 %file, 0
  br i1 %opened, label %read, label %unknown
read:
  %bytes = call i32 @NAME_system(i32 {_READ}, i32 %file, i32 %goal, i32 {_AUXILIARY_BYTES})
  %closed = call i32 @NAME_system(i32 {_CLOSE}, i32 %file, i32 0, i32 0)
  br label %look
look:
  %at = phi i32 [ 0, %read ], [ %next, %more ]
  %next = add i32 %at, 8
  %inside = icmp sle i32 %next, %bytes
  br i1 %inside, label %more, label %unknown
more:
  %pair = getelementptr i8, ptr %pairs, i32 %at
  %kind = load i32, ptr %pair, align 4
  %value.at = getelementptr i8, ptr %pair, i32 4
  %found = icmp eq i32 %kind, {_AT_HWCAP}
  br i1 %found, label %compare, label %look
compare:
  %value = load i32, ptr %value.at, align 4
  %has = and i32 %value, {mask}
  %ok = icmp eq i32 %has, {mask}
  ret i1 %ok
unknown:
  ret i1 true
}}
"""


def _riscv_letters(features: frozenset[str]) -> str:
    """``NAME_letters``: whether AT_HWCAP names the extensions of one letter; true where it can't be read."""
    mask = _mask(RISCV_HWCAP, features)
    path = "".join(f"\\{byte:02X}" for byte in _AUXILIARY_PATH)
    return f"""
@NAME_auxv = internal constant [{len(_AUXILIARY_PATH)} x i8] c"{path}"
define internal i1 @NAME_letters() noinline nounwind BASELINE {{
entry:
  %pairs = alloca [{_AUXILIARY_BYTES} x i8], align 8
  %path = ptrtoint ptr @NAME_auxv to i64
  %goal = ptrtoint ptr %pairs to i64
  %file = call i64 @NAME_system(i64 {_OPENAT}, i64 {_AT_FDCWD}, i64 %path, i64 {_O_CLOEXEC}, i64 0, i64 0)
  %opened = icmp sge i64 %file, 0
  br i1 %opened, label %read, label %unknown
read:
  %bytes = call i64 @NAME_system(i64 {_READ_64}, i64 %file, i64 %goal, i64 {_AUXILIARY_BYTES}, i64 0, i64 0)
  %closed = call i64 @NAME_system(i64 {_CLOSE_64}, i64 %file, i64 0, i64 0, i64 0, i64 0)
  br label %look
look:
  %at = phi i64 [ 0, %read ], [ %next, %more ]
  %next = add i64 %at, 16
  %inside = icmp sle i64 %next, %bytes
  br i1 %inside, label %more, label %unknown
more:
  %pair = getelementptr i8, ptr %pairs, i64 %at
  %kind = load volatile i64, ptr %pair, align 8
  %value.at = getelementptr i8, ptr %pair, i64 8
  %found = icmp eq i64 %kind, {_AT_HWCAP}
  br i1 %found, label %compare, label %look
compare:
  %value = load volatile i64, ptr %value.at, align 8
  %has = and i64 %value, {mask}
  %ok = icmp eq i64 %has, {mask}
  ret i1 %ok
unknown:
  ret i1 true
}}
"""


def riscv_check(features: frozenset[str]) -> str:
    """``NAME_cpu_ok`` on 64-bit RISC-V: the kernel's probe (or AT_HWCAP), then the length of vector registers.

    The register with that length exists only with vectors: it is read where the probe has found them, or where nothing
    is known of them.
    """
    mask = _mask(RISCV_HWPROBE, features)
    lengths = [int(name[len(_VECTOR_LENGTH) : -1]) for name in features if name.startswith(_VECTOR_LENGTH)]
    ending = "  ret i1 true\n"
    if lengths:
        ending = f"""  %bytes = call i64 @NAME_vector_bytes()
  %long = icmp uge i64 %bytes, {max(lengths) // 8}
  ret i1 %long
"""
    arguments = ", ".join(f"i64 %{name}" for name in "nabcde")
    return f"""{_riscv_letters(features)}
define internal i64 @NAME_system({arguments}) noinline nounwind BASELINE prologue {code(_RISCV_CODE)} {{
  ret i64 0
}}

define internal i64 @NAME_vector_bytes() noinline nounwind BASELINE prologue {code(_VLENB_CODE)} {{
  ret i64 0
}}

define internal i1 @NAME_cpu_ok() nounwind BASELINE {{
  %pair = alloca [2 x i64], align 8
  %value.at = getelementptr i8, ptr %pair, i64 8
  store i64 {_IMA_EXT_0}, ptr %pair, align 8
  store i64 0, ptr %value.at, align 8
  %at = ptrtoint ptr %pair to i64
  %status = call i64 @NAME_system(i64 {_HWPROBE}, i64 %at, i64 1, i64 0, i64 0, i64 0)
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
  %has = and i64 %value, {mask}
  %ok = icmp eq i64 %has, {mask}
  br i1 %ok, label %lengths, label %no
lengths:
{ending}no:
  ret i1 false
}}
"""
