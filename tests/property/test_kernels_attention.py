"""Attention as kernels, where the reference has a value for queries that see no key."""

import numpy as np
import pytest
from xdsl.dialects.builtin import f32

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
