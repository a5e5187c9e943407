"""Every environment variable that mlc reads, typed, in one place.

There is no configuration file: what a command's flags don't say these do, and each has a default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from mlc.errors import UsageError, nearest

T = TypeVar("T")
PREFIX = "MLC_"


@dataclass(frozen=True)
class Knob(Generic[T]):
    """One variable: its name, how its text is read, the value when it is unset or empty, and what it does."""

    name: str
    parse: Callable[[str], T]
    default: Callable[[], T]
    doc: str

    def get(self) -> T:
        """The value now; `UsageError` when the text can't be read."""
        text = os.environ.get(self.name, "")
        if not text:
            return self.default()
        try:
            return self.parse(text)
        except ValueError as error:
            raise UsageError(f"{self.name}={text!r}: {error}", hint=self.doc) from None


def _flag(text: str) -> bool:
    values = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in values:
        raise ValueError(f"expected one of {', '.join(values)}")
    return values[text.lower()]


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("expected a whole number of 0 or more")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("expected a positive integer")
    return int(text)


def _size(text: str) -> int:
    """Bytes, with an optional suffix ``K``, ``M`` or ``G`` (powers of 1024)."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    return _positive(text[:-1] if factor > 1 else text) * factor


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("mlc", appauthor=False)


def _allowed_cpus() -> int:
    from mlc.host import allowed_cpus

    return allowed_cpus()


CACHE_DIR = Knob("MLC_CACHE_DIR", Path, _user_cache, "folder of the kernel cache")
CACHE_BYTES = Knob("MLC_CACHE_BYTES", _size, lambda: 2 << 30, "size limit of the kernel cache (default 2G)")
NO_CACHE = Knob("MLC_NO_CACHE", _flag, lambda: False, "neither read nor write the kernel cache")
JOBS = Knob(
    "MLC_JOBS",
    _positive,
    _allowed_cpus,
    "processes that generate code (default: the allowed CPUs)",
)
HANDOUT = Knob(
    "MLC_HANDOUT",
    _natural,
    lambda: 1500,
    "cycles that handing a share of a kernel to another thread costs; 0 shares out every kernel (default 1500)",
)
VERIFY_EACH = Knob("MLC_VERIFY_EACH", _flag, lambda: False, "verify the IR after every pass")

KNOBS: Mapping[str, Knob[Any]] = {
    knob.name: knob for knob in (CACHE_DIR, CACHE_BYTES, NO_CACHE, JOBS, HANDOUT, VERIFY_EACH)
}
"""All of the above by variable name."""


def unknown_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The ``MLC_*`` variables that are set and mean nothing, each with a hint that names the nearest."""
    return {name: nearest(name, KNOBS) for name in environ if name.startswith(PREFIX) and name not in KNOBS}
