"""List the passes that `mlc opt -p` takes: names, options with types and defaults, and what each does."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mlc.cli.show import show_json
from mlc.errors import UsageError, nearest
from mlc.registry import load_pass, passes

if TYPE_CHECKING:
    from xdsl.passes import ModulePass


@dataclass(frozen=True)
class Option:
    """A field of a pass, as written on the command line; ``default`` is None where it is required."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class PassInfo:
    """What ``mlc passes`` says about a pass."""

    name: str
    summary: str
    options: tuple[Option, ...]
    module: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="PASS", help="only these passes")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    for name in args.names:
        if name not in passes():
            raise UsageError(f"unknown pass {name!r}", hint=nearest(name, passes()))
    infos = [pass_info(name) for name in args.names or passes()]
    if args.json:
        show_json([asdict(info) for info in infos])
        return 0
    for info in infos:
        options = " ".join(f"{option.name}={option.default or option.type}" for option in info.options)
        print(f"{info.name}{{{options}}}" if options else info.name)
        if info.summary:
            print(f"    {info.summary}")
    return 0


def pass_info(name: str) -> PassInfo:
    """Describe the pass called ``name``, importing its file."""
    pass_class = load_pass(name)
    return PassInfo(name, _summary(pass_class), _options(pass_class), pass_class.__module__)


def _summary(pass_class: type[ModulePass]) -> str:
    """The docstring's first paragraph, on one line; a dataclass without one has only its signature there."""
    text = pass_class.__doc__ or ""
    if text.startswith(f"{pass_class.__name__}("):
        return ""
    return " ".join(text.strip().partition("\n\n")[0].split())


def _options(pass_class: type[ModulePass]) -> tuple[Option, ...]:
    from xdsl.passes import get_pass_option_infos

    infos = get_pass_option_infos(pass_class)
    return tuple(Option(info.name.replace("_", "-"), info.expected_type, info.default_value) for info in infos)
