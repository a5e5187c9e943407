"""Each policy accepts what it should and, just as much, refuses data that is slightly wrong."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.errors import MismatchError, UsageError
from mlc.testing.tolerances import (
    EXACT,
    MOVEMENT,
    RULES,
    Evaluation,
    Exact,
    Policy,
    Quantized,
    Reduction,
    Ulp,
    assert_within,
    check,
    epsilon,
    policy_for,
    ulp_distance,
)

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
RNG = np.random.default_rng(7)


def f32(*values: float | np.float32) -> npt.NDArray[Any]:
    return np.array(values, np.float32)


@pytest.mark.parametrize("dtype", FLOATS)
def test_ulp_distance_counts_steps(dtype: Any) -> None:
    one = np.ones(1, dtype)
    assert ulp_distance(one, one + np.asarray(epsilon(np.dtype(dtype)), dtype)) == 1
    assert ulp_distance(one, one) == 0


def test_ulp_distance_crosses_zero() -> None:
    tiny = np.float32(1e-45)
    assert ulp_distance(f32(-tiny), f32(tiny)) == 2
    assert ulp_distance(f32(-0.0), f32(0.0)) == 0


def test_ulp_distance_at_the_edges() -> None:
    largest = np.finfo(np.float32).max
    assert ulp_distance(f32(np.inf), f32(largest)) == 1
    assert ulp_distance(f32(np.nan), f32(-np.nan)) == 0
    assert ulp_distance(f32(np.nan), f32(1)) == np.iinfo(np.uint64).max
    assert ulp_distance(np.array([-np.inf]), np.array([np.inf])) > 2**63


def test_ulp_distance_rounds_a_wider_reference() -> None:
    assert ulp_distance(f32(1), np.array([1 + 1e-9])) == 0


def test_ulp_distance_of_scalars() -> None:
    assert ulp_distance(np.array(2.0, np.float32), np.array(np.nan)) == np.iinfo(np.uint64).max


@given(st.floats(width=32, allow_nan=False), st.integers(1, 5))
def test_ulp_distance_agrees_with_nextafter(value: float, steps: int) -> None:
    start = f32(value)
    moved = start
    with np.errstate(over="ignore"):
        for _ in range(steps):
            moved = np.nextafter(moved, f32(np.inf))
    distance = int(ulp_distance(start, moved)[0])
    assert distance <= steps
    assert distance == steps or np.isposinf(moved)


SMALL = f32(1.0, -2.0, 0.0, 3.5)
WRONG: list[tuple[npt.NDArray[Any], npt.NDArray[Any], Policy]] = [
    (np.nextafter(SMALL, f32(9)), SMALL, EXACT),
    (f32(-0.0), f32(0.0), MOVEMENT),
    (f32(np.nan), f32(1.0), EXACT),
    (f32(1.0), f32(np.nan), Ulp(4)),
    (f32(np.inf), f32(1.0), Ulp(4)),
    (f32(1 + 5e-7), f32(1), Ulp(2)),
    (f32(2e-6), f32(1e-6), Ulp(4, near_zero=1e-3)),
    (f32(1 + 2e-5), f32(1), Reduction(64, f32(1))),
    (f32(np.nan), f32(1), Reduction(64, f32(1))),
    (f32(1), f32(np.inf), Reduction(64, f32(1))),
    (np.array([1, 2], np.int8), np.array([1, 3], np.int8), EXACT),
    (np.array([1, 2], np.int8), np.array([1, 4], np.int8), Quantized()),
    (np.array([1, 2], np.int8), np.array([2, 3], np.int8), Quantized()),
    (f32(1.0, 1.1), np.array([1.0, 1.0]), Evaluation(f32(1.0, 1.01))),
    (f32(1.0, np.nan), np.array([1.0, 1.0]), Evaluation(f32(1.0, 1.01))),
    (f32(1.0, np.inf), np.array([1.0, np.nan]), Evaluation(f32(1.0, np.nan))),
    (SMALL[:2], SMALL, EXACT),
    (SMALL, SMALL.astype(np.int32), EXACT),
]


@pytest.mark.parametrize(("actual", "expected", "policy"), WRONG)
def test_wrong_data_is_refused(actual: npt.NDArray[Any], expected: npt.NDArray[Any], policy: Policy) -> None:
    assert not check(actual, expected, policy)


RIGHT: list[tuple[npt.NDArray[Any], npt.NDArray[Any], Policy]] = [
    (SMALL, SMALL.astype(np.float64), EXACT),
    (f32(-0.0), f32(0.0), EXACT),
    (f32(np.nan, np.inf), f32(-np.nan, np.inf), MOVEMENT),
    (np.nextafter(SMALL, f32(9)), SMALL, Ulp(1)),
    (f32(np.inf), np.array([1e300]), Ulp(0)),
    (f32(1e-9), f32(0), Ulp(4, near_zero=1e-2)),
    (f32(1 + 2e-6), f32(1), Reduction(64, f32(1))),
    (f32(np.nan, np.inf), f32(np.nan, np.inf), Reduction(2, f32(1, 1))),
    (np.array([1, 2], np.int8), np.array([1, 3], np.int8), Quantized()),
    (f32(1.0, 1.03), np.array([1.0, 1.0]), Evaluation(f32(1.0, 1.01))),
    (f32(2.0, 1.0), np.array([2.0, 1.0]), Evaluation(f32(np.inf, 1.0))),
    (f32(), f32(), Ulp(0)),
    (np.array(True), np.array(True), EXACT),
]


@pytest.mark.parametrize(("actual", "expected", "policy"), RIGHT)
def test_right_data_is_accepted(actual: npt.NDArray[Any], expected: npt.NDArray[Any], policy: Policy) -> None:
    report = check(actual, expected, policy)
    assert report, report.message


@pytest.mark.parametrize("dtype", FLOATS[:3])
def test_reduction_accepts_a_dot_product_and_refuses_a_missing_term(dtype: Any) -> None:
    a, b = (RNG.standard_normal((64, 256)).astype(dtype) for _ in range(2))
    wide = a.astype(np.float64) * b.astype(np.float64)
    policy = Reduction(256, np.abs(wide).sum(axis=1))
    computed = (a.astype(np.float32) * b.astype(np.float32)).sum(axis=1).astype(dtype)
    assert check(computed, wide.sum(axis=1), policy)
    assert not check(computed, wide[:, 1:].sum(axis=1), policy)


def test_evaluation_refuses_a_loss_of_precision() -> None:
    x = RNG.standard_normal((32, 64))
    reference = np.tanh(x @ x.T)
    narrow = x.astype(np.float32)
    plain = np.tanh(narrow @ narrow.T)
    assert check(plain, reference, Evaluation(plain))
    half = np.tanh((narrow.astype(np.float16) @ narrow.T.astype(np.float16)).astype(np.float32))
    assert not check(half, reference, Evaluation(plain))


def test_quantized_caps_how_many_are_off() -> None:
    expected = np.zeros(1000, np.int8)
    actual = expected.copy()
    actual[:10] = 1
    assert check(actual, expected, Quantized())
    actual[10] = -1
    assert not check(actual, expected, Quantized())


def test_the_message_names_the_worst_element() -> None:
    report = check(f32(1, 2, 9), f32(1, 3, 4), Exact())
    assert report.message == "2 of 3 elements break exact; worst at [2]: got 9.0, expected 4.0 (off by 5)"


def test_assert_within_names_the_tensor() -> None:
    with pytest.raises(MismatchError, match=r"^logits: 1 of 1 elements break 1 ULP"):
        assert_within(f32(1), f32(2), Ulp(1), name="logits")


def test_every_operation_has_a_policy() -> None:
    for name in RULES:
        assert policy_for(f"hlt.{name}", np.float32, terms=4, magnitude=f32(1), plain=f32(1))
        assert policy_for(name, np.int32) == EXACT


def test_reductions_that_select_are_exact() -> None:
    assert policy_for("reduce", np.float32, kind="max") == EXACT


@pytest.mark.parametrize("op", ["reduce", "softmax", "no_such_op"])
def test_what_is_needed_is_said(op: str) -> None:
    with pytest.raises(UsageError):
        policy_for(op, np.float32)
