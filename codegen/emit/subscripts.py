"""Addresses that depend on values in memory: subscripts are loaded, counted from the end if negative, and checked.

A subscript outside its extent never leads outside the buffer: the kernel notes INDEX_RANGE in the status word and
goes on with element 0. The note is a store without a branch, to a slot on the stack while all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xdsl.ir import Attribute

from mlc.codegen.emit.writer import Writer, spelling
from mlc.codegen.runtime.context import INDEX_RANGE
from mlc.dialects.loop import Access
from mlc.dialects.loop.affine import Subscript


@dataclass(frozen=True)
class Checks:
    """Where a kernel notes failures: pointers to the status word and to a slot that nobody reads."""

    status: str
    sink: str


@dataclass(frozen=True)
class Source:
    """A subscript operand of a tile: its address at register index 0, and bytes per register axis and lane."""

    base: str
    element: Attribute
    offsets: Mapping[str, int]
    lane: int


class SubscriptEmitter:
    """The subscripts of one tile; equal values and addresses are computed once."""

    def __init__(self, out: Writer, checks: Checks | None, sources: Sequence[Source]) -> None:
        self.out = out
        self.checks = checks
        self.sources = sources
        self.memo: dict[object, str] = {}

    def follow_lanes(self, access: Access) -> bool:
        """Whether the lanes of an access lie apart because its subscripts differ from lane to lane."""
        return any(self.sources[s.number].lane for s, _ in access.subscripts)

    def address(self, base: str, access: Access, index: Mapping[str, int], lane: int = 0) -> str:
        """The pointer ``base`` advanced by the access's subscripts at a register index and lane."""
        for subscript, factor in access.subscripts:
            value = self._value(subscript, self._offset(subscript, index, lane))
            base = self._once((base, value, factor), lambda b=base, v=value, f=factor: self._advance(b, v, f))
        return base

    def _offset(self, subscript: Subscript, index: Mapping[str, int], lane: int) -> int:
        source = self.sources[subscript.number]
        return sum(c * index[n] for n, c in source.offsets.items() if n in index) + lane * source.lane

    def _advance(self, base: str, value: str, factor: int) -> str:
        scaled = value if factor == 1 else self.out.value(f"mul nsw i64 {value}, {factor}")
        return self.out.value(f"getelementptr inbounds i8, ptr {base}, i64 {scaled}")

    def _value(self, subscript: Subscript, offset: int) -> str:
        return self._once((subscript, offset), lambda: self._checked(subscript, offset))

    def _checked(self, subscript: Subscript, offset: int) -> str:
        """Load a subscript and bring it into ``0 .. extent - 1``."""
        assert self.checks is not None, "a kernel with subscripts is checked"
        out, extent = self.out, subscript.extent
        given = self._load(self.sources[subscript.number], offset)
        negative = out.value(f"icmp slt i64 {given}, 0")
        from_end = out.value(f"add i64 {given}, {extent}")
        place = out.value(f"select i1 {negative}, i64 {from_end}, i64 {given}")
        inside = out.value(f"icmp ult i64 {place}, {extent}")
        note = out.value(f"select i1 {inside}, ptr {self.checks.sink}, ptr {self.checks.status}")
        out.emit(f"  store atomic i32 {INDEX_RANGE}, ptr {note} monotonic, align 4")
        return out.value(f"select i1 {inside}, i64 {place}, i64 0")

    def _load(self, source: Source, offset: int) -> str:
        name, _, size = spelling(source.element)
        address = source.base
        if offset:
            address = self.out.value(f"getelementptr inbounds i8, ptr {address}, i64 {offset}")
        value = self.out.value(f"load {name}, ptr {address}, align {size}")
        return value if name == "i64" else self.out.value(f"sext {name} {value} to i64")

    def _once(self, key: object, make: Callable[[], str]) -> str:
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = make()
        return found
