"""loop.compute and what its scalar regions hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    Float32Type,
    Float64Type,
    IntegerType,
    MemRefType,
    StringAttr,
    UnitAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, Region, SSAValue
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
)
from xdsl.traits import IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop.affine import subscripts_of
from mlc.dialects.loop.attrs import DimsAttr, MapAttr, ReachAttr, ScheduleAttr
from mlc.dialects.loop.common import block_of, segments
from mlc.dialects.loop.extent import LimitsAttr
from mlc.dialects.parts import PARTS


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

    With ``limits``, points at which a dim reaches its limit may be left out: nothing needs what they compute.
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
    limits = opt_prop_def(LimitsAttr)
    init = region_def()
    map = region_def()
    combine = region_def()
    finish = region_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "`ins` `(` ($ins^ `:` type($ins))? `)` `outs` `(` ($outs^ `:` type($outs))? `)` "
        "(`elems` `(` $elems^ `:` type($elems) `)`)? "
        "(`subscripts` `(` $subscripts^ `:` type($subscripts) `)`)? `dims` $dims (`limits` $limits^)? "
        "(`schedule` $schedule^)? (`maps` $maps^)? (`reach` $reach^)? attr-dict-with-keyword "
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
class LdexpOp(IRDLOperation):
    """``p * 2**n`` for an integral float ``n``: ``%r = loop.ldexp %p, %n within [-150, 0] : f32``.

    ``within`` promises that ``n`` lies between two numbers and ``p`` between 1/2 and 2, unless either is NaN.
    """

    name = "loop.ldexp"
    T: ClassVar = VarConstraint("T", base(Float32Type) | base(Float64Type))
    p = operand_def(T)
    n = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    within = opt_prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$p `,` $n (`within` $within^)? attr-dict `:` type($result)"

    def __init__(self, p: SSAValue | Operation, n: SSAValue | Operation, within: tuple[int, int] | None = None) -> None:
        bounds = {"within": DenseArrayBase.from_list(i64, within)} if within else {}
        super().__init__(operands=[p, n], result_types=[SSAValue.get(p).type], properties=bounds)


@irdl_op_definition
class DotOp(IRDLOperation):
    """``c`` plus the products of the parts of two words: ``%r = loop.dot "u8i8" %a, %b, %c``.

    ``parts`` names what ``a`` and ``b`` hold, as in ``hlt.dot_words``: integers of 8 or 16 bits. Sums wrap.
    """

    name = "loop.dot"
    parts = prop_def(StringAttr)
    a = operand_def(i32)
    b = operand_def(i32)
    c = operand_def(i32)
    result = result_def(i32)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$parts $a `,` $b `,` $c attr-dict"

    @property
    def row(self) -> str:
        """What targets call the instruction rows for it."""
        return f"{self.name}.{self.parts.data}"

    def verify_(self) -> None:
        if self.parts.data not in PARTS:
            raise VerifyException(f"[dot_parts] {self.parts.data!r} is none of {', '.join(PARTS)}")


@irdl_op_definition
class GeluOp(IRDLOperation):
    """``x`` times the probability that a standard normal variable is below ``x``: ``%r = loop.gelu %x : f32``."""

    name = "loop.gelu"
    T: ClassVar = VarConstraint("T", base(Float32Type) | base(Float64Type))
    x = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($result)"


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
