"""Fit the coefficients in ``lowering/loops/polynomials``: ``python -m benchmarks.fit_math`` prints that file.

A function of ``t`` is approximated by a polynomial so that the largest error, weighted, is smallest. The fit is
Lawson's iteration: least squares whose weights grow where the error is large. Coefficients are rounded to the
working type one after the other, lowest power first, and the rest is fitted again each time. All arithmetic is in
extended precision (64 bits of mantissa), so the tables for f64 need a machine whose ``np.longdouble`` has that.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Real: TypeAlias = npt.NDArray[Any]
"""Numbers in extended precision."""

Function: TypeAlias = Callable[[Real], Real]

POINTS = 12
"""Samples per unknown."""

ROUNDS = 40


@dataclass(frozen=True)
class Fit:
    """A polynomial like ``value(t)`` for ``t`` from ``low`` to ``high``, errors counted in ``unit(t)``.

    ``known`` are its lowest coefficients where they are given.
    """

    value: Function
    unit: Function
    low: float
    high: float
    degree: int
    known: tuple[float, ...] = ()


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


def lawson(fit: Fit, known: Sequence[Any]) -> tuple[list[Any], float]:
    """All coefficients, of which the lowest are ``known``, and the largest error."""
    free = range(len(known), fit.degree + 1)
    t = nodes(fit, max(200, POINTS * len(free)))
    value, unit = fit.value(t), fit.unit(t)
    weight = np.ones_like(t)
    best: tuple[list[Any], float] = (list(known), np.inf)
    for _ in range(ROUNDS if free else 1):
        row = np.sqrt(weight) / unit
        found = list(known)
        if free:
            found += list(least_squares(np.stack([row * t**k for k in free], axis=1), row * (value - horner(known, t))))
        error = np.abs((horner(found, t) - value) / unit)
        if error.max() < best[1]:
            best = (found, float(error.max()))
        weight = weight * (error / error.max() + np.longdouble(0.02))
        weight /= weight.max()
    return best


def rounded(fit: Fit, dtype: Any) -> tuple[tuple[float, ...], float]:
    """The fit with every coefficient a number of ``dtype``, and its largest error."""
    known: list[Any] = list(fit.known)
    while len(known) <= fit.degree:
        known.append(np.longdouble(dtype(lawson(fit, known)[0][len(known)])))
    return tuple(float(c) for c in known), lawson(fit, known)[1]


def parts(value: Fraction, dtype: Any, count: int, spare: int) -> tuple[float, ...]:
    """``value`` as a sum of numbers of ``dtype``; all but the last have ``spare`` bits of zeros at the end."""
    digits = int(np.finfo(dtype).nmant) + 1
    found: list[float] = []
    for k in range(count):
        bits = digits - spare if k < count - 1 else digits
        unit = Fraction(2) ** (math.frexp(float(value))[1] - bits)
        found.append(float(round(value / unit) * unit))
        value -= Fraction(found[-1])
    return tuple(found)


def artanh_of_inverse(n: int) -> Fraction:
    """artanh(1/n) to 200 bits."""
    return sum((Fraction(1, (2 * k + 1) * n ** (2 * k + 1)) for k in range(100)), Fraction(0))


def arctan_of_inverse(n: int) -> Fraction:
    """arctan(1/n) to 200 bits."""
    return sum((Fraction((-1) ** k, (2 * k + 1) * n ** (2 * k + 1)) for k in range(100)), Fraction(0))


LN2_EXACT = 2 * artanh_of_inverse(3)
PI_EXACT = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)
LN2 = np.log(np.longdouble(2))
PI = 4 * np.arctan(np.longdouble(1))


def erf(x: Real) -> Real:
    """The error function by its series of positive terms."""
    total, term = np.zeros_like(x), x.copy()
    for n in range(300):
        total += term
        term = term * 2 * x * x / (2 * n + 3)
    return 2 / np.sqrt(PI) * np.exp(-x * x) * total


def erfc(x: Real) -> Real:
    """``1 - erf x`` for ``x`` not near zero, by its continued fraction."""
    fraction = np.zeros_like(x)
    for k in range(600, 0, -1):
        fraction = k / np.longdouble(2) / (x + fraction)
    return np.exp(-x * x) / np.sqrt(PI) / (x + fraction)


def joined(value: Function, coefficient: Callable[[int], Fraction], radius: float) -> Function:
    """``value``, but by its power series where ``|t|`` is below ``radius`` and it cancels."""
    terms = [np.longdouble(c.numerator) / np.longdouble(c.denominator) for c in map(coefficient, range(16))]

    def both(t: Real) -> Real:
        near = np.abs(t) < radius
        return np.where(near, horner(terms, np.where(near, t, 0)), value(np.where(near, np.longdouble(radius), t)))

    return both


def log_tail(f: Real) -> Real:
    """``(log(1 + f) - f + f^2/2) / f^3``, by its series near zero."""
    return joined(lambda t: (np.log1p(t) - t + t * t / 2) / t**3, lambda k: Fraction((-1) ** k, k + 3), 0.02)(f)


def log_unit(f: Real) -> Real:
    """``log(1 + f) / f^3``, the unit in which an error of `log_tail` shows."""
    return np.log1p(f) / f**3


def odd_tail(function: Function, coefficient: Callable[[int], Fraction], high: float, degree: int) -> Fit:
    """``T`` of ``function(x) = x + x^3 T(x^2)``, for ``x`` up to ``high``; ``coefficient(k)`` are those of ``T``."""
    value = joined(lambda t: (over_root(function)(t) - 1) / t, coefficient, 0.02)
    return Fit(value, lambda t: over_root(function)(t) / t, TINY, high * high, degree)


def cosine_tail(degree: int) -> Fit:
    """``T`` of ``cos x = 1 - x^2/2 + x^4 T(x^2)``, on a quadrant around zero."""
    value = joined(
        lambda t: (np.cos(np.sqrt(t)) - 1 + t / 2) / t**2,
        lambda k: Fraction((-1) ** k, math.factorial(2 * k + 4)),
        0.3,
    )
    return Fit(value, lambda t: np.cos(np.sqrt(t)) / t**2, TINY, 0.7860**2, degree)


def over_root(function: Function) -> Function:
    """``function(x) / x`` as a function of ``x^2``."""
    return lambda t: function(np.sqrt(t)) / np.sqrt(t)


def relative(value: Function, low: float, high: float, degree: int, known: tuple[float, ...]) -> Fit:
    """A fit whose error is relative to the function."""
    return Fit(value, value, low, high, degree, known)


def exp2_fit(degree: int) -> Fit:
    """Half a unit around zero."""
    return relative(np.exp2, -0.5, 0.5, degree, known=(1.0,))


def erf_ranges(dtype: Any) -> tuple[float, float]:
    """Where the second form of erf begins, and from where on erf rounds to one."""
    return 0.94, 3.93 if dtype is np.float32 else 5.93


def erf_fit(dtype: Any, degree: int) -> Fit:
    """``P`` of ``erf x = x + x P(x^2)``, in the first range."""
    return Fit(lambda t: over_root(erf)(t) - 1, over_root(erf), TINY, erf_ranges(dtype)[0] ** 2, degree)


def erfc_fit(dtype: Any, degree: int) -> Fit:
    """The logarithm to base 2 of ``1 - erf`` in the second range, as exact as it must be to subtract from one."""
    return Fit(lambda a: np.log2(erfc(a)), lambda a: erf(a) / erfc(a) / LN2, *erf_ranges(dtype), degree)


def normal_tail(a: Real) -> Real:
    """The probability that a standard normal variable exceeds ``a``, at least 0."""
    z = a / np.sqrt(np.longdouble(2))
    return np.where(z > 1, erfc(np.maximum(z, 1)), 1 - erf(np.minimum(z, 1))) / 2


def normal_tail_end(dtype: Any) -> float:
    """Where the power of two that `normal_tail_fit` gives is zero, for certain."""
    return 11.0 if dtype is np.float32 else 11.8


def normal_tail_fit(degree: int, high: float) -> Fit:
    """The logarithm to base 2 of `normal_tail`, as exact as ``max(x, 0) - a tail(a)`` must be.

    That is relative to the result for positive ``x``; for negative ``x`` too, but below 1/16 absolute.
    """

    def unit(a: Real) -> Real:
        tail = normal_tail(a)
        return np.minimum((1 - tail) / tail, np.maximum(1, 1 / (16 * a * tail + TINY))) / LN2

    return Fit(lambda a: np.log2(normal_tail(a)), unit, 0.0, high, degree)


def sine_tail(degree: int) -> Fit:
    """On a quadrant around zero."""
    return odd_tail(np.sin, lambda k: Fraction((-1) ** (k + 1), math.factorial(2 * k + 3)), 0.7860, degree)


def arctan_tail(degree: int) -> Fit:
    """Up to the tangent of pi/8."""
    return odd_tail(np.arctan, lambda k: Fraction((-1) ** (k + 1), 2 * k + 3), 0.4143, degree)


def arcsine_tail(degree: int) -> Fit:
    """Up to one half."""

    def coefficient(k: int) -> Fraction:
        return Fraction(math.comb(2 * k + 2, k + 1), 4 ** (k + 1) * (2 * k + 3))

    return odd_tail(np.arcsin, coefficient, 0.5, degree)


def artanh_tail(degree: int) -> Fit:
    """``T`` of ``log((1 + z) / (1 - z)) = 2 z + z^3 T(z^2)``, for numbers from sqrt(1/2) to sqrt(2)."""
    half = odd_tail(np.arctanh, lambda k: Fraction(1, 2 * k + 3), 0.1717, degree)

    def value(t: Real) -> Real:
        return 2 * half.value(t)

    def unit(t: Real) -> Real:
        return 2 * half.unit(t)

    return replace(half, value=value, unit=unit)


TYPES: dict[str, Any] = {"f32": np.float32, "f64": np.float64}
HALF_LN2 = float(LN2 / 2) * 1.0005
ROOT = float(np.sqrt(np.longdouble(2)))
TINY = 1e-12

CONSTANTS: dict[str, Callable[[Any], float | tuple[float, ...]]] = {
    "LN2": lambda dtype: parts(LN2_EXACT, dtype, 2, 11),
    "HALF_PI": lambda dtype: parts(PI_EXACT / 2, np.float64, 2 if dtype is np.float32 else 4, 27),
    "HALF_PI_SUM": lambda dtype: parts(PI_EXACT / 2, dtype, 2, 0),
    "ERF_RANGES": erf_ranges,
    "NORMAL_TAIL_END": normal_tail_end,
}
"""Constants, in parts where one number does not hold them: by name, a function of the type."""

FITS: dict[str, dict[str, Fit]] = {
    "EXP": {
        "f32": relative(np.exp, -HALF_LN2, HALF_LN2, 6, known=(1.0, 1.0)),
        "f64": relative(np.exp, -HALF_LN2, HALF_LN2, 11, known=(1.0, 1.0, 0.5)),
    },
    "LOG": {
        "f32": Fit(log_tail, log_unit, 1 / ROOT - 1, ROOT - 1, 8),
        "f64": Fit(log_tail, log_unit, 1 / ROOT - 1, ROOT - 1, 18),
    },
    "ARTANH": {"f32": artanh_tail(3), "f64": artanh_tail(8)},
    "EXP2": {"f32": exp2_fit(5), "f64": exp2_fit(11)},
    "ERF": {"f32": erf_fit(np.float32, 5), "f64": erf_fit(np.float64, 16)},
    "ERFC": {"f32": erfc_fit(np.float32, 5), "f64": erfc_fit(np.float64, 16)},
    "NORMAL_TAIL": {"f32": normal_tail_fit(8, 6.5), "f64": normal_tail_fit(22, 8.5)},
    "SIN": {"f32": sine_tail(3), "f64": sine_tail(6)},
    "COS": {"f32": cosine_tail(2), "f64": cosine_tail(6)},
    "ATAN": {"f32": arctan_tail(4), "f64": arctan_tail(11)},
    "ASIN": {"f32": arcsine_tail(4), "f64": arcsine_tail(12)},
}
"""What is fitted: by table and type."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, with the largest error of each in a comment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="only these tables")
    wanted = parser.parse_args(arguments).tables
    print('"""Coefficients by table and type, lowest power first; written by ``python -m benchmarks.fit_math``."""')
    for name, in_parts in CONSTANTS.items():
        if not wanted or name in wanted:
            print(f"\n{name} = {{")
            for key, dtype in TYPES.items():
                print(f'    "{key}": {in_parts(dtype)},')
            print("}")
    for name, fits in FITS.items():
        if not wanted or name in wanted:
            print(f"\n{name} = {{")
            for key, fit in fits.items():
                table, error = rounded(fit, TYPES[key])
                print(f'    "{key}": {table},  # error 2**{np.log2(error):.1f}')
            print("}")


if __name__ == "__main__":
    main()
