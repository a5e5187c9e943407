"""Tests that need a tool or a module: skipped where it is missing, failed there in continuous integration.

A test that quietly never runs is worth nothing, so with ``CI`` set a missing tool is an error.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """Whether this is a continuous integration run, where nothing may be skipped for want of a tool."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def require_tool(*names: str) -> str:
    """The path of the first of ``names`` that is installed; skips the test (fails it in CI) when none is."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    _missing(" or ".join(names))


def require_module(name: str) -> None:
    """Skips the test (fails it in CI) when the module ``name`` can't be found."""
    if importlib.util.find_spec(name) is None:
        _missing(f"Python module {name}")


def _missing(what: str) -> NoReturn:
    reason = f"{what} is not installed"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
