"""Kernels whose computes call their dims by different names: what is normalised lies transposed before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32, i8, i32, i64
from xdsl.ir import Attribute

from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.hlt.dtypes import ui8
from mlc.dialects.interpreters import run_function
from mlc.testing.kernels import TARGETS, program, run_kernels
from mlc.testing.strategies import extents, random_array
from mlc.testing.tolerances import EXACT, Ulp, assert_within

few = settings(max_examples=8, deadline=None)


@pytest.mark.parametrize("target", TARGETS)
@few
@given(st.data())
def test_softmax_between_transposes(target: str, data: st.DataObject) -> None:
    shape = (data.draw(extents(3)), data.draw(extents(33)), data.draw(extents(17)))
    before, after = (data.draw(st.permutations(range(3))) for _ in range(2))

    def build(b: Any, v: Any) -> Any:
        turned = b(hlt.TransposeOp(v[0], permutation=before))
        normal = b(hlt.SoftmaxOp(turned, axis=data.draw(st.integers(0, 2))))
        return b(hlt.TransposeOp(normal, permutation=after))

    module = program([tensor_type(shape, f32)], build)
    x = random_array(data.draw(st.integers(0, 9)), shape, f32)
    (actual,), (expected,) = run_kernels(module, [x], target=target), run_function(module, [x])
    assert_within(actual, expected, Ulp(16))


@pytest.mark.parametrize("element", [i8, ui8, i32, i64], ids=str)
@few
@given(st.data())
def test_powers_of_integers(element: Attribute, data: st.DataObject) -> None:
    """They wrap; with a negative exponent only those of 1 and -1 are not 0."""
    shape, target = (data.draw(extents(33)),), data.draw(st.sampled_from(TARGETS))
    module = program([tensor_type(shape, element)] * 2, lambda b, v: b(hlt.PowOp(*v)))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    low = 0 if element == ui8 else -5
    x, y = (generator.integers(low, high, shape).astype(hlt.numpy_dtype(element)) for high in (6, 40))
    (actual,), (expected,) = run_kernels(module, [x, y], target=target), run_function(module, [x, y])
    assert_within(actual, expected, EXACT)
