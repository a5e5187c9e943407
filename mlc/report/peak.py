"""The most multiply-adds that this machine does, measured: a loop of independent fused multiply-adds of our own."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

import numpy as np

from mlc.codegen.elf import parse_object
from mlc.codegen.image import Image
from mlc.codegen.jit import Library
from mlc.codegen.link import link_shared
from mlc.codegen.object import compile_ir
from mlc.codegen.targets.base import Target

CHAINS = 12
"""Independent accumulators: enough to hide a latency of 4 on two ports, few enough for 16 registers."""

UNROLL = 8
ITERATIONS = 20_000


def peak_gflops(target: Target, threads: int = 1, seconds: float = 0.2) -> float:
    """float32 GFLOP/s of ``threads`` threads together, the best of repetitions within about ``seconds``."""
    library = Library.load(_library(target), "mlc-peak")
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    run: Callable[[int, int], None] = signature(library.address("fma_peak"))
    lanes = target.lanes(4)
    flops = 2.0 * lanes * CHAINS * UNROLL * ITERATIONS * threads
    best = float("inf")
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        best = min(best, _once(run, lanes, threads))
    return flops / best / 1e9


def _once(run: Callable[[int, int], None], lanes: int, threads: int) -> float:
    """Seconds from the first thread's start to the last one's end."""
    spans: list[tuple[float, float]] = []
    barrier = threading.Barrier(threads)

    def work() -> None:
        vectors = np.full(3 * lanes, 0.5, np.float32)
        address = vectors.ctypes.data
        barrier.wait()
        start = time.perf_counter()
        run(address, ITERATIONS)
        spans.append((start, time.perf_counter()))

    workers = [threading.Thread(target=work) for _ in range(threads - 1)]
    for worker in workers:
        worker.start()
    work()
    for worker in workers:
        worker.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)


def _library(target: Target) -> Image:
    (data,) = compile_ir([("fma_peak", peak_ir(target))], target, jobs=1)
    return link_shared([parse_object(data)], exports=("fma_peak",))


def peak_ir(target: Target) -> str:
    """``void fma_peak(ptr vectors, i64 iterations)``: two factors are read from there, the sums are written back."""
    lanes = target.lanes(4)
    vector = f"<{lanes} x float>"
    lines = [f"  %c{i}.0 = phi {vector} [ zeroinitializer, %entry ], [ %c{i}.{UNROLL}, %loop ]" for i in range(CHAINS)]
    for step in range(UNROLL):
        for i in range(CHAINS):
            operands = f"{vector} %a, {vector} %b, {vector} %c{i}.{step}"
            lines.append(f"  %c{i}.{step + 1} = call {vector} @llvm.fma.v{lanes}f32({operands})")
    sums = [
        f"  %s{i} = fadd {vector} {f'%s{i - 1}' if i > 1 else f'%c0.{UNROLL}'}, %c{i}.{UNROLL}"
        for i in range(1, CHAINS)
    ]
    body, total = "\n".join(lines), "\n".join(sums)
    return f"""declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define void @fma_peak(ptr %vectors, i64 %n) #0 {{
entry:
  %a = load {vector}, ptr %vectors, align 4
  %second = getelementptr {vector}, ptr %vectors, i64 1
  %b = load {vector}, ptr %second, align 4
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %next, %loop ]
{body}
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
{total}
  %third = getelementptr {vector}, ptr %vectors, i64 2
  store {vector} %s{CHAINS - 1}, ptr %third, align 4
  ret void
}}
attributes #0 = {{ nounwind {target.attributes} }}
"""
