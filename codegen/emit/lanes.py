"""What emits an operation needs to know: where to write, for which target, at what width."""

from __future__ import annotations

from collections.abc import Callable
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


Emitter: TypeAlias = Callable[[Lanes, Operation, list[str]], str]
"""Appends the form of an operation on operands at the tile's width; returns the result's name."""
