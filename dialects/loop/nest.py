"""The explicit nests that computes become: loops, register tiles, merges, prefetches."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, IndexType, IntegerAttr, MemRefType, StringAttr, i64
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop.attrs import AccessAttr, AxesAttr, TileType
from mlc.dialects.loop.common import index_attr, segments
from mlc.dialects.loop.compute import YieldOp


@irdl_op_definition
class ForOp(IRDLOperation):
    """A loop over ``count`` tiles, its induction variable 0 to ``count - 1``; it may carry register tiles.

    With ``trips`` it runs that often, which is not more than ``count`` and may be never.

    %r = loop.for 192 : index carry(%i : !loop.tile<...>) -> !loop.tile<...> { ^bb0(%k: index, %t: ...): ... }
    """

    name = "loop.for"
    count = prop_def(IntegerAttr)
    trips = opt_operand_def(IndexType)
    inits = var_operand_def(TileType)
    res = var_result_def(TileType)
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "$count (`upto` $trips^)? (`carry` `(` $inits^ `:` type($inits) `)` `->` type($res))? "
        "attr-dict-with-keyword $body"
    )

    @classmethod
    def make(cls, count: int, body: Block, inits: Sequence[SSAValue] = (), trips: SSAValue | None = None) -> ForOp:
        """A loop around ``body``, whose arguments are the induction variable and the carried tiles."""
        first = () if trips is None else (trips,)
        return cls.create(
            operands=[*first, *inits],
            result_types=[v.type for v in inits],
            properties={"count": index_attr(count), "operandSegmentSizes": segments(len(first), len(inits))},
            regions=[Region(body)],
        )

    def verify_(self) -> None:
        if self.count.value.data < 1:
            raise VerifyException("[for_count] a loop has at least one tile")
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or len(last.values) != len(self.res):
            raise VerifyException("[for_yield] the body yields one value per result")


@irdl_op_definition
class ParallelOp(IRDLOperation):
    """A loop over independent tiles, shared out among the threads (or the blocks and threads of a GPU).

    It runs tiles ``first .. first + count - 1`` of a dim that has ``tiles`` in all; thread ``t`` of ``n`` takes the
    tiles from ``tiles*t/n`` to ``tiles*(t+1)/n``. Loops over the same dim with another tile size are further
    operations with their own ``first``. The induction variable counts from 0 within this operation. ``trips`` are
    the tiles that are there in this call where a dim may end early: those before this operation's, its own, and all.
    """

    name = "loop.parallel"
    first = prop_def(IntegerAttr)
    count = prop_def(IntegerAttr)
    tiles = prop_def(IntegerAttr)
    trips = var_operand_def(IndexType)
    bind = opt_prop_def(StringAttr)
    body = region_def("single_block")
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = (
        "$first `+` $count `of` $tiles (`upto` `(` $trips^ `)`)? (`on` $bind^)? attr-dict-with-keyword $body"
    )

    @classmethod
    def make(
        cls, first: int, count: int, tiles: int, body: Block, bind: str = "", trips: Sequence[SSAValue] = ()
    ) -> ParallelOp:
        """A parallel loop around ``body``, whose argument is the induction variable."""
        properties: dict[str, Attribute] = {
            "first": index_attr(first),
            "count": index_attr(count),
            "tiles": index_attr(tiles),
        }
        if bind:
            properties["bind"] = StringAttr(bind)
        return cls.create(operands=trips, properties=properties, regions=[Region(body)])

    def verify_(self) -> None:
        first, count, tiles = self.first.value.data, self.count.value.data, self.tiles.value.data
        if first < 0 or count < 1 or first + count > tiles:
            raise VerifyException("[parallel_range] first + count lies within tiles")
        if len(self.trips) not in (0, 3):
            raise VerifyException("[parallel_trips] trips are the tiles before, its own, and all")


@irdl_op_definition
class TileOp(IRDLOperation):
    """One scalar region applied to a whole register tile.

    ``buffers`` are read through static accesses, ``tiles`` are values in registers (the last ones are the
    accumulators), ``outs`` are written. ``subscripts`` are read to address buffers and outs whose accesses name
    them; ``access`` follows buffers, outs, subscripts. ``indices`` describe block arguments that hold an index rather
    than a loaded element. Block arguments: buffers, indices, tiles. Yielded: results, then values for ``outs``.
    ``tail`` gives, by dim, the valid lanes of the last register: ``n:5``. ``group`` points go through the region
    together; ``prefetch`` numbers the buffers whose next panel is worth fetching ahead.
    """

    name = "loop.tile"
    buffers = var_operand_def(MemRefType)
    tiles = var_operand_def(TileType)
    ivs = var_operand_def(IndexType)
    outs = var_operand_def(MemRefType)
    subscripts = var_operand_def(MemRefType)
    access = prop_def(ArrayAttr[AccessAttr])
    indices = opt_prop_def(ArrayAttr[AccessAttr])
    axes = prop_def(AxesAttr)
    tail = opt_prop_def(StringAttr)
    group = opt_prop_def(IntegerAttr)
    prefetch = opt_prop_def(DenseArrayBase.constr(i64))
    res = var_result_def(TileType)
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "`(` ($buffers^ `:` type($buffers))? `)` (`tiles` `(` $tiles^ `:` type($tiles) `)`)? "
        "(`ivs` `(` $ivs^ `)`)? (`outs` `(` $outs^ `:` type($outs) `)`)? "
        "(`subscripts` `(` $subscripts^ `:` type($subscripts) `)`)? `axes` $axes `access` $access "
        "(`->` type($res)^)? attr-dict-with-keyword $body"
    )


@irdl_op_definition
class MergeOp(IRDLOperation):
    """Folds kept reduction axes and reduction lanes of accumulators with the associative ``combine`` region.

    %m = loop.merge(%acc) axes <"n=8:a n@16"> { ... }
    """

    name = "loop.merge"
    sources = var_operand_def(TileType)
    axes = prop_def(AxesAttr)
    res = var_result_def(TileType)
    body = region_def("single_block")
    traits = traits_def(Pure())
    assembly_format = "`(` $sources `:` type($sources) `)` `axes` $axes `->` type($res) attr-dict-with-keyword $body"


@irdl_op_definition
class PrefetchOp(IRDLOperation):
    """A hint that the line at a static address will be read soon (into the second-level cache)."""

    name = "loop.prefetch"
    buffer = operand_def(MemRefType)
    ivs = var_operand_def(IndexType)
    access = prop_def(AccessAttr)
    assembly_format = "$buffer `[` ($ivs^)? `]` $access attr-dict `:` type($buffer)"
