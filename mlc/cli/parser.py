"""argparse as the ``mlc`` command uses it: errors are `UsageError` and unknown options name the nearest."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from mlc.errors import UsageError


class ArgumentParser(argparse.ArgumentParser):
    """A parser that keeps the description's line breaks, allows no abbreviations, and raises `UsageError`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """``parse_args`` that advises on what it doesn't know.

        An option that can stand alone takes a value only with ``=``: what comes next is another argument.
        """
        alone = {o: f"{o}={a.const}" for a in self._actions if a.nargs == "?" for o in a.option_strings}
        parsed, unknown = self.parse_known_args([alone.get(argument, argument) for argument in arguments])
        if unknown:
            raise UsageError(f"unknown argument {unknown[0]!r}", hint=self._advice(unknown[0]))
        return parsed

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see `{self.prog} --help`")

    def _advice(self, argument: str) -> str:
        options = [option for action in self._actions for option in action.option_strings]
        close = difflib.get_close_matches(argument.partition("=")[0], options, n=1)
        return f"did you mean {close[0]}?" if close else f"see `{self.prog} --help`"
