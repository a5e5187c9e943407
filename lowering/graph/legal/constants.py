"""Constants that rules make: tables of their own, and weights rearranged once and for all."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.dtypes import element_type
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.derive import constant_op, derive, readable
from mlc.lowering.graph.fold_constants import Expression


def table(array: NDArray[Any], store: WeightStore | None) -> hlt.ConstantOp | None:
    """The constant of an array that a rule computed; ``None`` if it is large and there is no store."""
    data = np.ascontiguousarray(array)
    recipe = f"table {hashlib.sha256(data.tobytes()).hexdigest()}"
    return derive(store, recipe, (), hlt.Tensor(data.shape, element_type(data.dtype)), lambda: data)


def rearranged(value: Value, store: WeightStore | None) -> Value:
    """``value``, computed at compile time if all it is made of is constant, whatever it takes in memory."""
    op = SSAValue.get(value).owner
    if not isinstance(op, hlt.HltOp) or isinstance(op, hlt.ConstantOp) or not _is_constant(op, store):
        return value
    expression = Expression.of(op)
    folded = derive(store, expression.recipe, expression.sources, hlt.tensor(op.results[0]), expression.evaluate)
    return folded or value


def _is_constant(op: Operation, store: WeightStore | None) -> bool:
    """Whether ``op`` and what it is made of rest on constants alone."""
    for operand in op.operands:
        if constant_op(operand) is not None:
            if not readable(operand, store):
                return False
        elif not isinstance(operand.owner, hlt.HltOp) or not _is_constant(operand.owner, store):
            return False
    return True
