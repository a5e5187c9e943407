"""The versions that a bug report or a cache key needs."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

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
