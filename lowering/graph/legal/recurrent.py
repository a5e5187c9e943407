"""Recurrent cells: one direction each, the product with ``w`` for all time steps outside of the loop over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.base import fields_of, shape_of
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()

Cell: TypeAlias = hlt.LstmOp | hlt.GruOp | hlt.RnnOp
CELLS = (hlt.LstmOp, hlt.GruOp, hlt.RnnOp)

OPERANDS = ("x", "w", "r", "b", "lengths", "h0", "c0", "p")
SHARED = ("x", "lengths")
"""Operands without a dim of directions."""


def _parts(op: hlt.HltOp) -> tuple[dict[str, Value], dict[str, Any]]:
    """The operands that are present, and the attributes, by name."""
    operands = {name: getattr(op, name) for name in OPERANDS if getattr(op, name, None) is not None}
    return operands, {name: getattr(op, name) for name in fields_of(type(op))}


@RULES.on(*CELLS)
def one_direction_each(op: Cell) -> list[Value] | None:
    """Both directions apart, and their results side by side."""
    if op.direction != "bidirectional":
        return None
    operands, attributes = _parts(op)
    cells = [_direction(type(op), operands, attributes, i) for i in range(2)]
    axes = [1] + [0] * (len(op.results) - 1)
    return [hlt.ConcatOp(pair, axis=axis) for pair, axis in zip(zip(*(c.results for c in cells)), axes)]


def _direction(make: Callable[..., Cell], operands: dict[str, Value], attributes: dict[str, Any], number: int) -> Cell:
    taken = {n: v if n in SHARED else _slab(v, 0, number, 2) for n, v in operands.items()}
    if "w" not in operands:
        taken["x"] = _slab(operands["x"], 2, number, 2)
    lists: dict[str, Any] = {}
    for name in ("activations", "activation_alpha", "activation_beta"):
        half = len(attributes[name]) // 2
        lists[name] = attributes[name][number * half : (number + 1) * half]
    changed = {**attributes, **lists, "direction": ("forward", "reverse")[number]}
    return make(**{"w": None, **taken}, **changed)


def _slab(x: Value, axis: int, number: int, parts: int) -> Value:
    """Part ``number`` of equal ``parts`` along an axis."""
    shape = shape_of(x)
    extent = shape[axis] // parts
    starts = tuple(number * extent if i == axis else 0 for i in range(len(shape)))
    sizes = tuple(extent if i == axis else n for i, n in enumerate(shape))
    return hlt.SliceOp(x, starts=starts, sizes=sizes, strides=(1,) * len(shape))


@RULES.on(*CELLS)
def product_for_all_steps(op: Cell) -> list[Value] | None:
    """``x w^T`` does not wait for earlier steps."""
    if op.w is None or op.direction == "bidirectional":
        return None
    operands, attributes = _parts(op)
    w = hlt.ReshapeOp(op.w, shape=shape_of(op.w)[1:])
    operands["x"] = hlt.DotGeneralOp(op.x, w, lhs_contract=(2,), rhs_contract=(1,))
    make: Callable[..., Cell] = type(op)
    return list(make(**{**operands, "w": None}, **attributes).results)
