"""Element by element: storage takes part whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.bounded.builder import BoundedBuilder, Request, bounded_axes, rule, zero_axes
from mlc.frontends.onnx.builder import Maker
from mlc.frontends.onnx.value import Value

ELEMENTWISE = [
    operation
    for operation in hlt.OPERATIONS
    if issubclass(operation, hlt.UnaryOp | hlt.BinaryOp) or operation in (hlt.SelectOp, hlt.CastOp)
]

KEEP_ZERO: frozenset[Maker] = frozenset(
    (
        *(hlt.AddOp, hlt.SubOp, hlt.MulOp, hlt.MaximumOp, hlt.MinimumOp, hlt.AndOp, hlt.OrOp, hlt.XorOp),
        *(hlt.AbsOp, hlt.NegOp, hlt.SignOp, hlt.SqrtOp, hlt.CastOp, hlt.FloorOp, hlt.CeilOp, hlt.RoundOp),
        *(hlt.SinOp, hlt.TanOp, hlt.AsinOp, hlt.AtanOp, hlt.SinhOp, hlt.TanhOp, hlt.AsinhOp, hlt.ErfOp, hlt.GeluOp),
    )
)
"""Operations that make zero of zeros."""


@rule(*ELEMENTWISE)
def elementwise(b: BoundedBuilder, request: Request) -> Sequence[Value]:
    operands = request.present
    if any(v.shape != operands[0].shape for v in operands):
        raise request.refused(f"operands of shapes {', '.join(str(list(v.shape)) for v in operands)}")
    result = b.static(request.make, *operands, **request.attributes)
    return (b.bounded(request.x.shape, result, _zero(request)),)


def _zero(request: Request) -> frozenset[int]:
    """The dims along which zeros stay zeros."""
    operands, everywhere = request.present, frozenset(bounded_axes(request.x))
    if request.make is hlt.SelectOp:
        operands = operands[1:]
    elif request.make in (hlt.MulOp, hlt.DivOp) and _is_factor(operands[1]):
        operands = operands[:1]
    elif request.make is hlt.MulOp and _is_factor(operands[0]):
        operands = operands[1:]
    elif request.make not in KEEP_ZERO:
        return frozenset()
    return everywhere.intersection(*(zero_axes(v) for v in operands))


def _is_factor(value: Value) -> bool:
    """Whether the tensor repeats a number that is neither zero nor infinite."""
    uniform = value.uniform
    return uniform is not None and uniform != 0 and math.isfinite(np.float64(uniform))
