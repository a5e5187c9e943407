"""What fusion needs to know of each operation: which role it plays and what may stand before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt

MATERIALIZE = "hlt.materialize"
"""Attribute of movement whose result is to lie in memory: reading through it would cost more."""


class Prologue(IntEnum):
    """What may be computed on the fly where an operand is read; each level allows those before it, too."""

    NOTHING = 0
    """The operand lies in memory as it is."""
    MOVEMENT = 1
    """It is read through another index: transposed, sliced, broadcast, its dims split."""
    CHEAP = 2
    """It is computed from what is read, in a few instructions; elements may be read more than once."""
    ANYTHING = 3
    """It is computed from what is read; each element is read once."""


ELEMENTWISE: frozenset[type[Operation]] = frozenset(
    cls
    for cls in hlt.OPERATIONS
    if issubclass(cls, hlt.UnaryOp | hlt.BinaryOp) or cls in (hlt.SelectOp, hlt.CastOp, hlt.BitcastOp)
)
"""One element of each operand makes one element of the result."""

CHEAP: frozenset[type[Operation]] = frozenset(
    (
        *(hlt.AddOp, hlt.SubOp, hlt.MulOp, hlt.MaximumOp, hlt.MinimumOp, hlt.NegOp, hlt.AbsOp),
        *(hlt.AndOp, hlt.OrOp, hlt.XorOp, hlt.NotOp, hlt.ShiftLeftOp, hlt.ShiftRightOp),
        *(hlt.CompareOp, hlt.SelectOp, hlt.CastOp, hlt.BitcastOp, hlt.IsNanOp, hlt.IsInfOp),
        *(hlt.FloorOp, hlt.CeilOp, hlt.RoundOp),
    )
)
"""Element-wise operations of about one instruction each."""

MOVEMENT: frozenset[type[Operation]] = frozenset(
    (hlt.BroadcastOp, hlt.TransposeOp, hlt.SliceOp, hlt.ReverseOp, hlt.ReshapeOp)
)
"""Every element of the result is one of the operand, at a place that depends on the index alone."""

MAY_FAIL = (
    hlt.GatherOp,
    hlt.GatherElementsOp,
    hlt.GatherNdOp,
    hlt.ScatterElementsOp,
    hlt.ScatterNdOp,
    hlt.UpdateSliceOp,
)
"""Operations that check their data."""

_EACH: Mapping[type[Operation], tuple[Prologue, ...]] = {
    hlt.ConvOp: (Prologue.MOVEMENT, Prologue.MOVEMENT),
    hlt.ConvTransposeOp: (Prologue.MOVEMENT, Prologue.MOVEMENT),
    hlt.DotGeneralOp: (Prologue.MOVEMENT, Prologue.MOVEMENT),
    hlt.DotWordsOp: (Prologue.MOVEMENT, Prologue.MOVEMENT),
    hlt.ConvWordsOp: (Prologue.MOVEMENT, Prologue.MOVEMENT),
    hlt.ReduceOp: (Prologue.ANYTHING,),
    hlt.ReduceWindowOp: (Prologue.CHEAP,),
    hlt.ArgReduceOp: (Prologue.MOVEMENT,),
    hlt.ScanOp: (Prologue.NOTHING,),
    hlt.SoftmaxOp: (Prologue.CHEAP,),
    hlt.LayerNormOp: (Prologue.CHEAP,),
    hlt.RmsNormOp: (Prologue.CHEAP,),
    hlt.GroupNormOp: (Prologue.CHEAP,),
    hlt.AttentionOp: (Prologue.MOVEMENT,) * 5,
    hlt.ResizeOp: (),
    hlt.LrnOp: (),
    hlt.GatherOp: (),
}
"""Operations that a group is built around, and what may stand before each operand (by default nothing)."""

ANCHORS: frozenset[type[Operation]] = frozenset(_EACH)
"""Operations whose result may be processed further, element by element, before it is written."""


def prologue(op: Operation, index: int) -> Prologue:
    """What may be computed on the fly for operand ``index`` of ``op``."""
    if type(op) in ELEMENTWISE or type(op) in MOVEMENT:
        return Prologue.ANYTHING
    levels = _EACH.get(type(op), ())
    return levels[index] if index < len(levels) else Prologue.NOTHING


def splits_dims(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether a reshape only splits dims (and adds or drops extents of 1): reading through it stays affine."""
    if 0 in before:
        return False
    pieces = iter(after)
    for extent in before:
        product = 1
        while product < extent:
            product *= next(pieces, extent + 1)
        if product != extent:
            return False
    return all(piece == 1 for piece in pieces)


def all_read_through(value: SSAValue) -> bool:
    """Whether all readers of ``value``, past movement that they read through as well, take it through an index."""
    return all(_reads_through(use.operation, use.index) for use in value.uses)


def _reads_through(op: Operation, index: int) -> bool:
    if isinstance(op, hlt.ReshapeOp) and not splits_dims(hlt.shape_of(op.x), op.shape):
        return False
    if type(op) in MOVEMENT:
        return all_read_through(op.results[0])
    return prologue(op, index) >= Prologue.MOVEMENT
