"""The harness that runs single kernels notices wrong results and writes beside a buffer."""

from __future__ import annotations

import numpy as np

from mlc.testing.loops import compile_loop, guarded, intact
from mlc.testing.samples import elementwise, gemm


def test_runs_a_kernel_on_several_threads() -> None:
    sample = gemm(9, 33, 5)
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    compile_loop(sample.kernel, threads=3)(*arrays, threads=3)
    np.testing.assert_allclose(arrays[-1], expected, rtol=1e-5, atol=1e-5)


def test_one_thread_of_two_does_half() -> None:
    """Each thread does its own share only: the reference shows what is missing."""
    sample = elementwise(8, 64)
    arrays = sample.arrays()
    (expected,) = sample.expected(arrays)
    compiled = compile_loop(sample.kernel, threads=2)
    compiled(*arrays, threads=2)
    done = arrays[-1].copy()
    arrays[-1][...] = np.nan
    compiled.run_thread(arrays, 0, 2)
    written = ~np.isnan(arrays[-1])
    assert 0 < written.sum() < written.size
    np.testing.assert_array_equal(arrays[-1][written], done[written])
    np.testing.assert_allclose(done, expected, rtol=1e-5, atol=1e-5)


def test_writes_beside_a_buffer_are_seen() -> None:
    array, memory = guarded(np.arange(5, dtype=np.float32))
    assert intact(array, memory)
    assert array.ctypes.data % 64 == 0
    start = array.ctypes.data - memory.ctypes.data
    for place in (start - 1, start + array.nbytes, 0, memory.size - 1):
        memory[place] ^= 1
        assert not intact(array, memory)
        memory[place] ^= 1
    array[...] = 0
    assert intact(array, memory)
