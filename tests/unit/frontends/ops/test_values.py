"""Values at the edges of element-wise, index, reduction, normalisation, recurrent and resize operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlc.errors import ModelError

Build = Callable[..., Any]
Array = np.ndarray[Any, Any]

INF, NAN = np.inf, np.nan
EXTREME = np.array([-INF, -1e4, -1, -0.0, 0.5, 1e4, INF, NAN], np.float32)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("Softplus (x)", [0, 0, np.log1p(np.exp(-1)), np.log(2), np.log1p(np.exp(0.5)), 1e4, INF, NAN]),
        ("Relu (x)", [0, 0, 0, 0, 0.5, 1e4, INF, NAN]),
        ("Elu (x)", [-1, -1, np.expm1(-1), 0, 0.5, 1e4, INF, NAN]),
        ("LeakyRelu <alpha = 2.0> (x)", [-INF, -2e4, -2, 0, 0.5, 1e4, INF, NAN]),
        ("HardSigmoid (x)", [0, 0, 0.3, 0.5, 0.6, 1, 1, NAN]),
        ("ThresholdedRelu (x)", [0, 0, 0, 0, 0, 1e4, INF, 0]),
        ("Clip (x, low, high)", [-2, -2, -1, 0, 0.5, 3, 3, NAN]),
        ("Clip (x, , low)", [-INF, -1e4, -2, -2, -2, -2, -2, NAN]),
        ("Sign (x)", [-1, -1, -1, 0, 1, 1, 1, NAN]),
        ("Max (x, low)", [-2, -2, -1, 0, 0.5, 1e4, INF, NAN]),
    ],
)
def test_element_wise_extremes(build: Build, node: str, expected: list[float]) -> None:
    program = build(f"g (float[8] x) => (float[8] y) <float low = {{-2}}, float high = {{3}}> {{ y = {node} }}")
    np.testing.assert_allclose(program(EXTREME), np.array(expected, np.float32), rtol=1e-6)


@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [
        ("int32", "float", [1, 1, 4, 15]),  # 2.5 ** 3 truncates
        ("float", "int32", [1, 1, 4, 27]),
        ("int64", "int32", [1, 1, 4, 27]),
    ],
)
def test_power_has_the_bases_type(build: Build, base: str, exponent: str, expected: list[int]) -> None:
    program = build(f"g ({base}[4] x, {exponent}[4] e) => ({base}[4] y) {{ y = Pow (x, e) }}")
    kinds = {"int32": np.int32, "int64": np.int64, "float": np.float32}
    powers = [0, 1, 2, 3] if exponent == "int32" else [0, 1, 2, 2.5]
    result = program(np.array([5, 1, 2, 3], kinds[base]), np.array(powers, kinds[exponent]))
    assert result.dtype == kinds[base]
    np.testing.assert_array_equal(result, expected)


def test_square_is_a_multiplication(build: Build) -> None:
    program = build("g (float[2] x) => (float[2] y) <float two = {2}> { y = Pow (x, two) }")
    assert program.names == ["mul"]


def test_one_hot_wraps_once_and_ignores_the_rest(build: Build) -> None:
    program = build(
        """
        g (int32[5] i) => (float[5, 3] y) <int64 depth = {3}, float[2] values = {2, 7}> {
            y = OneHot (i, depth, values) }"""
    )
    expected = np.full((5, 3), 2, np.float32)
    expected[[0, 1, 2], [0, 2, 2]] = 7
    np.testing.assert_array_equal(program(np.array([0, 2, -1, 3, -4], np.int32)), expected)


def test_reverse_sequence_keeps_what_is_beyond(build: Build) -> None:
    program = build(
        """
        g (float[2, 4] x, int64[2] n) => (float[2, 4] y) {
            y = ReverseSequence <batch_axis = 0, time_axis = 1> (x, n) }"""
    )
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    expected = np.array([[2, 1, 0, 3], [4, 5, 6, 7]], np.float32)
    np.testing.assert_array_equal(program(x, np.array([3, 1])), expected)


def test_large_masks_are_computed(build: Build) -> None:
    """The triangle of a large matrix is compared from indices, not stored."""
    program = build("g (float[200, 300] x) => (float[] y) <int64 k = {-3}> { y = Trilu <upper = 0> (x, k) }")
    assert len(program.model.weights) <= 1
    x = np.ones((200, 300), np.float32)
    np.testing.assert_array_equal(program(x), np.tril(x, -3))


@pytest.mark.parametrize(("value", "expected"), [(-INF, -INF), (INF, INF), (1e4, 1e4 + np.log(3))])
def test_log_sum_exp_does_not_overflow(build: Build, value: float, expected: float) -> None:
    program = build("g (float[1, 3] x) => (float[] y) { y = ReduceLogSumExp <keepdims = 0> (x) }")
    np.testing.assert_allclose(program(np.full((1, 3), value, np.float32)), np.float32(expected))


@pytest.mark.parametrize(("noop", "shape"), [(0, ()), (1, (2, 3))])
def test_empty_axes(build: Build, noop: int, shape: tuple[int, ...]) -> None:
    program = build(
        f"""
        g (float[2, 3] x) => (float[] y) <int64[0] axes = {{}}> {{
            y = ReduceSum <keepdims = 0, noop_with_empty_axes = {noop}> (x, axes) }}"""
    )
    assert program(np.ones((2, 3), np.float32)).shape == shape


def test_booleans_reduce_by_logic(build: Build) -> None:
    program = build("g (bool[2, 2] x) => (bool[] y) <int64[1] a = {1}> { y = ReduceMax <keepdims = 0> (x, a) }")
    np.testing.assert_array_equal(program(np.array([[True, False], [False, False]])), [True, False])


def test_half_precision_norms_compute_in_single(build: Build) -> None:
    """Squares of 1000 overflow f16; the statistics are kept in f32."""
    program = build(
        """
        g (float16[1, 4] x, float16[4] w) => (float16[1, 4] y) { y = LayerNormalization (x, w) }"""
    )
    x = np.array([[1000, -1000, 1000, -1000]], np.float16)
    np.testing.assert_allclose(program(x, np.ones(4, np.float16)), np.sign(x), rtol=1e-3)


def test_layer_norm_statistics(build: Build) -> None:
    program = build(
        """
        g (float[2, 3, 4] x, float[3, 4] w) => (float[] s) {
            y, m, s = LayerNormalization <axis = 1, epsilon = 0.0> (x, w) }"""
    )
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(
        program(x, np.ones((3, 4), np.float32)), 1 / x.std(axis=(1, 2), keepdims=True), rtol=1e-5
    )


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_batch_first_cells_transpose(build: Build, op: str, gates: int) -> None:
    """``layout`` 1 is ``layout`` 0 between transposes."""
    text = """
        g (float[{shape}] x, float[2, {rows}, 3] w, float[2, {rows}, 5] r) => (float[] y) {{
            y, h = {op} <direction = "bidirectional", hidden_size = 5, layout = {layout}> (x, w, r) }}"""
    shapes = {"op": op, "rows": gates * 5}
    random = np.random.default_rng(gates)
    x, w, r = (random.standard_normal(s).astype(np.float32) for s in ((4, 2, 3), (2, gates * 5, 3), (2, gates * 5, 5)))
    time_major = build(text.format(shape="4, 2, 3", layout=0, **shapes))(x, w, r)
    batch_major = build(text.format(shape="2, 4, 3", layout=1, **shapes))(x.transpose(1, 0, 2), w, r)
    np.testing.assert_array_equal(batch_major, time_major.transpose(2, 0, 1, 3))


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ("", (1, 1, 6, 9)),
        ('keep_aspect_ratio_policy = "not_larger"', (1, 1, 6, 9)),
        ('keep_aspect_ratio_policy = "not_smaller"', (1, 1, 6, 9)),
    ],
)
def test_resize_of_some_axes(build: Build, attributes: str, shape: tuple[int, ...]) -> None:
    separator = ", " if attributes else ""
    program = build(
        f"""
        g (float[1, 1, 4, 6] x) => (float[] y) <int64[2] sizes = {{6, 9}}> {{
            y = Resize <axes = [2, 3]{separator}{attributes}> (x, , , sizes) }}"""
    )
    assert program(np.ones((1, 1, 4, 6), np.float32)).shape == shape


@pytest.mark.parametrize(("policy", "shape"), [("not_larger", (7, 14)), ("not_smaller", (10, 20))])
def test_resize_keeps_the_aspect_ratio(build: Build, policy: str, shape: tuple[int, ...]) -> None:
    program = build(
        f"""
        g (float[3, 6] x) => (float[] y) <int64[2] sizes = {{10, 14}}> {{
            y = Resize <keep_aspect_ratio_policy = "{policy}"> (x, , , sizes) }}"""
    )
    assert program(np.ones((3, 6), np.float32)).shape == shape


@pytest.mark.parametrize(("scales", "message"), [("0, 1", "not positive"), ("1, 2, 3", "3 scales for 2 axes")])
def test_bad_scales(build: Build, scales: str, message: str) -> None:
    count = scales.count(",") + 1
    with pytest.raises(ModelError, match=rf"r \(Resize\).*{message}"):
        build(
            f"""
            g (float[3, 6] x) => (float[] y) <float[{count}] s = {{{scales}}}> {{ [r] y = Resize (x, , s) }}"""
        )


@pytest.mark.parametrize("bounds", [(0, 7, 3), (7, 0, -3), (0, 6, 3), (5, 5, 1), (5, 4, 1), (2**62, 2**62 + 3, 2)])
def test_range_of_integers_is_exact(build: Build, bounds: tuple[int, int, int]) -> None:
    names = ("start", "limit", "delta")
    constants = ", ".join(f"int64 {name} = {{{value}}}" for name, value in zip(names, bounds))
    program = build(f"g () => (int64[] y) <{constants}> {{ y = Range (start, limit, delta) }}")
    assert program.names == []
    np.testing.assert_array_equal(program(), np.array(range(*bounds), np.int64))
