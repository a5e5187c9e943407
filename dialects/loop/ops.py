"""Operations of the loop dialect: kernels, computes, and the explicit nests they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerAttr,
    IntegerType,
    MemRefType,
    StringAttr,
    SymbolNameConstraint,
    UnitAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    VarConstraint,
    base,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import (
    IsolatedFromAbove,
    IsTerminator,
    NoMemoryEffect,
    NoTerminator,
    Pure,
    SymbolOpInterface,
)
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop.affine import subscripts_of
from mlc.dialects.loop.attrs import (
    AccessAttr,
    AxesAttr,
    DimsAttr,
    MapAttr,
    ReachAttr,
    ScheduleAttr,
    TableAttr,
    TileType,
)

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


@irdl_op_definition
class KernelOp(IRDLOperation):
    """One unit of code generation: buffers in and out, computes that run in order.

    With ``shared``, its loops enclose all computes, which then run tile by tile:

        loop.kernel @softmax shared <"r/4"> { ^bb0(%x: memref<1536x128xf32>, %y: memref<1536x128xf32>): ... }

    ``weights`` numbers the arguments that are constants: those may be packed when the kernel is built. With
    ``checked``, the last argument is a ``memref<1xi32>``: the kernel stores INDEX_RANGE there when a subscript lies
    outside its extent (and goes on with an element inside).
    """

    name = "loop.kernel"
    sym_name = prop_def(SymbolNameConstraint())
    shared = opt_prop_def(ScheduleAttr)
    weights = opt_prop_def(DenseArrayBase.constr(i64))
    checked = opt_prop_def(UnitAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), IsolatedFromAbove(), SymbolOpInterface())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$sym_name (`shared` $shared^)? attr-dict-with-keyword $body"

    @property
    def args(self) -> Sequence[SSAValue]:
        """The kernel's buffers, in argument order."""
        return self.body.block.args

    @property
    def constant_args(self) -> tuple[SSAValue, ...]:
        """The arguments that are known when the kernel is built."""
        if self.weights is None:
            return ()
        return tuple(self.body.block.args[i] for i in self.weights.get_values())

    def computes(self) -> list[ComputeOp]:
        """The computes at the kernel's top level, in order."""
        return [op for op in self.body.block.ops if isinstance(op, ComputeOp)]


@irdl_op_definition
class ScratchOp(IRDLOperation):
    """A small buffer private to the kernel, one tile of it per iteration of the shared loops, or a constant table.

    %s = loop.scratch : memref<12x128xf32>
    %t = loop.scratch table <"1.0 0.0 -1.0"> : memref<3xf32>
    """

    name = "loop.scratch"
    table = opt_prop_def(TableAttr)
    result = result_def(MemRefType)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "(`table` $table^)? attr-dict `:` type($result)"


@irdl_op_definition
class PackOp(IRDLOperation):
    """A buffer rearranged into the order in which a compute reads it.

    ``reach`` addresses the source by the levels of ``schedule`` that the operand depends on; the result's dims are
    those levels in their order, zero where a dim's extent ends. On weights it runs on the host.

        %p = loop.pack %b reach <"0 | n/32:128 k*:3072 n*:64 n@:4"> dims <"n=768 k=768:r"> schedule <...> : ...
    """

    name = "loop.pack"
    source = operand_def(MemRefType)
    reach = prop_def(ReachAttr)
    dims = prop_def(DimsAttr)
    schedule = prop_def(ScheduleAttr)
    result = result_def(MemRefType)
    traits = traits_def(Pure())
    assembly_format = (
        "$source `reach` $reach `dims` $dims `schedule` $schedule attr-dict `:` type($source) `->` type($result)"
    )


@irdl_op_definition
class ComputeOp(IRDLOperation):
    """An iteration domain, one map per operand, and scalar regions.

    Without a reduction dim only ``finish`` is used: it maps the operands' elements to those of ``outs``. With
    reductions, ``init`` gives the accumulators, ``map`` the values to fold, ``combine`` folds two of them
    (associative), and ``finish`` turns operands and accumulators into the results. ``elems`` are further results:
    the trailing values of ``map``, stored for every point. ``subscripts`` are integers that no region sees: the maps
    of the other operands use their values as indices (``@0[512]``).

    Dims of kind ``s`` run in order, one step after the other; the other parallel dims in any order.

    Before `split`, ``maps`` holds one ``#loop.map`` per operand, in order; after it, ``reach`` holds the
    byte coefficients of every schedule level instead. After `select_rows` the compute is ``joined``: ``map`` also
    takes the accumulators and yields them folded.
    """

    name = "loop.compute"
    ins = var_operand_def(MemRefType)
    outs = var_operand_def(MemRefType)
    elems = var_operand_def(MemRefType)
    subscripts = var_operand_def(MemRefType)
    dims = prop_def(DimsAttr)
    maps = opt_prop_def(ArrayAttr[MapAttr])
    reach = opt_prop_def(ArrayAttr[ReachAttr])
    schedule = opt_prop_def(ScheduleAttr)
    joined = opt_prop_def(UnitAttr)
    init = region_def()
    map = region_def()
    combine = region_def()
    finish = region_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "`ins` `(` ($ins^ `:` type($ins))? `)` `outs` `(` ($outs^ `:` type($outs))? `)` "
        "(`elems` `(` $elems^ `:` type($elems) `)`)? "
        "(`subscripts` `(` $subscripts^ `:` type($subscripts) `)`)? `dims` $dims (`schedule` $schedule^)? "
        "(`maps` $maps^)? (`reach` $reach^)? attr-dict-with-keyword "
        "`init` $init `map` $map `combine` $combine `finish` $finish"
    )

    @classmethod
    def make(
        cls,
        ins: Sequence[SSAValue],
        outs: Sequence[SSAValue],
        dims: DimsAttr,
        maps: Sequence[MapAttr],
        *,
        finish: Region,
        init: Region | None = None,
        map: Region | None = None,
        combine: Region | None = None,
        elems: Sequence[SSAValue] = (),
        subscripts: Sequence[SSAValue] = (),
        schedule: ScheduleAttr | None = None,
    ) -> ComputeOp:
        """A compute before scheduling; ``maps`` follow ins, outs, elems, subscripts."""
        properties: dict[str, Attribute] = {
            "operandSegmentSizes": segments(len(ins), len(outs), len(elems), len(subscripts)),
            "dims": dims,
            "maps": ArrayAttr(maps),
        }
        if schedule is not None:
            properties["schedule"] = schedule
        return cls.create(
            operands=[*ins, *outs, *elems, *subscripts],
            properties=properties,
            regions=[init or Region(), map or Region(), combine or Region(), finish],
        )

    @property
    def has_reduction(self) -> bool:
        """Whether values are folded into accumulators."""
        return bool(self.combine.blocks)

    @property
    def accumulators(self) -> int:
        """How many values the reduction carries."""
        block = block_of(self.combine)
        return len(block.args) // 2 if block else 0

    def verify_(self) -> None:
        if (self.maps is None) == (self.reach is None):
            raise VerifyException("[compute_stage] exactly one of maps and reach is present")
        given = self.maps if self.maps is not None else self.reach
        if given is not None and len(given) != len(self.operands):
            raise VerifyException("[compute_maps] one map per operand")
        if self.maps is not None:
            for value, mapping in zip(self.operands, self.maps):
                if not isinstance(value.type, MemRefType) or len(mapping.data) != value.type.get_num_dims():
                    raise VerifyException("[compute_rank] a map has as many indices as its buffer has dims")
            self._verify_subscripts(self.maps)
        self._verify_regions()

    def _verify_subscripts(self, maps: ArrayAttr[MapAttr]) -> None:
        count = len(self.subscripts)
        first = len(self.operands) - count
        for i, mapping in enumerate(maps):
            used = {s for e in mapping.data for s in subscripts_of(e)}
            if i >= first and used:
                raise VerifyException("[compute_subscripts] a subscript has no subscripts of its own")
            if any(s.number >= count or s.extent < 1 for s in used):
                raise VerifyException("[compute_subscripts] a subscript names an operand and a positive extent")
        for value in self.subscripts:
            if not isinstance(value.type, MemRefType) or not isinstance(value.type.element_type, IntegerType):
                raise VerifyException("[compute_subscripts] subscripts are integers")

    def _verify_regions(self) -> None:
        ins, accs = len(self.ins), self.accumulators
        if self.has_reduction and not (self.init.blocks and self.map.blocks):
            raise VerifyException("[compute_reduction] combine needs init and map")
        expected = [
            ("init", self.init, ins, accs),
            ("map", self.map, ins + (accs if self.joined else 0), accs + len(self.elems)),
            ("combine", self.combine, 2 * accs, accs),
            ("finish", self.finish, ins + accs, len(self.outs)),
        ]
        for name, region, args, values in expected:
            block = block_of(region)
            if block is None:
                continue
            if len(block.args) != args:
                raise VerifyException(f"[compute_args] {name} takes {args} values, not {len(block.args)}")
            last = block.last_op
            if not isinstance(last, YieldOp) or len(last.values) != values:
                raise VerifyException(f"[compute_yield] {name} yields {values} values")


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a scalar region or a loop body with its values: ``loop.yield %s : f32``."""

    name = "loop.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator())
    assembly_format = "($values^ `:` type($values))? attr-dict"

    @classmethod
    def of(cls, *values: SSAValue) -> YieldOp:
        """The terminator that yields ``values``."""
        return cls.create(operands=values)


@irdl_op_definition
class IndexOp(IRDLOperation):
    """The current value of a dim inside a compute's region: ``%i = loop.index "n" : i64``."""

    name = "loop.index"
    dim = prop_def(StringAttr)
    result = result_def()
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$dim attr-dict `:` type($result)"


@irdl_op_definition
class ForOp(IRDLOperation):
    """A loop over ``count`` tiles, its induction variable 0 to ``count - 1``; it may carry register tiles.

    %r = loop.for 192 : index carry(%i : !loop.tile<...>) -> !loop.tile<...> { ^bb0(%k: index, %t: ...): ... }
    """

    name = "loop.for"
    count = prop_def(IntegerAttr)
    inits = var_operand_def(TileType)
    res = var_result_def(TileType)
    body = region_def("single_block")
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$count (`carry` `(` $inits^ `:` type($inits) `)` `->` type($res))? attr-dict-with-keyword $body"

    @classmethod
    def make(cls, count: int, body: Block, inits: Sequence[SSAValue] = ()) -> ForOp:
        """A loop around ``body``, whose arguments are the induction variable and the carried tiles."""
        return cls.create(
            operands=inits,
            result_types=[v.type for v in inits],
            properties={"count": index_attr(count)},
            regions=[Region(body)],
        )

    def verify_(self) -> None:
        if self.count.value.data < 1:
            raise VerifyException("[for_count] a loop runs at least once")
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or len(last.values) != len(self.res):
            raise VerifyException("[for_yield] the body yields one value per result")


@irdl_op_definition
class ParallelOp(IRDLOperation):
    """A loop over independent tiles, shared out among the threads (or the blocks and threads of a GPU).

    It runs tiles ``first .. first + count - 1`` of a dim that has ``tiles`` in all; thread ``t`` of ``n`` takes the
    tiles from ``tiles*t/n`` to ``tiles*(t+1)/n``. Loops over the same dim with another tile size are further
    operations with their own ``first``. The induction variable counts from 0 within this operation.
    """

    name = "loop.parallel"
    first = prop_def(IntegerAttr)
    count = prop_def(IntegerAttr)
    tiles = prop_def(IntegerAttr)
    bind = opt_prop_def(StringAttr)
    body = region_def("single_block")
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$first `+` $count `of` $tiles (`on` $bind^)? attr-dict-with-keyword $body"

    @classmethod
    def make(cls, first: int, count: int, tiles: int, body: Block, bind: str = "") -> ParallelOp:
        """A parallel loop around ``body``, whose argument is the induction variable."""
        properties: dict[str, Attribute] = {
            "first": index_attr(first),
            "count": index_attr(count),
            "tiles": index_attr(tiles),
        }
        if bind:
            properties["bind"] = StringAttr(bind)
        return cls.create(properties=properties, regions=[Region(body)])

    def verify_(self) -> None:
        first, count, tiles = self.first.value.data, self.count.value.data, self.tiles.value.data
        if first < 0 or count < 1 or first + count > tiles:
            raise VerifyException("[parallel_range] first + count lies within tiles")


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


@irdl_op_definition
class LdexpOp(IRDLOperation):
    """``p * 2**n`` for an integral float ``n``: ``%r = loop.ldexp %p, %n : f32``."""

    name = "loop.ldexp"
    T: ClassVar = VarConstraint("T", base(Float32Type) | base(Float64Type))
    p = operand_def(T)
    n = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$p `,` $n attr-dict `:` type($result)"

    def __init__(self, p: SSAValue | Operation, n: SSAValue | Operation) -> None:
        super().__init__(operands=[p, n], result_types=[SSAValue.get(p).type])


@irdl_op_definition
class RemfOp(IRDLOperation):
    """The remainder of a division that truncates, exact as C's fmod: ``%r = loop.remf %x, %y : f32``."""

    name = "loop.remf"
    T: ClassVar = VarConstraint("T", base(Float32Type) | base(Float64Type))
    x = operand_def(T)
    y = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` $y attr-dict `:` type($result)"
