"""Memory of dropped results serves later ones, and never while anybody can still see it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlc
from mlc.recycle import LEAST_BYTES, Pool
from mlc.testing.onnx_models import unary

Array = np.ndarray[Any, np.dtype[Any]]
BIG = (1 << 10, 1 << 8)


def place(array: Array) -> int:
    return array.__array_interface__["data"][0]


def pool(count: int = 1) -> Pool:
    made = Pool()
    made.expect(count)
    return made


def test_memory_comes_back_with_the_last_view() -> None:
    memory = pool()
    first = memory.empty(BIG, np.dtype(np.float32))
    at, part = place(first), first[3:, ::2].T
    del first
    second = memory.empty(BIG, np.dtype(np.float32))
    assert place(second) != at
    del part
    assert place(memory.empty(BIG, np.dtype(np.float32))) == at


def test_a_view_of_another_library_keeps_the_memory() -> None:
    memory = pool()
    first = memory.empty(BIG, np.dtype(np.float32))
    other = np.from_dlpack(first)
    del first
    assert memory.waiting == 0
    del other
    assert memory.waiting == 1


def test_results_that_grow_a_little_fit() -> None:
    memory = pool()
    places = set[int]()
    for rows in range(1000, 1010):
        array = memory.empty((rows, 300), np.dtype(np.float32))
        places.add(place(array))
        del array
    assert len(places) == 1


@given(
    st.lists(st.integers(0, 3), max_size=4),
    st.integers(0, 3000),
    st.sampled_from(["float32", "int8", "bool", "float64", "complex64"]),
)
def test_arrays_are_what_was_asked_for(head: list[int], last: int, name: str) -> None:
    shape, dtype = (*head, last, 100), np.dtype(name)
    array = pool().empty(shape, dtype)
    assert (array.shape, array.dtype, type(array)) == (shape, dtype, np.ndarray)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
    array[...] = 1


def test_types_that_numpy_lacks() -> None:
    import ml_dtypes

    array = pool().empty(BIG, np.dtype(ml_dtypes.bfloat16))
    assert array.dtype == ml_dtypes.bfloat16


def test_small_arrays_own_their_memory() -> None:
    assert pool().empty((LEAST_BYTES - 1,), np.dtype(np.int8)).flags.owndata


def test_few_blocks_wait() -> None:
    memory = pool(3)
    arrays = [memory.empty((n, LEAST_BYTES), np.dtype(np.int8)) for n in range(1, 40)]
    del arrays
    assert memory.waiting == 6


def test_threads_get_memory_of_their_own() -> None:
    memory, bad = pool(8), list[int]()

    def work(number: int) -> None:
        for _ in range(200):
            arrays = [memory.empty((LEAST_BYTES,), np.dtype(np.int8)) for _ in range(3)]
            for array in arrays:
                array[:] = number
            bad.extend(number for array in arrays if not (array == number).all())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad


@pytest.mark.parametrize("dims", [None, {"n": "1..900"}])
def test_results_of_a_model_stay_as_they_are(dims: dict[str, int | str] | None) -> None:
    net = mlc.compile(unary("Neg", shape=("n", 1000)), dims=dims)
    inputs = [np.full((rows, 1000), rows, np.float32) for rows in (700, 701, 702, 700, 701)]
    kept = [net(x) for x in inputs[:3]]
    for x in inputs:
        np.testing.assert_array_equal(net(x), -x)
    for x, y in zip(inputs, kept):
        np.testing.assert_array_equal(y, -x)
