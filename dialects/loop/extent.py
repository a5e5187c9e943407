"""Run-time extents in kernels: which part of a dim is walked, and how many tiles that takes.

A compute's ``limits`` say which dims may end early. `nest` turns them into `loop.extent`, the value of an expression of
the call's dims, and `loop.trips`, the tiles of a loop level that begin below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from xdsl.dialects.builtin import DenseArrayBase, IndexType, IntegerAttr, IntegerType, MemRefType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.extents import Symbol, dim, parse_extent
from mlc.dialects.loop.attrs import TextData
from mlc.dialects.loop.common import INDEX
from mlc.errors import UsageError


class Limits(NamedTuple):
    """By dim, the extent at which it may end; ``symbols`` are the call's dims, in the order of their values."""

    symbols: tuple[Symbol, ...]
    extents: tuple[tuple[str, int], ...]

    @property
    def by_dim(self) -> Mapping[str, int]:
        """The extents by dim."""
        return dict(self.extents)


class Amount(NamedTuple):
    """An extent of the call's dims; ``symbols`` are those, in the order of their values."""

    symbols: tuple[Symbol, ...]
    extent: int


@dataclass(frozen=True, slots=True)
class Tiles:
    """``count`` tiles of ``step`` elements from element ``start`` on."""

    start: int
    count: int
    step: int


_SYMBOL = re.compile(r"([A-Za-z_][\w.]*)=(\d+)\.\.(\d+)\Z")
_TILES = re.compile(r"(\d+):(\d+)x(\d+)\Z")


def _spelled(symbols: Sequence[Symbol]) -> str:
    return " ".join(f"{s.name}={s.low}..{s.high}" for s in symbols)


def _symbols(text: str) -> tuple[Symbol, ...]:
    found: list[Symbol] = []
    for word in text.split():
        match = _SYMBOL.match(word)
        if match is None:
            raise ValueError(f"{word!r} is no dim; write seq=1..512")
        found.append(Symbol(match[1], int(match[2]), int(match[3])))
    return tuple(found)


def _extent(text: str, symbols: Sequence[Symbol]) -> int:
    try:
        return parse_extent(text, {s.name: dim(s) for s in symbols})
    except UsageError as error:
        raise ValueError(str(error)) from error


@irdl_attr_definition
class LimitsAttr(TextData[Limits]):
    """Where dims of a compute, or a buffer that is read, end: ``d1 < seq; k0 < past + 1 | past=0..1023 seq=1..16``."""

    name = "loop.limits"

    def text(self) -> str:
        return "; ".join(f"{name} < {e}" for name, e in self.data.extents) + f" | {_spelled(self.data.symbols)}"

    @classmethod
    def decode(cls, text: str) -> Limits:
        parts, _, names = text.partition("|")
        symbols = _symbols(names)
        found: list[tuple[str, int]] = []
        for part in parts.split(";"):
            name, sign, extent = part.partition("<")
            if not sign:
                raise ValueError(f"{part!r} is no limit; write d1 < seq")
            found.append((name.strip(), _extent(extent.strip(), symbols)))
        return Limits(symbols, tuple(found))


@irdl_attr_definition
class AmountAttr(TextData[Amount]):
    """An extent of the call's dims: ``past + 1 | past=0..1023 seq=1..16``."""

    name = "loop.amount"

    def text(self) -> str:
        return f"{self.data.extent} | {_spelled(self.data.symbols)}"

    @classmethod
    def decode(cls, text: str) -> Amount:
        extent, _, names = text.partition("|")
        symbols = _symbols(names)
        return Amount(symbols, _extent(extent.strip(), symbols))


@irdl_attr_definition
class TilesAttr(TextData[tuple[Tiles, ...]]):
    """The tiles of a loop level, ``start:count x step`` each: ``0:73x7 511:1x1``."""

    name = "loop.tiles"

    def text(self) -> str:
        return " ".join(f"{t.start}:{t.count}x{t.step}" for t in self.data)

    @classmethod
    def decode(cls, text: str) -> tuple[Tiles, ...]:
        found: list[Tiles] = []
        for word in text.split():
            match = _TILES.match(word)
            if match is None:
                raise ValueError(f"{word!r} are no tiles; write start:countxstep")
            found.append(Tiles(int(match[1]), int(match[2]), int(match[3])))
        return tuple(found)


@irdl_op_definition
class ExtentOp(IRDLOperation):
    """The value that an extent has in this call; ``dims`` holds those of its symbols.

    %n = loop.extent %dims #loop.amount<"past + 1 | past=0..1023"> : memref<1xi64>
    """

    name = "loop.extent"
    dims = operand_def(MemRefType)
    amount = prop_def(AmountAttr)
    result = result_def(IndexType)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$dims $amount attr-dict `:` type($dims)"

    @classmethod
    def make(cls, dims: SSAValue, amount: Amount) -> ExtentOp:
        """The value of an amount."""
        return cls.create(operands=[dims], properties={"amount": AmountAttr(amount)}, result_types=[INDEX])

    def verify_(self) -> None:
        if self.dims.type != MemRefType(i64, [len(self.amount.data.symbols)]):
            raise VerifyException("[extent_dims] dims holds one i64 per symbol")


@irdl_op_definition
class TripsOp(IRDLOperation):
    """How many of a loop's ``tiles`` begin below a limit.

    Inside loops over the same dim the tiles begin at their sum of ``ivs`` times ``steps``. With ``until`` there are
    none where the limit is greater than that: of several ways to compute what is left, each has lengths of its own.

    %t = loop.trips %n #loop.tiles<"0:73x7 511:1x1">
    %t = loop.trips %n ivs(%i) steps [128] #loop.tiles<"0:18x7 126:1x2">
    %t = loop.trips %n ivs(%i) steps [7] #loop.tiles<"2:1x1"> until 4
    """

    name = "loop.trips"
    limit = operand_def(IndexType)
    ivs = var_operand_def(IndexType)
    steps = prop_def(DenseArrayBase.constr(i64))
    tiles = prop_def(TilesAttr)
    until = opt_prop_def(IntegerAttr[IntegerType])
    result = result_def(IndexType)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$limit (`ivs` `(` $ivs^ `)`)? `steps` $steps $tiles (`until` $until^)? attr-dict"

    @classmethod
    def make(
        cls,
        limit: SSAValue,
        ivs: Sequence[SSAValue],
        steps: Sequence[int],
        tiles: Sequence[Tiles],
        until: int | None = None,
    ) -> TripsOp:
        """The number of tiles that begin below ``limit``, if that is at most ``until``."""
        return cls.create(
            operands=[limit, *ivs],
            properties={
                "steps": DenseArrayBase.from_list(i64, list(steps)),
                "tiles": TilesAttr(tuple(tiles)),
                **({} if until is None else {"until": IntegerAttr(until, i64)}),
            },
            result_types=[INDEX],
        )

    def verify_(self) -> None:
        if len(self.ivs) != len(self.steps):
            raise VerifyException("[trips_steps] one step per induction variable")
