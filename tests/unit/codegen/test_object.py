"""Compiling IR text in process and through workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mlc.codegen import object as objects
from mlc.codegen.object import compile_assembly, compile_ir, shut_down, warm_up
from mlc.codegen.targets.base import Target
from mlc.errors import InternalError

ABORTS = """
declare <16 x i32> @llvm.x86.avx512.vpdpbusd.512(<16 x i32>, <64 x i8>, <64 x i8>)
define <16 x i32> @f(<16 x i32> %a, <64 x i8> %b) {
  %r = call <16 x i32> @llvm.x86.avx512.vpdpbusd.512(<16 x i32> %a, <64 x i8> %b, <64 x i8> %b)
  ret <16 x i32> %r
}
"""
"""LLVM aborts on this for a processor without AVX-512 VNNI."""


def kernel(number: int) -> tuple[str, str]:
    body = f"  %x = load float, ptr %a\n  %y = fadd float %x, {number}.0\n  store float %y, ptr %a\n  ret void\n"
    return f"k{number}", f"define void @k{number}(ptr %a, i64 %t, i64 %n) {{\n{body}}}\n"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile every batch in workers, however small."""
    monkeypatch.setattr(objects, "IN_PROCESS_CHARACTERS", 0)


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.usefixtures("workers")
def test_workers_give_the_same_objects_in_order(x86_64: Target) -> None:
    texts = [kernel(number) for number in range(20)]
    assert compile_ir(texts, x86_64, jobs=2) == compile_ir(texts, x86_64, jobs=1)


def test_small_batches_need_no_workers(x86_64: Target) -> None:
    shut_down()
    before = _children()
    compile_ir([kernel(0), kernel(1)], x86_64, jobs=2)
    assert _children() == before


def test_warm_up_starts_workers_once() -> None:
    shut_down()
    before = _children()
    warm_up(2)
    warm_up(2)
    assert len(_children() - before) == 2
    shut_down()
    assert _children() == before


@pytest.fixture(autouse=True)
def _reproducers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failure leaves for whoever mends it goes with the test's folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.usefixtures("workers")
def test_bad_text_names_the_kernel_and_leaves_a_reproducer(x86_64: Target, jobs: int) -> None:
    with pytest.raises(InternalError, match="could not compile") as caught:
        compile_ir([kernel(0), ("broken", "define void @broken("), kernel(1)], x86_64, jobs=jobs)
    assert caught.value.node == "broken"
    assert caught.value.exit_code == 70
    _check_reproducer(caught.value, "define void @broken(")


def _check_reproducer(error: InternalError, text: str) -> None:
    assert error.hint
    reproducer = Path(error.hint.removeprefix("reproducer: "))
    content = reproducer.read_text()
    reproducer.unlink()
    assert text in content
    assert content.startswith("; triple x86_64-unknown-linux-gnu")


@pytest.mark.usefixtures("workers")
def test_a_worker_that_dies_takes_only_its_module_with_it(x86_64: Target) -> None:
    texts = [kernel(0), ("aborts", ABORTS), kernel(1)]
    with pytest.raises(InternalError, match=r"status -6.*LLVM ERROR") as caught:
        compile_ir(texts, x86_64, jobs=2)
    assert caught.value.node == "aborts"
    _check_reproducer(caught.value, "vpdpbusd")
    assert len(compile_ir([kernel(0), kernel(1)], x86_64, jobs=2)) == 2


@pytest.mark.usefixtures("workers")
def test_a_worker_killed_while_idle_is_replaced(x86_64: Target) -> None:
    shut_down()
    before = _children()
    warm_up(2)
    victim = int((_children() - before).pop())
    os.kill(victim, signal.SIGKILL)
    while Path(f"/proc/{victim}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert len(compile_ir([kernel(0), kernel(1)], x86_64, jobs=2)) == 2


def test_workers_end_with_their_parent() -> None:
    program = """
import os, sys
from mlc.codegen.object import warm_up
warm_up(2)
print(open(f"/proc/self/task/{os.getpid()}/children").read(), flush=True)
os.kill(os.getpid(), 9)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    workers = result.stdout.split()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(_alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(worker) for worker in workers)


def _alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("workers")
def test_a_forked_child_has_workers_of_its_own(x86_64: Target) -> None:
    texts = [kernel(0), kernel(1)]
    expected = compile_ir(texts, x86_64, jobs=2)
    child = os.fork()
    if child == 0:
        same = compile_ir(texts, x86_64, jobs=2) == expected
        shut_down()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert compile_ir(texts, x86_64, jobs=2) == expected


def test_assembly_of_each_target(any_target: Target) -> None:
    assert "k3:" in compile_assembly(*kernel(3), any_target)


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "vax-dec-ultrix-aout"])
def test_bad_triples_are_refused(triple: str) -> None:
    with pytest.raises(InternalError, match=r"four components|No available targets|not yet|Unable|unable"):
        compile_ir([kernel(0)], Target("bad", triple, "", frozenset(), 16, 16))
