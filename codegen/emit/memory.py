"""Loads and stores of one tile's operands: scalars, vectors, the first lanes of vectors, and lanes that lie apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xdsl.ir import Attribute

from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.partial import Partial
from mlc.codegen.emit.writer import spelling
from mlc.dialects.loop import Access, Axis


@dataclass(frozen=True)
class Operand:
    """A buffer as the tile reads or writes it; its subscripts are those of ``access``.

    ``base`` is the address at register index 0; ``offsets`` and ``lane`` are the bytes per index of an axis and per
    lane. With ``full``, whole vectors may be accessed at the end of a dim. ``along`` is the register axis along which
    whole vectors lie where the lanes do not.
    """

    base: str
    element: Attribute
    access: Access
    offsets: Mapping[str, int]
    lane: int
    full: bool
    along: Axis | None = None

    @property
    def size(self) -> int:
        """Bytes of an element in memory."""
        return spelling(self.element)[2]

    @property
    def stored(self) -> str:
        """The LLVM type of an element in memory: a boolean takes a byte."""
        name = spelling(self.element)[0]
        return "i8" if name == "i1" else name

    @property
    def is_contiguous(self) -> bool:
        """Whether its lanes lie side by side."""
        return self.lane == self.size

    def offset(self, index: Mapping[str, int]) -> int:
        """Bytes from ``base`` at a register index."""
        return sum(c * index[n] for n, c in self.offsets.items() if n in index)


class Memory:
    """Emits accesses at a tile's width; partial ones touch the first ``valid`` lanes."""

    def __init__(self, ctx: Lanes, valid: int) -> None:
        self.ctx = ctx
        self.out = ctx.out
        self.valid = valid

    def address(self, operand: Operand, offset: int) -> str:
        """``offset`` bytes from the operand's base."""
        if offset == 0:
            return operand.base
        return self.out.value(f"getelementptr inbounds i8, ptr {operand.base}, i64 {offset}")

    def strided(self, operand: Operand, offset: int) -> Callable[[int], str]:
        """The addresses of lanes that lie apart."""
        return lambda lane: self.address(operand, offset + lane * operand.lane)

    # --- loads

    def scalar(self, operand: Operand, offset: int) -> str:
        """One element."""
        return self._scalar_at(operand, self.address(operand, offset))

    def splat(self, operand: Operand, offset: int) -> str:
        """One element in all lanes."""
        return self.ctx.splat(operand.element, self.scalar(operand, offset))

    def vector(self, operand: Operand, offset: int, *, partial: bool = False) -> str:
        """Lanes that lie side by side."""
        stored, size, width = operand.stored, operand.size, self.ctx.width
        address = self.address(operand, offset)
        if partial:
            value = Partial(stored, size, width, self.valid).load(self.out, address)
        else:
            value = self.out.value(f"load <{width} x {stored}>, ptr {address}, align {size}")
        return self._from_storage(value, operand, width)

    def gather(self, operand: Operand, address: Callable[[int], str], *, partial: bool = False) -> str:
        """Lanes that lie apart, each at its own address: one scalar load each."""
        value = "zeroinitializer" if partial else "poison"
        type_, scalar = self.ctx.type(operand.element), spelling(operand.element)[0]
        for lane in range(self._lanes(partial)):
            element = self._scalar_at(operand, address(lane))
            value = self.out.value(f"insertelement {type_} {value}, {scalar} {element}, i64 {lane}")
        return value

    # --- stores

    def store(self, operand: Operand, offset: int, value: str, *, partial: bool = False) -> None:
        """Write a scalar, or lanes one by one or as a vector."""
        stored, size, width = operand.stored, operand.size, self.ctx.width
        if width > 1 and not operand.is_contiguous:
            self.scatter(operand, value, self.strided(operand, offset), partial=partial)
            return
        value = self._to_storage(value, operand)
        address = self.address(operand, offset)
        if partial and width > 1:
            Partial(stored, size, width, self.valid).store(self.out, value, address)
            return
        type_ = stored if width == 1 else f"<{width} x {stored}>"
        self.out.emit(f"  store {type_} {value}, ptr {address}, align {size}")

    def scatter(self, operand: Operand, value: str, address: Callable[[int], str], *, partial: bool = False) -> None:
        """Write lanes that lie apart, each at its own address."""
        value = self._to_storage(value, operand)
        type_ = f"<{self.ctx.width} x {operand.stored}>"
        for lane in range(self._lanes(partial)):
            element = self.out.value(f"extractelement {type_} {value}, i64 {lane}")
            self.out.emit(f"  store {operand.stored} {element}, ptr {address(lane)}, align {operand.size}")

    # --- parts

    def _lanes(self, partial: bool) -> int:
        return self.valid if partial else self.ctx.width

    def _scalar_at(self, operand: Operand, address: str) -> str:
        loaded = self.out.value(f"load {operand.stored}, ptr {address}, align {operand.size}")
        return self._from_storage(loaded, operand, 1)

    def _from_storage(self, value: str, operand: Operand, width: int) -> str:
        if spelling(operand.element)[0] != "i1":
            return value
        type_ = "i8" if width == 1 else f"<{width} x i8>"
        zero = "0" if width == 1 else "zeroinitializer"
        return self.out.value(f"icmp ne {type_} {value}, {zero}")

    def _to_storage(self, value: str, operand: Operand) -> str:
        if spelling(operand.element)[0] != "i1":
            return value
        width = self.ctx.width
        source, result = ("i1", "i8") if width == 1 else (f"<{width} x i1>", f"<{width} x i8>")
        return self.out.value(f"zext {source} {value} to {result}")
