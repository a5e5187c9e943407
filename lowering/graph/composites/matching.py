"""What the matchers share: giving reasons, and looking past movement and constants."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value, node_name
from mlc.lowering.graph.match import producer, splat


class Mismatch(Exception):
    """Why a composite was not recognised, though its last operations were there."""


def explained(matcher: Callable[[Any], Value | None], *, explain: bool) -> Callable[[Any], Value | None]:
    """``matcher`` as a rule: a mismatch is no match, reported on standard error with ``explain``."""

    @functools.wraps(matcher)
    def rule(op: Operation) -> Value | None:
        try:
            return matcher(op)
        except Mismatch as reason:
            if explain:
                print(f"{node_name(op)}: no {matcher.__name__}: {reason}", file=sys.stderr)
            return None

    return rule


def require(condition: bool, reason: str) -> None:
    """Raise `Mismatch` with ``reason`` unless ``condition`` holds."""
    if not condition:
        raise Mismatch(reason)


class Spread(NamedTuple):
    """A value repeated over the dims that ``dims`` leaves out; ``dims`` are those of the wide tensor."""

    x: SSAValue
    dims: tuple[int, ...]


def spread(value: SSAValue) -> Spread | None:
    """What ``value`` repeats, if it is a broadcast."""
    broadcast = producer(value, hlt.BroadcastOp)
    return None if broadcast is None else Spread(broadcast.x, broadcast.dims)


def either_order(op: hlt.BinaryOp) -> Iterator[tuple[SSAValue, SSAValue]]:
    """The operands of a commutative operation, both ways round."""
    yield op.lhs, op.rhs
    yield op.rhs, op.lhs


def past_units(value: SSAValue) -> SSAValue:
    """``value`` before reshapes that only add or drop extents of 1."""
    while (reshape := producer(value, hlt.ReshapeOp)) is not None:
        if [n for n in hlt.shape_of(reshape.x) if n != 1] != [n for n in reshape.shape if n != 1]:
            break
        value = reshape.x
    return value


def number(value: SSAValue) -> float | None:
    """The number that a splat repeats."""
    found = splat(value)
    return None if found is None else float(found)


def near(value: float | None, expected: float, tolerance: float = 1e-3) -> bool:
    """Whether a constant is meant to be ``expected``; models round them to f16 or to a few digits."""
    return value is not None and math.isclose(value, expected, rel_tol=tolerance)


class Product(NamedTuple):
    """``constant`` times all of ``factors``."""

    constant: float
    factors: tuple[SSAValue, ...]


def product_of(value: SSAValue, *, root: bool = True) -> Product:
    """``value`` as a flat product, through multiplications and divisions by splats that nothing else uses."""
    op = value.owner
    shared = not root and not value.has_one_use()
    scale = number(value)
    if scale is not None:
        return Product(scale, ())
    if isinstance(op, hlt.DivOp) and not shared:
        divisor = number(op.rhs)
        if divisor:
            inner = product_of(op.lhs, root=False)
            return Product(inner.constant / divisor, inner.factors)
    if isinstance(op, hlt.MulOp) and not shared:
        left, right = product_of(op.lhs, root=False), product_of(op.rhs, root=False)
        return Product(left.constant * right.constant, left.factors + right.factors)
    return Product(1.0, (value,))
