"""The WebAssembly linker: encoding, objects, modules, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.codegen.image import Image
from mlc.codegen.object import compile_ir
from mlc.codegen.targets import find_target
from mlc.codegen.wasm import WasmObject, data_object, link_module, parse_object, relocatable
from mlc.codegen.wasm.encoding import PADDED_BYTES, Reader, sleb, uleb
from mlc.codegen.wasm.layout import Layout
from mlc.codegen.wasm.object import Segment, Symbol, SymbolKind
from mlc.codegen.wasm.relocations import Relocation, rule_of
from mlc.errors import InternalError, UnsupportedError
from mlc.testing.require import require_tool

CALLER = """
@word = constant i32 7
@local = internal constant [3 x i32] [i32 1, i32 2, i32 3]
@pointer = constant ptr getelementptr (i8, ptr @weights, i64 4)
@weights = external constant [8 x i8]
declare i32 @callee(ptr, i32)
define i32 @caller(i32 %i) {
  %stack = alloca [64 x i8], align 64
  store i32 %i, ptr %stack
  %own = call i32 @callee(ptr %stack, i32 0)
  %at = getelementptr i32, ptr @local, i32 %i
  %sum = call i32 @callee(ptr %at, i32 %own)
  %p = load ptr, ptr @pointer
  %total = call i32 @callee(ptr %p, i32 %sum)
  %result = call i32 @callee(ptr @weights, i32 %total)
  ret i32 %result
}
"""
CALLEE = """
@local = internal constant [3 x i32] [i32 100, i32 200, i32 300]
define i32 @callee(ptr %p, i32 %x) {
  %at = getelementptr i32, ptr @local, i32 %x
  %y = load i32, ptr %p
  %sum = add i32 %x, %y
  ret i32 %sum
}
"""
WEIGHTS = (1000).to_bytes(4, "little") + (10000).to_bytes(4, "little")
"""``caller(i)`` is ``i`` plus the i-th of 1, 2, 3, plus these two words."""

RUN = """
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(require("fs").readFileSync(process.argv[1])));
const word = new Int32Array(exports.memory.buffer, exports.word.value, 1)[0];
console.log([0, 1, 2].map((i) => exports.caller(i)), word, exports.__heap_base.value % 64);
"""


def compiled(ir: str) -> WasmObject:
    (data,) = compile_ir([("module", ir)], find_target("wasm32"), jobs=1)
    return parse_object(data)


def objects() -> list[WasmObject]:
    return [compiled(CALLER), compiled(CALLEE), data_object("weights", WEIGHTS, align=6)]


def run(image: Image, folder: Path) -> str:
    path = folder / "m.wasm"
    path.write_bytes(image.to_bytes())
    done = subprocess.run([require_tool("node"), "-e", RUN, path], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@given(st.integers(0, (1 << 32) - 1), st.booleans())
def test_unsigned_numbers_come_back(value: int, padded: bool) -> None:
    data = uleb(value, padded=padded)
    assert Reader(data).uleb() == value
    assert len(data) == PADDED_BYTES or not padded


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.booleans())
def test_signed_numbers_come_back(value: int, padded: bool) -> None:
    data = sleb(value, padded=padded)
    assert Reader(data).sleb() == value
    assert len(data) == PADDED_BYTES or not padded


def test_a_linked_module_runs(tmp_path: Path) -> None:
    assert run(link_module(objects(), exports=["caller", "word"]), tmp_path) == "[ 11001, 11003, 11005 ] 7 0"


def test_a_merged_object_links_to_the_same_module(tmp_path: Path) -> None:
    exports = ["caller", "word"]
    merged = parse_object(relocatable(objects(), exports=exports).to_bytes())
    assert link_module([merged], exports=exports).to_bytes() == link_module(objects(), exports=exports).to_bytes()
    assert {s.name for s in merged.symbols if s.defined and not s.local} == {"word", "caller"}


def test_the_system_linker_takes_a_merged_object(tmp_path: Path) -> None:
    linker = require_tool("wasm-ld", "wasm-ld-14", "wasm-ld-19")
    path, module = tmp_path / "m.o", tmp_path / "m.wasm"
    path.write_bytes(relocatable(objects(), exports=["caller", "word"]).to_bytes())
    flags = ["--no-entry", "--export=caller", "--export=word", "--export=__heap_base", "--fatal-warnings"]
    subprocess.run([linker, *flags, path, "-o", module], check=True)
    assert run(Image((module.read_bytes(),)), tmp_path).startswith("[ 11001, 11003, 11005 ] 7")


def test_memory_beside_the_stack_is_never_reached(tmp_path: Path) -> None:
    """The stack is the first of memory: a function that needs more than there is traps."""
    deep = """
declare void @keep(ptr)
define i32 @caller(i32 %i) {
  %stack = alloca [300000 x i8]
  store volatile i32 1, ptr %stack
  ret i32 0
}
@word = constant i32 7
"""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(link_module([compiled(deep)], exports=["caller", "word"]), tmp_path)
    assert "memory access out of bounds" in failed.value.stderr


def test_refuses_what_is_missing_or_defined_twice() -> None:
    with pytest.raises(InternalError, match="needs callee, weights of another library"):
        link_module([compiled(CALLER)], exports=["caller"])
    with pytest.raises(InternalError, match="callee is defined twice"):
        link_module([*objects(), compiled(CALLEE)], exports=["caller"])
    with pytest.raises(InternalError, match="exported but defined in no object: nobody"):
        relocatable(objects(), exports=["caller", "nobody"])


def test_refuses_library_calls() -> None:
    """Without fused multiply-adds LLVM would call ``fmaf``."""
    call = """
declare float @llvm.fma.f32(float, float, float)
define float @f(float %a) {
  %x = call float @llvm.fma.f32(float %a, float %a, float %a)
  ret float %x
}
"""
    with pytest.raises(InternalError, match="needs fmaf of another library"):
        link_module([compiled(call)], exports=["f"])


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(InternalError, match="no WebAssembly object"):
        parse_object(b"\x7fELF")
    with pytest.raises(InternalError, match="relocation type 99"):
        rule_of(99)
    indirect = "define void @f(ptr %g) {\n  call void %g()\n  ret void\n}\n"
    with pytest.raises(InternalError, match="table"):
        compiled(indirect)


def test_refuses_more_than_addresses_reach() -> None:
    huge = Segment("huge", memoryview(bytearray(1 << 20)), 31)
    with pytest.raises(UnsupportedError, match="32-bit addresses"):
        Layout(WasmObject([], [huge, huge, huge], []), 1)


def test_addends_count_from_the_symbol() -> None:
    word = Segment("pointer", bytes(8), 2, relocations=[Relocation(5, 4, 1, 12)])
    symbols = [Symbol("pointer", SymbolKind.DATA), Symbol("data", SymbolKind.DATA, index=1, offset=3)]
    layout = Layout(WasmObject([], [word, Segment("data", bytes(64), 4)], symbols), 1024)
    assert layout.data(word) == bytes(4) + (1024 + 16 + 3 + 12).to_bytes(4, "little")
