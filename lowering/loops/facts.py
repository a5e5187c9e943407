"""What the cost model needs to know of a compute: how each operand moves along each dim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from xdsl.ir import SSAValue

from mlc.dialects.loop import ComputeOp, KernelOp, buffer_type
from mlc.dialects.loop.affine import Expr, Quotient, Subscript, dims_of, subscripts_of
from mlc.lowering.loops.levels import element_bytes
from mlc.lowering.loops.split import address

ANYWHERE = 1 << 40
"""The step of an operand along a dim that moves its subscripts."""


@dataclass
class Operand:
    """One operand of a compute: its address and how it moves; ``scattered``: the dims that its subscripts follow."""

    number: int
    address: Expr
    bytes: int
    constant: bool
    in_map: bool
    output: bool
    steps: dict[str, int] = field(default_factory=dict)
    far: dict[str, int] = field(default_factory=dict)
    blocks: dict[str, set[int]] = field(default_factory=dict)
    scattered: set[str] = field(default_factory=set)

    @property
    def packable(self) -> bool:
        """Whether the operand may be stored in nest order when the kernel is built."""
        return self.constant and self.in_map

    def step(self, dim: str) -> int:
        """Bytes to the neighbour along a dim (inside a block where the dim is blocked)."""
        return self.steps.get(dim, 0)

    def stride(self, dim: str) -> int:
        """Bytes per element of a dim over long distances: what orders loops."""
        return self.far.get(dim, 0)

    def depends(self, dim: str) -> bool:
        """Whether the address moves at all along a dim."""
        return dim in self.steps or dim in self.far

    def is_unit(self, dim: str) -> bool:
        """Whether neighbours along the dim are neighbours in memory."""
        return self.step(dim) == self.bytes


class Facts:
    """The operands, dims and kinds of one compute."""

    def __init__(self, op: ComputeOp) -> None:
        assert op.maps is not None
        self.op = op
        self.extents = op.dims.extents
        self.kinds = op.dims.kinds
        kernel = op.parent_op()
        constants: Sequence[SSAValue] = kernel.constant_args if isinstance(kernel, KernelOp) else ()
        outputs = range(len(op.ins), len(op.operands) - len(op.subscripts))
        in_map = op.map.block.args if op.map.blocks else ()
        self.operands: list[Operand] = []
        for i, (value, mapping) in enumerate(zip(op.operands, op.maps)):
            buffer = buffer_type(value)
            used = i < outputs.start and bool(in_map) and in_map[i].first_use is not None
            operand = Operand(
                number=i,
                address=address(mapping, buffer, self.extents),
                bytes=element_bytes(buffer.element_type),
                constant=any(value is c for c in constants) and not any(map(subscripts_of, mapping.data)),
                in_map=used,
                output=i in outputs,
            )
            _measure(operand)
            self.operands.append(operand)
        for operand in self.operands:
            self._scatter(operand, outputs.stop)

    def _scatter(self, operand: Operand, first: int) -> None:
        """Along dims that move its subscripts (operands ``first`` on), an operand's elements lie anywhere."""
        for atom, _ in operand.address.terms:
            if not isinstance(atom, Subscript):
                continue
            source = self.operands[first + atom.number]
            for name in self.extents:
                if source.depends(name):
                    operand.scattered.add(name)
                    operand.steps[name] = operand.far[name] = ANYWHERE

    @property
    def parallel(self) -> list[str]:
        """The parallel dims."""
        return [n for n, k in self.kinds.items() if k == "p"]

    @property
    def reductions(self) -> list[str]:
        """The dims that are folded."""
        return [n for n, k in self.kinds.items() if k == "r"]

    @property
    def outputs(self) -> list[Operand]:
        """The operands that are written."""
        return [o for o in self.operands if o.output]

    @property
    def inputs(self) -> list[Operand]:
        """The operands that are read."""
        return [o for o in self.operands if not o.output]

    @property
    def factors(self) -> list[Operand]:
        """The inputs that the reduction folds."""
        return [o for o in self.operands if o.in_map]

    @cached_property
    def blocks(self) -> dict[str, list[int]]:
        """By dim: the block sizes that levels must respect, ascending; constant operands can be packed instead."""
        found: dict[str, set[int]] = {}
        for operand in self.operands:
            if operand.packable:
                continue
            for name, sizes in operand.blocks.items():
                found.setdefault(name, set()).update(sizes)
        return {n: sorted(s for s in sizes if s > 1) for n, sizes in found.items()}


def _measure(operand: Operand) -> None:
    for atom, factor in operand.address.terms:
        if isinstance(atom, str):
            operand.steps[atom] = operand.steps.get(atom, 0) + factor
            operand.far[atom] = operand.far.get(atom, 0) + factor
            continue
        if isinstance(atom, Subscript):
            continue
        for name in dims_of(atom.expr):
            moved = factor * _rate(Expr(0, ((atom, 1),)), name)
            operand.blocks.setdefault(name, set()).update(_blocks(atom, name))
            operand.steps[name] = operand.steps.get(name, 0) + (int(moved) if atom.kind == "%" else 0)
            operand.far[name] = operand.far.get(name, 0) + (int(moved) if atom.kind == "//" else 0)


def _rate(expr: Expr, name: str) -> Fraction:
    """How fast an expression moves along a dim, looking through quotients (inside a block of each remainder)."""
    found = Fraction(0)
    for atom, factor in expr.terms:
        if atom == name:
            found += factor
        elif isinstance(atom, Quotient):
            found += factor * _rate(atom.expr, name) / (atom.divisor if atom.kind == "//" else 1)
    return found


def _blocks(atom: Quotient, name: str) -> set[int]:
    """The elements of a dim after which a quotient, or one inside it, steps or wraps."""
    rate = abs(_rate(atom.expr, name))
    found = {max(1, int(atom.divisor / rate))} if rate else set[int]()
    return found.union(*(_blocks(a, name) for a, _ in atom.expr.terms if isinstance(a, Quotient)))
