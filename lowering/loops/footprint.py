"""Which part of a buffer an index reaches when dims end at run-time extents.

Bounds are extents: numbers or expressions of the call's dims. An axis of a buffer is named by its stride and extent in
elements, and the outermost one by the whole buffer, so that views under other shapes mean the same axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TypeAlias

from mlc.dialects.extents import Extent
from mlc.dialects.loop.affine import Expr, Quotient, Subscript, bounds
from mlc.lowering.loops.levels import row_major

Axis: TypeAlias = tuple[int, int]
"""Stride and extent, in elements."""


def axis_of(shape: Sequence[int], number: int) -> tuple[Axis, int]:
    """The name of a dim of a buffer, and how much of that one step along the dim is."""
    stride = row_major(tuple(shape))[number]
    if prod(shape[:number]) == 1:
        return (1, prod(shape)), stride
    return (stride, shape[number]), 1


def ceil_extent(a: int, b: int) -> int:
    """``a / b`` rounded up, for a number ``b``."""
    return (a + (b - 1)) // b


def at_least(a: int, b: int) -> bool:
    """Whether ``a >= b`` for all values of the dims."""
    difference = a - b
    return (difference.low if isinstance(difference, Extent) else difference) >= 0


def least(expr: Expr, name: str, start: int) -> int | None:
    """No value of an index is less where dim ``name`` is at least ``start``; None where nothing is known."""
    found = expr.const
    for atom, factor in expr.terms:
        if factor < 0:
            return None
        if atom == name:
            found = found + start * factor
        elif isinstance(atom, Quotient) and atom.kind == "//":
            inner = least(atom.expr, name, start)
            if inner is None:
                return None
            found = found + inner // atom.divisor * factor
    return found


def end(expr: Expr, ends: Mapping[str, int]) -> int:
    """One more than the greatest value of an index where each dim (and subscript ``@0``) stays below its end."""
    found = expr.const + 1
    for atom, factor in expr.terms:
        if factor > 0:
            found = found + (_atom_end(atom, ends) - 1) * factor
        elif not isinstance(atom, str):
            low = bounds(Expr(0, ((atom, 1),)), {n: e.high if isinstance(e, Extent) else e for n, e in ends.items()})
            found = found + low[0] * factor
    return found


def _atom_end(atom: str | Quotient | Subscript, ends: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return ends[atom]
    if isinstance(atom, Subscript):
        return ends.get(f"@{atom.number}", atom.extent)
    return atom.divisor if atom.kind == "%" else (end(atom.expr, ends) - 1) // atom.divisor + 1


def settled(expr: Expr, bound: int, subscripts: Mapping[str, int]) -> tuple[Expr, int]:
    """An index and a bound of it, less the subscripts (by name, ``@0``) whose values are known."""
    left: list[tuple[str | Quotient | Subscript, int]] = []
    for atom, factor in expr.terms:
        value = subscripts.get(f"@{atom.number}") if isinstance(atom, Subscript) else None
        if value is None:
            left.append((atom, factor))
        else:
            bound = bound - value * factor
    return Expr(expr.const, tuple(left)), bound


def covers(index: Sequence[Expr], shape: Sequence[int], extents: Mapping[str, int]) -> bool:
    """Whether an index goes through all elements of a buffer, each once: a dim of its own for each of the buffer's."""
    names = [expr.as_dim for expr, extent in zip(index, shape) if extent != 1]
    whole = all(
        expr.is_constant if extent == 1 and name is None else extents.get(name or "") == extent
        for expr, extent, name in zip(index, shape, (expr.as_dim for expr in index))
    )
    return whole and len({*names}) == len(names)


def cut(expr: Expr, bound: int) -> tuple[str, int] | None:
    """The dim, and from where on, by which an index is at least ``bound``: the one that moves it farthest."""
    if not expr.terms or any(factor < 0 for _, factor in expr.terms):
        return None
    atom, factor = max(expr.terms, key=lambda term: term[1])
    start = ceil_extent(bound - expr.const, factor)
    if isinstance(atom, str):
        return atom, start
    if isinstance(atom, Quotient) and atom.kind == "//":
        return cut(atom.expr, start * atom.divisor)
    return None
