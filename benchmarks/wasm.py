"""WebAssembly kernels in node beside the engine's peak: ``python -m benchmarks.wasm [--runs N]``.

The peak is that of a loop of nothing but vector products and sums, on twelve independent chains.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlc.codegen.object import compile_ir
from mlc.codegen.targets import find_target
from mlc.codegen.wasm import link_module, parse_object
from mlc.errors import UsageError
from mlc.testing.cross import compile_kernel
from mlc.testing.samples import Sample, conv, depthwise, gemm

TARGET = find_target("wasm32")
CHAINS, TRIPS = 12, 1_000_000
LANES = TARGET.lanes(4)

RUN = """
const { readFileSync } = require("fs");
const [file, name, runs, ...sizes] = process.argv.slice(1);
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)));
let end = exports.__heap_base.value;
const address = sizes.map((size) => { const at = end; end += Math.ceil((+size + 64) / 64) * 64; return at; });
exports.memory.grow(Math.ceil(end / 65536));
new Float32Array(exports.memory.buffer, exports.__heap_base.value).fill(0.5);
let best = Infinity;
for (let i = 0; i < +runs; i++) {
  const start = performance.now();
  exports[name](...address, 0, 1);
  best = Math.min(best, performance.now() - start);
}
console.log(best);
"""


@dataclass(frozen=True)
class Kernel:
    """A function's object, the bytes of its arguments, and its floating-point operations."""

    name: str
    code: bytes
    sizes: Sequence[int]
    flops: int

    @staticmethod
    def of(sample: Sample, flops: int) -> Kernel:
        """A sample as mlc compiles it."""
        name, code, arrays = compile_kernel(sample.kernel, sample.arrays(), TARGET, 1)
        return Kernel(name, code, [a.nbytes for a in arrays], flops)

    def milliseconds(self, runs: int) -> float:
        """The shortest of some runs; UsageError without node."""
        with tempfile.TemporaryDirectory() as folder:
            module = Path(folder) / "kernel.wasm"
            module.write_bytes(link_module([parse_object(self.code)], exports=[self.name]).to_bytes())
            command = ["node", "-e", RUN, str(module), self.name, str(runs), *map(str, self.sizes)]
            try:
                return float(subprocess.run(command, capture_output=True, check=True).stdout)
            except FileNotFoundError as error:
                raise UsageError("node is not installed") from error


def peak() -> Kernel:
    """Chains of ``a = a x + y`` in registers."""
    vector = f"<{LANES} x float>"
    load = [f"  %p{i} = getelementptr {vector}, ptr %p, i32 {i}\n  %s{i} = load {vector}, ptr %p{i}" for i in range(14)]
    phis = [f"  %a{i} = phi {vector} [ %s{i}, %entry ], [ %r{i}, %loop ]" for i in range(CHAINS)]
    steps = [
        f"  %m{i} = fmul {vector} %a{i}, %s{CHAINS}\n  %r{i} = fadd {vector} %m{i}, %s{CHAINS + 1}"
        for i in range(CHAINS)
    ]
    stores = [f"  store {vector} %r{i}, ptr %p{i}" for i in range(CHAINS)]
    lines = [
        "define void @peak(ptr %p, i32 %tid, i32 %nt) {",
        *("entry:", *load, "  br label %loop"),
        *("loop:", "  %i = phi i32 [ 0, %entry ], [ %next, %loop ]", *phis, *steps, "  %next = add i32 %i, 1"),
        *(f"  %more = icmp slt i32 %next, {TRIPS}", "  br i1 %more, label %loop, label %out"),
        *("out:", *stores, "  ret void", "}", ""),
    ]
    (code,) = compile_ir([("peak", "\n".join(lines))], TARGET, jobs=1)
    return Kernel("peak", code, [16 * 4 * LANES], 2 * CHAINS * LANES * TRIPS)


def kernels() -> dict[str, Kernel]:
    """What is measured."""
    return {
        "peak": peak(),
        "product 128x768x768": Kernel.of(gemm(128, 768, 768), 2 * 128 * 768 * 768),
        "convolution 3x3, 128 to 128, 28x28": Kernel.of(conv(30, 128, 128, block=4), 2 * 28 * 28 * 128 * 128 * 9),
        "convolution 1x1, 128 to 256, 28x28": Kernel.of(conv(28, 128, 256, 1, block=4), 2 * 28 * 28 * 128 * 256),
        "depthwise 3x3, 64, 28x28": Kernel.of(depthwise(30, 64, block=4), 2 * 28 * 28 * 64 * 9),
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="runs per kernel, of which the shortest counts")
    runs = parser.parse_args().runs
    best = 0.0
    for name, kernel in kernels().items():
        milliseconds = kernel.milliseconds(runs)
        speed = kernel.flops / milliseconds / 1e6
        best = best or speed
        print(f"{name:36} {milliseconds:8.3f} ms {speed:7.1f} GFLOP/s {speed / best:6.0%} of the peak")


if __name__ == "__main__":
    main()
