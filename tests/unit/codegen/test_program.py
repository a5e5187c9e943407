"""The program's module: what it needs, what it says, what it refuses."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from mlc.codegen.metadata import metadata_json
from mlc.codegen.object import compile_assembly, compile_ir
from mlc.codegen.program import Program, TensorSpec, item_bytes, program_ir
from mlc.codegen.relocatable import merge_objects
from mlc.codegen.steps import BufferRef, Call
from mlc.codegen.targets import Target, find_target
from mlc.errors import InternalError, UnsupportedError, UsageError

X = TensorSpec("x", "float32", (4, 8))


def toy(target: Target, **changes: Any) -> Program:
    """A program of one kernel that touches every space."""
    refs = [BufferRef("input"), BufferRef("output"), BufferRef("weights", offset=64), BufferRef("arena", offset=128)]
    call = Call("k", (*refs, BufferRef("status"), BufferRef("dims", offset=8)))
    program = Program("toy", (X,), (X,), (call, call), 256, 128, "ab" * 32, target)
    return dataclasses.replace(program, **changes)


def _kernel(arguments: int) -> tuple[str, str]:
    return "k", f"define void @k({'ptr, ' * arguments}i64, i64) nounwind {{\n  ret void\n}}\n"


def _needs(target: Target, program: Program, build_objects: Callable[..., Any]) -> set[str]:
    """Symbols that the merged object leaves to others."""
    merged = merge_objects(build_objects(program, [_kernel(6)]), exports=program.exports).to_bytes()
    table: Any = ELFFile(BytesIO(merged)).get_section_by_name(".symtab")
    return {symbol.name for symbol in table.iter_symbols() if symbol.name and symbol["st_shndx"] == "SHN_UNDEF"}


def test_without_threads_nothing_is_needed(any_target: Target, build_objects: Callable[..., Any]) -> None:
    assert _needs(any_target, toy(any_target, threads=False), build_objects) == set()


def test_threads_need_three_functions(any_target: Target, build_objects: Callable[..., Any]) -> None:
    program = toy(any_target)
    assert _needs(any_target, program, build_objects) == {"pthread_create", "pthread_join", "syscall"}


def test_embedded_weights_are_a_symbol(x86_64: Target, build_objects: Callable[..., Any]) -> None:
    program = toy(x86_64, embedded_weights=True, threads=False)
    assert _needs(x86_64, program, build_objects) == {"toy_weights"}


def test_wasm_compiles_without_threads() -> None:
    target = Target("wasm32", "wasm32-unknown-unknown-wasm", "", frozenset(), 16, 16, elf_machine=0)
    assert "toy_run" in compile_assembly("toy", program_ir(toy(target, threads=False)), target)


def test_barriers_stand_where_asked(x86_64: Target) -> None:
    ref = (BufferRef("input"),)
    calls = tuple(Call("k", ref, barrier) for barrier in (True, False, True, True))
    steps = re.search(r"@toy_steps.*?\n}", program_ir(toy(x86_64, steps=calls)), re.DOTALL)
    assert steps
    order = [
        int(m) if m else "k" for m in re.findall(r"call void @(?:k|toy_barrier\(ptr %ctx, i32 (\d+))", steps.group())
    ]
    assert order == ["k", "k", 1, "k", 2, "k"]


def test_metadata_survives_any_text(x86_64: Target, build_objects: Callable[..., Any]) -> None:
    program = toy(
        x86_64, inputs=(TensorSpec('q"\\\n\0é@NAME', "int8", ()),), metadata={"LONG": ["€", None, 1.5]}, threads=False
    )
    text = json.loads(metadata_json(program))
    assert text["inputs"][0]["name"] == 'q"\\\n\0é@NAME'
    data = compile_ir([("toy", program_ir(program))], x86_64)[0]
    assert metadata_json(program).encode() + b"\0" in data


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "ünï", "a\n", "x;y"])
def test_names_must_be_c_identifiers(x86_64: Target, name: str) -> None:
    with pytest.raises(UsageError, match="identifier"):
        toy(x86_64, name=name)


def test_refusals(x86_64: Target) -> None:
    twice = (Call("k", (BufferRef("input"),)), Call("k", ()))
    with pytest.raises(InternalError, match="different numbers of arguments"):
        program_ir(toy(x86_64, steps=twice))
    for space in ("input", "output"):
        with pytest.raises(InternalError, match=f"no {space} number 1"):
            program_ir(toy(x86_64, steps=(Call("k", (BufferRef(space, 1),)),)))
    with pytest.raises(InternalError, match="64 hexadecimal digits"):
        toy(x86_64, weights_sha256="")
    with pytest.raises(UnsupportedError, match="no runtime for"):
        program_ir(toy(Target("s390x", "s390x-ibm-linux-gnu", "", frozenset(), 16, 16)))


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint16", "int32", "int64", "float16", "float64", "bfloat16", "float8_e4m3fn", "complex64"],
)
def test_item_bytes(dtype: str) -> None:
    kind = getattr(ml_dtypes, dtype, None) or dtype
    assert item_bytes(dtype) == np.dtype(kind).itemsize
    assert TensorSpec("x", dtype, (2, 0, 3)).nbytes == 0
    assert TensorSpec("x", dtype, ()).nbytes == item_bytes(dtype)


@pytest.mark.parametrize("field", ["weights_bytes", "arena_bytes"])
def test_what_an_address_can_not_reach_is_refused(field: str) -> None:
    """Half of the addresses: offsets are signed."""
    small = Program("toy", (), (), (), 256, 128, "ab" * 32, find_target("armv7"))
    assert dataclasses.replace(small, **{field: (1 << 31) - 1})
    with pytest.raises(UnsupportedError, match=r"2,147,483,648 bytes of .*, more than armv7 can address"):
        dataclasses.replace(small, **{field: 1 << 31})
    assert dataclasses.replace(small, target=find_target("riscv64"), **{field: 1 << 31})
