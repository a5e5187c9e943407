"""The reference interpreter of loop kernels agrees with NumPy and refuses what has no meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.parser import Parser

from mlc.dialects.interpreters.loop import run_kernel
from mlc.dialects.loop import KernelOp
from mlc.errors import InternalError, ModelError
from mlc.lowering.loops.collapse import collapse_kernel
from mlc.lowering.loops.fuse import fuse_kernel
from mlc.registry import make_context
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, layer_norm, softmax

Array = NDArray[Any]


def parsed(text: str) -> KernelOp:
    kernel = next(iter(Parser(make_context(), text).parse_module().ops))
    assert isinstance(kernel, KernelOp)
    return kernel


def copying(index: str, extent: int = 4, subscripts: str = "", maps: str = "") -> KernelOp:
    """A copy of four elements whose input is indexed by ``index``."""
    return parsed(f"""
loop.kernel @k {{
^bb0(%x: memref<{extent}xf32>, %i: memref<4xi64>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<{extent}xf32>) outs(%y : memref<4xf32>) {subscripts} dims <"a=4">
    maps [#loop.map<"{index}">, #loop.map<"a">{maps}] init {{ }} map {{ }} combine {{ }} finish {{
  ^bb1(%e: f32):
    loop.yield %e : f32
  }}
}}
""")


def linear(x: Array, w: Array, b: Array) -> Array:
    return x @ w + b


def softened(x: Array) -> Array:
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def squashed(x: Array, y: Array) -> Array:
    return np.tanh(x) + y


NUMPY: dict[str, tuple[Sample, Callable[..., Array]]] = {
    "gemm": (gemm(5, 7, 3), linear),
    "softmax": (softmax(4, 6), softened),
    "elementwise": (elementwise(3, 5), squashed),
}


@pytest.mark.parametrize("name", NUMPY)
def test_agrees_with_numpy(name: str) -> None:
    sample, function = NUMPY[name]
    arrays = sample.arrays()
    (result,) = sample.expected(arrays)
    np.testing.assert_allclose(result, function(*(a.astype(np.float64) for a in arrays[:-1])), rtol=1e-12)


SAMPLES = [gemm(5, 7, 3), conv(6, 3, 4), conv(6, 8, 12, block=4), depthwise(5, 8), softmax(4, 6), layer_norm(4, 6)]


@pytest.mark.parametrize("sample", SAMPLES, ids=repr)
def test_fuse_and_collapse_keep_the_meaning(sample: Sample) -> None:
    arrays = [a.astype(np.float64) for a in sample.arrays()]
    (expected,) = sample.expected(arrays)
    kernel = sample.kernel.clone()
    fuse_kernel(kernel)
    collapse_kernel(kernel)
    kernel.verify()
    run_kernel(kernel, arrays, widen=True)
    np.testing.assert_allclose(arrays[-1], expected, rtol=1e-12, atol=1e-12)


def test_indices_leave_no_buffer() -> None:
    arrays = [np.zeros(4, np.float32), np.zeros(4, np.int64), np.zeros(4, np.float32)]
    run_kernel(copying("a"), arrays)
    for index in ("a + 1", "a - 1"):
        with pytest.raises(InternalError, match="leaves its buffer"):
            run_kernel(copying(index), arrays)


def test_subscripts_count_from_the_end_and_are_checked() -> None:
    kernel = copying("@0[4]", subscripts="subscripts(%i : memref<4xi64>)", maps=', #loop.map<"a">')
    x, y = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    run_kernel(kernel, [x, np.array([3, -1, 0, -4]), y])
    np.testing.assert_array_equal(y, [3, 3, 0, 0])
    with pytest.raises(ModelError, match="out of range"):
        run_kernel(kernel, [x, np.array([0, 1, 2, 4]), y])


def test_sequential_dims_run_in_order() -> None:
    """Two computes hand a state back and forth along a dim of kind ``s``: Fibonacci."""
    step = """
  loop.compute ins(%{a}, %{b} : memref<9xi64>, memref<9xi64>) outs(%{b} : memref<9xi64>) dims <"t=8:s">
    maps [#loop.map<"t">, #loop.map<"t">, #loop.map<"t + 1">] init {{ }} map {{ }} combine {{ }} finish {{
  ^bb1(%p: i64, %q: i64):
    %s = arith.addi %p, %q : i64
    loop.yield %s : i64
  }}"""
    text = f"loop.kernel @k {{\n^bb0(%x: memref<9xi64>, %y: memref<9xi64>):{step.format(a='x', b='y')}\n"
    text += """
  loop.compute ins(%y : memref<9xi64>) outs(%x : memref<9xi64>) dims <"t=8:s">
    maps [#loop.map<"t">, #loop.map<"t + 1">] init { } map { } combine { } finish {
  ^bb1(%q: i64):
    loop.yield %q : i64
  }
}
"""
    x, y = np.zeros(9, np.int64), np.zeros(9, np.int64)
    y[0] = 1
    run_kernel(parsed(text), [x, y])
    np.testing.assert_array_equal(y, [1, 1, 2, 3, 5, 8, 13, 21, 34])
