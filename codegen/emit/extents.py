"""Run-time extents as LLVM IR: the value of an expression of dims, and the tiles of a loop that begin below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from mlc.codegen.emit.writer import Writer
from mlc.codegen.targets import Target
from mlc.dialects.extents import Extent, Symbol
from mlc.dialects.loop import ExtentOp, Tiles


class Code(Protocol):
    """Instructions that grow; ``word`` is the type of integers as wide as an address."""

    @property
    def word(self) -> str:
        """The type of numbers."""
        ...

    def define(self, value: str) -> str:
        """Append an instruction; returns the name of its value."""
        ...


class Lines:
    """The code of a kernel as `Code`."""

    def __init__(self, out: Writer, word: str) -> None:
        self.out, self.word = out, word

    def define(self, value: str) -> str:
        return self.out.value(value)


class Term:
    """A number in the code, with the operators that extents are made of."""

    def __init__(self, code: Code, text: str | int) -> None:
        self.code, self.text = code, text

    def apply(self, operation: str, other: Term | int) -> Term:
        """The result of an instruction on two numbers."""
        return Term(self.code, self.code.define(f"{operation} {self.code.word} {self.text}, {_text(other)}"))

    def __add__(self, other: Term | int) -> Term:
        return self.apply("add", other)

    __radd__ = __add__

    def __mul__(self, other: Term | int) -> Term:
        return self.apply("mul", other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Term | int) -> Term:
        """Towards minus infinity; the divisor is positive."""
        quotient, rest = self.apply("sdiv", other), self.apply("srem", other)
        below = rest.apply("icmp slt", 0)
        one = self.code.define(f"zext i1 {below.text} to {self.code.word}")
        return quotient.apply("sub", Term(self.code, one))


def _text(value: Term | int) -> str | int:
    return value.text if isinstance(value, Term) else value


def _chosen(code: Code, comparison: str) -> Callable[[Term | int, Term | int], Term]:
    def choose(a: Term | int, b: Term | int) -> Term:
        first = code.define(f"icmp {comparison} {code.word} {_text(a)}, {_text(b)}")
        return Term(code, code.define(f"select i1 {first}, {code.word} {_text(a)}, {code.word} {_text(b)}"))

    return choose


def extent_value(code: Code, extent: int, values: Mapping[Symbol, str]) -> str | int:
    """An extent's value, given those of its symbols."""
    if not isinstance(extent, Extent):
        return extent
    terms = {symbol: Term(code, value) for symbol, value in values.items()}
    return _text(extent.evaluate(terms.__getitem__, _chosen(code, "slt"), _chosen(code, "sgt")))


def emit_extent(out: Writer, target: Target, op: ExtentOp, dims: str) -> str:
    """The value of a `loop.extent` whose dims are at the address ``dims``."""
    amount, values = op.amount.data, dict[Symbol, str]()
    if not isinstance(amount.extent, Extent):
        return str(amount.extent)
    for place, symbol in enumerate(amount.symbols):
        if symbol not in amount.extent.symbols:
            continue
        address = out.value(f"getelementptr i64, ptr {dims}, {target.index} {place}")
        value = out.value(f"load i64, ptr {address}, align 8")
        values[symbol] = value if target.index == "i64" else out.value(f"trunc i64 {value} to {target.index}")
    return str(extent_value(Lines(out, target.index), amount.extent, values))


def emit_trips(out: Writer, target: Target, limit: str, tiles: tuple[Tiles, ...]) -> str:
    """The number of ``tiles`` that begin below ``limit``."""
    index, total = target.index, ""
    for each in tiles:
        ahead = each.start - each.step + 1
        left = out.value(f"sub {index} {limit}, {ahead}") if ahead else limit
        bounded = _extremum(out, "smax", index, left, 0)
        whole = bounded if each.step == 1 else out.value(f"udiv {index} {bounded}, {each.step}")
        found = _extremum(out, "smin", index, whole, each.count)
        total = found if not total else out.value(f"add {index} {total}, {found}")
    return total or "0"


def _extremum(out: Writer, kind: str, index: str, a: str, b: int) -> str:
    return out.call(index, f"llvm.{kind}.{index}", [(index, a), (index, str(b))])
