"""How far a result may be from its reference: one policy, used by every test and by ``mlc verify``.

============================  ==============================================================================
integers, booleans, movement  the same bits (any NaN equals any NaN)
element-wise floats           ULPs of the result's type, by operation
reductions and contractions   ``|error| <= 4 sqrt(K) eps sum|a||b|``, plus the rounding of the result
8-bit quantised               at most 1 step, on at most 1 % of the elements
composites and whole models   error against float64 at most 4 times that of a plain float32 evaluation
============================  ==============================================================================

The bound for reductions is the probabilistic one of Higham and Mary, "A New Approach to Probabilistic
Rounding Error Analysis" (2019): the rounding errors of K terms grow as sqrt(K), not K.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mlc.errors import MismatchError, UsageError, nearest

Array: TypeAlias = npt.NDArray[Any]
Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]

REDUCTION_FACTOR = 4.0
EVALUATION_FACTOR = 4.0
QUANTIZED_SHARE = 0.01


@dataclass(frozen=True)
class Exact:
    """The same values; any two NaNs are equal, and so are zeros of either sign unless ``signed_zero``."""

    signed_zero: bool = False


@dataclass(frozen=True)
class Ulp:
    """At most ``limit`` units in the last place of the actual result's type.

    Below ``near_zero`` in magnitude the unit is that of ``near_zero``: for functions that cancel there and
    so have an absolute error (the left tail of gelu).
    """

    limit: int
    near_zero: float = 0.0


@dataclass(frozen=True)
class Reduction:
    """``terms`` values summed; ``magnitude`` is the sum of their absolute values, of the result's shape."""

    terms: int
    magnitude: Array = field(repr=False)
    factor: float = REDUCTION_FACTOR


@dataclass(frozen=True)
class Quantized:
    """Integers that may be ``steps`` off, on at most ``share`` of the elements (and always on one)."""

    steps: int = 1
    share: float = QUANTIZED_SHARE


@dataclass(frozen=True)
class Evaluation:
    """No worse than ``factor`` times the error of ``plain``: the same computation, plainly in its own type.

    The largest and the root-mean-square error are both held to it; ``factor`` eps of the reference are free.
    """

    plain: Array = field(repr=False)
    factor: float = EVALUATION_FACTOR


Policy: TypeAlias = Exact | Ulp | Reduction | Quantized | Evaluation
Rule: TypeAlias = Exact | Ulp | Literal["reduction", "evaluation"]

SELECTING = frozenset(("max", "min", "any", "all", "none"))
"""Kinds of reduction whose result is one of the values reduced."""

EXACT = Exact()
MOVEMENT = Exact(signed_zero=True)


def _rules(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: Mapping[str, Rule] = {
    **_rules(MOVEMENT, "constant broadcast reshape transpose slice reverse pad concat iota select neg abs"),
    **_rules(MOVEMENT, "gather gather_elements gather_nd sort top_k"),
    **_rules(EXACT, "and or xor not shift_left shift_right compare is_nan is_inf cast arg_reduce"),
    **_rules(EXACT, "add sub mul div sqrt maximum minimum sign floor ceil round rem"),
    **_rules(Ulp(1), "reciprocal"),
    **_rules(Ulp(2), "rsqrt exp log"),
    **_rules(Ulp(2, near_zero=1e-6), "sin cos"),
    **_rules(Ulp(4), "asin acos atan sinh cosh tanh asinh acosh atanh erf sigmoid"),
    **_rules(Ulp(4, near_zero=1e-6), "tan"),
    **_rules(Ulp(8, near_zero=1 / 16), "gelu"),
    **_rules(Ulp(16), "pow"),
    **_rules("reduction", "reduce reduce_window scan scatter_elements scatter_nd dot_general conv conv_transpose"),
    **_rules("evaluation", "softmax layer_norm rms_norm batch_norm group_norm lrn attention resize lstm gru rnn"),
}
"""By operation of the ``hlt`` dialect, for floating-point results; other results are exact."""


def policy_for(
    op: str,
    dtype: npt.DTypeLike,
    *,
    kind: str = "sum",
    terms: int | None = None,
    magnitude: Array | None = None,
    plain: Array | None = None,
) -> Policy:
    """The policy for a result of ``op`` (``exp`` or ``hlt.exp``) of type ``dtype``.

    Reductions need ``terms`` and ``magnitude`` (unless their ``kind`` adds nothing up), composites need
    ``plain``: see `Reduction` and `Evaluation`.
    """
    name = op.removeprefix("hlt.")
    if name not in RULES:
        raise UsageError(f"no tolerance for {op!r}", hint=nearest(name, RULES))
    rule = RULES[name]
    if not is_float(np.dtype(dtype)):
        return EXACT
    if rule == "reduction":
        if kind in SELECTING:
            return EXACT
        if terms is None or magnitude is None:
            raise UsageError(f"the tolerance of {op!r} needs terms and magnitude")
        return Reduction(terms, magnitude)
    if rule == "evaluation":
        if plain is None:
            raise UsageError(f"the tolerance of {op!r} needs a plain evaluation")
        return Evaluation(plain)
    return rule


@dataclass(frozen=True)
class Report:
    """The verdict on one tensor; ``message`` says what is wrong, or how close it was."""

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok


def check(actual: Array, expected: Array, policy: Policy) -> Report:
    """Compare ``actual`` with ``expected``, which may be of a wider type, under ``policy``."""
    if actual.shape != expected.shape:
        return Report(False, f"shape {actual.shape}, expected {expected.shape}")
    if is_float(actual.dtype) != is_float(expected.dtype):
        return Report(False, f"type {actual.dtype}, expected {expected.dtype}")
    if actual.size == 0:
        return Report(True, "no elements")
    match policy:
        case Exact():
            return _check_exact(actual, expected, policy)
        case Ulp():
            return _check_ulp(actual, expected, policy)
        case Reduction():
            return _check_reduction(actual, expected, policy)
        case Quantized():
            return _check_quantized(actual, expected, policy)
        case Evaluation():
            return _check_evaluation(actual, expected, policy)


def assert_within(actual: Array, expected: Array, policy: Policy, *, name: str | None = None) -> None:
    """`MismatchError`, naming the tensor ``name``, unless `check` passes."""
    report = check(actual, expected, policy)
    if not report:
        raise MismatchError(report.message, node=name)


def ulp_distance(a: Array, b: Array) -> npt.NDArray[np.uint64]:
    """How many steps between neighbouring floats of the type of ``a`` lead to ``b``, rounded to that type.

    Two NaNs are 0 apart, a NaN and a number as far as can be; infinity is next to the largest finite number.
    """
    with np.errstate(over="ignore"):
        b = b.astype(a.dtype)
    left, right = _ordered(a), _ordered(b)
    distance = np.asarray(np.maximum(left, right) - np.minimum(left, right))
    nan_a, nan_b = _isnan(a), _isnan(b)
    distance[nan_a & nan_b] = 0
    distance[nan_a ^ nan_b] = np.iinfo(np.uint64).max
    return distance


def _ordered(values: Array) -> npt.NDArray[np.uint64]:
    """Unsigned integers in the order of the floats, neighbours 1 apart, both zeros equal."""
    bits = np.atleast_1d(values).view(f"u{values.dtype.itemsize}").reshape(values.shape).astype(np.uint64)
    sign = np.uint64(1 << (8 * values.dtype.itemsize - 1))
    magnitude = bits & (sign - np.uint64(1))
    return np.asarray(np.where(bits & sign, sign - magnitude, sign + magnitude))


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether ``dtype`` is a floating-point type, those of ``ml_dtypes`` included."""
    return dtype.kind == "f" or "float" in dtype.name


def epsilon(dtype: np.dtype[Any]) -> float:
    """The distance from 1 to the next number of ``dtype``."""
    return float(float_info(dtype).eps)


def float_info(dtype: np.dtype[Any]) -> Any:
    import ml_dtypes

    finfo: Any = np.finfo if dtype.kind == "f" else ml_dtypes.finfo
    return finfo(dtype)


def _isnan(values: Array) -> Bools:
    return np.asarray(np.isnan(values.astype(np.float64) if is_float(values.dtype) else np.zeros(values.shape)))


def _check_exact(actual: Array, expected: Array, policy: Exact) -> Report:
    wide = expected
    with np.errstate(over="ignore", invalid="ignore"):
        expected = expected.astype(actual.dtype)
    if not is_float(actual.dtype):
        return _verdict(actual, wide, actual != wide, "exact")
    bad = (actual != expected) & ~(_isnan(actual) & _isnan(expected))
    if policy.signed_zero:
        bad |= (actual == 0) & (expected == 0) & (np.signbit(actual) != np.signbit(expected))
    return _verdict(actual, expected, np.asarray(bad), "exact")


def _check_ulp(actual: Array, expected: Array, policy: Ulp) -> Report:
    distance = ulp_distance(actual, expected)
    bad = distance > policy.limit
    if policy.near_zero:
        unit = float(np.spacing(np.asarray(policy.near_zero, actual.dtype)))
        bad &= ~(_error(actual, expected) <= policy.limit * unit)
    worst = int(distance.max())
    return _verdict(actual, expected, np.asarray(bad), f"{policy.limit} ULP (worst: {worst})")


def _check_reduction(actual: Array, expected: Array, policy: Reduction) -> Report:
    accumulator = np.result_type(actual.dtype, np.float32) if actual.dtype.kind == "f" else np.dtype(np.float32)
    limit = policy.factor * math.sqrt(policy.terms) * epsilon(accumulator) * policy.magnitude.astype(np.float64)
    limit += epsilon(actual.dtype) * np.abs(expected.astype(np.float64))
    limit += policy.terms * float(float_info(actual.dtype).smallest_subnormal)
    within = np.isfinite(limit) & (_error(actual, expected) <= limit)
    bad = ~within & ~_same_special(actual, expected)
    return _verdict(actual, expected, np.asarray(bad), f"{policy.factor:g} sqrt({policy.terms}) eps sum|a||b|")


def _check_quantized(actual: Array, expected: Array, policy: Quantized) -> Report:
    distance = np.abs(actual.astype(np.int64) - expected.astype(np.int64))
    allowed = max(1, int(policy.share * actual.size))
    rule = f"{policy.steps} step(s) on at most {allowed} elements"
    far = distance > policy.steps
    if far.any():
        return _verdict(actual, expected, np.asarray(far), rule)
    off = distance > 0
    return _verdict(actual, expected, np.asarray(off & (np.count_nonzero(off) > allowed)), rule)


def _check_evaluation(actual: Array, expected: Array, policy: Evaluation) -> Report:
    plain = policy.plain
    special = ~np.isfinite(expected.astype(np.float64)) | ~np.isfinite(plain.astype(np.float64))
    better = np.isfinite(actual.astype(np.float64)) & np.isfinite(expected.astype(np.float64))
    wrong = special & ~better & ~_same_special(actual, expected) & ~_same_special(actual, plain)
    if wrong.any():
        return _verdict(actual, expected, np.asarray(wrong), "the same NaNs and infinities")
    regular = ~special
    if not regular.any():
        return Report(True, "nothing but NaNs and infinities")
    reference = np.abs(expected[regular].astype(np.float64))
    error, base = _error(actual[regular], expected[regular]), _error(plain[regular], expected[regular])
    eps = epsilon(actual.dtype)
    for title, norm in (("largest", np.max), ("root-mean-square", _rms)):
        limit = policy.factor * max(float(norm(base)), eps * float(norm(reference)))
        if not float(norm(error)) <= limit:
            worst = _worst(actual, expected, np.where(regular, _error(actual, expected), 0.0))
            rule = f"{policy.factor:g} times a plain evaluation's"
            return Report(False, f"{title} error {norm(error):.3g}, allowed {limit:.3g} ({rule}); {worst}")
    return Report(True, f"largest error {error.max():.3g}, a plain evaluation's {base.max():.3g}")


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _error(actual: Array, expected: Array) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.abs(actual.astype(np.float64) - expected.astype(np.float64)))


def _same_special(actual: Array, expected: Array) -> Bools:
    """Where both are NaN, or the same infinity once ``expected`` is rounded to the actual type."""
    with np.errstate(over="ignore"):
        expected = expected.astype(actual.dtype)
    infinite = np.isinf(actual.astype(np.float64)) & (actual == expected)
    return np.asarray((_isnan(actual) & _isnan(expected)) | infinite)


def _verdict(actual: Array, expected: Array, bad: Bools, rule: str) -> Report:
    count = int(np.count_nonzero(bad))
    if not count:
        return Report(True, f"within {rule}")
    error = np.where(bad, np.nan_to_num(_error(actual, expected), nan=np.inf), -1.0)
    return Report(False, f"{count} of {actual.size} elements break {rule}; {_worst(actual, expected, error)}")


def _worst(actual: Array, expected: Array, error: Floats) -> str:
    index = np.unravel_index(int(np.argmax(error)), error.shape)
    place = ", ".join(map(str, index))
    return f"worst at [{place}]: got {actual[index]!s}, expected {expected[index]!s} (off by {error[index]:.3g})"
