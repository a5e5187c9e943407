"""What people call the tools for a machine: compilers, emulators, and the packages that bring them."""

from __future__ import annotations

from dataclasses import dataclass

from mlc.codegen.targets.base import Target


@dataclass(frozen=True)
class Tools:
    """Names by architecture.

    ``gnu`` is the prefix of GNU cross compilers, ``zig`` the target that zig knows, with ``{}`` for the C library,
    ``packages`` what Debian and Ubuntu call the compiler with its C library. ``emulator`` runs the architecture's
    programs on another, taking the processor after ``-cpu``: one of ``emulated`` where the code was tuned for it, else
    ``most``.
    """

    gnu: str
    zig: str
    packages: str
    emulator: str
    most: str = "max"
    emulated: frozenset[str] = frozenset()


TOOLS = {
    "x86_64": Tools("x86_64-linux-gnu", "x86_64-linux-{}", "gcc libc6-dev", "qemu-x86_64"),
    "aarch64": Tools(
        "aarch64-linux-gnu",
        "aarch64-linux-{}",
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        "qemu-aarch64",
        emulated=frozenset(
            {"cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1", "a64fx"}
        ),
    ),
    "armv7": Tools(
        "arm-linux-gnueabihf",
        "arm-linux-{}eabihf",
        "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
        "qemu-arm",
        emulated=frozenset({"cortex-a7", "cortex-a8", "cortex-a9", "cortex-a15"}),
    ),
    "riscv64": Tools(
        "riscv64-linux-gnu",
        "riscv64-linux-{}",
        "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross",
        "qemu-riscv64",
        most="rv64,v=true,vext_spec=v1.0,vlen={0}",
    ),
}


def tools_of(target: Target) -> Tools | None:
    """The tools for Linux on the target's architecture; None where mlc knows of none."""
    return TOOLS.get(target.triple.partition("-")[0]) if target.system == "linux" else None


def emulator_of(target: Target) -> tuple[str, ...]:
    """The command that runs the target's programs, and the processor it plays; () where mlc knows of none."""
    tools = tools_of(target)
    if tools is None:
        return ()
    name = target.tune or target.cpu
    processor = name if name in tools.emulated else tools.most.format(8 * target.vector_bytes)
    return tools.emulator, "-cpu", processor
