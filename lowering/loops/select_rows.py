"""select_rows: join ``map`` and ``combine`` into one step region and form the operations that targets have rows for.

    map { %p = mulf %a, %b }  combine { %s = addf %x, %y }
 -> joined map(%a, %b, %acc) { %f = math.fma %a, %b, %acc }

    map { %d = loop.dot "u8i8" %a, %b, %zero }  combine { %s = addi %x, %y }
 -> joined map(%a, %b, %acc) { %d = loop.dot "u8i8" %a, %b, %acc }

``combine`` stays: merging kept axes and lanes needs it. Contraction to fma is the floating-point mode
``contract`` (the default); ``strict`` keeps products and sums apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp, UnitAttr
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import ComputeOp, DotOp, YieldOp


def join(op: ComputeOp) -> None:
    """Make ``map`` take the accumulators and yield them folded (then the stored elements)."""
    if not op.has_reduction or op.joined is not None:
        return
    mapping, combine = op.map.block, op.combine.block
    accs = op.accumulators
    types = [a.type for a in combine.args[:accs]]
    carried = [mapping.insert_arg(t, len(mapping.args)) for t in types]
    terminator = mapping.last_op
    assert isinstance(terminator, YieldOp)
    values = list(terminator.values)
    env: dict[SSAValue, SSAValue] = dict(zip(combine.args, [*carried, *values[:accs]]))
    folded: list[SSAValue] = []
    for inner in combine.ops:
        if isinstance(inner, YieldOp):
            folded = [env.get(v, v) for v in inner.values]
        else:
            mapping.insert_op_before(inner.clone(value_mapper=env), terminator)
    mapping.insert_op_before(YieldOp.of(*folded, *values[accs:]), terminator)
    mapping.erase_op(terminator)
    op.properties["joined"] = UnitAttr()


def contract(block: Block) -> None:
    """``a*b + c`` and ``c + a*b`` with no other use of the product become ``fma(a, b, c)``.

    ``x * (1 / d)`` with no other use of the reciprocal becomes ``x / d`` where ``d`` is computed from ``x``; else there
    may be fewer reciprocals than products.
    """
    for op in list(block.ops):
        if isinstance(op, arith.AddfOp):
            _contract_add(block, op)
        elif isinstance(op, arith.MulfOp):
            _contract_quotient(block, op)


def add_to_dots(block: Block) -> None:
    """``dot(a, b, 0) + c`` with no other use of the dot becomes ``dot(a, b, c)``; exact."""
    for op in [o for o in block.ops if isinstance(o, arith.AddiOp)]:
        for dot, other in ((op.lhs.owner, op.rhs), (op.rhs.owner, op.lhs)):
            if isinstance(dot, DotOp) and _is_zero(dot.c) and _has_one_use(dot.result):
                made = DotOp.create(
                    operands=[dot.a, dot.b, other], result_types=[op.result.type], properties=dict(dot.properties)
                )
                _replace(block, op, made)
                block.erase_op(dot)
                break


def _contract_quotient(block: Block, op: arith.MulfOp) -> None:
    for quotient, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
        owner = quotient.owner
        if not isinstance(owner, arith.DivfOp) or not _has_one_use(owner.result):
            continue
        if _is_one(owner.lhs) and _follows(owner.rhs, other):
            _replace(block, op, arith.DivfOp.create(operands=[other, owner.rhs], result_types=[op.result.type]))
            block.erase_op(owner)
            return


def _is_one(value: SSAValue) -> bool:
    owner = value.owner
    return isinstance(owner, arith.ConstantOp) and isinstance(owner.value, FloatAttr) and owner.value.value.data == 1.0


def _is_zero(value: SSAValue) -> bool:
    owner = value.owner
    return isinstance(owner, arith.ConstantOp) and isinstance(owner.value, IntegerAttr) and not owner.value.value.data


def _follows(value: SSAValue, source: SSAValue) -> bool:
    """Whether a value is computed from another one."""
    seen: set[SSAValue] = set()
    left = [value]
    while left:
        one = left.pop()
        if one is source:
            return True
        if one not in seen and isinstance(one.owner, Operation):
            left += one.owner.operands
        seen.add(one)
    return False


def _contract_add(block: Block, op: arith.AddfOp) -> None:
    for product, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
        owner = product.owner
        if not isinstance(owner, arith.MulfOp) or not _has_one_use(owner.result):
            continue
        fma = math.FmaOp.create(operands=[owner.lhs, owner.rhs, other], result_types=[op.result.type])
        _replace(block, op, fma)
        block.erase_op(owner)
        return


def _has_one_use(value: SSAValue) -> bool:
    uses = iter(value.uses)
    return next(uses, None) is not None and next(uses, None) is None


def _replace(block: Block, old: Operation, new: Operation) -> None:
    block.insert_op_before(new, old)
    old.results[0].replace_all_uses_with(new.results[0])
    block.erase_op(old)


def regions(op: ComputeOp) -> list[Region]:
    """The regions of a compute that hold code."""
    return [r for r in (op.init, op.map, op.combine, op.finish) if r.blocks]


@dataclass(frozen=True)
class SelectRowsPass(ModulePass):
    """Join map and combine, add to dots, and contract products and sums to fma unless ``strict``."""

    name = "select-rows"
    strict: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in [o for o in op.walk() if isinstance(o, ComputeOp)]:
            join(compute)
            for region in regions(compute):
                add_to_dots(region.block)
                if not self.strict:
                    contract(region.block)
