"""Loading linked libraries in process and running them."""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlc.codegen import processors
from mlc.codegen.elf import ObjectFile
from mlc.codegen.jit import Library, Session, raise_status
from mlc.codegen.link import link_shared
from mlc.codegen.processors import available_processors
from mlc.codegen.program import Program, TensorSpec
from mlc.codegen.steps import BufferRef, Call
from mlc.codegen.targets.base import Target
from mlc.codegen.weights import WeightsImage
from mlc.errors import InternalError, ModelError, UnsupportedError, UsageError

Build = Callable[..., Library]
BuildObjects = Callable[[Program, list[tuple[str, str]]], list[ObjectFile]]
Kernel = tuple[str, str]
VECTOR = TensorSpec("x", "float32", (4096,))


def _weights(values: np.ndarray[Any, Any]) -> WeightsImage:
    image = WeightsImage.allocate(values.nbytes)
    image.payload[:] = values.tobytes()
    image.seal()
    return image


def _twice(target: Target, weights: WeightsImage, *, threads: bool = True) -> Program:
    """``y = x + w + w`` in two steps through the arena."""
    w, arena = BufferRef("weights"), BufferRef("arena", offset=64)
    return Program(
        "toy", (VECTOR,), (VECTOR,),
        (Call("add", (BufferRef("input"), w, arena)), Call("add", (arena, w, BufferRef("output")))),
        arena_bytes=4096 * 4 + 64, weights_bytes=4096 * 4, weights_sha256=weights.sha256,
        target=target, threads=threads,
    )  # fmt: skip


@pytest.fixture
def weights() -> WeightsImage:
    return _weights(np.arange(4096, dtype=np.float32))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_runs(x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build, threads: int) -> None:
    library = build(_twice(x86_64, weights), [add_kernel])
    x, y = np.random.default_rng(0).random(4096, np.float32), np.empty(4096, np.float32)
    expected = x + np.arange(4096, dtype=np.float32) * 2
    with Session(library, "toy", weights=weights, threads=threads) as session:
        assert session.threads == threads
        session.run_raw([x.ctypes.data], [y.ctypes.data])
        np.testing.assert_allclose(y, expected, rtol=1e-6)
        y[:] = 0
        step = session.bind([x.ctypes.data], [y.ctypes.data])
        step()
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    library.close()


def test_session_says_what_it_runs(x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build) -> None:
    with Session(build(_twice(x86_64, weights), [add_kernel]), "toy", weights=weights) as session:
        assert session.threads == available_processors()
        assert session.metadata["inputs"] == [{"name": "x", "dtype": "float32", "shape": [4096], "bytes": 16384}]
        assert session.metadata["kernels"] == ["add"]
    with pytest.raises(UsageError, match="closed"):
        session.bind([], [])


def test_wrong_weights_are_refused(x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build) -> None:
    library = build(_twice(x86_64, weights), [add_kernel])
    other = _weights(np.ones(4096, dtype=np.float32))
    short = _weights(np.ones(4095, dtype=np.float32))
    for wrong in (other, short, None):
        with pytest.raises(ModelError, match="weights"):
            Session(library, "toy", weights=wrong)


def test_processor_without_the_features_is_refused(weights: WeightsImage, build: Build) -> None:
    features = frozenset({"amx-fp16", "avxneconvert"})
    if features <= jit_host_features():
        pytest.skip("this processor has everything")
    target = Target("rare", "x86_64-unknown-linux-gnu", "x86-64", features, 16, 16)
    with pytest.raises(UnsupportedError, match="processor"):
        Session(build(Program("toy", (), (), (), 0, 0, "", target), []), "toy")


def jit_host_features() -> frozenset[str]:
    from mlc.codegen.llvm import host_features

    return host_features()


def test_kernel_reports_status(x86_64: Target, build: Build) -> None:
    fails = (
        "fails",
        "define void @fails(ptr %status, i64 %t, i64 %n) nounwind {\n store i32 4, ptr %status\n ret void }",
    )
    program = Program("toy", (), (), (Call("fails", (BufferRef("status"),)),), 0, 0, "", x86_64)
    with Session(build(program, [fails]), "toy", threads=1) as session:
        with pytest.raises(ModelError, match="index") as caught:
            session.run_raw([], [])
        assert caught.value.node == "toy"
        with pytest.raises(ModelError, match="index"):
            session.bind([], [])()


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 99])
def test_every_status_has_its_error(status: int) -> None:
    with pytest.raises((UsageError, UnsupportedError, ModelError, InternalError)):
        raise_status(status)


def test_libraries_loaded_one_after_another_are_distinct(x86_64: Target, build: Build) -> None:
    """The loader must not take a new library for an old one whose file descriptor had the same number."""
    for value in (11, 22, 33):
        program = Program("toy", (), (), (), value, 0, "", x86_64)
        library = build(program, [])
        assert library.handle["toy_arena_size"](None) == value
        library.close()
    with pytest.raises(InternalError, match="closed"):
        library.address("toy_run")


def test_unknown_symbol_and_unloadable_file(x86_64: Target, build: Build, tmp_path: Path) -> None:
    library = build(Program("toy", (), (), (), 0, 0, "", x86_64), [])
    with pytest.raises(UsageError, match="exports no"):
        library.address("toy_steps")
    with pytest.raises(UsageError, match="can't load"):
        Library.open(tmp_path / "missing.so")


def test_loads_without_memory_files(x86_64: Target, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    library = build(Program("toy", (), (), (), 7, 0, "", x86_64), [])
    assert library.handle["toy_arena_size"](None) == 7


def _mappings() -> int:
    return Path("/proc/self/maps").read_text().count("dropped")


def test_dropped_libraries_are_unloaded(
    x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build
) -> None:
    """Whatever goes first, the threads end before the code goes; a bound function keeps everything it needs."""
    program = dataclasses.replace(_twice(x86_64, weights), name="dropped")
    x, y = np.ones(4096, np.float32), np.zeros(4096, np.float32)
    for cyclic in (False, True):
        session = Session(build(program, [add_kernel]), "dropped", weights=weights, threads=3)
        step = session.bind([x.ctypes.data], [y.ctypes.data])
        if cyclic:
            session.__dict__["me"] = session
            session.library.__dict__["session"] = session
        del session
        gc.collect()
        assert _mappings() > 0
        step()
        assert y[5] == 11
        del step
        gc.collect()
        assert _mappings() == 0


def test_closing_the_library_ends_its_sessions(
    x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build
) -> None:
    library = build(_twice(x86_64, weights), [add_kernel])
    session = Session(library, "toy", weights=weights, threads=3)
    library.close()
    with pytest.raises(UsageError, match="closed"):
        session.run_raw([0], [0])
    session.close()


def test_a_library_kept_for_profilers(x86_64: Target, build_objects: BuildObjects, tmp_path: Path) -> None:
    program = Program("toy", (), (), (), 7, 0, "", x86_64)
    image = link_shared(build_objects(program, []), exports=program.exports)
    library = Library.load(image, "toy", folder=tmp_path)
    assert library.handle["toy_arena_size"](None) == 7
    library.close()
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == image.to_bytes()


def test_session_in_a_forked_child_runs_alone(
    x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build
) -> None:
    library = build(_twice(x86_64, weights), [add_kernel])
    x, y = np.ones(4096, np.float32), np.zeros(4096, np.float32)
    with Session(library, "toy", weights=weights, threads=2) as session:
        session.run_raw([x.ctypes.data], [y.ctypes.data])
        child = os.fork()
        if child == 0:
            y[:] = 0
            session.run_raw([x.ctypes.data], [y.ctypes.data])
            right = session.threads == 1 and y[7] == 15
            session.close()
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert session.threads == 2


def test_quota_caps_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_cgroup_quotas", lambda: [1, 7])
    assert available_processors() == 1


def test_bound_step_costs_less_than_a_microsecond(x86_64: Target, build: Build) -> None:
    library = build(Program("toy", (), (), (), 0, 0, "", x86_64), [])
    with Session(library, "toy", threads=1) as session:
        step = session.bind([], [])
        best = min(_seconds(step, 2000) for _ in range(20)) / 2000
    assert best < 1e-6


def _seconds(step: Callable[[], int], count: int) -> float:
    start = time.thread_time()
    for _ in range(count):
        step()
    return time.thread_time() - start


def test_calls_from_several_python_threads(
    x86_64: Target, weights: WeightsImage, add_kernel: Kernel, build: Build
) -> None:
    """Concurrent calls on one context: the pool serves one, the others run alone, all are right."""
    library = build(_twice(x86_64, weights), [add_kernel])
    wrong: list[int] = []

    def work(seed: int) -> None:
        x, y = np.full(4096, seed, np.float32), np.zeros(4096, np.float32)
        expected = x + np.arange(4096, dtype=np.float32) * 2
        for _ in range(200):
            y[:] = 0
            session.run_raw([x.ctypes.data], [y.ctypes.data])
            if not np.array_equal(y, expected):
                wrong.append(seed)

    with Session(library, "toy", weights=weights, threads=2) as session:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_workers_are_gone_after_close(x86_64: Target, build: Build) -> None:
    library = build(Program("toy", (), (), (), 0, 0, "", x86_64), [])
    before = set(os.listdir("/proc/self/task"))
    session = Session(library, "toy", threads=4)
    workers = set(os.listdir("/proc/self/task")) - before
    assert len(workers) == 3
    session.close()
    deadline = time.monotonic() + 5
    while workers & set(os.listdir("/proc/self/task")) and time.monotonic() < deadline:
        time.sleep(0.01)  # the kernel lists a thread for a moment after it was joined
    assert not workers & set(os.listdir("/proc/self/task"))


def test_workers_leave_signals_to_the_program(x86_64: Target, build: Build) -> None:
    library = build(Program("toy", (), (), (), 0, 0, "", x86_64), [])
    before = set(os.listdir("/proc/self/task"))
    with Session(library, "toy", threads=2) as session:
        session.run_raw([], [])  # the C library lets a new thread's signals in once it runs
        (worker,) = set(os.listdir("/proc/self/task")) - before
        status = Path(f"/proc/self/task/{worker}/status").read_text()
        match = re.search(r"SigBlk:\s*([0-9a-f]+)", status)
        assert match
        blocked = int(match.group(1), 16)
        assert blocked >> (2 - 1) & 1  # SIGINT
        assert not blocked >> (11 - 1) & 1  # SIGSEGV
        main = Path(f"/proc/self/task/{os.getpid()}/status").read_text()
        assert re.search(r"SigBlk:\s*0+\n", main)
