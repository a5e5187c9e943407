"""The check on x86-64: ``cpuid`` and, for registers that the operating system must save, ``xgetbv``.

Neither has an intrinsic that works for every build.

References: Intel SDM volume 2A (CPUID); AMD64 APM volume 3 (CPUID).
"""

from __future__ import annotations

from mlc.codegen.targets.checks.base import code, mask, unknown

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
_BASELINE = frozenset({"64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2"})

_XCR0_AVX, _XCR0_AVX512, _XCR0_AMX = 0x06, 0xE6, 0x60000
_OSXSAVE = 27

_CPUID_CODE = "53 4989d0 89f8 89f1 0fa2 418900 41895804 41894808 4189500c 5b c3"
"""push rbx; mov r8,rdx; mov eax,edi; mov ecx,esi; cpuid; store eax, ebx, ecx, edx at r8; pop rbx; ret"""
_XGETBV_CODE = "31c9 0f01d0 c3"
"""xor ecx,ecx; xgetbv; ret"""


Masks = dict[tuple[int, int], dict[int, int]]
"""(leaf, subleaf) -> register -> the bits that must be set."""


def _masks(features: frozenset[str]) -> Masks:
    """What to ask ``cpuid`` for."""
    known = {name for registers in CPUID_BITS.values() for bits in registers.values() for name in bits}
    if strange := features - known - _BASELINE:
        raise unknown(strange)
    masks: Masks = {}
    for leaf, registers in CPUID_BITS.items():
        for register, bits in registers.items():
            if wanted := mask(bits, features):
                masks.setdefault(leaf, {})[register] = wanted
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


def check(features: frozenset[str]) -> str:
    """Each step leaves at the first answer that lacks something: what is asked later may not exist."""
    masks = _masks(features)
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
            steps.append(_last_leaf(family, leaves[-1][0]))
            steps += [_leaf(leaf, masks[leaf]) for leaf in leaves]
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


def _last_leaf(family: int, needed: int) -> str:
    """Branch to ``no`` unless the highest leaf of the basic (0) or extended family reaches ``needed``."""
    label = f"{family:x}"
    return f"""  call x86_64_sysvcc void @NAME_cpuid(i32 {_signed(family)}, i32 0, ptr %answer)
  %last{label} = load i32, ptr %answer, align 4
  %has{label} = icmp uge i32 %last{label}, {_signed(needed)}
  br i1 %has{label}, label %family{label}, label %no
family{label}:
"""


def _leaf(leaf: tuple[int, int], masks: dict[int, int]) -> str:
    """Branch to ``no`` unless the leaf's answer has all the bits."""
    label = f"{leaf[0]:x}.{leaf[1]}"
    lines = [f"  call x86_64_sysvcc void @NAME_cpuid(i32 {_signed(leaf[0])}, i32 {leaf[1]}, ptr %answer)\n"]
    for register, wanted in masks.items():
        name = f"{label}.{register}"
        lines.append(f"""  %word{name}.at = getelementptr i32, ptr %answer, i64 {register}
  %word{name} = load i32, ptr %word{name}.at, align 4
  %bits{name} = and i32 %word{name}, {wanted}
  %ok{name} = icmp eq i32 %bits{name}, {wanted}
  br i1 %ok{name}, label %next{name}, label %no
next{name}:
""")
    return "".join(lines)


def _signed(word: int) -> int:
    """The i32 with these bits."""
    return word - (1 << 32) if word >> 31 else word
