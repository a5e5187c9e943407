"""What a bug report needs, in one file: command, versions, settings and traceback; no weights."""

from __future__ import annotations

import os
import platform
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from mlc.knobs import KNOBS
from mlc.version import component_versions


def write_reproducer(arguments: Sequence[str], error: BaseException) -> Path:
    """Write the report about ``error`` into a new file that only its owner can read, and return its path."""
    handle, path = tempfile.mkstemp(prefix="mlc-bug-", suffix=".txt", text=True)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(describe(arguments, error))
    return Path(path)


def describe(arguments: Sequence[str], error: BaseException) -> str:
    """The report's text."""
    versions = " ".join(f"{name}={version}" for name, version in component_versions().items())
    settings = " ".join(f"{name}={shlex.quote(os.environ[name])}" for name in KNOBS if name in os.environ)
    return "\n".join(
        (
            f"command:   {shlex.join(('mlc', *arguments))}",
            f"folder:    {Path.cwd()}",
            f"versions:  {versions}",
            f"machine:   {platform.platform()}",
            f"variables: {settings or 'none'}",
            "",
            "".join(traceback.format_exception(error)),
        )
    )
