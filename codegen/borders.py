"""The border of a model with bounded dims, as LLVM IR: callers' tensors are dense, storage has full capacity.

A call checks the dims it is given, copies each bounded input into its storage (zeros beyond the extents, as far as
anything reads them), runs, and copies the valid part of each bounded output from its storage.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from mlc.codegen.emit.extents import extent_value
from mlc.codegen.runtime import context as ctx
from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import Extent, Symbol, greatest, least

if TYPE_CHECKING:
    from mlc.codegen.program import Program


@dataclass(frozen=True)
class Border:
    """A bounded input or output: its number, where its storage lies in the arena, and the size of an element.

    ``shape`` has an `Extent` for each bounded dim; storage has ``rooms`` for them, which are their capacities or more,
    dense in row-major order. An input is read as far as ``needed`` along each dim: what lies beyond may be anything. A
    result may lie where an input lay.
    """

    side: Literal["input", "output"]
    index: int
    offset: int
    shape: tuple[int, ...]
    rooms: tuple[int, ...]
    item_bytes: int
    needed: tuple[int, ...]

    def zeros(self, axis: int) -> int:
        """How many elements beyond the extent of a dim a call has to clear."""
        extent = self.shape[axis]
        if self.side == "output" or not isinstance(extent, Extent):
            return 0
        return greatest(least(self.needed[axis], self.rooms[axis]), extent) - extent


@dataclass(frozen=True)
class Borders:
    """All of a program's, and what its dims may be. ``found`` is where the arena holds the dims that it computes."""

    bounds: Bounds
    tensors: tuple[Border, ...]
    found: int


class _Code:
    """Instructions with numbered temporaries; arithmetic in integers as wide as an address."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.lines: list[str] = []
        self.count = 0
        self.label = "entry"

    def do(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def define(self, value: str) -> str:
        self.count += 1
        self.do(f"%b{self.count} = {value}")
        return f"%b{self.count}"

    def block(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def arithmetic(self, operation: str, a: str | int, b: str | int) -> str:
        return self.define(f"{operation} {self.word} {a}, {b}")

    def at(self, base: str, offset: str | int) -> str:
        return base if offset == 0 else self.define(f"getelementptr i8, ptr {base}, {self.word} {offset}")

    def load_word(self, base: str, place: int) -> str:
        """The i64 number ``place`` of an array, as wide as an address."""
        address = self.define(f"getelementptr i64, ptr {base}, {self.word} {place}")
        value = self.define(f"load i64, ptr {address}, align 8")
        return value if self.word == "i64" else self.define(f"trunc i64 {value} to {self.word}")

    def pointer(self, base: str, offset: int) -> str:
        """The pointer that lies ``offset`` bytes from ``base``."""
        return self.define(f"load ptr, ptr {self.at(base, offset)}, align 8")

    @contextmanager
    def loop(self, count: str | int) -> Generator[str]:
        """What is written inside runs ``count`` times; yields the number of the turn."""
        self.count += 1
        name, before = f"l{self.count}", self.label
        self.do(f"br label %{name}.head")
        self.block(f"{name}.head")
        head = len(self.lines)
        self.do(f"%{name}.more = icmp ult {self.word} %{name}, {count}")
        self.do(f"br i1 %{name}.more, label %{name}.body, label %{name}.end")
        self.block(f"{name}.body")
        yield f"%{name}"
        self.do(f"%{name}.next = add {self.word} %{name}, 1")
        self.do(f"br label %{name}.head")
        back = f"[ %{name}.next, %{self.label} ]"
        self.lines.insert(head, f"  %{name} = phi {self.word} [ 0, %{before} ], {back}")
        self.block(f"{name}.end")


def border_ir(program: Program, borders: Borders, unwind: str) -> str:
    """NAME_run_frame of a program with bounded dims, around NAME_execute."""
    name, word = program.name, program.target.index
    code = _Code(word)
    dims = code.pointer("%frame", ctx.FRAME_DIMS)
    values = _checked_dims(code, borders.bounds, dims)
    arena = code.pointer("%frame", ctx.FRAME_ARENA)
    for border in borders.tensors:
        if border.side == "input":
            _move(code, name, border, values, arena)
    code.do(f"%status = call i32 @{name}_execute(ptr %frame)")
    code.do(f"%done = icmp eq i32 %status, {ctx.OK}")
    code.do("br i1 %done, label %leave, label %failed")
    code.block("failed")
    code.do("ret i32 %status")
    code.block("leave")
    values |= _found_dims(code, borders, dims, arena)
    for border in borders.tensors:
        if border.side == "output":
            _move(code, name, border, values, arena)
    code.do(f"ret i32 {ctx.OK}")
    code.block("refused")
    code.do(f"ret i32 {ctx.BAD_SHAPE}")
    body = "\n".join(code.lines)
    head = f"define i32 @{name}_run_frame(ptr %frame) nounwind {unwind} {{\nentry:\n"
    return f"\n{head}{body}\n}}\n{_copy_ir(name, word)}"


def _checked_dims(code: _Code, bounds: Bounds, dims: str) -> dict[Symbol, str]:
    """The values of the caller's dims; code goes on at ``given`` where they are within their bounds."""
    missing = code.define(f"icmp eq ptr {dims}, null")
    code.do(f"br i1 {missing}, label %refused, label %look")
    code.block("look")
    values: dict[Symbol, str] = {}
    bad = "0"
    for place, symbol in enumerate(bounds.symbols):
        address = code.define(f"getelementptr i64, ptr {dims}, {code.word} {place}")
        value = code.define(f"load i64, ptr {address}, align 8")
        shifted = code.define(f"sub i64 {value}, {symbol.low}")
        outside = code.define(f"icmp ugt i64 {shifted}, {symbol.high - symbol.low}")
        bad = code.define(f"or i1 {bad}, {outside}")
        values[symbol] = value if code.word == "i64" else code.define(f"trunc i64 {value} to {code.word}")
    code.do(f"br i1 {bad}, label %refused, label %given")
    code.block("given")
    return values


def _found_dims(code: _Code, borders: Borders, dims: str, arena: str) -> dict[Symbol, str]:
    """The values of the dims that the program computed, which the caller's array gets after those it gave."""
    values: dict[Symbol, str] = {}
    given = len(borders.bounds.symbols)
    for place, symbol in enumerate(borders.bounds.found):
        values[symbol] = code.load_word(code.at(arena, borders.found), place)
        wide = values[symbol] if code.word == "i64" else code.define(f"sext {code.word} {values[symbol]} to i64")
        address = code.define(f"getelementptr i64, ptr {dims}, {code.word} {given + place}")
        code.do(f"store i64 {wide}, ptr {address}, align 8")
    return values


def _move(code: _Code, name: str, border: Border, values: dict[Symbol, str], arena: str) -> None:
    """Copies a tensor between the caller's memory and its storage."""
    table = code.pointer("%frame", ctx.FRAME_INPUTS if border.side == "input" else ctx.FRAME_OUTPUTS)
    slot = code.define(f"getelementptr ptr, ptr {table}, {code.word} {border.index}")
    dense = code.define(f"load ptr, ptr {slot}")
    extents = [extent_value(code, extent, values) for extent in border.shape]
    zeros = [extent_value(code, border.zeros(axis), values) for axis in range(len(extents))]
    _Mover(code, name, border, extents, zeros, dense, code.at(arena, border.offset)).run()


class _Mover:
    """One tensor's copy: loops around runs that are contiguous on both sides, up to the last bounded dim."""

    def __init__(
        self,
        code: _Code,
        name: str,
        border: Border,
        extents: Sequence[str | int],
        zeros: Sequence[str | int],
        dense: str,
        storage: str,
    ) -> None:
        self.code, self.name, self.border, self.extents = code, name, border, extents
        self.dense, self.storage = dense, storage
        rooms = border.rooms
        self.strides = [prod(rooms[axis + 1 :]) * border.item_bytes for axis in range(len(rooms))]
        self.zeros = [n and code.arithmetic("mul", n, stride) for n, stride in zip(zeros, self.strides)]
        self.last = max(axis for axis, extent in enumerate(border.shape) if isinstance(extent, Extent))

    def run(self) -> None:
        """All of it, from the outermost dim inwards."""
        length = self.code.arithmetic("mul", self.extents[self.last], self.strides[self.last])
        self._axis(0, 0, 0, length)

    def _axis(self, axis: int, number: str | int, offset: str | int, length: str) -> None:
        """``number`` counts the runs before this one, ``offset`` is the place in storage."""
        code = self.code
        if axis == self.last:
            self._row(code.arithmetic("mul", number, length), offset, length)
            return
        with code.loop(self.extents[axis]) as turn:
            inner = code.arithmetic("mul", turn, self.strides[axis])
            runs = code.arithmetic("mul", number, self.extents[axis])
            self._axis(axis + 1, code.arithmetic("add", runs, turn), code.arithmetic("add", inner, offset), length)
        self._clear(axis, offset)

    def _row(self, start: str, offset: str | int, length: str) -> None:
        there, here = self.code.at(self.dense, start), self.code.at(self.storage, offset)
        to, source = (here, there) if self.border.side == "input" else (there, here)
        self.code.do(f"call void @{self.name}_copy(ptr {to}, ptr {source}, {self.code.word} {length})")
        self._clear(self.last, offset)

    def _clear(self, axis: int, offset: str | int) -> None:
        """Zeros beyond the extent of ``axis``, as far as it takes them."""
        code = self.code
        if self.zeros[axis] == 0:
            return
        length = code.arithmetic("mul", self.extents[axis], self.strides[axis])
        to = code.at(self.storage, code.arithmetic("add", offset, length))
        code.do(f"call void @{self.name}_clear(ptr {to}, {code.word} {self.zeros[axis]})")


def _copy_ir(name: str, word: str) -> str:
    """NAME_copy and NAME_clear: 16 bytes a turn, then single ones. Nothing of a C library."""
    wide, narrow = "<16 x i8>", "i8"

    def turns(kind: str, step: int, label: str, after: str, *, copies: bool) -> str:
        value = f"%{label}.x" if copies else ("zeroinitializer" if step > 1 else "0")
        load = f"  %{label}.from = getelementptr i8, ptr %from, {word} %{label}\n" if copies else ""
        load += f"  {value} = load {kind}, ptr %{label}.from, align 1\n" if copies else ""
        start, limit = ("0", "%whole") if step > 1 else ("%whole", "%bytes")
        return f"""  br label %{label}.head
{label}.head:
  %{label} = phi {word} [ {start}, %{after} ], [ %{label}.next, %{label}.body ]
  %{label}.more = icmp ult {word} %{label}, {limit}
  br i1 %{label}.more, label %{label}.body, label %{label}.end
{label}.body:
{load}  %{label}.to = getelementptr i8, ptr %to, {word} %{label}
  store {kind} {value}, ptr %{label}.to, align 1
  %{label}.next = add {word} %{label}, {step}
  br label %{label}.head
{label}.end:
"""

    def function(title: str, arguments: str, *, copies: bool) -> str:
        vectors = turns(wide, 16, "v", "entry", copies=copies)
        bytes_ = turns(narrow, 1, "s", "v.end", copies=copies)
        return (
            f"\ndefine internal void @{name}_{title}({arguments}, {word} %bytes) nounwind {{\nentry:\n"
            f"  %whole = and {word} %bytes, -16\n{vectors}{bytes_}  ret void\n}}\n"
        )

    return function("copy", "ptr %to, ptr %from", copies=True) + function("clear", "ptr %to", copies=False)
