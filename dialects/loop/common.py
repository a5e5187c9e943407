"""What the dialect's operations share: interned attributes, and accessors of types and regions."""

from __future__ import annotations

from xdsl.dialects.builtin import DenseArrayBase, IndexType, IntegerAttr, MemRefType, i32
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop.attrs import TileType

INDEX = IndexType()


def index_attr(value: int) -> IntegerAttr[IndexType]:
    """An index-typed integer attribute, interned for small values."""
    found = _INDEX_ATTRS.get(value)
    if found is None:
        found = _INDEX_ATTRS[value] = IntegerAttr(value, INDEX)
    return found


_INDEX_ATTRS: dict[int, IntegerAttr[IndexType]] = {}
_SEGMENTS: dict[tuple[int, ...], DenseArrayBase] = {}


def segments(*sizes: int) -> DenseArrayBase:
    """The interned ``operandSegmentSizes`` of an operation."""
    found = _SEGMENTS.get(sizes)
    if found is None:
        found = _SEGMENTS[sizes] = DenseArrayBase.from_list(i32, list(sizes))
    return found


def block_of(region: Region) -> Block | None:
    """The single block of an optional region, or None where the region is empty."""
    return region.blocks[0] if region.blocks else None


def buffer_type(value: SSAValue) -> MemRefType[Attribute]:
    """The type of a buffer; raises VerifyException unless it is a memref."""
    if not isinstance(value.type, MemRefType):
        raise VerifyException(f"[buffer] {value.type} is no memref")
    return value.type


def tile_type(value: SSAValue) -> TileType:
    """The type of a register tile; raises VerifyException for any other value."""
    if not isinstance(value.type, TileType):
        raise VerifyException(f"[tile] {value.type} is no register tile")
    return value.type
