"""The types of values in loop code: what a buffer or a register tile holds."""

from __future__ import annotations

from xdsl.dialects.builtin import MemRefType
from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop.attrs import TileType


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
