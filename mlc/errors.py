"""The errors that mlc reports, each with the exit code of the command line.

Every error names the thing, the constraint it breaks and what to do about it:
``node`` is the ONNX node or IR operation concerned, ``hint`` is the advice.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 600
"""Characters of one part of a message."""


class MlcError(Exception):
    """Base of all errors meant for users; ``exit_code`` is the command line's exit status."""

    exit_code = 1

    def __init__(self, message: str, *, node: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.node = node
        self.hint = hint
        super().__init__(self.describe())

    def describe(self) -> str:
        """One line: ``node: message (hint)``, of bounded length; what a model says can't steer a terminal."""
        prefix = f"{_shown(self.node)}: " if self.node else ""
        suffix = f" ({_shown(self.hint)})" if self.hint else ""
        return f"{prefix}{_shown(self.message)}{suffix}"


def _shown(text: str) -> str:
    """``text`` with control characters written out, and its middle left out when it is long."""
    text = printable(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def printable(text: str) -> str:
    """``text`` with control characters, line breaks among them, written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ModelError(MlcError):
    """The model file or its inputs are malformed, inconsistent or unsafe."""

    exit_code = 1


class UsageError(MlcError):
    """The caller asked for something that makes no sense: a bad flag, name or shape."""

    exit_code = 2


class MismatchError(MlcError):
    """A verification found results outside the tolerance policy."""

    exit_code = 3


class UnsupportedError(MlcError):
    """The model is valid, but mlc can't compile part of it (yet)."""

    exit_code = 4


class InternalError(MlcError):
    """A bug in mlc; the command line writes a reproducer."""

    exit_code = 70


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint for an unknown ``name``: the closest valid one, then the list of all of them."""
    names = sorted(valid)
    if not names:
        return "there are none"
    close = difflib.get_close_matches(name, names, n=1)
    listing = ", ".join(names)
    return f"did you mean {close[0]!r}? valid: {listing}" if close else f"valid: {listing}"
