"""The classic networks on small processors: ``python -m benchmarks.embedded`` writes ``embedded.md``.

Every network is compiled to a stand-alone program for each target and run once under QEMU with a plugin that counts
instructions (`count_instructions.c`), since no such processor is at hand. The counts are exact and the same everywhere;
how long an instruction takes is not in them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlc
from benchmarks.zoo import build

PAGE = Path(__file__).with_name("embedded.md")
PLUGIN = Path(__file__).with_name("count_instructions.c")

NETWORKS = (
    *("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2", "mnasnet"),
    *("efficientnet_b0", "regnet_y_400mf", "resnet18", "googlenet", "alexnet", "mobilenet_ssd", "yolov8n_320"),
    *("resnet50", "vgg16"),
)


@dataclass(frozen=True)
class Board:
    """A processor to count for: mlc's target and CPU, and the emulator with its model of the processor."""

    target: str
    cpu: str
    emulator: tuple[str, ...]


BOARDS = {
    "aarch64": Board("aarch64", "cortex-a72", ("qemu-aarch64", "-cpu", "max")),
    "armv7": Board("armv7", "cortex-a7", ("qemu-arm", "-cpu", "max")),
}


@dataclass(frozen=True)
class Count:
    """One network on one processor.

    ``macs`` are multiply-adds of the network, ``instructions`` those executed in kernels; ``seconds`` is what a cold
    cross-compilation took, ``code_bytes`` what it made beside the weights.
    """

    network: str
    board: str
    macs: int
    instructions: int
    code_bytes: int
    seconds: float

    @property
    def macs_per_instruction(self) -> float:
        """At most 4: a vector of four floats multiplied and added by each instruction."""
        return self.macs / self.instructions


def count(network: str, board: str, folder: Path, plugin: Path) -> Count:
    """Compile and run one network."""
    machine = BOARDS[board]
    model, program, library = folder / "model.onnx", folder / "program", folder / "library.so"
    model.write_bytes(build(network).SerializeToString())
    choice = ["--target", machine.target, "--mcpu", machine.cpu, "--threads", "1", "--no-cache"]
    start = time.perf_counter()
    _mlc("compile", model, *choice, "--weights", "file", "-o", library)
    seconds = time.perf_counter() - start
    _mlc("compile", model, *choice, "--weights", "file", "--emit", "exe", "-o", program)
    log = folder / "log"
    counting = ("-d", "plugin", "-D", str(log), "-plugin", str(plugin))
    run = (str(program), f"--weights={program}.weights", "--bench=1", "--warmup=0")
    subprocess.run((*machine.emulator, *counting, *run), check=True, capture_output=True)
    found = re.search(r"kernels (\d+)", log.read_text(encoding="ascii"))
    if found is None:
        raise RuntimeError(f"{network} on {board}: the plugin counted nothing")
    flops = int(mlc.compile(model, cache=False).metadata["extra"]["flops"])
    return Count(network, board, flops // 2, int(found[1]), library.stat().st_size, seconds)


def _mlc(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "mlc", *map(str, arguments)], check=True, capture_output=True)


def counts(networks: Iterable[str], boards: Sequence[str]) -> Iterator[Count]:
    """All networks on all boards, as they are counted."""
    with tempfile.TemporaryDirectory(prefix="mlc-embedded-") as name:
        folder = Path(name)
        plugin = folder / "count.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", plugin, PLUGIN], check=True)
        for network in networks:
            for board in boards:
                yield count(network, board, folder, plugin)


_HEAD = """\
# Classic networks on small processors

<!-- Written by `python -m benchmarks.embedded`. -->

One inference of 32-bit floats on one thread, batch 1. Instructions are those executed in kernels, counted under QEMU;
multiply-adds per instruction are at most 4, when every instruction multiplies and adds a vector. Code is the size of
the shared library without weights; its compilation is cold and made in another process than the one that measures.

"""


def page(found: Sequence[Count]) -> str:
    """The table as Markdown."""
    boards = list(dict.fromkeys(c.board for c in found))
    heads = [f"{b} {what}" for b in boards for what in ("instructions", "per instruction", "code KB", "compiled in s")]
    lines = [f"| network | million multiply-adds | {' | '.join(heads)} |", "|---|" + "---:|" * (1 + len(heads))]
    for network in dict.fromkeys(c.network for c in found):
        row = {c.board: c for c in found if c.network == network}
        cells = [f"{next(iter(row.values())).macs / 1e6:.0f}"]
        for board in boards:
            c = row[board]
            cells += [f"{c.instructions / 1e6:.0f} M", f"{c.macs_per_instruction:.2f}"]
            cells += [f"{c.code_bytes / 1024:.0f}", f"{c.seconds:.1f}"]
        lines.append(f"| {network} | {' | '.join(cells)} |")
    return _HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Count, print as it goes, and write the page if all was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"default: {', '.join(NETWORKS)}")
    parser.add_argument("--board", action="append", choices=BOARDS, help="default: all")
    options = parser.parse_args()
    found: list[Count] = []
    for each in counts(options.networks or NETWORKS, options.board or list(BOARDS)):
        found.append(each)
        print(
            f"{each.network:20} {each.board:8} {each.instructions / 1e6:9.1f} M instructions, "
            f"{each.macs_per_instruction:.2f} multiply-adds in each, {each.code_bytes / 1024:.0f} KB, "
            f"{each.seconds:.1f} s",
            flush=True,
        )
    if not options.networks and not options.board:
        PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
