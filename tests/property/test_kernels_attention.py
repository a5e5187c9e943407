"""Attention as kernels: queries that see no key, and keys that are not visible."""

import numpy as np
import pytest
from xdsl.dialects.builtin import f32, i1

from mlc.dialects import hlt
from mlc.dialects.interpreters import run_function
from mlc.testing.kernels import TARGETS, program, run_kernels


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("causal", [False, True])
def test_queries_that_see_no_key_yield_zero(target: str, causal: bool) -> None:
    generator = np.random.default_rng(0)
    shapes = [(1, 2, 9, 8), (1, 2, 7, 8), (1, 2, 7, 8), (1, 1, 9, 7)]
    q, k, v, mask = (generator.standard_normal(shape).astype(np.float32) for shape in shapes)
    mask[..., 5, :] = -np.inf
    mask[..., 6, 2] = -np.inf
    types = [hlt.tensor_type(shape, f32) for shape in shapes]
    module = program(types, lambda b, a: b(hlt.AttentionOp(*a, scale=0.35, causal=causal)))
    (expected,) = run_function(module, [q, k, v, mask], widen=True)
    (actual,) = run_kernels(module, [q, k, v, mask], target=target)
    assert not actual[:, :, 5].any()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("own", [False, True])
def test_what_keys_hold_that_are_not_visible_does_not_matter(target: str, own: bool) -> None:
    generator = np.random.default_rng(0)
    shapes = [(1, 2, 9, 8), (1, 2, 21, 8), (1, 2, 21, 8), (1, 1, 1, 21)]
    q, k, v, mask = (generator.standard_normal(shape).astype(np.float32) for shape in shapes)
    k[:, :, 17:] = np.nan
    k[:, 1, 18] = mask[..., 19] = np.inf
    visible = generator.random((1, 1, 9 if own else 1, 21)) < 0.7
    visible[..., 17:] = False
    visible[:, :, 9 // 2 : 9 // 2 + own] = False
    types = [*(hlt.tensor_type(shape, f32) for shape in shapes), hlt.tensor_type(visible.shape, i1)]
    module = program(types, lambda b, a: b(hlt.AttentionOp(*a, scale=0.35)))
    (expected,) = run_function(module, [q, k, v, mask, visible], widen=True)
    (actual,) = run_kernels(module, [q, k, v, mask, visible], target=target)
    assert np.isfinite(actual).all()
    assert not own or not actual[:, :, 4].any()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_safe_softmax_of_hidden_elements(target: str, log: bool, axis: int) -> None:
    x = np.random.default_rng(0).standard_normal((19, 19)).astype(np.float32)
    x[:, 3] = x[5] = x[7, 2:] = x[2:, 9] = -np.inf
    module = program([hlt.tensor_type(x.shape, f32)], lambda b, a: b(hlt.SoftmaxOp(*a, axis=axis, log=log, safe=True)))
    (expected,) = run_function(module, [x], widen=True)
    (actual,) = run_kernels(module, [x], target=target)
    assert not np.isnan(expected).any()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
