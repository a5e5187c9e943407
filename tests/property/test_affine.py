"""Index expressions: simplifying never changes a value, bounds hold, text reads back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.dialects.loop import affine
from mlc.dialects.loop.affine import Expr, Quotient

DIMS = ("i", "j", "k")
ranges = st.fixed_dictionaries({name: st.integers(1, 7) for name in DIMS})


def leaves() -> st.SearchStrategy[Expr]:
    return st.sampled_from(DIMS).map(affine.dim) | st.integers(-9, 9).map(affine.constant)


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    def quotient(kind: str, expr: Expr, divisor: int) -> Expr:
        return Expr(0, ((Quotient(kind, expr, divisor), 1),))

    return st.one_of(
        st.builds(Expr.plus, inner, inner),
        st.builds(Expr.times, inner, st.integers(-4, 12)),
        st.builds(quotient, st.sampled_from(["//", "%"]), inner, st.integers(1, 8)),
    )


expressions = st.recursive(leaves(), grown, max_leaves=6)


def points(extents: dict[str, int]) -> list[dict[str, int]]:
    return [dict(zip(extents, p)) for p in itertools.product(*(range(n) for n in extents.values()))]


@given(expressions, ranges)
def test_simplified_expressions_have_the_same_values(expr: Expr, extents: dict[str, int]) -> None:
    simple = affine.simplify(expr, extents)
    for point in points(extents):
        assert affine.evaluate(simple, point) == affine.evaluate(expr, point)


@given(expressions, st.sampled_from(["//", "%"]), st.integers(1, 8), ranges)
def test_quotients(expr: Expr, kind: str, divisor: int, extents: dict[str, int]) -> None:
    made = (affine.floordiv if kind == "//" else affine.mod)(expr, divisor, extents)
    for point in points(extents):
        value = affine.evaluate(expr, point)
        assert affine.evaluate(made, point) == (value // divisor if kind == "//" else value % divisor)


@given(expressions, ranges)
def test_bounds_hold(expr: Expr, extents: dict[str, int]) -> None:
    low, high = affine.bounds(expr, extents)
    values = [affine.evaluate(expr, p) for p in points(extents)]
    assert low <= min(values)
    assert max(values) <= high


@given(expressions)
def test_text_reads_back(expr: Expr) -> None:
    assert affine.parse(str(expr)) == expr


@given(expressions, expressions, ranges, ranges)
def test_substitution(expr: Expr, value: Expr, extents: dict[str, int], others: dict[str, int]) -> None:
    """Replacing a dim by another expression, where that stays in the dim's range, composes the functions."""
    inside = affine.mod(value, extents["i"], others)
    both = {**extents, **others, "j": min(extents["j"], others["j"]), "k": min(extents["k"], others["k"])}
    both["i"] = others["i"]
    made = affine.substitute(expr, {"i": inside}, both)
    for point in points(both):
        index = affine.evaluate(inside, point)
        assert affine.evaluate(made, point) == affine.evaluate(expr, {**point, "i": index})


@given(expressions)
def test_renaming_there_and_back(expr: Expr) -> None:
    there = affine.rename(expr, {"i": "x", "j": "y"})
    assert affine.dims_of(there).isdisjoint({"i", "j"})
    assert affine.rename(there, {"x": "i", "y": "j"}) == expr


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("(i*4 + j)//4", "i"),
        ("(i*4 + j)%4", "j"),
        ("((i*4 + j)//4)*4 + (i*4 + j)%4", "i*4 + j"),
        ("(k//4)//2", "k//8"),
        ("(k%8)%4", "k%4"),
        ("i//9", "0"),
        ("(i*8 + 19)//8", "i + 2"),
    ],
)
def test_what_simplifies(text: str, simple: str) -> None:
    made = affine.simplify(affine.parse(text), {"i": 9, "j": 4, "k": 100})
    assert str(made) == simple


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("i +", "ends too early"),
        ("(i", "missing"),
        ("i j", "unexpected 'j'"),
        ("i//j", "integer on its right"),
        ("i%0", "by zero"),
        ("i $ 2", "bad character '\\$'"),
        ("@0", "bad character '@'"),
        ("", "ends too early"),
    ],
)
def test_bad_text(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        affine.parse(text)
