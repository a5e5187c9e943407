"""Say what mlc finds on this machine: versions, CPU, limits, tools and the kernel cache."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from mlc import host, knobs
from mlc.cli.show import show_json
from mlc.codegen.targets.tools import TOOLS
from mlc.version import component_versions

LINKERS = ("cc", "gcc", "clang", *(f"{tools.gnu}-gcc" for tools in TOOLS.values()))
RUNNERS = (*(tools.emulator for tools in TOOLS.values()), "node", "ptxas")

Section = Mapping[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    report = examine()
    if args.json:
        show_json(report)
        return 0
    for title, section in report.items():
        print(title)
        for name, value in section.items():
            print(f"  {name:24} {_show(value)}")
    return 0


def examine() -> dict[str, Section]:
    """Everything there is to say, by section; values are what JSON can hold, None for what is absent."""
    return {
        "versions": component_versions(),
        "machine": _machine(),
        "linkers": {**{name: shutil.which(name) for name in LINKERS}, "ziglang": _module_path("ziglang")},
        "runners": {name: shutil.which(name) for name in RUNNERS},
        "cache": _cache(),
        "variables": {name: os.environ[name] for name in knobs.KNOBS if name in os.environ},
    }


def _module_path(name: str) -> str | None:
    """Where an optional Python package is installed."""
    spec = find_spec(name)
    return spec.origin if spec else None


def _machine() -> Section:
    from mlc.codegen import llvm

    return {
        "system": platform.platform(),
        "triple": llvm.host_triple(),
        "cpu": llvm.host_cpu(),
        "features": sorted(llvm.host_features()),
        "cpus": os.cpu_count(),
        "cpus allowed": host.allowed_cpus(),
        "cpu quota": host.cpu_quota(),
        "memory limit": host.memory_limit(),
    }


def _cache() -> Section:
    folder = knobs.CACHE_DIR.get()
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    return {
        "folder": str(folder),
        "exists": folder.is_dir(),
        "writable": existing.is_dir() and os.access(existing, os.W_OK),
        "private": _is_private(folder),
        "entries": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "limit": knobs.CACHE_BYTES.get(),
    }


def _is_private(folder: Path) -> bool | None:
    """Whether only this user can enter ``folder``; None when it doesn't exist yet."""
    if not folder.is_dir():
        return None
    status = folder.stat()
    return status.st_uid == os.getuid() and status.st_mode & 0o077 == 0


def _show(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return " ".join(map(str, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return str(value)
