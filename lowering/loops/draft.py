"""A compute taken apart, for passes that merge or rewrite computes before they are scheduled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerAttr, IntegerType, StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from mlc.dialects.loop import ComputeOp, Dim, DimsAttr, IndexOp, MapAttr, YieldOp
from mlc.dialects.loop.affine import Expr, Subscript, renumber, subscripts_of, substitute
from mlc.errors import InternalError


@dataclass(frozen=True, slots=True)
class Use:
    """An operand and its index."""

    buffer: SSAValue
    index: tuple[Expr, ...]


REGIONS: tuple[str, ...] = ("init", "map", "combine", "finish")


@dataclass
class Draft:
    """Operands with their indices, dims and regions of one compute; `build` makes it an operation again.

    Subscripts are only ever appended, so that their numbers in indices stay right.

    Regions belong to the draft: the operation it was made from is only good for erasing.
    """

    ins: list[Use]
    outs: list[Use]
    elems: list[Use]
    subscripts: list[Use]
    dims: list[Dim]
    regions: dict[str, Region]

    @classmethod
    def of(cls, op: ComputeOp) -> Draft:
        """Take a compute (with maps) apart; its regions move to the draft."""
        assert op.maps is not None
        uses = [Use(v, m.data) for v, m in zip(op.operands, op.maps)]
        outs = len(op.ins)
        elems = outs + len(op.outs)
        subscripts = elems + len(op.elems)
        regions = dict(zip(REGIONS, [op.detach_region(r) for r in list(op.regions)]))
        return cls(
            uses[:outs],
            uses[outs:elems],
            uses[elems:subscripts],
            uses[subscripts:],
            list(op.dims.data),
            regions,
        )

    def build(self) -> ComputeOp:
        """The operation, not yet in a block."""
        self._merge_equal_subscripts()
        uses = [*self.ins, *self.outs, *self.elems, *self.subscripts]
        return ComputeOp.make(
            [u.buffer for u in self.ins],
            [u.buffer for u in self.outs],
            DimsAttr(tuple(self.dims)),
            [MapAttr(u.index) for u in uses],
            elems=[u.buffer for u in self.elems],
            subscripts=[u.buffer for u in self.subscripts],
            init=self.regions["init"],
            map=self.regions["map"],
            combine=self.regions["combine"],
            finish=self.regions["finish"],
        )

    @property
    def ranges(self) -> dict[str, int]:
        """Extent by dim."""
        return {d.name: d.extent for d in self.dims}

    @property
    def has_reduction(self) -> bool:
        """Whether values are folded into accumulators."""
        return bool(self.regions["combine"].blocks)

    def blocks(self) -> list[Block]:
        """The region blocks whose leading arguments are the inputs' elements."""
        return [r.blocks[0] for n, r in self.regions.items() if n != "combine" and r.blocks]

    def append_subscripts(self, uses: Sequence[Use]) -> dict[int, int]:
        """Add the subscripts of another compute; returns their new numbers by their old ones."""
        first = len(self.subscripts)
        self.subscripts += uses
        return {i: first + i for i in range(len(uses))}

    def _merge_equal_subscripts(self) -> None:
        """Subscripts that are the same become one, and those that no index names go away."""
        indices = [e for use in (*self.ins, *self.outs, *self.elems) for e in use.index]
        named = sorted({s.number for e in indices for s in subscripts_of(e)})
        kept = list(dict.fromkeys(self.subscripts[n] for n in named))
        if kept == self.subscripts:
            return
        numbers = {n: kept.index(self.subscripts[n]) for n in named}
        for uses in (self.ins, self.outs, self.elems):
            uses[:] = [Use(u.buffer, tuple(renumber(e, numbers) for e in u.index)) for u in uses]
        self.subscripts = kept

    def merge_equal_inputs(self) -> None:
        """Operands that read the same element become one."""
        first: dict[Use, int] = {}
        for i in range(len(self.ins)):
            first.setdefault(self.ins[i], i)
        doubles = [i for i, use in enumerate(self.ins) if first[use] != i]
        for i in reversed(doubles):
            for block in self.blocks():
                block.args[i].replace_all_uses_with(block.args[first[self.ins[i]]])
                block.erase_arg(block.args[i])
            del self.ins[i]

    def drop_unused_inputs(self) -> None:
        """Operands that no region reads go away."""
        for i in reversed(range(len(self.ins))):
            if all(block.args[i].first_use is None for block in self.blocks()):
                for block in self.blocks():
                    block.erase_arg(block.args[i])
                del self.ins[i]


def inline(
    block: Block,
    before: Operation | None,
    source: Block,
    values: Mapping[SSAValue, SSAValue],
    index: Mapping[str, Expr],
) -> list[SSAValue]:
    """Copy ``source``'s code into ``block``; returns the values it yields.

    ``values`` replaces its arguments, ``index`` gives the dims that its index operations name.
    """
    env: dict[SSAValue, SSAValue] = dict(values)

    def place(op: Operation) -> None:
        if before is None:
            block.add_op(op)
        else:
            block.insert_op_before(op, before)

    for op in source.ops:
        if isinstance(op, YieldOp):
            return [env.get(v, v) for v in op.values]
        if isinstance(op, IndexOp):
            env[op.result] = index_value(index.get(op.dim.data), op, place)
            continue
        place(op.clone(value_mapper=env))
    return []


def index_value(expr: Expr | None, op: IndexOp, place: Callable[[Operation], object]) -> SSAValue:
    """Integer code for an index expression, in the type of an index operation."""
    if expr is None:
        copy = op.clone()
        place(copy)
        return copy.result
    return _expression(expr, op.result.type, place)


def _expression(expr: Expr, element: Attribute, place: Callable[[Operation], object]) -> SSAValue:
    def add(made: Operation) -> SSAValue:
        place(made)
        return made.results[0]

    def const(value: int) -> SSAValue:
        assert isinstance(element, IntegerType)
        attr = IntegerAttr(value, element)
        return add(arith.ConstantOp.create(properties={"value": attr}, result_types=[element]))

    def binary(cls: type[Operation], a: SSAValue, b: SSAValue) -> SSAValue:
        return add(cls.create(operands=[a, b], result_types=[element]))

    total = const(expr.const) if expr.const or not expr.terms else None
    for atom, coefficient in expr.terms:
        if isinstance(atom, str):
            value = add(IndexOp.build(result_types=[element], properties={"dim": StringAttr(atom)}))
        elif isinstance(atom, Subscript):
            raise InternalError("a subscript's value is not known to a compute's code")
        else:
            inner = _expression(atom.expr, element, place)
            cls = arith.DivUIOp if atom.kind == "//" else arith.RemUIOp
            value = binary(cls, inner, const(atom.divisor))
        if coefficient != 1:
            value = binary(arith.MuliOp, value, const(coefficient))
        total = value if total is None else binary(arith.AddiOp, total, value)
    assert total is not None
    return total


def compose(index: Sequence[Expr], values: Mapping[str, Expr], ranges: Mapping[str, int]) -> tuple[Expr, ...]:
    """An index with its dims replaced."""
    return tuple(substitute(e, values, ranges) for e in index)
