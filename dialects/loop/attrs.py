"""Attributes and types of the loop dialect: dims, maps, schedules, accesses, axes and register tiles.

Each is plain immutable data with a one-line text form, printed as ``#loop.NAME<"text">``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Generic, NamedTuple, Self, TypeAlias, TypeVar

from xdsl.ir import Attribute, Data, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from mlc.dialects.loop.affine import Expr, Subscript, parse, parse_subscript

T = TypeVar("T")


class TextData(Data[T], Generic[T]):
    """Data whose parameter is one string literal; subclasses give `text` and `decode`."""

    @abstractmethod
    def text(self) -> str:
        """The text form, without quotes."""

    @classmethod
    @abstractmethod
    def decode(cls, text: str) -> T:
        """The data of a text form; raises ValueError."""

    @classmethod
    def of(cls, text: str) -> Self:
        """The attribute written as ``text``."""
        return cls(cls.decode(text))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.text())

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> T:
        with parser.in_angle_brackets():
            position = parser.pos
            literal = parser.parse_str_literal()
        try:
            return cls.decode(literal)
        except ValueError as error:
            parser.raise_error(f"{cls.name}: {error}", at_position=position)

    def __str__(self) -> str:
        return self.text()


class Dim(NamedTuple):
    """An iteration dim: ``kind`` is ``p`` parallel, ``r`` reduction or ``s`` sequential."""

    name: str
    extent: int
    kind: str = "p"


_NAME = r"[A-Za-z_][A-Za-z_0-9]*"
_DIM = re.compile(rf"({_NAME})=(\d+)(?::([prs]))?")


@irdl_attr_definition
class DimsAttr(TextData[tuple[Dim, ...]]):
    """The iteration domain of a compute: ``m=128 n=768 k=768:r``."""

    name = "loop.dims"

    def text(self) -> str:
        return " ".join(f"{d.name}={d.extent}" + ("" if d.kind == "p" else f":{d.kind}") for d in self.data)

    @classmethod
    def decode(cls, text: str) -> tuple[Dim, ...]:
        dims: list[Dim] = []
        for word in text.split():
            match = _DIM.fullmatch(word)
            if not match:
                raise ValueError(f"{word!r} is no dim; write name=extent or name=extent:r")
            dims.append(Dim(match[1], int(match[2]), match[3] or "p"))
        return tuple(dims)

    @cached_property
    def extents(self) -> dict[str, int]:
        """Extent by dim name."""
        return {d.name: d.extent for d in self.data}

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Kind by dim name."""
        return {d.name: d.kind for d in self.data}


@irdl_attr_definition
class MapAttr(TextData[tuple[Expr, ...]]):
    """The index of one operand as expressions over dims and subscripts: ``n//16, y + 1, x*2 + j, @0[512]``."""

    name = "loop.map"

    def text(self) -> str:
        return ", ".join(str(e) for e in self.data)

    @classmethod
    def decode(cls, text: str) -> tuple[Expr, ...]:
        return tuple(parse(part) for part in text.split(",")) if text.strip() else ()


class Level(NamedTuple):
    """One level of a schedule.

    ``kind`` is ``/`` (a loop that advances ``dim`` by ``size``), ``*`` (a register axis), ``+`` (a reduction axis
    kept in the accumulators), ``@`` (``size`` vector lanes) or ``%`` (a packet of ``size`` of a dot instruction).
    A ``balanced`` loop (``m/~7``) may use the next smaller steps so that no short tile is left at the end.
    ``bind`` names what runs the loop on a GPU: ``block.x``, ``thread.x``, ...
    """

    dim: str
    kind: str
    size: int = 1
    balanced: bool = False
    bind: str = ""

    def __str__(self) -> str:
        size = f"{'~' * self.balanced}{self.size}" if self.kind in "/@%" else ""
        return f"{self.dim}{self.kind}{size}" + (f":{self.bind}" if self.bind else "")

    @property
    def key(self) -> str:
        """What names this level in a reach: ``n/32``, ``n*``, ``n@``."""
        return f"{self.dim}/{self.size}" if self.kind == "/" else self.dim + self.kind


class Plan(NamedTuple):
    """A schedule: levels outer to inner, operands to pack and to prefetch, and the interleave group."""

    levels: tuple[Level, ...]
    pack: tuple[int, ...] = ()
    prefetch: tuple[int, ...] = ()
    group: int = 0

    @property
    def loops(self) -> tuple[Level, ...]:
        """The levels that become loops."""
        return tuple(v for v in self.levels if v.kind == "/")

    @property
    def lanes(self) -> dict[str, int]:
        """Vector lanes by dim."""
        return {v.dim: v.size for v in self.levels if v.kind == "@"}


_LEVEL = re.compile(rf"({_NAME})(?:([/@%])(~?)(\d+)|([*+]))(?::([a-z]+\.[xyz]))?")
_DIRECTIVE = re.compile(r"(pack|prefetch|group)\((\d+(?:,\d+)*)\)")


@irdl_attr_definition
class ScheduleAttr(TextData[Plan]):
    """How a compute runs, outer to inner: ``n/32 m/7 k/4 k* m* n* n@16 pack(1) prefetch(1)``.

    The order is nest order, packed storage order and emission order at once; it never changes the result.
    """

    name = "loop.schedule"

    def text(self) -> str:
        plan = self.data
        words = [str(v) for v in plan.levels]
        if plan.pack:
            words.append(f"pack({','.join(map(str, plan.pack))})")
        if plan.prefetch:
            words.append(f"prefetch({','.join(map(str, plan.prefetch))})")
        if plan.group:
            words.append(f"group({plan.group})")
        return " ".join(words)

    @classmethod
    def decode(cls, text: str) -> Plan:
        levels: list[Level] = []
        options: dict[str, tuple[int, ...]] = {}
        for word in text.split():
            if match := _DIRECTIVE.fullmatch(word):
                options[match[1]] = tuple(map(int, match[2].split(",")))
            elif match := _LEVEL.fullmatch(word):
                kind, balanced, size, bind = (
                    match[2] or match[5],
                    bool(match[3]),
                    match[4] or 1,
                    match[6] or "",
                )
                levels.append(Level(match[1], kind, int(size), balanced, bind))
            else:
                raise ValueError(f"{word!r} is no level; write dim/step, dim*, dim+, dim@lanes or pack(operand)")
        if any(v.size < 1 for v in levels):
            raise ValueError("steps and lane counts are positive")
        return Plan(
            tuple(levels),
            options.get("pack", ()),
            options.get("prefetch", ()),
            options.get("group", (0,))[0],
        )


class Axis(NamedTuple):
    """A register axis of a tile: ``kind`` is ``p`` parallel, ``r`` reduced in order, ``a`` reduction kept, ``l`` lanes.

    A lane axis has the name of its dim and an ``@``: ``n@16`` is ``Axis("n@", 16, "l")``.
    """

    name: str
    size: int
    kind: str = "p"

    def __str__(self) -> str:
        if self.kind == "l":
            return f"{self.name}{self.size}"
        return f"{self.name}={self.size}" + ("" if self.kind == "p" else f":{self.kind}")


_AXIS = re.compile(rf"({_NAME})(?:@(\d+)|=(\d+)(?::([pra]))?)")


def decode_axes(text: str) -> tuple[Axis, ...]:
    """The axes written as ``k=4:r m=7 n=2 n@16``."""
    axes: list[Axis] = []
    for word in text.split():
        match = _AXIS.fullmatch(word)
        if not match:
            raise ValueError(f"{word!r} is no axis; write name=size, name=size:r or name@lanes")
        if match[2]:
            axes.append(Axis(match[1] + "@", int(match[2]), "l"))
        else:
            axes.append(Axis(match[1], int(match[3]), match[4] or "p"))
    return tuple(axes)


@irdl_attr_definition
class AxesAttr(TextData[tuple[Axis, ...]]):
    """The register axes of a tile operation in emission order: ``k=4:r m=7 n=2 n@16``."""

    name = "loop.axes"

    def text(self) -> str:
        return " ".join(str(a) for a in self.data)

    @classmethod
    def decode(cls, text: str) -> tuple[Axis, ...]:
        return decode_axes(text)


Subscripts: TypeAlias = "tuple[tuple[Subscript, int], ...]"
"""Subscripts of an address, each with the bytes per unit of its value."""


def _format_terms(terms: Sequence[tuple[object, int]]) -> str:
    return " ".join(f"{k}:{c}" for k, c in terms)


def _decode_terms(text: str) -> tuple[tuple[tuple[str, int], ...], Subscripts]:
    """Levels or axes, and subscripts, written as ``k:4 @0[512]:3072``."""
    words = [w.rpartition(":") for w in text.split()]
    names = tuple((k, int(c)) for k, _, c in words if not k.startswith("@"))
    return names, tuple((parse_subscript(k), int(c)) for k, _, c in words if k.startswith("@"))


class Reach(NamedTuple):
    """Bytes from the start of a buffer: ``const`` plus a coefficient per schedule level (`split`'s result)."""

    const: int
    levels: tuple[tuple[str, int], ...]
    full: bool = False
    subscripts: Subscripts = ()

    def coefficient(self, level: str) -> int:
        """Bytes per index of a level; 0 where the operand does not depend on it."""
        for key, value in self.levels:
            if key == level:
                return value
        return 0


@irdl_attr_definition
class ReachAttr(TextData[Reach]):
    """Static byte address of an operand per schedule level: ``0 | m/7:3072 k/4:4 k*:4``.

    A loop level's coefficient counts bytes per iteration, a register level's bytes per register index.
    A subscript's counts bytes per unit of its value (``@0[512]:3072``). A trailing ``full`` says that whole vectors
    may be accessed even where the dim's extent ends inside one.
    """

    name = "loop.reach"

    def text(self) -> str:
        terms = _format_terms((*self.data.levels, *self.data.subscripts))
        return f"{self.data.const} | {terms}".rstrip() + (" | full" if self.data.full else "")

    @classmethod
    def decode(cls, text: str) -> Reach:
        parts = [p.strip() for p in text.split("|")]
        if len(parts) not in (2, 3):
            raise ValueError(f"{text!r} is no reach; write const | level:bytes ...")
        levels, subscripts = _decode_terms(parts[1])
        return Reach(int(parts[0]), levels, parts[2:] == ["full"], subscripts)


class Access(NamedTuple):
    """Byte address inside a tile: constant, coefficient per induction variable, coefficient per register axis."""

    const: int
    ivs: tuple[int, ...]
    axes: tuple[tuple[str, int], ...]
    full: bool = False
    subscripts: Subscripts = ()


@irdl_attr_definition
class AccessAttr(TextData[Access]):
    """Static byte address of a tile's operand: ``0 | 3072 4 | m:3072 k:4``.

    The fields are the constant, bytes per iteration of each induction variable, and bytes per index of each register
    axis; subscripts and ``full`` as in ``#loop.reach``.
    """

    name = "loop.access"

    def text(self) -> str:
        data = self.data
        ivs = " ".join(map(str, data.ivs))
        axes = _format_terms((*data.axes, *data.subscripts))
        return f"{data.const} | {ivs} | {axes}" + (" | full" if data.full else "")

    @classmethod
    def decode(cls, text: str) -> Access:
        parts = [p.strip() for p in text.split("|")]
        if len(parts) not in (3, 4):
            raise ValueError(f"{text!r} is no access; write const | iv bytes | axis:bytes")
        axes, subscripts = _decode_terms(parts[2])
        return Access(int(parts[0]), tuple(map(int, parts[1].split())), axes, parts[3:] == ["full"], subscripts)


@irdl_attr_definition
class TableAttr(TextData[tuple[float, ...]]):
    """The values of a constant table scratch."""

    name = "loop.table"

    def text(self) -> str:
        return " ".join(repr(v) for v in self.data)

    @classmethod
    def decode(cls, text: str) -> tuple[float, ...]:
        return tuple(float(w) for w in text.split())


@irdl_attr_definition
class TileType(ParametrizedAttribute, TypeAttribute):
    """Values in registers with named axes: ``!loop.tile<#loop.axes<"m=7 n=2 n@16">, f32>``."""

    name = "loop.tile"
    axes: AxesAttr
    element: Attribute

    @classmethod
    def get(cls, axes: Sequence[Axis], element: Attribute) -> TileType:
        """The interned type with these axes and element type."""
        key = (tuple(axes), element)
        found = _TILE_TYPES.get(key)
        if found is None:
            found = _TILE_TYPES[key] = cls(AxesAttr(key[0]), element)
        return found


_TILE_TYPES: dict[tuple[tuple[Axis, ...], Attribute], TileType] = {}
