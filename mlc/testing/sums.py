"""How large the sums inside a program are: what the tolerance of reductions is made of.

An operation that sums K products has the error ``c sqrt(K) eps sum|a||b|``; the last factor is the same operation on
the absolute values of its operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.interpreters import evaluate, run_function

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Sum:
    """``terms`` values of the sum are added up, their absolute values to at most ``magnitude``."""

    terms: int
    magnitude: float

    @property
    def error(self) -> float:
        """What the largest error grows with."""
        return math.sqrt(self.terms) * self.magnitude


def terms_of(op: Operation) -> int:
    """How many terms each element of the result sums; 0 of an operation that sums nothing."""
    match op:
        case hlt.DotGeneralOp():
            return math.prod(hlt.shape_of(op.lhs)[dim] for dim in op.lhs_contract)
        case hlt.ConvOp() | hlt.ConvTransposeOp():
            return math.prod(hlt.shape_of(op.w)[1:])
        case hlt.ReduceOp() if op.kind in ("sum", "mean"):
            return math.prod(hlt.shape_of(op.x)[axis] for axis in op.axes)
        case hlt.ReduceWindowOp() if op.kind in ("sum", "mean"):
            return math.prod(op.window)
        case _:
            return 0


def run_summing(
    module: ModuleOp, arrays: Sequence[Array], weights: Callable[..., Array]
) -> tuple[tuple[Array, ...], Sum | None]:
    """The float64 results of ``@main``, and its sum with the largest error, if there is one."""
    main = next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
    values: dict[SSAValue, Array] = dict(zip(main.body.block.args, arrays))
    found: list[Sum] = []

    def observe(op: Operation, results: tuple[Array, ...]) -> None:
        values.update(zip(op.results, results))
        terms = terms_of(op)
        if terms and results[0].dtype.kind == "f":
            (sums,) = evaluate(op, [np.abs(values[operand]) for operand in op.operands], widen=True)
            found.append(Sum(terms, float(sums.max(initial=0.0))))

    results = run_function(main, arrays, weights=weights, widen=True, observe=observe)
    return results, max(found, key=lambda each: each.error, default=None)
