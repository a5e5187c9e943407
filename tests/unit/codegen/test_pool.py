"""The thread pool under stress: what other threads wrote in the step before must be there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import pytest

from mlc.codegen.jit import Library, Session
from mlc.codegen.program import Program, TensorSpec
from mlc.codegen.steps import BufferRef, Call
from mlc.codegen.targets.base import Target

Kernel = tuple[str, str]
Build = Callable[[Program, list[Kernel]], Library]
STEPS = 50


def _rotating(target: Target, *, barrier: bool = True) -> Program:
    """50 steps back and forth between two buffers: the result is the input rotated by 50, plus 50."""
    spec = TensorSpec("x", "int32", (64,))
    buffers = [BufferRef("arena"), BufferRef("arena", offset=256)]
    places = [BufferRef("input"), *(buffers[i % 2] for i in range(STEPS - 1)), BufferRef("output")]
    calls = tuple(Call("rotate", (places[i], places[i + 1]), barrier) for i in range(STEPS))
    return Program("toy", (spec,), (spec,), calls, 512, 0, "", target)


def _wrong_runs(session: Session, runs: int) -> int:
    x, y = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    expected = np.roll(x, -STEPS) + STEPS
    step = session.bind([x.ctypes.data], [y.ctypes.data])
    wrong = 0
    for _ in range(runs):
        y[:] = 0
        step()
        wrong += not np.array_equal(y, expected)
    return wrong


@pytest.mark.parametrize(("threads", "runs"), [(1, 50), (2, 200), (3, 100), (5, 50), (16, 10)])
def test_barriers_separate_steps(x86_64: Target, rotate_kernel: Kernel, build: Build, threads: int, runs: int) -> None:
    """Also with more threads than processors, where waiting threads must sleep."""
    with Session(build(_rotating(x86_64), [rotate_kernel]), "toy", threads=threads) as session:
        assert session.threads == threads
        assert _wrong_runs(session, runs) == 0


def test_missing_barriers_are_noticed(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    """The test above can fail: without barriers the same program goes wrong."""
    library = build(_rotating(x86_64, barrier=False), [rotate_kernel])
    with Session(library, "toy", threads=4) as session:
        assert _wrong_runs(session, 500) > 0


def test_workers_wake_after_sleeping(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    with Session(build(_rotating(x86_64), [rotate_kernel]), "toy", threads=3) as session:
        for _ in range(20):
            time.sleep(0.005)  # longer than the workers spin
            assert _wrong_runs(session, 1) == 0


def test_idle_workers_use_no_processor(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    with Session(build(_rotating(x86_64), [rotate_kernel]), "toy", threads=4) as session:
        assert _wrong_runs(session, 5) == 0
        time.sleep(0.05)
        before = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - before < 0.02


def test_contexts_come_and_go(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    library = build(_rotating(x86_64), [rotate_kernel])
    for cycle in range(100):
        with Session(library, "toy", threads=1 + cycle % 5) as session:
            assert _wrong_runs(session, 2) == 0
    library.close()


def test_two_contexts_at_once(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    library = build(_rotating(x86_64), [rotate_kernel])
    with Session(library, "toy", threads=3) as first, Session(library, "toy", threads=2) as second:
        for _ in range(50):
            assert _wrong_runs(first, 1) + _wrong_runs(second, 1) == 0


def test_workers_inherit_affinity_and_count_by_it(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    """With 0 threads asked for, the emitted code counts the processors of its own affinity mask."""
    library = build(_rotating(x86_64), [rotate_kernel])
    before = os.sched_getaffinity(0)
    tasks = set(os.listdir("/proc/self/task"))
    one = {min(before)}
    os.sched_setaffinity(0, one)
    try:
        context = Session(library, "toy", threads=2)
        (worker,) = set(os.listdir("/proc/self/task")) - tasks
        assert os.sched_getaffinity(int(worker)) == one
        assert _wrong_runs(context, 5) == 0
        context.close()
        assert _threads_for_zero(library) == 1
    finally:
        os.sched_setaffinity(0, before)
    assert _threads_for_zero(library) == len(before)


def _threads_for_zero(library: Library) -> int:
    """What NAME_init(threads=0) makes of it, without the session's own counting."""
    import ctypes

    from mlc.codegen.runtime.context import CONTEXT_BYTES
    from mlc.codegen.weights import Region

    context = Region.allocate(CONTEXT_BYTES)
    address = ctypes.c_void_p(context.address)
    assert library.handle["toy_init"](address, None, ctypes.c_size_t(0), ctypes.c_int32(0)) == 0
    threads = library.handle["toy_threads"](address)
    library.handle["toy_free"](address)
    return threads


def test_too_many_threads_are_capped(x86_64: Target, rotate_kernel: Kernel, build: Build) -> None:
    with Session(build(_rotating(x86_64), [rotate_kernel]), "toy", threads=100_000) as session:
        assert session.threads == 256
        assert _wrong_runs(session, 1) == 0
