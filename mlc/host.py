"""What this process may use of its machine: CPUs and memory, as affinity and control groups allow."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def allowed_cpus(cgroups: Path = CGROUP_ROOT) -> int:
    """CPUs this process may keep busy: its affinity mask, cut by the control groups' quota; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroups)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def cpu_quota(cgroups: Path = CGROUP_ROOT) -> float | None:
    """CPU time per wall time that the control groups grant (version 1 or 2), or None without a limit."""
    quotas = [_quota_v2(folder) for folder in _own_groups(cgroups)]
    quotas.append(_quota_v1(cgroups / "cpu"))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(cgroups: Path = CGROUP_ROOT) -> int | None:
    """Bytes of memory that the control groups grant, or None without a limit."""
    files = [folder / "memory.max" for folder in _own_groups(cgroups)]
    files.append(cgroups / "memory" / "memory.limit_in_bytes")
    limits = (_read(file) for file in files)
    # Version 1 says "no limit" with a number near 2^63.
    return min((int(text) for text in limits if text.isdigit() and int(text) < 1 << 60), default=None)


def _own_groups(cgroups: Path) -> list[Path]:
    """The control groups (version 2) of this process, from its own up to the root."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            own = cgroups / path.lstrip("/")
            return [folder for folder in (own, *own.parents) if folder.is_relative_to(cgroups)]
    return [cgroups]


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def file_identity(status: os.stat_result) -> str:
    """What changes when a file is replaced or written: size, time of modification, inode."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_dev}:{status.st_ino}"
