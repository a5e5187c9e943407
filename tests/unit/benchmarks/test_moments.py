"""Moments of activations, against sums over samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.zoo import moments
from benchmarks.zoo.builder import sigmoid
from benchmarks.zoo.moments import Moments

sizes = st.integers(1, 6)


def relu(x: moments.Floats) -> moments.Floats:
    return np.maximum(x, 0.0)


def silu(x: moments.Floats) -> moments.Floats:
    return x * sigmoid(x)


def some_moments(rng: np.random.Generator, channels: int) -> Moments:
    return Moments(rng.normal(size=channels), rng.uniform(0.2, 2.0, size=channels))


@settings(max_examples=30, deadline=None)
@given(groups=st.integers(1, 3), inputs=sizes, outputs=sizes, seed=st.integers(0, 1000))
def test_weighted_is_exact_for_independent_channels(groups: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = some_moments(rng, groups * inputs)
    weight = rng.normal(size=(groups * outputs, inputs, 1, 1)).astype(np.float32)
    y = moments.weighted(weight, x, groups)
    # The equivalent dense matrix, block by block.
    dense = np.zeros((groups * outputs, groups * inputs))
    for g in range(groups):
        rows, columns = slice(g * outputs, (g + 1) * outputs), slice(g * inputs, (g + 1) * inputs)
        dense[rows, columns] = weight[rows, :, 0, 0]
    np.testing.assert_allclose(y.mean, dense @ x.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y.variance, dense**2 @ x.variance, rtol=1e-4)


def test_weighted_sees_that_neighbours_agree() -> None:
    """A box filter keeps more variance of a smooth image, an edge filter less, than of noise."""
    x = moments.constant(1)
    box = np.full((1, 1, 3, 3), 1 / 3, np.float32)
    edge = box * np.array([-1, 1, -1], np.float32)
    assert moments.weighted(box, x).variance[0] > 2.0
    assert moments.weighted(edge, x).variance[0] < 0.8


def test_non_linear_functions_of_a_normal_variable() -> None:
    x = Moments(np.array([0.0, 0.7, -0.4]), np.array([1.0, 0.5, 2.0]))
    draws = x.mean[:, None] + np.sqrt(x.variance)[:, None] * np.random.default_rng(0).normal(size=(3, 400_000))
    for function in (relu, sigmoid, silu):
        predicted, values = moments.through(function, x), function(draws)
        # The mixture's heavier tails are meant: they differ from a normal variable by a few percent.
        np.testing.assert_allclose(predicted.mean, values.mean(axis=1), rtol=0.06, atol=0.02)
        np.testing.assert_allclose(predicted.variance, values.var(axis=1), rtol=0.25)


def test_the_mixture_has_unit_variance() -> None:
    x = moments.through(lambda v: v, Moments(np.array([3.0]), np.array([4.0])))
    assert (x.mean[0], x.variance[0]) == (pytest.approx(3.0), pytest.approx(4.0))


def test_sums_and_products_of_independent_variables() -> None:
    rng = np.random.default_rng(1)
    a, b = some_moments(rng, 3), some_moments(rng, 3)
    u, v = (m.mean[:, None] + np.sqrt(m.variance)[:, None] * rng.normal(size=(3, 400_000)) for m in (a, b))
    for predicted, values in ((moments.total(a, b), u + v), (moments.product(a, b), u * v)):
        np.testing.assert_allclose(predicted.mean, values.mean(axis=1), rtol=0.03, atol=0.01)
        np.testing.assert_allclose(predicted.variance, values.var(axis=1), rtol=0.03)


def test_pooling_moves_moments_the_right_way() -> None:
    x = moments.constant(2, 1.0, 4.0)
    assert moments.max_pooled(x, 9).mean[0] > moments.max_pooled(x, 4).mean[0] > 1.0
    small, large = moments.mean_pooled(x, 4), moments.mean_pooled(x, 10_000)
    assert small.mean[0] == large.mean[0] == 1.0
    assert 4.0 > small.variance[0] > large.variance[0] > 0.5
