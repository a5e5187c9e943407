"""``#hlt.layout``: how a tensor lies in memory. A layout never changes what an operation means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import ParametrizedAttribute
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

_DIM = re.compile(r"d(\d{1,9})(?:([/%])(\d{1,9}))?")
_HALO = re.compile(r"d(\d{1,9}):(\d{1,9}):(\d{1,9})")


class PhysicalDim(NamedTuple):
    """One dim in memory: a whole logical dim (``block`` 0), its blocks, or the place in one (``inner``)."""

    dim: int
    block: int = 0
    inner: bool = False

    def __str__(self) -> str:
        if not self.block:
            return f"d{self.dim}"
        return f"d{self.dim}{'%' if self.inner else '/'}{self.block}"


class Halo(NamedTuple):
    """Cells before and after a logical dim that hold zeros (or are never read)."""

    low: int = 0
    high: int = 0


class Parsed(NamedTuple):
    """What a layout's two strings say: the dims in memory and the halo per logical dim that has one."""

    dims: tuple[PhysicalDim, ...]
    halo: dict[int, Halo]


@irdl_attr_definition
class LayoutAttr(ParametrizedAttribute):
    """The dims of a tensor in the order in which they lie in memory, outermost first.

    ``d1`` is a whole logical dim, ``d1/16`` its blocks of 16, ``d1%16`` the place inside a block. ``halo``
    has cells before and after a logical dim. NCHW with channels in blocks of 16 and a border of one pixel:

    ```
    tensor<1x64x56x56xf32, #hlt.layout<"d0 d1/16 d2 d3 d1%16", halo = "d2:1:1 d3:1:1">>
    ```
    """

    name = "hlt.layout"
    dims_text: StringAttr
    halo_text: StringAttr

    def __init__(self, dims: str | StringAttr, halo: str | StringAttr = "") -> None:
        """Both as the texts between the quotation marks."""
        super().__init__(
            StringAttr(dims) if isinstance(dims, str) else dims, StringAttr(halo) if isinstance(halo, str) else halo
        )

    @staticmethod
    def of(dims: Sequence[PhysicalDim], halo: Mapping[int, tuple[int, int]] | None = None) -> LayoutAttr:
        """The layout with these dims in memory and a ``(low, high)`` halo per logical dim."""
        halos = sorted((halo or {}).items())
        text = " ".join(f"d{dim}:{low}:{high}" for dim, (low, high) in halos if low or high)
        return LayoutAttr(" ".join(map(str, dims)), text)

    @staticmethod
    def identity(rank: int) -> LayoutAttr:
        """Row-major."""
        return LayoutAttr.of([PhysicalDim(dim) for dim in range(rank)])

    @staticmethod
    def blocked(rank: int, axis: int = 1, block: int = 16) -> LayoutAttr:
        """Row-major over blocks of ``axis``, with the place inside a block innermost: NCHW16c."""
        outer = [PhysicalDim(dim, block if dim == axis else 0) for dim in range(rank)]
        return LayoutAttr.of([*outer, PhysicalDim(axis, block, inner=True)])

    @staticmethod
    def channels_last(rank: int) -> LayoutAttr:
        """Dim 1 innermost: NHWC."""
        return LayoutAttr.of([PhysicalDim(dim) for dim in (0, *range(2, rank), 1)])

    @property
    def dims(self) -> tuple[PhysicalDim, ...]:
        """The dims in memory, outermost first."""
        return _parsed(self.dims_text.data, self.halo_text.data).dims

    @property
    def halo(self) -> tuple[Halo, ...]:
        """The halo of every logical dim."""
        halo = _parsed(self.dims_text.data, self.halo_text.data).halo
        return tuple(halo.get(dim, Halo()) for dim in range(self.rank))

    @property
    def rank(self) -> int:
        """The number of logical dims."""
        return 1 + max((physical.dim for physical in self.dims), default=-1)

    def is_identity(self) -> bool:
        """Whether this is row-major without halo."""
        return self == LayoutAttr.identity(self.rank)

    def with_halo(self, halo: Mapping[int, tuple[int, int]]) -> LayoutAttr:
        """The same order with the halo of the given logical dims replaced."""
        return LayoutAttr.of(self.dims, {**dict(enumerate(self.halo)), **halo})

    def physical_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The extents in memory of a tensor of logical ``shape``: halo added, then blocks rounded up."""
        padded = [extent + low + high for extent, (low, high) in zip(shape, self.halo, strict=True)]
        return tuple(_extent(physical, padded[physical.dim]) for physical in self.dims)

    def affine_map(self) -> AffineMap:
        """From the logical index to the index in memory."""
        halo = self.halo
        results = [
            _expression(physical, AffineExpr.dimension(physical.dim), halo[physical.dim].low) for physical in self.dims
        ]
        return AffineMap(self.rank, 0, tuple(results))

    def verify(self) -> None:
        """[layout_text] the strings parse; [layout_cover] each dim is there once; [layout_halo] exists."""
        dims, halo = _parsed(self.dims_text.data, self.halo_text.data)
        for dim in range(self.rank):
            parts = sorted(physical[1:] for physical in dims if physical.dim == dim)
            whole = parts == [(0, False)]
            halves = len(parts) == 2 and parts[0][0] > 0 and parts == [(parts[0][0], False), (parts[0][0], True)]
            if not whole and not halves:
                raise VerifyException(f"[layout_cover] d{dim} is not covered exactly once by {self.dims_text.data!r}")
        if any(dim >= self.rank for dim in halo):
            raise VerifyException(f"[layout_halo] {self.halo_text.data!r} names a dim that the layout lacks")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> tuple[StringAttr, StringAttr]:
        """Parses ``<"dims">`` or ``<"dims", halo = "...">``."""
        with parser.in_angle_brackets():
            dims, halo = parser.parse_str_literal(), ""
            if parser.parse_optional_punctuation(",") is not None:
                parser.parse_keyword("halo")
                parser.parse_punctuation("=")
                halo = parser.parse_str_literal()
            return StringAttr(dims), StringAttr(halo)

    def print_parameters(self, printer: Printer) -> None:
        """Prints what ``parse_parameters`` parses."""
        with printer.in_angle_brackets():
            printer.print_string_literal(self.dims_text.data)
            if self.halo_text.data:
                printer.print_string(", halo = ")
                printer.print_string_literal(self.halo_text.data)


@lru_cache(maxsize=1024)
def _parsed(dims: str, halo: str) -> Parsed:
    return Parsed(
        tuple(_physical_dim(word) for word in dims.split()),
        dict(map(_halo_of, halo.split())),
    )


def _physical_dim(word: str) -> PhysicalDim:
    match = _DIM.fullmatch(word)
    if match is None:
        raise VerifyException(f"[layout_text] {word!r} is not of the form d1, d1/16 or d1%16")
    dim, role, block = match.groups()
    return PhysicalDim(int(dim), int(block or 0), role == "%")


def _halo_of(word: str) -> tuple[int, Halo]:
    match = _HALO.fullmatch(word)
    if match is None:
        raise VerifyException(f"[layout_text] {word!r} is not of the form d1:low:high")
    dim, low, high = map(int, match.groups())
    return dim, Halo(low, high)


def _extent(physical: PhysicalDim, padded: int) -> int:
    if not physical.block:
        return padded
    return physical.block if physical.inner else -(-padded // physical.block)


def _expression(physical: PhysicalDim, index: AffineExpr, low: int) -> AffineExpr:
    place = index + low if low else index
    if not physical.block:
        return place
    return place % physical.block if physical.inner else place // physical.block
