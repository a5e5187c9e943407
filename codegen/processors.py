"""How many processors this process may use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def available_processors() -> int:
    """Processors that this process may use: its affinity, capped by the CPU quota of its control groups."""
    processors = len(os.sched_getaffinity(0))
    return max(1, min([processors, *_cgroup_quotas()]))


def _cgroup_quotas() -> list[int]:
    """The CPU quotas, rounded up to whole processors, of this process's control group and its ancestors."""
    quotas: list[int] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
        group = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), "/")
        folder = Path("/sys/fs/cgroup") / group.lstrip("/")
        for place in (folder, *folder.parents):
            if place.name == "fs":
                break
            with contextlib.suppress(OSError, ValueError):
                quota, period = (place / "cpu.max").read_text("ascii").split()
                quotas.append(-(-int(quota) // int(period)))  # int() refuses "max": no limit here
    return quotas
