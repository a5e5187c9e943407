"""Mean and variance of every channel, carried through a network while it is built.

Random weights give a useless network unless the statistics of its activations are known: batch
normalisation needs the mean and variance of its input, and layers without it need weights that keep the
scale. Both follow, without any data, from moments propagated under three assumptions: channels are independent,
values are nearly normal before a non-linearity, and neighbouring positions are alike, as in images. On the
networks of this zoo the predicted standard deviations stay within a factor of about two to the last layer.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Function = Callable[[Floats], Floats]

# Correlation between the activations at neighbouring positions.
_NEIGHBOURS = 0.6

# Squared error of the predicted mean of a channel, as a part of its variance.
_MEAN_ERROR = 0.2

# Gauss-Hermite quadrature for a value with heavier tails than a normal one: an equal mixture of two scales.
_SCALES = np.sqrt([0.55, 1.45])
_NORMAL, _MASS = np.polynomial.hermite_e.hermegauss(48)
_POINTS = np.outer(_SCALES, _NORMAL).ravel()
_WEIGHTS = np.tile(_MASS / _MASS.sum() / len(_SCALES), len(_SCALES))


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel, both of shape [C]."""

    mean: Floats
    variance: Floats

    @property
    def power(self) -> Floats:
        """The mean square of each channel."""
        return self.variance + self.mean**2

    def __len__(self) -> int:
        return len(self.mean)


def constant(channels: int, mean: float = 0.0, variance: float = 1.0) -> Moments:
    return Moments(np.full(channels, mean), np.full(channels, variance))


def through(function: Function, x: Moments) -> Moments:
    """Moments of `function(x)` for a scalar function and nearly normal `x`."""
    values = function(x.mean[:, None] + np.sqrt(x.variance)[:, None] * _POINTS)
    mean = values @ _WEIGHTS
    return Moments(mean, np.maximum(values**2 @ _WEIGHTS - mean**2, 1e-12))


def total(a: Moments, b: Moments) -> Moments:
    """Moments of `a + b` for independent a and b."""
    return Moments(a.mean + b.mean, a.variance + b.variance)


def product(a: Moments, b: Moments) -> Moments:
    """Moments of `a * b` for independent a and b."""
    mean = a.mean * b.mean
    return Moments(mean, a.power * b.power - mean**2)


def concatenated(parts: list[Moments]) -> Moments:
    return Moments(np.concatenate([p.mean for p in parts]), np.concatenate([p.variance for p in parts]))


def weighted(weight: npt.NDArray[np.float32], x: Moments, groups: int = 1) -> Moments:
    """Moments of a convolution or matrix product with `weight: [Co, Ci / groups, *K]`."""
    channels, inputs, *kernel = weight.shape
    grouped = weight.reshape(groups, channels // groups, inputs, -1)
    mean = x.mean.astype(np.float32).reshape(groups, -1)
    variance = x.variance.astype(np.float32).reshape(groups, -1)
    decorrelated = grouped @ _tap_factor(tuple(kernel)) if kernel else grouped
    return Moments(
        np.einsum("gock,gc->go", grouped, mean).astype(np.float64).ravel(),
        np.einsum("gock,gock,gc->go", decorrelated, decorrelated, variance).astype(np.float64).ravel(),
    )


@functools.cache
def _tap_factor(kernel: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The Cholesky factor of the correlation between the positions under a window."""
    taps = np.stack(np.meshgrid(*map(np.arange, kernel), indexing="ij"), axis=-1).reshape(-1, len(kernel))
    distance: Floats = np.linalg.norm(taps[:, None] - taps[None], axis=-1)
    correlation: Floats = np.power(_NEIGHBOURS, distance)
    return np.linalg.cholesky(correlation).astype(np.float32)


def max_pooled(x: Moments, window: int) -> Moments:
    """Moments of the maximum over `window` neighbours, of which about sqrt(window) are independent."""
    shift = 0.7 * np.sqrt(np.log(window))
    return Moments(x.mean + shift * np.sqrt(x.variance), x.variance * 1.5)


def mean_pooled(x: Moments, window: int) -> Moments:
    """Moments of the mean over `window` neighbours, of which about sqrt(window) are independent.

    However large the window, the variance keeps a part for the error of the mean itself, which is then what
    counts.
    """
    return Moments(x.mean, x.variance * max(window**-0.5, _MEAN_ERROR))
