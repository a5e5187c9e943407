"""A scalar region as straight-line code, translated once: unrolling then needs no IR."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IntegerAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from mlc.codegen.emit.lanes import Lanes
from mlc.dialects.loop import YieldOp
from mlc.errors import InternalError


@dataclass(frozen=True)
class Constant:
    """A scalar constant of a region."""

    value: float
    element: Attribute

    def spell(self, ctx: Lanes) -> str:
        """The constant in all lanes."""
        return ctx.constant(self.value, self.element)


@dataclass(frozen=True)
class Argument:
    """The region's argument of this number."""

    number: int


@dataclass(frozen=True)
class Step:
    """The result of the program's step of this number."""

    number: int


Ref = Constant | Argument | Step
"""Where a scalar operand comes from."""


@dataclass
class Program:
    """Operations with operand references, and the references that the region yields."""

    steps: list[tuple[Operation, list[Ref]]] = field(default_factory=list)
    results: list[Ref] = field(default_factory=list)


def program_of(block: Block) -> Program:
    """The code of a region; raises InternalError for a constant that is no scalar."""
    refs: dict[SSAValue, Ref] = {a: Argument(i) for i, a in enumerate(block.args)}
    program = Program()
    for op in block.ops:
        if isinstance(op, arith.ConstantOp):
            refs[op.result] = _constant(op)
        elif isinstance(op, YieldOp):
            program.results = [refs[v] for v in op.values]
        else:
            refs[op.results[0]] = Step(len(program.steps))
            program.steps.append((op, [refs[v] for v in op.operands]))
    return program


def _constant(op: arith.ConstantOp) -> Constant:
    value = op.value
    if isinstance(value, FloatAttr | IntegerAttr):
        return Constant(value.value.data, op.result.type)
    raise InternalError(f"a tile's constants are scalars, not {value}")
