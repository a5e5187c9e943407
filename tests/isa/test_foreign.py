"""Traps of compiling for a foreign machine, each of which LLVM falls into silently."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
from xdsl.dialects.builtin import bf16, f16, f32, f64, i8, i64
from xdsl.ir import Attribute, SSAValue

from mlc.codegen import llvm
from mlc.codegen.elf import ELF_FLAGS, EM_RISCV, parse_object
from mlc.codegen.object import compile_ir, machine_of
from mlc.codegen.targets import all_targets, find_target
from mlc.codegen.targets.relocations import rules_of
from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import ui32, ui64
from mlc.testing.assembly import undefined_symbols
from mlc.testing.kernels import program
from mlc.testing.libraries import compile_module
from mlc.testing.samples import Add, Sample, sample

TARGETS = tuple(t.name for t in all_targets().values() if t.kind == "cpu" and t.container == "elf")
FOREIGN = ("armv7", "armv7:cortex-a8", "riscv64")
FLOATS: tuple[Attribute, ...] = (f16, bf16, f32, f64)
INTEGERS: tuple[Attribute, ...] = (i8, i64, ui32, ui64)
ADDRESSES = """
@number = internal global i32 40
declare i32 @getpid()
define i32 @f() {
  %a = load i32, ptr @number
  %b = call i32 @getpid()
  %c = add i32 %a, %b
  ret i32 %c
}
"""


@pytest.mark.parametrize("name", TARGETS)
def test_triples_have_four_components(name: str) -> None:
    """With three, LLVM takes the ABI for the vendor: ARM code comes out with soft floats."""
    target = find_target(name)
    assert target.triple.count("-") == 3
    shortened = replace(machine_of(target), triple=target.triple.replace("-unknown", "", 1))
    with pytest.raises(llvm.LlvmError, match="four components"):
        llvm.emit_object(shortened, ADDRESSES)


@pytest.mark.parametrize("name", TARGETS)
def test_code_is_position_independent(name: str) -> None:
    """Every relocation is one that the linker can apply in a shared library, none an absolute address in code."""
    (data,) = compile_ir([("f", ADDRESSES)], find_target(name), jobs=1)
    found = parse_object(data)
    rules = rules_of(found.machine)
    for section in found.sections:
        if section.allocated and section.type not in rules.unlinked:
            assert {entry.type for entry in section.relocations} <= rules.rules.keys()


def test_riscv_objects_pass_floats_in_registers() -> None:
    """Linkers refuse to mix objects marked soft-float with the system's."""
    target = find_target("riscv64")
    (data,) = compile_ir([("f", ADDRESSES)], target, jobs=1)
    assert parse_object(data).flags == ELF_FLAGS[EM_RISCV]
    soft = parse_object(llvm.emit_object(replace(machine_of(target), abi="lp64"), ADDRESSES))
    assert soft.flags != ELF_FLAGS[EM_RISCV]


def test_arm_functions_take_floats_in_registers() -> None:
    code = "define float @f(float %x) {\n  %y = fadd float %x, %x\n  ret float %y\n}\n"
    assert "vadd.f32\ts0, s0, s0" in llvm.emit_assembly(machine_of(find_target("armv7")), code)


@pytest.mark.parametrize("name", FOREIGN)
def test_models_on_one_thread_need_no_library(name: str) -> None:
    """Nothing is undefined in the object; with more threads it is what starts and wakes them."""
    kind = hlt.tensor_type((9, 33), f32)
    module = program([kind], lambda b, x: b(hlt.SoftmaxOp(b(hlt.TanhOp(x[0])), axis=1)))
    for threads, needed in ((1, set[str]()), (2, {"pthread_create", "pthread_join", "syscall"})):
        artefact = compile_module(module, find_target(name), threads=threads)
        symbols = parse_object(artefact.relocatable().to_bytes()).symbols[1:]
        assert {symbol.name for symbol in symbols if not symbol.defined} == needed


def kernel(element: Attribute, operands: int, op: Callable[..., hlt.HltOp]) -> Sample:
    """The kernel of one operation on operands of a type."""

    def build(add: Add, *values: SSAValue) -> SSAValue:
        return add(op(*values))

    return sample("k", [hlt.tensor_type((3, 21), element)] * operands, build)


def samples() -> Iterator[tuple[str, Sample]]:
    """Each operation that some machine has no instruction for."""
    pairs = [*itertools.product(FLOATS, INTEGERS), *itertools.product(INTEGERS, FLOATS)]
    for source, to in [*pairs, *itertools.permutations(FLOATS, 2)]:
        yield f"{source} to {to}", kernel(source, 1, partial(hlt.CastOp, dtype=to))
    for element in INTEGERS:
        for op in (hlt.DivOp, hlt.RemOp):
            yield f"{op.name} {element}", kernel(element, 2, op)
    for element in (f32, f64):
        for op in (hlt.FloorOp, hlt.RoundOp, hlt.SqrtOp, hlt.ExpOp):
            yield f"{op.name} {element}", kernel(element, 1, op)
        for op in (hlt.MaximumOp, hlt.RemOp):
            yield f"{op.name} {element}", kernel(element, 2, op)


@pytest.mark.parametrize("name", FOREIGN)
def test_kernels_call_no_library(name: str) -> None:
    """What a machine lacks is code of mlc's own: LLVM would call ``__aeabi_ldivmod``, ``floorf``, ``fmodf``."""
    target = find_target(name)
    needed = {what: undefined_symbols(found.kernel, target) for what, found in samples()}
    assert {what: names for what, names in needed.items() if names} == {}
