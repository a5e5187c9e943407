"""Extents: exact arithmetic, comparisons that hold for all values, text, and the signature that solves shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import (
    Extent,
    Symbol,
    broadcast_shapes,
    capacities,
    dim,
    greatest,
    least,
    parse_extent,
    symbol_name,
    value_of,
)
from mlc.errors import ModelError, UnsupportedError, UsageError

SEQ, PAST = Symbol("seq", 1, 9), Symbol("past", 0, 5)
NAMES = {"seq": dim(SEQ), "past": dim(PAST)}
VALUES = st.fixed_dictionaries({"seq": st.integers(1, 9), "past": st.integers(0, 5)})

LEAVES = st.one_of(st.sampled_from(["seq", "past"]), st.integers(0, 4).map(str))
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.integers(1, 3)).map(lambda t: f"({t[0]})//{t[1]}"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=6,
)


@given(TEXTS, VALUES)
@settings(max_examples=300, deadline=None)
def test_arithmetic_is_that_of_numbers(text: str, values: dict[str, int]) -> None:
    extent = parse_extent(text, NAMES)
    expected = eval(text, {"min": min, "max": max}, values)
    assert value_of(extent, values) == expected
    assert value_of(parse_extent(str(extent), NAMES), values) == expected
    if isinstance(extent, Extent):
        assert extent.low <= expected <= extent.high


def test_text_is_canonical() -> None:
    seq, past = NAMES["seq"], NAMES["past"]
    assert str(past + 1 + seq - 1) == str(seq + past) == "past + seq"
    assert str(2 * seq * past - 3) == "2*past*seq - 3"
    assert (seq * 6) // 3 == seq * 2
    assert (seq * 6) % 3 == 0
    assert str((seq + 1) // 2) == "(seq + 1)//2"
    assert seq - seq == 0


def test_comparisons_hold_for_all_values() -> None:
    seq, past = NAMES["seq"], NAMES["past"]
    assert seq >= 1
    assert seq + past > past
    assert seq != 1
    assert least(seq, 100) == seq
    assert greatest(seq + 1, seq) == seq + 1
    with pytest.raises(UnsupportedError, match=r"whether seq < 5.*seq in 1\.\.9"):
        bool(seq < 5)


def as_array(extent: int) -> Any:
    return np.array([extent], np.int64)


@pytest.mark.parametrize("use", [int, range, float, np.zeros, as_array, [0].__getitem__])
def test_nothing_takes_an_extent_for_a_number(use: Callable[[int], Any]) -> None:
    with pytest.raises(UnsupportedError, match=r"the number of seq.*known only at run time"):
        use(NAMES["seq"])


def test_broadcasting() -> None:
    seq, past = NAMES["seq"], NAMES["past"]
    assert broadcast_shapes((seq, 1), (1, 4), (4,)) == (seq, 4)
    with pytest.raises(UnsupportedError, match="whether past and seq are equal"):
        broadcast_shapes((seq,), (past,))
    with pytest.raises(ValueError, match="shape mismatch"):
        broadcast_shapes((2,), (3,))


def test_capacity_is_the_greatest_value() -> None:
    assert capacities((2, NAMES["seq"], NAMES["seq"] + NAMES["past"])) == (2, 9, 14)
    assert dim(Symbol("one", 4, 4)) == 4


@pytest.mark.parametrize("text", ["", "seq +", "other", "seq seq", "min(seq)", "(seq", "seq & 1"])
def test_bad_text(text: str) -> None:
    with pytest.raises(UsageError, match="no expression of dims"):
        parse_extent(text, NAMES)


def test_bad_bounds() -> None:
    with pytest.raises(UsageError, match=r"can't have bounds 5\.\.1"):
        Symbol("n", 5, 1)
    with pytest.raises(ModelError, match="no bounds of dims"):
        Bounds.of_data({"dims": [["n", 1]]})


def test_names_that_expressions_can_spell() -> None:
    assert symbol_name("past length") == "past_length"
    assert symbol_name("0/x") == "d0_x"


def test_shapes_tell_the_dims() -> None:
    seq, past = NAMES["seq"], NAMES["past"]
    bounds = Bounds((SEQ, PAST), (), ((seq, 4), (past,), (seq + past,)), ((seq * 2,),))
    assert bounds.solve([(3, 4), (2,), (5,)]) == {"seq": 3, "past": 2}
    assert bounds.output_shapes({"seq": 3, "past": 2}) == [(6,)]
    assert bounds.input_shapes([None, (2,), None]) == [(5, 4), (2,), (7,)]
    assert bounds.input_shapes([None, (2,), None], "least") == [(SEQ.low, 4), (2,), (SEQ.low + 2,)]
    assert bounds.input_shapes([None, None, None], "greatest") == [(SEQ.high, 4), (PAST.high,), (SEQ.high + PAST.high,)]
    assert bounds.solve([(3, 4), (2,), (6,)]) is None
    assert bounds.solve([(10, 4), (2,), (12,)]) is None
    assert bounds.solve([(3,), (2,), (5,)]) is None
    assert Bounds.of_data(bounds.to_data()) == bounds
