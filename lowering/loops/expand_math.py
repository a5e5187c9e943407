"""expand_math: transcendental functions become polynomials of our own, so that kernels call no library.

Every function has one expansion for all targets; `docs/reference/math.md` lists the measured accuracy. A fact known
of the operand (a softmax's exponent is never positive) or of the use (a sigmoid adds one) drops the clamps and steps
that it makes unnecessary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import math
from xdsl.dialects.builtin import Float32Type, Float64Type, ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import ComputeOp, GeluOp
from mlc.errors import UnsupportedError
from mlc.lowering.loops import polynomials as poly
from mlc.lowering.loops.select_rows import regions
from mlc.lowering.scalar import BESIDE_ONE, NONPOSITIVE, Scalar

Expansion = Callable[[Scalar, Operation], SSAValue]


class Ahead(Scalar):
    """A scalar builder that inserts before an operation; ``strict`` keeps products and sums apart."""

    def __init__(self, block: Block, before: Operation, *, strict: bool = False) -> None:
        super().__init__(_Cursor(block, before))
        self.strict = strict

    def fma(self, a: SSAValue, b: SSAValue, c: SSAValue) -> SSAValue:
        return self.add(self.mul(a, b), c) if self.strict else super().fma(a, b, c)


class _Cursor:
    """A sink that inserts in the middle of a block."""

    def __init__(self, block: Block, before: Operation) -> None:
        self._block = block
        self._before = before

    def add_op(self, op: Operation) -> None:
        self._block.insert_op_before(op, self._before)


EXPANSIONS: dict[type[Operation], Callable[..., SSAValue]] = {
    math.ExpOp: poly.exp,
    math.LogOp: poly.log,
    math.TanhOp: poly.tanh,
    math.ErfOp: poly.erf,
    GeluOp: poly.gelu,
    math.SinOp: poly.sin,
    math.CosOp: poly.cos,
    math.TanOp: poly.tan,
    math.AsinOp: poly.asin,
    math.AcosOp: poly.acos,
    math.AtanOp: poly.atan,
    math.SinhOp: poly.sinh,
    math.CoshOp: poly.cosh,
    math.AsinhOp: poly.asinh,
    math.AcoshOp: poly.acosh,
    math.AtanhOp: poly.atanh,
    math.PowFOp: poly.power,
}
"""How each function is computed."""


def expand(block: Block, *, strict: bool = False) -> None:
    """Replace every function in a region's block."""
    for op in list(block.ops):
        expansion = EXPANSIONS.get(type(op))
        if expansion is None:
            continue
        if not isinstance(op.results[0].type, Float32Type | Float64Type):
            raise UnsupportedError(f"{op.name} on {op.results[0].type} has no expansion")
        scalar = Ahead(block, op, strict=strict)
        facts = {name: True for name in (NONPOSITIVE, BESIDE_ONE) if name in op.attributes}
        value = expansion(scalar, *op.operands, **facts)
        op.results[0].replace_all_uses_with(value)
        block.erase_op(op)


@dataclass(frozen=True)
class ExpandMathPass(ModulePass):
    """Transcendental functions become polynomials, in ``strict`` mode with the same bits on every target."""

    name = "expand-math"
    strict: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in [o for o in op.walk() if isinstance(o, ComputeOp)]:
            for region in regions(compute):
                expand(region.block, strict=self.strict)
