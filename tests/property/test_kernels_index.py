"""Compiled gathers and scatters move exactly what the reference moves, and report indices out of range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp, f16, f32, f64, i1, i8, i32, i64
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.interpreters import run_function
from mlc.errors import ModelError
from mlc.testing.kernels import TARGETS, Builder, compile_kernels, program, run_kernels
from mlc.testing.strategies import extents, random_array
from mlc.testing.tolerances import EXACT, assert_within

Array = NDArray[Any]
ELEMENTS = (f32, f64, f16, i64, i8, i1)
few = settings(max_examples=6, deadline=None)


def indices(seed: int, shape: tuple[int, ...], extent: int, element: Any) -> Array:
    """Indices in range, negative ones among them."""
    generator = np.random.default_rng(seed)
    return generator.integers(-extent, extent, shape).astype(np.int32 if element == i32 else np.int64)


def agrees(module: ModuleOp, arrays: list[Array], target: str, threads: int = 1) -> None:
    """Every output has exactly the reference's values."""
    outputs = run_kernels(module, arrays, target=target, threads=threads)
    for actual, expected in zip(outputs, run_function(module, arrays), strict=True):
        assert_within(actual, expected, EXACT)


@pytest.mark.parametrize("target", TARGETS)
@few
@given(st.data())
def test_gather(target: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(extents(33), min_size=1, max_size=3)))
    places = tuple(data.draw(st.lists(extents(9), max_size=2)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    element, kind = data.draw(st.sampled_from(ELEMENTS)), data.draw(st.sampled_from([i64, i32]))
    module = program(
        [tensor_type(shape, element), tensor_type(places, kind)], lambda b, v: b(hlt.GatherOp(*v, axis=axis))
    )
    x, i = random_array(1, shape, element), indices(2, places, shape[axis], kind)
    agrees(module, [x, i], target, threads=data.draw(st.sampled_from([1, 2])))


@pytest.mark.parametrize("target", TARGETS)
@few
@given(st.data())
def test_gather_elements(target: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(extents(33), min_size=1, max_size=3)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = tuple(data.draw(extents(n if d != axis else 17)) for d, n in enumerate(shape))
    module = program(
        [tensor_type(shape, f32), tensor_type(places, i64)], lambda b, v: b(hlt.GatherElementsOp(*v, axis=axis))
    )
    agrees(module, [random_array(1, shape, f32), indices(2, places, shape[axis], i64)], target)


@pytest.mark.parametrize("target", TARGETS)
@few
@given(st.data())
def test_gather_nd(target: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(extents(17), min_size=2, max_size=4)))
    batch = data.draw(st.integers(0, len(shape) - 2))
    depth = data.draw(st.integers(0, len(shape) - batch))
    lead = shape[:batch] + tuple(data.draw(st.lists(extents(5), max_size=1)))
    i = np.zeros((*lead, depth), np.int64)
    for d in range(depth):
        i[..., d] = indices(d, lead, shape[batch + d], i64)
    module = program(
        [tensor_type(shape, f32), tensor_type(i.shape, i64)],
        lambda b, v: b(hlt.GatherNdOp(*v, batch_dims=batch)),
    )
    agrees(module, [random_array(1, shape, f32), i], target)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_scatter_elements(target: str, reduction: str, data: st.DataObject) -> None:
    """Integers, so that sums and products are exact in every order; duplicates are likely."""
    shape = tuple(data.draw(st.lists(extents(17), min_size=1, max_size=3)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = tuple(data.draw(extents(n if d != axis else 9)) for d, n in enumerate(shape))
    module = program(
        [tensor_type(shape, i32), tensor_type(places, i64), tensor_type(places, i32)],
        lambda b, v: b(hlt.ScatterElementsOp(*v, axis=axis, reduction=reduction)),
    )
    arrays = [random_array(1, shape, i32), indices(2, places, shape[axis], i64), random_array(3, places, i32)]
    agrees(module, arrays, target, threads=2)


@pytest.mark.parametrize("reduction", ["none", "add", "max"])
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_scatter_nd(target: str, reduction: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(extents(17), min_size=1, max_size=3)))
    depth = data.draw(st.integers(1, len(shape)))
    lead = tuple(data.draw(st.lists(extents(5), min_size=1, max_size=2)))
    i = np.stack([indices(d, lead, shape[d], i64) for d in range(depth)], -1)
    updates = lead + shape[depth:]
    module = program(
        [tensor_type(shape, i32), tensor_type(i.shape, i64), tensor_type(updates, i32)],
        lambda b, v: b(hlt.ScatterNdOp(*v, reduction=reduction)),
    )
    agrees(module, [random_array(1, shape, i32), i, random_array(3, updates, i32)], target)


@pytest.mark.parametrize("target", TARGETS)
@few
@given(st.data())
def test_update_slice(target: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(extents(33), min_size=1, max_size=3)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = data.draw(st.integers(0, shape[axis]))
    part = (*shape[:axis], count, *shape[axis + 1 :])
    element, kind = data.draw(st.sampled_from(ELEMENTS)), data.draw(st.sampled_from([i64, i32]))
    module = program(
        [tensor_type(shape, element), tensor_type(part, element), tensor_type((), kind)],
        lambda b, v: b(hlt.UpdateSliceOp(*v, axis=axis)),
    )
    start = indices(data.draw(st.integers(0, 9)), (), shape[axis] - count + 1, kind)
    arrays = [random_array(1, shape, element), random_array(2, part, element), np.asarray(start)]
    agrees(module, arrays, target, threads=data.draw(st.sampled_from([1, 2])))


@pytest.mark.parametrize("target", TARGETS)
def test_epilogue(target: str) -> None:
    """What follows a gather joins its compute: nothing goes through memory."""
    types = [tensor_type((50, 33), f32), tensor_type((2, 7), i64), tensor_type((2, 7, 33), f32)]

    def build(b: Builder, v: Sequence[SSAValue]) -> SSAValue:
        x, i, y = v
        taken = b(hlt.GatherOp(x, i, axis=0))
        return b(hlt.MulOp(b(hlt.MaximumOp(taken, y)), y))

    module = program(types, build)
    arrays = [random_array(1, (50, 33), f32), indices(2, (2, 7), 50, i64), random_array(3, (2, 7, 33), f32)]
    compiled = compile_kernels(module.clone(), target=target)
    text = str(compiled.scheduled)
    assert text.count("loop.kernel") == 1
    assert "loop.scratch" not in text
    assert_within(compiled(*arrays)[0], run_function(module, arrays)[0], EXACT)


@pytest.mark.parametrize("bad", [50, -51, 2**62, -(2**63), 2**31])
@pytest.mark.parametrize("target", TARGETS)
def test_out_of_range(target: str, bad: int) -> None:
    """One bad index is an error of the model's inputs; a run after it is fine."""
    module = program([tensor_type((50, 17), f32), tensor_type((9,), i64)], lambda b, v: b(hlt.GatherOp(*v, axis=0)))
    x, i = random_array(1, (50, 17), f32), indices(2, (9,), 50, i64)
    compiled = compile_kernels(module, target=target, threads=2)
    wrong = i.copy()
    wrong[5] = bad
    with pytest.raises(ModelError, match="out of range"):
        compiled(x, wrong)
    assert (compiled(x, i)[0] == x[i]).all()


def test_scatter_out_of_range_leaves_memory_alone() -> None:
    """The update lands inside the result, whatever the index."""
    types = [tensor_type((4, 16), f32), tensor_type((1, 16), i64), tensor_type((1, 16), f32)]
    module = program(types, lambda b, v: b(hlt.ScatterElementsOp(*v, axis=0)))
    compiled = compile_kernels(module)
    x, u = np.zeros((4, 16), np.float32), np.ones((1, 16), np.float32)
    with pytest.raises(ModelError, match="out of range"):
        compiled(x, np.full((1, 16), 1 << 40), u)


@pytest.mark.parametrize("bad", [4, -5, 1 << 40])
def test_an_update_that_does_not_fit_leaves_memory_alone(bad: int) -> None:
    types = [tensor_type((2, 6), f32), tensor_type((2, 3), f32), tensor_type((), i64)]
    compiled = compile_kernels(program(types, lambda b, v: b(hlt.UpdateSliceOp(*v, axis=1))))
    x, u = np.zeros((2, 6), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(ModelError, match="out of range"):
        compiled(x, u, np.array(bad))
    assert compiled(x, u, np.array(-1))[0].tolist() == [[0, 0, 0, 1, 1, 1]] * 2


def test_no_index_can_be_right() -> None:
    module = program([tensor_type((0, 3), f32), tensor_type((2,), i64)], lambda b, v: b(hlt.GatherOp(*v, axis=0)))
    with pytest.raises(ModelError, match="index_range"):
        compile_kernels(module)
