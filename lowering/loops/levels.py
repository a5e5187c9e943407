"""What a schedule's levels amount to on given extents: steps, ranges, counts and runs."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop import Dim, Level, Plan


@dataclass(frozen=True, slots=True)
class Span:
    """A level on a concrete domain: its index advances the dim by ``step`` within ``extent``, ``count`` times."""

    level: Level
    step: int
    extent: int
    count: int

    @property
    def key(self) -> str:
        """What names the level in a reach."""
        return self.level.key


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` tiles of ``step`` elements from element ``start`` on."""

    start: int
    count: int
    step: int


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up."""
    return -(-a // b)


def spans(dims: tuple[Dim, ...], plan: Plan) -> list[Span]:
    """The levels of a plan with their nominal steps and counts, outer to inner.

    Raises VerifyException where the levels do not cover a dim or repeat a register level.
    """
    extent = {d.name: d.extent for d in dims}
    unit = {v.dim: v.size for v in plan.levels if v.kind in "@%"}
    covered: set[str] = set()
    found: list[Span] = []
    for level in plan.levels:
        if level.dim not in extent:
            raise VerifyException(f"[schedule_dim] {level.dim!r} is no dim of the compute")
        span = _span(level, extent[level.dim], unit.get(level.dim, 1))
        found.append(span)
        if level.kind == "/":
            extent[level.dim] = min(level.size, span.extent)
        elif level.kind in "*+":
            if level.dim in covered:
                raise VerifyException(f"[schedule_once] dim {level.dim!r} has two register levels")
            covered.add(level.dim)
    for name, left in extent.items():
        if name not in covered and left > unit.get(name, 1):
            raise VerifyException(f"[schedule_cover] the levels of dim {name!r} leave {left} elements to no level")
    return found


def _span(level: Level, extent: int, unit: int) -> Span:
    if level.kind == "/":
        return Span(level, level.size, extent, ceil_div(extent, level.size))
    if level.kind in "*+":
        return Span(level, unit, extent, ceil_div(extent, unit))
    return Span(level, 1, level.size, level.size)


def runs(extent: int, level: Level) -> list[Run]:
    """The tiles of a loop level: full ones and one remainder, or two near-equal sizes when balanced."""
    step = level.size
    if not level.balanced:
        full, rest = divmod(extent, step)
        return ([Run(0, full, step)] if full else []) + ([Run(full * step, 1, rest)] if rest else [])
    count = ceil_div(extent, step)
    small, larger = divmod(extent, count)
    head = [Run(0, larger, small + 1)] if larger else []
    return [*head, Run(larger * (small + 1), count - larger, small)]


def element_bytes(element: Attribute) -> int:
    """Bytes of one stored element; ``i1`` takes a byte."""
    if isinstance(element, IntegerType):
        return max(1, element.width.data // 8)
    bits = getattr(element, "bitwidth", None)
    if isinstance(bits, int):
        return bits // 8
    raise VerifyException(f"[element_type] {element} can't be stored in a buffer")


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a dense buffer."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * shape[i + 1]
    return tuple(strides)
