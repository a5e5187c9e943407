"""What emits an operation needs to know: where to write, for which target, at what width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute, Operation

from mlc.codegen.emit.writer import Writer, float_constant, spelling
from mlc.codegen.targets import Target


@dataclass
class Lanes:
    """Emission context of a tile: where to write, for which target, how many lanes."""

    out: Writer
    target: Target
    width: int

    def type(self, element: Attribute) -> str:
        """The LLVM type of ``element`` at this width."""
        name = spelling(element)[0]
        return name if self.width == 1 else f"<{self.width} x {name}>"

    def suffix(self, element: Attribute) -> str:
        """The intrinsic suffix of ``element`` at this width: ``v16f32``."""
        name = spelling(element)[1]
        return name if self.width == 1 else f"v{self.width}{name}"

    def constant(self, value: float, element: Attribute) -> str:
        """A constant in all lanes."""
        scalar = spelling(element)[0]
        if scalar == "i1":
            text = "true" if value else "false"
        else:
            text = str(int(value)) if isinstance(element, IntegerType) else float_constant(value, element)
        return text if self.width == 1 else f"splat ({scalar} {text})"

    def binary(self, mnemonic: str, element: Attribute, a: str, b: str) -> str:
        """An instruction on two values of one type: ``fadd``, ``and``, ``icmp eq``."""
        return self.out.value(f"{mnemonic} {self.type(element)} {a}, {b}")

    def intrinsic(self, name: str, element: Attribute, *args: str, flags: str = "") -> str:
        """A call of ``llvm.NAME`` whose operands and result have one type."""
        type_ = self.type(element)
        return self.out.call(type_, f"{name}.{self.suffix(element)}", [(type_, a) for a in args], flags)

    def magnitude(self, element: Attribute, x: str) -> str:
        """The absolute value of an integer; the lowest one stays."""
        type_ = self.type(element)
        return self.out.call(type_, f"llvm.abs.{self.suffix(element)}", [(type_, x), ("i1", "false")])

    def convert(self, mnemonic: str, source: Attribute, result: Attribute, x: str) -> str:
        """A conversion; none where the types are spelled alike."""
        if self.type(source) == self.type(result):
            return x
        return self.out.value(f"{mnemonic} {self.type(source)} {x} to {self.type(result)}")

    def select(self, condition: str, element: Attribute, a: str, b: str) -> str:
        """``a`` where the condition holds, else ``b``."""
        bits = "i1" if self.width == 1 else f"<{self.width} x i1>"
        type_ = self.type(element)
        return self.out.value(f"select {bits} {condition}, {type_} {a}, {type_} {b}")

    def splat(self, element: Attribute, scalar: str) -> str:
        """A scalar in all lanes."""
        type_ = self.type(element)
        first = self.out.value(f"insertelement {type_} poison, {spelling(element)[0]} {scalar}, i64 0")
        return self.shuffle(type_, first, "poison", [0] * self.width)

    def by_lanes(
        self, result: Attribute, args: Sequence[tuple[Attribute, str]], emit: Callable[[list[str]], str]
    ) -> str:
        """A vector of what ``emit`` makes of the lanes of vectors, given with their element types, one by one."""
        value, scalar = "poison", spelling(result)[0]
        for i in range(self.width):
            lanes = [self.out.value(f"extractelement {self.type(e)} {x}, i64 {i}") for e, x in args]
            value = self.out.value(f"insertelement {self.type(result)} {value}, {scalar} {emit(lanes)}, i64 {i}")
        return value

    def shuffle(self, type_: str, low: str, high: str, lanes: Sequence[int]) -> str:
        """Lanes of two vectors, numbered through, as one vector."""
        mask = ", ".join(f"i32 {k}" for k in lanes) if any(lanes) else ""
        indices = f"<{len(lanes)} x i32> " + (f"<{mask}>" if mask else "zeroinitializer")
        return self.out.value(f"shufflevector {type_} {low}, {type_} {high}, {indices}")

    def transpose(self, element: Attribute, rows: list[str]) -> list[str]:
        """Transpose a square of ``width`` vectors, one butterfly stage per bit of the lane number."""
        width, type_ = self.width, self.type(element)
        step = 1
        while step < width:
            swapped = list(rows)
            for i in range(width):
                if i & step:
                    continue
                low, high = rows[i], rows[i + step]
                even = [k if not k & step else width + k - step for k in range(width)]
                odd = [k + step if not k & step else width + k for k in range(width)]
                swapped[i] = self.shuffle(type_, low, high, even)
                swapped[i + step] = self.shuffle(type_, low, high, odd)
            rows = swapped
            step *= 2
        return rows


Emitter: TypeAlias = Callable[[Lanes, Operation, list[str]], str]
"""Appends the form of an operation on operands at the tile's width; returns the result's name."""
