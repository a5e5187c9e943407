"""What the emitted runtime needs to know of an operating system and processor, as one table."""

from __future__ import annotations

from dataclasses import dataclass

from mlc.codegen.targets.base import Target
from mlc.errors import UnsupportedError


@dataclass(frozen=True)
class Platform:
    """``long`` is C's long (and size_t) as an IR type; the numbers are Linux system calls.

    ``pause`` is the statement that tells the processor it spins, ``declare`` what that needs declared.
    ``baseline`` is the attribute text of code that must run on any processor of the architecture; ``unwind``
    that of functions a debugger can walk through where this needs nothing of the C library.
    """

    long: str
    futex: int
    sched_getaffinity: int
    rt_sigprocmask: int
    pause: str
    declare: str
    baseline: str
    unwind: str = "uwtable"


_ARM_HINT = ("call void @llvm.{0}.hint(i32 1)", "declare void @llvm.{0}.hint(i32)")

_PLATFORMS = {
    "x86_64": Platform(
        "i64", 202, 204, 14, "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()",
        '"target-cpu"="x86-64" "target-features"="+sse2"',
    ),
    "aarch64": Platform(
        "i64", 98, 123, 135, _ARM_HINT[0].format("aarch64"), _ARM_HINT[1].format("aarch64"),
        '"target-cpu"="generic" "target-features"="+neon"',
    ),
    "riscv64": Platform(
        "i64", 98, 123, 135, "", "", '"target-cpu"="generic-rv64" "target-features"="+m,+a,+f,+d,+c"',
    ),
    "armv7": Platform(
        "i32", 240, 242, 175, _ARM_HINT[0].format("arm"), _ARM_HINT[1].format("arm"),
        '"target-cpu"="generic" "target-features"="+vfp3d16,-neon"', unwind="",
    ),
    "wasm32": Platform("i32", 0, 0, 0, "", "", "", unwind=""),
}  # fmt: skip


def platform_of(target: Target) -> Platform:
    """The platform of a target's triple; raises UnsupportedError for one that the runtime was not written
    for.
    """
    architecture = target.triple.partition("-")[0]
    platform = _PLATFORMS.get(architecture)
    if platform is None:
        raise UnsupportedError(
            f"no runtime for {target.triple}", hint=f"architectures: {', '.join(sorted(_PLATFORMS))}"
        )
    return platform
