"""Whole models against a reference: the end-to-end half of ``mlc verify``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.testing.tolerances import EVALUATION_FACTOR, EXACT, Evaluation, Reduction, Report, Ulp, check, is_float

if TYPE_CHECKING:
    from mlc.dialects.weights_attr import WeightAttr
    from mlc.frontends.onnx.import_ import ImportedModel
    from mlc.pipeline import Options
    from mlc.testing.sums import Sum

Array: TypeAlias = NDArray[Any]

RTOL, ATOL = 1e-3, 1e-5
"""Against other implementations, whose own error is unknown: relative, and as a share of the largest element."""


@dataclass(frozen=True)
class Tolerance:
    """What the user allows instead of the policy; None where nothing was said."""

    rtol: float | None = None
    atol: float | None = None
    max_ulp: int | None = None

    @property
    def given(self) -> bool:
        """Whether the user said anything."""
        return (self.rtol, self.atol, self.max_ulp) != (None, None, None)


@dataclass(frozen=True)
class Verdict:
    """The comparison of one tensor; ``error`` is the largest absolute one, ``magnitude`` that of the reference."""

    name: str
    shape: tuple[int, ...]
    ok: bool
    message: str
    error: float
    magnitude: float

    @property
    def relative(self) -> float:
        """The largest error as a share of the largest element."""
        return self.error / self.magnitude if self.magnitude else self.error


def reference_outputs(model: ImportedModel, arrays: Sequence[Array], *, plain: bool = False) -> tuple[Array, ...]:
    """The outputs in float64; with ``plain``, those of a straightforward float32 program."""
    from mlc.dialects.interpreters import run_function

    def weight(attr: WeightAttr, _: object) -> Array:
        return model.weights.array(attr.key.data)

    return run_function(model.module, arrays, weights=weight, widen=not plain, plain=plain)


def evaluations(
    model: ImportedModel, arrays: Sequence[Array], options: Options
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The outputs in float64, and those of a straightforward float32 program: what `compare` measures errors by.

    Where ``options`` store tensors in f16, that program rounds the same ones; ``model`` is lowered for it.
    """
    wide = reference_outputs(model, arrays)
    if options.dtype == "f32":
        return wide, reference_outputs(model, arrays, plain=True)
    from mlc.driver import Compilation

    Compilation.of(model, "model", options).advance("fused")
    return wide, reference_outputs(model, arrays, plain=True)


def compare(
    name: str,
    actual: Array,
    expected: Array,
    *,
    plain: Array | None = None,
    largest: Sum | None = None,
    factor: float = EVALUATION_FACTOR,
    tolerance: Tolerance | None = None,
) -> Verdict:
    """One tensor under the policy: integers exactly, floats within ``factor`` times the error of ``plain``.

    A tensor that depends on sums, of which ``largest`` has the largest error, may also have the error that the
    policy grants to those. Without ``plain``, and where the user's ``tolerance`` says something, that counts.
    """
    given = tolerance or Tolerance()
    report = _report(actual, expected, None if plain is None else Evaluation(plain, factor), given)
    if not report and largest and is_float(actual.dtype) and not given.given and actual.shape == expected.shape:
        report = check(actual, expected, Reduction(largest.terms, np.full(actual.shape, largest.magnitude)))
    error, magnitude = _sizes(actual, expected)
    return Verdict(name, actual.shape, report.ok, report.message, error, magnitude)


def _report(actual: Array, expected: Array, policy: Evaluation | None, given: Tolerance) -> Report:
    if actual.shape != expected.shape or not is_float(actual.dtype):
        return check(actual, expected, EXACT)
    if given.max_ulp is not None:
        return check(actual, expected, Ulp(given.max_ulp))
    if policy is not None and not given.given:
        return check(actual, expected, policy)
    return _close(actual, expected, given)


def _close(actual: Array, expected: Array, given: Tolerance) -> Report:
    """``|error| <= atol + rtol |expected|``, NaNs and infinities in the same places."""
    wide, reference = actual.astype(np.float64), expected.astype(np.float64)
    finite = np.abs(reference[np.isfinite(reference)])
    rtol = RTOL if given.rtol is None else given.rtol
    atol = ATOL * float(finite.max(initial=0.0)) if given.atol is None else given.atol
    bad = ~np.isclose(wide, reference, rtol=rtol, atol=atol, equal_nan=True)
    rule = f"rtol {rtol:g}, atol {atol:.3g}"
    if not bad.any():
        return Report(True, f"within {rule}")
    with np.errstate(invalid="ignore"):
        error = np.where(bad, np.nan_to_num(np.abs(wide - reference), nan=np.inf), -1.0)
    place = np.unravel_index(int(error.argmax()), error.shape)
    worst = f"worst at {list(map(int, place))}: got {actual[place]!s}, expected {expected[place]!s}"
    return Report(False, f"{int(bad.sum())} of {bad.size} elements break {rule}; {worst}")


def _sizes(actual: Array, expected: Array) -> tuple[float, float]:
    """The largest error and the largest element, of what is finite."""
    if actual.shape != expected.shape or not actual.size:
        return 0.0, 0.0
    wide, reference = actual.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(wide) & np.isfinite(reference)
    errors = np.abs(wide[finite] - reference[finite])
    return float(errors.max(initial=0.0)), float(np.abs(reference[finite]).max(initial=0.0))
