"""The processor check: it knows every feature, and each one can fail it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from mlc.codegen.jit import Library
from mlc.codegen.llvm import host_features, host_triple
from mlc.codegen.object import compile_assembly
from mlc.codegen.program import Program, program_ir
from mlc.codegen.targets.base import Target
from mlc.codegen.targets.checks import aarch64, x86
from mlc.codegen.weights import Region
from mlc.errors import UnsupportedError

Build = Callable[[Program, list[tuple[str, str]]], Library]
OK, CPU_UNSUPPORTED = 0, 2
X86_FEATURES = sorted({name for registers in x86.CPUID_BITS.values() for bits in registers.values() for name in bits})
AARCH64_FEATURES = sorted({name for fields in aarch64.FIELDS.values() for name in fields})

pytestmark = pytest.mark.skipif(not host_triple().startswith("x86_64"), reason="runs x86-64 code")


def _program(features: frozenset[str]) -> Program:
    target = Target("toy", "x86_64-unknown-linux-gnu", "x86-64", features, 16, 16)
    return Program("toy", (), (), (), 0, 0, "", target, threads=False)


def _status(build: Build, features: frozenset[str]) -> int:
    library = build(_program(features), [])
    context = Region.allocate(4096)
    status = library.handle["toy_init"](ctypes.c_void_p(context.address), None, ctypes.c_size_t(0), ctypes.c_int32(1))
    library.close()
    return status


def test_this_processor_has_its_own_features(build: Build) -> None:
    assert _status(build, frozenset()) == OK
    assert _status(build, host_features()) == OK


# What cpuid says and what LLVM reports differ for these: system features that a hypervisor or kernel may hide.
SYSTEM_FEATURES = {"shstk", "pku", "sgx", "rtm", "uintr", "kl", "enqcmd", "pconfig", "usermsr", "hreset", "xsaves"}


@pytest.mark.parametrize("feature", [name for name in X86_FEATURES if name not in SYSTEM_FEATURES])
def test_each_feature_alone(build: Build, feature: str) -> None:
    expected = OK if feature in host_features() else CPU_UNSUPPORTED
    assert _status(build, frozenset({feature})) == expected


def test_unknown_features_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="avx9000"):
        program_ir(_program(frozenset({"avx9000", "avx2"})))


@pytest.mark.parametrize("feature", AARCH64_FEATURES)
def test_aarch64_reads_the_identification_registers(feature: str) -> None:
    target = Target("a", "aarch64-unknown-linux-gnu", "generic", frozenset({"neon", feature}), 16, 32, elf_machine=183)
    text = program_ir(Program("toy", (), (), (), 0, 0, "", target, threads=False))
    register = next(name for name, fields in aarch64.FIELDS.items() if feature in fields)
    spelled = {"3:0:0:4:4": "S3_0_C0_C4_4"}.get(register, register)
    assert f", {spelled}" in compile_assembly("toy", text, target)


def test_aarch64_unknown_features_are_refused() -> None:
    target = Target("a", "aarch64-unknown-linux-gnu", "generic", frozenset({"neon", "sme9"}), 16, 32, elf_machine=183)
    with pytest.raises(UnsupportedError, match="sme9"):
        program_ir(Program("toy", (), (), (), 0, 0, "", target, threads=False))
