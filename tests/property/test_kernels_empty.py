"""Dims of extent 0: nothing is written outside, and folds of nothing are what the reference says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from xdsl.dialects.builtin import f32, i64
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.interpreters import run_function
from mlc.testing.kernels import program, run_kernels
from mlc.testing.strategies import random_array
from mlc.testing.tolerances import EXACT, assert_within

Case = tuple[list[tuple[int, ...]], Callable[[Sequence[SSAValue]], hlt.HltOp]]
CASES: dict[str, Case] = {
    "add": ([(0, 3), (0, 3)], lambda v: hlt.AddOp(*v)),
    "sum": ([(3, 0, 4)], lambda v: hlt.ReduceOp(*v, kind="sum", axes=(1,), keep_dims=False)),
    "max": ([(3, 0, 4)], lambda v: hlt.ReduceOp(*v, kind="max", axes=(1,), keep_dims=True)),
    "sum_of_all": ([(0, 0)], lambda v: hlt.ReduceOp(*v, kind="prod", axes=(0, 1), keep_dims=False)),
    "product": ([(3, 0), (0, 5)], lambda v: hlt.DotGeneralOp(*v, lhs_contract=(1,), rhs_contract=(0,))),
    "no_rows": ([(0, 3), (3, 5)], lambda v: hlt.DotGeneralOp(*v, lhs_contract=(1,), rhs_contract=(0,))),
    "softmax": ([(3, 0)], lambda v: hlt.SoftmaxOp(*v, axis=1)),
    "pad": ([(0, 3)], lambda v: hlt.PadOp(*v, low=(1, 0), high=(0, 2), mode="constant", value=1.0)),
    "concat": ([(0, 3), (2, 3)], lambda v: hlt.ConcatOp(v, axis=0)),
    "scan": ([(3, 0)], lambda v: hlt.ScanOp(*v, kind="sum", axis=1)),
    "reshape": ([(3, 0, 4)], lambda v: hlt.ReshapeOp(*v, shape=(0, 2, 5))),
    "transpose": ([(3, 0, 4)], lambda v: hlt.TransposeOp(*v, permutation=(2, 1, 0))),
    "broadcast": ([(1, 4)], lambda v: hlt.BroadcastOp(*v, shape=(0, 4), dims=(0, 1))),
    "slice": ([(3, 4)], lambda v: hlt.SliceOp(*v, starts=(0, 2), sizes=(3, 0))),
    "reverse": ([(3, 0)], lambda v: hlt.ReverseOp(*v, axes=(0, 1))),
    "resize": ([(3, 4)], lambda v: hlt.ResizeOp(*v, shape=(3, 0), scales=(1.0, 0.1))),
}


@pytest.mark.parametrize("case", CASES)
def test_empty(case: str) -> None:
    shapes, build = CASES[case]
    module = program([tensor_type(s, f32) for s in shapes], lambda b, v: b(build(v)))
    arrays = [random_array(i, s, f32) for i, s in enumerate(shapes)]
    assert_within(run_kernels(module, arrays)[0], run_function(module, arrays)[0], EXACT)


def test_no_indices() -> None:
    """Without indices even an empty operand is in range."""
    types = [tensor_type((0, 4), f32), tensor_type((0,), i64)]
    module = program(types, lambda b, v: b(hlt.GatherOp(*v, axis=0)))
    (result,) = run_kernels(module, [np.zeros((0, 4), np.float32), np.zeros(0, np.int64)])
    assert result.shape == (0, 4)
