"""Index expressions: what simplification knows, and text."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.dialects.loop.affine import (
    Expr,
    bounds,
    constant,
    dim,
    dims_of,
    evaluate,
    floordiv,
    linear,
    mod,
    parse,
    renumber,
    simplify,
    subscript,
    subscripts_of,
    substitute,
)

RANGES = {"a": 12, "b": 7}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> Expr:
    """Sums, products, quotients and remainders of two dims."""
    if depth == 0:
        return draw(st.sampled_from([dim("a"), dim("b"), constant(draw(st.integers(0, 9)))]))
    inner = draw(expressions(depth=depth - 1))
    match draw(st.sampled_from(["plus", "times", "//", "%"])):
        case "plus":
            return inner.plus(draw(expressions(depth=depth - 1)))
        case "times":
            return inner.times(draw(st.integers(-3, 6)))
        case "//":
            return floordiv(inner, draw(st.integers(1, 8)), RANGES)
        case _:
            return mod(inner, draw(st.integers(1, 8)), RANGES)


@settings(max_examples=200, deadline=None)
@given(expressions())
def test_text_and_simplification_keep_the_value(expr: Expr) -> None:
    values = {"a": np.arange(12)[:, None], "b": np.arange(7)[None, :]}
    expected = np.broadcast_to(evaluate(expr, values), (12, 7))
    for other in (parse(str(expr)), simplify(expr, RANGES)):
        assert (np.broadcast_to(evaluate(other, values), (12, 7)) == expected).all()
    low, high = bounds(expr, RANGES)
    assert low <= expected.min()
    assert expected.max() <= high


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 3), (5, 4, 3, 2), (2, 1, 8, 3, 4)])
def test_an_index_taken_apart_joins_again(shape: tuple[int, ...]) -> None:
    """However many dims a flat index was split into, its address is the flat index."""
    size = prod(shape)
    flat, ranges = dim("d"), {"d": size}
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
    places = [mod(floordiv(flat, s, ranges), n, ranges) for s, n in zip(strides, shape)]
    assert simplify(linear(strides, places), ranges) == flat


def test_subscripts() -> None:
    """They have a range and a number, but no dims."""
    expr = subscript(1, 512).times(4).plus(dim("a"))
    assert str(expr) == "a + @1[512]*4"
    assert parse(str(expr)) == expr
    assert bounds(expr, RANGES) == (0, 511 * 4 + 11)
    assert dims_of(expr) == {"a"}
    assert {s.number for s in subscripts_of(expr)} == {1}
    assert str(renumber(expr, {1: 0})) == "a + @0[512]*4"
    assert substitute(expr, {"a": constant(3)}, RANGES) == subscript(1, 512).times(4).shifted(3)
    assert evaluate(expr, {"a": 2, "@1": 10}) == 42


@pytest.mark.parametrize("text", ["@", "@0", "@0[", "@x[3]", "a +", "a // b", "a % 0", "(a"])
def test_bad_text(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)
