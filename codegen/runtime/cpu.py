"""The check that a processor has the features an artefact was compiled for, as LLVM IR text.

On x86-64 the check asks ``cpuid`` and, for registers that the operating system must save, ``xgetbv``. Neither
has an intrinsic that works for every build, so their few instructions stand as prologue bytes of two
functions. On aarch64 Linux lets a program read the identification registers; on ARMv7 and RISC-V system
calls tell (``mlc.codegen.runtime.hwcap``). Elsewhere there is nothing to ask for, and the check passes.

References: Intel SDM volume 2A (CPUID); Arm ARM D19 (ID_AA64 registers); AMD64 APM volume 3 (CPUID).
"""

from __future__ import annotations

from mlc.codegen.runtime.hwcap import arm_check, code, riscv_check
from mlc.codegen.targets.base import Target
from mlc.errors import UnsupportedError

_EAX, _EBX, _ECX, _EDX = range(4)

# (leaf, subleaf) -> register -> LLVM feature name -> bit
CPUID_BITS: dict[tuple[int, int], dict[int, dict[str, int]]] = {
    (1, 0): {
        _ECX: {
            "sse3": 0, "pclmul": 1, "ssse3": 9, "fma": 12, "cx16": 13, "sse4.1": 19, "sse4.2": 20, "crc32": 20,
            "movbe": 22, "popcnt": 23, "aes": 25, "xsave": 26, "avx": 28, "f16c": 29, "rdrnd": 30,
        },
    },
    (7, 0): {
        _EBX: {
            "fsgsbase": 0, "sgx": 2, "bmi": 3, "avx2": 5, "bmi2": 8, "invpcid": 10, "rtm": 11, "avx512f": 16,
            "avx512dq": 17, "rdseed": 18, "adx": 19, "avx512ifma": 21, "clflushopt": 23, "clwb": 24, "avx512cd": 28,
            "sha": 29, "avx512bw": 30, "avx512vl": 31,
        },
        _ECX: {
            "avx512vbmi": 1, "pku": 4, "waitpkg": 5, "avx512vbmi2": 6, "shstk": 7, "gfni": 8, "vaes": 9,
            "vpclmulqdq": 10, "avx512vnni": 11, "avx512bitalg": 12, "avx512vpopcntdq": 14, "rdpid": 22, "kl": 23,
            "cldemote": 25, "movdiri": 27, "movdir64b": 28, "enqcmd": 29,
        },
        _EDX: {
            "uintr": 5, "avx512vp2intersect": 8, "serialize": 14, "tsxldtrk": 16, "pconfig": 18, "amx-bf16": 22,
            "avx512fp16": 23, "amx-tile": 24, "amx-int8": 25,
        },
    },
    (7, 1): {
        _EAX: {
            "sha512": 0, "sm3": 1, "sm4": 2, "raoint": 3, "avxvnni": 4, "avx512bf16": 5, "cmpccxadd": 7,
            "amx-fp16": 21, "hreset": 22, "avxifma": 23, "movrs": 31,
        },
        _EDX: {
            "avxvnniint8": 4, "avxneconvert": 5, "amx-complex": 8, "avxvnniint16": 10, "prefetchi": 14, "usermsr": 15,
            "avx10.1": 19,
        },
    },
    (0xD, 1): {_EAX: {"xsaveopt": 0, "xsavec": 1, "xsaves": 3}},
    (0x80000001, 0): {
        _ECX: {
            "sahf": 0, "lzcnt": 5, "sse4a": 6, "prfchw": 8, "xop": 11, "lwp": 15, "fma4": 16, "tbm": 21, "mwaitx": 29,
        },
    },
    (0x80000008, 0): {_EBX: {"clzero": 0, "rdpru": 4, "wbnoinvd": 9}},
}  # fmt: skip
_X86_BASELINE = frozenset({"64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2"})

_XCR0_AVX, _XCR0_AVX512, _XCR0_AMX = 0x06, 0xE6, 0x60000
_OSXSAVE = 27

_CPUID_CODE = "53 4989d0 89f8 89f1 0fa2 418900 41895804 41894808 4189500c 5b c3"
"""push rbx; mov r8,rdx; mov eax,edi; mov ecx,esi; cpuid; store eax, ebx, ecx, edx at r8; pop rbx; ret"""
_XGETBV_CODE = "31c9 0f01d0 c3"
"""xor ecx,ecx; xgetbv; ret"""

# identification register -> LLVM feature name -> (lowest bit of the four-bit field, least value)
AARCH64_FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "ID_AA64ISAR0_EL1": {"aes": (4, 1), "sha2": (12, 1), "crc": (16, 1), "lse": (20, 2), "rdm": (28, 1),
                         "dotprod": (44, 1), "fp16fml": (48, 1)},
    "ID_AA64ISAR1_EL1": {"complxnum": (16, 1), "rcpc": (20, 1), "bf16": (44, 1), "i8mm": (52, 1)},
    "ID_AA64PFR0_EL1": {"fullfp16": (16, 1), "sve": (32, 1)},
    "3:0:0:4:4": {"sve2": (0, 1)},  # ID_AA64ZFR0_EL1, a name that LLVM knows only with SVE
}  # fmt: skip
_AARCH64_BASELINE = frozenset({"neon", "fp-armv8"})
_ASSUMED = {
    "macosx": _AARCH64_BASELINE
    | {"crc", "lse", "rdm", "dotprod", "fullfp16", "fp16fml", "rcpc", "complxnum", "aes", "sha2"},
}
"""What all processors have that a system other than Linux runs on (Macs: the M1)."""


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


_ALWAYS = "define internal i1 @NAME_cpu_ok() nounwind {\n  ret i1 true\n}\n"


def _assumed(target: Target) -> str:
    """No check, for a system that shows its programs no registers: every machine that it runs on has the features."""
    given = _ASSUMED.get(target.system.rstrip("0123456789."), _AARCH64_BASELINE)
    if unknown := target.features - given:
        raise UnsupportedError(
            f"code for {target.triple} can't ask for the processor features {', '.join(sorted(unknown))}"
        )
    return _ALWAYS


def _unknown(features: frozenset[str]) -> UnsupportedError:
    names = ", ".join(sorted(features))
    return UnsupportedError(f"no run-time check is known for the processor features {names}")


Masks = dict[tuple[int, int], dict[int, int]]
"""(leaf, subleaf) -> register -> the bits that must be set."""


def _x86_masks(features: frozenset[str]) -> Masks:
    """What to ask ``cpuid`` for."""
    known = {name for registers in CPUID_BITS.values() for bits in registers.values() for name in bits}
    if unknown := features - known - _X86_BASELINE:
        raise _unknown(unknown)
    masks: Masks = {}
    for leaf, registers in CPUID_BITS.items():
        for register, bits in registers.items():
            if mask := sum({1 << bit for name, bit in bits.items() if name in features}):
                masks.setdefault(leaf, {})[register] = mask
    return masks


def _xcr0(features: frozenset[str]) -> int:
    """The register states that the operating system must save."""
    mask = 0
    if any(name.startswith(("avx", "fma", "f16c")) for name in features):
        mask |= _XCR0_AVX
    if any(name.startswith("avx512") for name in features):
        mask |= _XCR0_AVX512
    if any(name.startswith("amx") for name in features):
        mask |= _XCR0_AMX
    return mask


def _x86_check(features: frozenset[str]) -> str:
    """Each step leaves at the first answer that lacks something: what is asked later may not exist."""
    masks = _x86_masks(features)
    xcr0 = _xcr0(features)
    ending = "  ret i1 true\n"
    if xcr0:
        first = masks.setdefault((1, 0), {})
        first[_ECX] = first.get(_ECX, 0) | 1 << _OSXSAVE
        ending = f"""  %state = call x86_64_sysvcc i32 @NAME_xgetbv()
  %state.has = and i32 %state, {xcr0}
  %state.ok = icmp eq i32 %state.has, {xcr0}
  ret i1 %state.ok
"""
    steps: list[str] = []
    for family in (0, 0x80000000):
        leaves = sorted(leaf for leaf in masks if leaf[0] & 0x80000000 == family)
        if leaves:
            steps.append(_x86_last_leaf(family, leaves[-1][0]))
            steps += [_x86_leaf(leaf, masks[leaf]) for leaf in leaves]
    return f"""
define internal x86_64_sysvcc void @NAME_cpuid(i32 %leaf, i32 %subleaf, ptr %answer) noinline nounwind BASELINE
    prologue {code(_CPUID_CODE)} {{
  ret void
}}

define internal x86_64_sysvcc i32 @NAME_xgetbv() noinline nounwind BASELINE prologue {code(_XGETBV_CODE)} {{
  ret i32 0
}}

define internal i1 @NAME_cpu_ok() nounwind BASELINE {{
  %answer = alloca [4 x i32], align 4
{"".join(steps)}{ending}no:
  ret i1 false
}}
"""


def _x86_last_leaf(family: int, needed: int) -> str:
    """Branch to ``no`` unless the highest leaf of the basic (0) or extended family reaches ``needed``."""
    label = f"{family:x}"
    return f"""  call x86_64_sysvcc void @NAME_cpuid(i32 {_signed(family)}, i32 0, ptr %answer)
  %last{label} = load i32, ptr %answer, align 4
  %has{label} = icmp uge i32 %last{label}, {_signed(needed)}
  br i1 %has{label}, label %family{label}, label %no
family{label}:
"""


def _x86_leaf(leaf: tuple[int, int], masks: dict[int, int]) -> str:
    """Branch to ``no`` unless the leaf's answer has all the bits."""
    label = f"{leaf[0]:x}.{leaf[1]}"
    lines = [f"  call x86_64_sysvcc void @NAME_cpuid(i32 {_signed(leaf[0])}, i32 {leaf[1]}, ptr %answer)\n"]
    for register, mask in masks.items():
        name = f"{label}.{register}"
        lines.append(f"""  %word{name}.at = getelementptr i32, ptr %answer, i64 {register}
  %word{name} = load i32, ptr %word{name}.at, align 4
  %bits{name} = and i32 %word{name}, {mask}
  %ok{name} = icmp eq i32 %bits{name}, {mask}
  br i1 %ok{name}, label %next{name}, label %no
next{name}:
""")
    return "".join(lines)


def _signed(word: int) -> int:
    """The i32 with these bits."""
    return word - (1 << 32) if word >> 31 else word


def _aarch64_check(features: frozenset[str]) -> str:
    known = {name for fields in AARCH64_FIELDS.values() for name in fields}
    if unknown := features - known - _AARCH64_BASELINE:
        raise _unknown(unknown)
    steps: list[str] = []
    metadata: list[str] = []
    for number, (register, fields) in enumerate(AARCH64_FIELDS.items()):
        wanted = {name: fields[name] for name in sorted(fields.keys() & features)}
        if not wanted:
            continue
        metadata.append(f'!{number} = !{{!"{register}"}}\n')
        steps.append(f"  %id{number} = call i64 @llvm.read_volatile_register.i64(metadata !{number})\n")
        steps += [_aarch64_step(number, low, least) for low, least in wanted.values()]
    return f"""
declare i64 @llvm.read_volatile_register.i64(metadata)
define internal i1 @NAME_cpu_ok() nounwind BASELINE {{
{"".join(steps)}  ret i1 true
no:
  ret i1 false
}}
{"".join(metadata)}"""


def _aarch64_step(number: int, low: int, least: int) -> str:
    """Branch to ``no`` unless the signed four-bit field at ``low`` reaches ``least``."""
    label = f"{number}.{low}"
    return f"""  %up{label} = shl i64 %id{number}, {60 - low}
  %field{label} = ashr i64 %up{label}, 60
  %ok{label} = icmp sge i64 %field{label}, {least}
  br i1 %ok{label}, label %next{label}, label %no
next{label}:
"""


_CHECKS = {"x86_64": _x86_check, "aarch64": _aarch64_check, "armv7": arm_check, "riscv64": riscv_check}
_ANY_SYSTEM = frozenset({"x86_64"})
"""Architectures whose processors answer programs themselves, whatever the system."""
