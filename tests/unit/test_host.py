"""Limits are read from control groups of either version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlc.host import allowed_cpus, cpu_quota, memory_limit


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_no_control_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None
    assert allowed_cpus(tmp_path) == len(os.sched_getaffinity(0))


def test_version_2(tmp_path: Path) -> None:
    write(tmp_path, cpu__max="150000 100000", memory__max="1048576")
    assert cpu_quota(tmp_path) == 1.5
    assert memory_limit(tmp_path) == 1 << 20


def test_version_2_without_limits(tmp_path: Path) -> None:
    write(tmp_path, cpu__max="max 100000", memory__max="max")
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path / "cpu", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    write(tmp_path / "memory", memory__limit_in_bytes="4096")
    assert cpu_quota(tmp_path) == 0.5
    assert memory_limit(tmp_path) == 4096


def test_version_1_without_limits(tmp_path: Path) -> None:
    write(tmp_path / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    write(tmp_path / "memory", memory__limit_in_bytes="9223372036854771712")
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


@pytest.mark.parametrize(("quota", "cpus"), [("10000", 1), ("100000", 1)])
def test_a_quota_cuts_the_cpus(quota: str, cpus: int, tmp_path: Path) -> None:
    write(tmp_path, cpu__max=f"{quota} 100000")
    assert allowed_cpus(tmp_path) == cpus
