"""Fit the coefficients in ``lowering/loops/polynomials``: ``python -m benchmarks.fit_math`` prints that file.

A function of ``t`` is approximated by ``N(t)`` or ``N(t) / D(t)`` so that the largest error, weighted, is smallest.
The fit is Lawson's iteration: least squares whose weights grow where the error is large, with the denominator of
the last round dividing the residual (Sanathanan and Koerner). Coefficients are rounded to the working type one
after the other, lowest power first, and the rest is fitted again each time. All arithmetic is in extended
precision (64 bits of mantissa), so the tables for f64 need a machine whose ``np.longdouble`` has that.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Real: TypeAlias = npt.NDArray[np.longdouble]
Function: TypeAlias = Callable[[Real], Real]

POINTS = 12
"""Samples per unknown."""

ROUNDS = 40


@dataclass(frozen=True)
class Fit:
    """``value(t) ~ N(t) / D(t)`` for ``t`` from ``low`` to ``high``, errors counted in ``unit(t)``.

    ``known`` are the lowest coefficients of ``N`` where they are given; ``leading`` is the lowest of ``D``.
    """

    value: Function
    unit: Function
    low: float
    high: float
    degree: int
    denominator: int = 0
    known: tuple[float, ...] = ()
    leading: float = 1.0


def least_squares(matrix: Real, right: Real) -> Real:
    """The least-squares solution by Householder reflections, in extended precision."""
    scale = np.sqrt((matrix * matrix).sum(axis=0))
    a, b = matrix / scale, right.copy()
    columns = a.shape[1]
    for k in range(columns):
        v = a[k:, k].copy()
        v[0] += np.copysign(np.sqrt((v * v).sum()), v[0])
        v /= np.sqrt((v * v).sum())
        a[k:, k:] -= 2 * v[:, None] * (v @ a[k:, k:])[None, :]
        b[k:] -= 2 * v * (v @ b[k:])
    x = np.zeros(columns, np.longdouble)
    for k in reversed(range(columns)):
        x[k] = (b[k] - a[k, k + 1 :] @ x[k + 1 :]) / a[k, k]
    return x / scale


def nodes(fit: Fit, count: int) -> Real:
    """Chebyshev points of the interval."""
    angles = (np.arange(count, dtype=np.longdouble) + np.longdouble(0.5)) * np.longdouble(np.pi) / count
    return (np.longdouble(fit.high) + fit.low) / 2 - np.cos(angles) * (np.longdouble(fit.high) - fit.low) / 2


def horner(coefficients: Sequence[Any], t: Real) -> Real:
    """A polynomial, lowest power first."""
    total = np.zeros_like(t)
    for c in reversed(coefficients):
        total = total * t + c
    return total


def lawson(fit: Fit, above: Sequence[Any], below: Sequence[Any]) -> tuple[list[Any], list[Any], float]:
    """Fit what follows the known coefficients ``above`` and ``below``; returns both whole, and the largest error."""
    free_above = range(len(above), fit.degree + 1)
    free_below = range(len(below), fit.denominator + 1)
    unknowns = len(free_above) + len(free_below)
    t = nodes(fit, max(200, POINTS * unknowns))
    value, unit = fit.value(t), fit.unit(t)
    weight, denominator = np.ones_like(t), np.ones_like(t)
    best: tuple[list[Any], list[Any], float] = (list(above), list(below), np.inf)
    for _ in range(ROUNDS if unknowns else 1):
        row = np.sqrt(weight) / (unit * denominator)
        columns = [row * t**k for k in free_above] + [-row * value * t**k for k in free_below]
        solved: list[Any] = []
        if columns:
            right = row * (value * horner(below, t) - horner(above, t))
            solved = list(least_squares(np.stack(columns, axis=1), right))
        numerator = [*above, *solved[: len(free_above)]]
        divisor = [*below, *solved[len(free_above) :]]
        denominator = horner(divisor, t)
        error = np.abs((horner(numerator, t) / denominator - value) / unit)
        if error.max() < best[2]:
            best = (numerator, divisor, float(error.max()))
        weight = weight * (error / error.max() + np.longdouble(0.02))
        weight /= weight.max()
    return best


def rounded(fit: Fit, dtype: Any) -> tuple[list[float], list[float], float]:
    """The fit with every coefficient a number of ``dtype``."""
    above: list[Any] = list(fit.known)
    below: list[Any] = [fit.leading]
    while len(above) <= fit.degree or len(below) <= fit.denominator:
        numerator, divisor, _ = lawson(fit, above, below)
        if len(below) <= fit.denominator and len(below) <= len(above):
            below.append(np.longdouble(dtype(divisor[len(below)])))
        elif len(above) <= fit.degree:
            above.append(np.longdouble(dtype(numerator[len(above)])))
        else:
            below.append(np.longdouble(dtype(divisor[len(below)])))
    error = lawson(fit, above, below)[2]
    return [float(c) for c in above], [float(c) for c in below], error


def two_parts(value: np.longdouble, dtype: Any, spare: int) -> tuple[float, float]:
    """``value`` as a number of ``dtype`` whose last ``spare`` bits are zero, and the rest."""
    digits = np.finfo(dtype).nmant + 1 - spare
    mantissa, exponent = np.frexp(value)
    high = np.ldexp(np.rint(np.ldexp(mantissa, digits)), int(exponent) - digits)
    return float(high), float(dtype(value - high))


def leading_of(ratio: np.longdouble, dtype: Any) -> float:
    """A number of few bits that times ``ratio`` is very nearly a number of ``dtype``."""
    candidates = np.arange(1024, 2048, dtype=np.longdouble) / 2048
    product = candidates * ratio
    return float(candidates[np.argmin(np.abs(dtype(product) - product) / product)])


LN2 = np.log(np.longdouble(2))
PI = 4 * np.arctan(np.longdouble(1))


def erf(x: Real) -> Real:
    """The error function by its series of positive terms."""
    total, term = np.zeros_like(x), x.copy()
    for n in range(300):
        total += term
        term = term * 2 * x * x / (2 * n + 3)
    return 2 / np.sqrt(PI) * np.exp(-x * x) * total


def log_tail(f: Real) -> Real:
    """``(log(1 + f) - f + f^2/2) / f^3``, by its series near zero."""
    near = np.abs(f) < 0.02
    safe = np.where(near, np.longdouble(1), f)
    series = horner([np.longdouble((-1) ** k) / (k + 3) for k in range(14)], np.where(near, f, 0))
    return np.where(near, series, (np.log1p(safe) - safe + safe * safe / 2) / safe**3)


def log_unit(f: Real) -> Real:
    """``log(1 + f) / f^3``, the unit in which an error of `log_tail` shows."""
    return np.where(f == 0, np.inf, np.log1p(f) / np.where(f == 0, 1, f) ** 3)


def over_root(function: Function) -> Function:
    """``function(x) / x`` as a function of ``x^2``."""
    return lambda t: function(np.sqrt(t)) / np.sqrt(t)


def relative(value: Function, low: float, high: float, degree: int, denominator: int = 0, **rest: Any) -> Fit:
    """A fit whose error is relative to the function."""
    return Fit(value, value, low, high, degree, denominator, **rest)


TYPES: dict[str, Any] = {"f32": np.float32, "f64": np.float64}
HALF_LN2 = float(LN2 / 2) * 1.0005
ROOT = float(np.sqrt(np.longdouble(2)))
TINY = 1e-12

CONSTANTS: dict[str, Callable[[Any], tuple[float, ...]]] = {
    "LN2": lambda dtype: two_parts(LN2, dtype, 11),
}
"""Constants in parts: by name, a function of the type."""

FITS: dict[str, dict[str, Fit]] = {
    "EXP": {"f32": relative(np.exp, -HALF_LN2, HALF_LN2, 6, known=(1.0, 1.0))},
    "LOG": {"f32": Fit(log_tail, log_unit, 1 / ROOT - 1, ROOT - 1, 8)},
    "TANH": {"f32": relative(over_root(np.tanh), TINY, 9.02**2, 5, 4)},
    "ERF": {"f32": relative(over_root(erf), TINY, 3.925**2, 5, 5, leading=leading_of(2 / np.sqrt(PI), np.float32))},
}
"""What is fitted: by table and type."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, with the largest error of each in a comment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="only these tables")
    wanted = parser.parse_args(arguments).tables
    print('"""Coefficients by table and type, lowest power first; written by ``python -m benchmarks.fit_math``."""')
    for name, parts in CONSTANTS.items():
        if not wanted or name in wanted:
            print(f"\n{name} = {{")
            for key, dtype in TYPES.items():
                print(f'    "{key}": {parts(dtype)},')
            print("}")
    for name, fits in FITS.items():
        if not wanted or name in wanted:
            print(f"\n{name} = {{")
            for key, fit in fits.items():
                above, below, error = rounded(fit, TYPES[key])
                table = (tuple(above), tuple(below)) if fit.denominator else tuple(above)
                print(f'    "{key}": {table},  # error 2**{np.log2(error):.1f}')
            print("}")


if __name__ == "__main__":
    main()
