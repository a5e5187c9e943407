"""The versions that a bug report or a cache key needs."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

COMPONENTS = ("xdsl", "llvmlite", "numpy", "onnx", "ml_dtypes")


def mlc_version() -> str:
    """The installed version of mlc."""
    return version("mlc-compiler")


def component_versions() -> dict[str, str]:
    """Versions of mlc, Python and the libraries that shape mlc's output; ``missing`` for an absent one."""
    versions = {"mlc": mlc_version(), "python": platform.python_version()}
    for name in COMPONENTS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return versions


@cache
def source_fingerprint() -> str:
    """What changes with mlc's own code: the sizes and times of its files. A version number is too coarse here."""
    hasher = hashlib.sha256()
    for name in ("mlc", *_PACKAGES):
        for path, status in sorted(_sources(_folder(name))):
            hasher.update(f"{path}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return hasher.hexdigest()


_PACKAGES = ("mlc.dialects", "mlc.frontends", "mlc.lowering", "mlc.codegen")


def _folder(name: str) -> str:
    found = find_spec(name)
    assert found is not None and found.origin is not None, "mlc's own packages are files"
    return os.path.dirname(found.origin)


def _sources(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path, entry.stat()
