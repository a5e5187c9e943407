"""The check that a processor has the features an artefact was compiled for, as LLVM IR text.

On x86-64 the check asks ``cpuid`` and, for registers that the operating system must save, ``xgetbv``. Neither
has an intrinsic that works for every build, so their few instructions stand as prologue bytes of two
functions. On aarch64 Linux lets a program read the identification registers. Elsewhere nothing can be asked
without the C library, and the check passes.

References: Intel SDM volume 2A (CPUID); Arm ARM D19 (ID_AA64 registers); x86-64 psABI, microarchitecture
levels.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlc.codegen.targets.base import Target

from mlc.errors import UnsupportedError

_EAX, _EBX, _ECX, _EDX = range(4)

# (leaf, subleaf) -> register -> LLVM feature name -> bit
_CPUID: dict[tuple[int, int], dict[int, dict[str, int]]] = {
    (1, 0): {
        _ECX: {
            "sse3": 0, "pclmul": 1, "ssse3": 9, "fma": 12, "cx16": 13, "sse4.1": 19, "sse4.2": 20,
            "movbe": 22, "popcnt": 23, "aes": 25, "xsave": 26, "avx": 28, "f16c": 29, "rdrnd": 30,
        },
    },
    (7, 0): {
        _EBX: {
            "fsgsbase": 0, "bmi": 3, "avx2": 5, "bmi2": 8, "avx512f": 16, "avx512dq": 17, "rdseed": 18,
            "adx": 19, "avx512ifma": 21, "clflushopt": 23, "clwb": 24, "avx512cd": 28, "sha": 29,
            "avx512bw": 30, "avx512vl": 31,
        },
        _ECX: {
            "avx512vbmi": 1, "avx512vbmi2": 6, "gfni": 8, "vaes": 9, "vpclmulqdq": 10, "avx512vnni": 11,
            "avx512bitalg": 12, "avx512vpopcntdq": 14,
        },
        _EDX: {"avx512vp2intersect": 8, "amx-bf16": 22, "avx512fp16": 23, "amx-tile": 24, "amx-int8": 25},
    },
    (7, 1): {
        _EAX: {"avxvnni": 4, "avx512bf16": 5, "amx-fp16": 21, "avxifma": 23},
        _EDX: {"avxvnniint8": 4, "avxneconvert": 5, "avxvnniint16": 10},
    },
    (0x80000001, 0): {_ECX: {"sahf": 0, "lzcnt": 5, "sse4a": 6}},
}  # fmt: skip

_LEVELS = {
    "x86-64": frozenset[str](),
    "x86-64-v2": frozenset({"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"}),
}
_LEVELS["x86-64-v3"] = _LEVELS["x86-64-v2"] | {
    "avx",
    "avx2",
    "bmi",
    "bmi2",
    "f16c",
    "fma",
    "lzcnt",
    "movbe",
    "xsave",
}
_LEVELS["x86-64-v4"] = _LEVELS["x86-64-v3"] | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}

_BASELINE = frozenset({"64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2"})

_XCR0_AVX, _XCR0_AVX512, _XCR0_AMX = 0x06, 0xE6, 0x60000

_CPUID_CODE = "53 4989d0 89f8 89f1 0fa2 418900 41895804 41894808 4189500c 5b c3"
"""push rbx; mov r8,rdx; mov eax,edi; mov ecx,esi; cpuid; store eax, ebx, ecx, edx at r8; pop rbx; ret"""
_XGETBV_CODE = "31c9 0f01d0 c3"
"""xor ecx,ecx; xgetbv; ret"""

# identification register -> LLVM feature name -> (lowest bit of the four-bit field, least value)
_AARCH64: dict[str, dict[str, tuple[int, int]]] = {
    "ID_AA64ISAR0_EL1": {"aes": (4, 1), "sha2": (12, 1), "crc": (16, 1), "lse": (20, 2), "rdm": (28, 1),
                         "dotprod": (44, 1), "fp16fml": (48, 1)},
    "ID_AA64ISAR1_EL1": {"rcpc": (20, 1), "bf16": (44, 1), "i8mm": (52, 1)},
    "ID_AA64PFR0_EL1": {"fullfp16": (16, 1), "sve": (32, 1)},
}  # fmt: skip
_AARCH64_BASELINE = frozenset({"neon", "fp-armv8"})


@dataclass(frozen=True)
class _Test:
    """``(source & mask) == mask``, where the source is a word of a ``cpuid`` answer."""

    leaf: tuple[int, int]
    register: int
    mask: int


def required_features(target: Target) -> frozenset[str]:
    """LLVM's names of the features needed at run time: those of the target and of its CPU level."""
    return target.features | _LEVELS.get(target.cpu, frozenset())


def cpu_check_ir(name: str, target: Target, baseline: str) -> str:
    """Defines ``i1 @name.cpu_ok()`` (internal); ``baseline`` is the attribute text of code for any processor.

    Raises UnsupportedError for a feature that the tables here don't know how to ask for.
    """
    architecture = target.triple.partition("-")[0]
    if architecture == "x86_64":
        body = _x86_check(required_features(target))
    elif architecture == "aarch64":
        body = _aarch64_check(required_features(target))
    else:
        body = "define internal i1 @NAME.cpu_ok() nounwind {\n  ret i1 true\n}\n"
    return body.replace("NAME", name).replace("BASELINE", baseline)


def _unknown(features: frozenset[str]) -> UnsupportedError:
    names = ", ".join(sorted(features))
    return UnsupportedError(f"no run-time check is known for the processor features {names}")


def _x86_tests(features: frozenset[str]) -> list[_Test]:
    """One mask per answer word, in order of leaves."""
    known = {name for registers in _CPUID.values() for bits in registers.values() for name in bits}
    if unknown := features - known - _BASELINE:
        raise _unknown(unknown)
    masks = [
        _Test(leaf, register, sum(1 << bit for name, bit in bits.items() if name in features))
        for leaf, registers in _CPUID.items()
        for register, bits in registers.items()
    ]
    return [test for test in masks if test.mask]


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


def _code(text: str) -> str:
    data = bytes.fromhex(text)
    return f'[{len(data)} x i8] c"' + "".join(f"\\{byte:02X}" for byte in data) + '"'


def _x86_check(features: frozenset[str]) -> str:
    """Each step leaves at the first answer that lacks something: later leaves may not exist."""
    tests = _x86_tests(features)
    xcr0 = _xcr0(features)
    if xcr0:
        tests.insert(0, _Test((1, 0), _ECX, 1 << 27))  # OSXSAVE: xgetbv may be used
    steps = "".join(_x86_step(index, test) for index, test in enumerate(tests))
    ending = "  ret i1 true\n"
    if xcr0:
        ending = f"""  %state = call i32 @NAME.xgetbv()
  %state.has = and i32 %state, {xcr0}
  %state.ok = icmp eq i32 %state.has, {xcr0}
  ret i1 %state.ok
"""
    return f"""
define internal void @NAME.cpuid(i32 %leaf, i32 %subleaf, ptr %answer) noinline nounwind BASELINE
    prologue {_code(_CPUID_CODE)} {{
  ret void
}}

define internal i32 @NAME.xgetbv() noinline nounwind BASELINE prologue {_code(_XGETBV_CODE)} {{
  ret i32 0
}}

define internal i1 @NAME.cpu_ok() nounwind BASELINE {{
  %answer = alloca [4 x i32], align 4
{steps}{ending}no:
  ret i1 false
}}
"""


def _x86_step(index: int, test: _Test) -> str:
    """Branch to ``no`` unless the leaf exists and has the bits."""
    leaf, subleaf = test.leaf
    family = leaf & 0x80000000
    value = leaf - (1 << 32) if family else leaf
    return f"""  call void @NAME.cpuid(i32 {family - (1 << 32) if family else 0}, i32 0, ptr %answer)
  %last{index} = load i32, ptr %answer, align 4
  %has{index} = icmp uge i32 %last{index}, {value}
  br i1 %has{index}, label %ask{index}, label %no
ask{index}:
  call void @NAME.cpuid(i32 {value}, i32 {subleaf}, ptr %answer)
  %word{index}.at = getelementptr i32, ptr %answer, i64 {test.register}
  %word{index} = load i32, ptr %word{index}.at, align 4
  %bits{index} = and i32 %word{index}, {test.mask}
  %ok{index} = icmp eq i32 %bits{index}, {test.mask}
  br i1 %ok{index}, label %next{index}, label %no
next{index}:
"""


def _aarch64_check(features: frozenset[str]) -> str:
    known = {name for fields in _AARCH64.values() for name in fields}
    if unknown := features - known - _AARCH64_BASELINE:
        raise _unknown(unknown)
    steps: list[str] = []
    metadata: list[str] = []
    for number, (register, fields) in enumerate(_AARCH64.items()):
        wanted = {name: fields[name] for name in sorted(fields.keys() & features)}
        if not wanted:
            continue
        metadata.append(f'!{number} = !{{!"{register}"}}\n')
        steps.append(f"  %id{number} = call i64 @llvm.read_volatile_register.i64(metadata !{number})\n")
        steps += [_aarch64_step(number, low, least) for low, least in wanted.values()]
    return f"""
declare i64 @llvm.read_volatile_register.i64(metadata)
define internal i1 @NAME.cpu_ok() nounwind BASELINE {{
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
