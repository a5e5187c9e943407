"""Reference pages that are read off the code when the documentation is built, so that they can't be stale."""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlc.cli.main import COMMANDS
from mlc.cli.passes import pass_info
from mlc.cli.targets import facts
from mlc.codegen.targets import all_targets
from mlc.codegen.targets.cpus import Family, families
from mlc.frontends.onnx.support import Support
from mlc.frontends.onnx.support import operators as support_of_operators
from mlc.knobs import KNOBS
from mlc.registry import pass_files


def on_files(files: Any, config: Any) -> Any:
    """mkdocs' hook: add the generated pages to the site."""
    from mkdocs.structure.files import File

    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    return files


def command_line() -> str:
    """Every command with its arguments."""
    return "\n\n".join(("# Command line", *map(_command, COMMANDS)))


def _command(name: str) -> str:
    module = importlib.import_module(f"mlc.cli.{name}")
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    arguments = [_argument(action) for action in parser._actions]  # pyright: ignore[reportPrivateUsage]
    return f"## mlc {name}\n\n{inspect.cleandoc(module.__doc__ or '')}\n\n{table(('argument', 'meaning'), arguments)}"


def _argument(action: argparse.Action) -> tuple[str, str]:
    metavar = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    name = ", ".join(action.option_strings) or str(metavar)
    takes_value = action.option_strings and action.nargs != 0 and metavar
    return f"`{name} {metavar}`" if takes_value else f"`{name}`", action.help or ""


def environment() -> str:
    """Every variable that mlc reads."""
    rows = [(f"`{name}`", knob.doc) for name, knob in KNOBS.items()]
    return (
        "# Environment variables\n\n"
        "There is no configuration file: what a command's flags don't say, these do. A variable that begins with\n"
        "`MLC_` and means nothing is reported, with the nearest that does.\n\n" + table(("variable", "meaning"), rows)
    )


def passes() -> str:
    """mlc's own passes, by name."""
    infos = [pass_info(name) for name in sorted(pass_files())]
    rows = [
        (f"`{info.name}`", " ".join(f"`{item.name}: {item.type}`" for item in info.options), info.summary)
        for info in infos
    ]
    return "# Passes\n\n`mlc opt -p` takes these, in any order.\n\n" + table(("pass", "options", "meaning"), rows)


def targets() -> str:
    """Every target and what it stands for."""
    rows = [
        (f"`{name}`", f"`{target.triple}`", str(facts(target)["vector_bits"]), " ".join(sorted(target.features)))
        for name, target in all_targets().items()
    ]
    listing = "# Targets\n\n" + table(("target", "triple", "vector bits", "features"), rows)
    return "\n\n".join((listing, *map(_family, families().values())))


def _family(family: Family) -> str:
    """The features and CPUs of an architecture."""
    features = [
        (f"`{feature.name}`", feature.text, ", ".join(feature.aliases), ", ".join(feature.implies))
        for feature in family.features
    ]
    cpus = [
        (
            f"`{cpu.name}`",
            "in order" if cpu.in_order else "",
            "/".join(f"{size >> 10}" for size in (cpu.caches.l1, cpu.caches.l2, cpu.caches.l3)),
            " ".join(sorted(cpu.features)),
        )
        for cpu in family.cpus
    ]
    return "\n\n".join(
        (
            f"## {family.architecture}: features (`--mattr`)",
            table(("feature", "enables", "also", "implies"), features),
            f"## {family.architecture}: CPUs (`--mcpu`)",
            table(("CPU", "", "caches, KiB per core", "features"), cpus),
        )
    )


def operators() -> str:
    """Every operator of ONNX and com.microsoft, and what becomes of it."""
    rows = [
        (
            f"`{support.domain}::{support.name}`" if support.domain else f"`{support.name}`",
            _versions(support),
            f"{support.how}: {support.reason}" if support.reason else support.how,
            "; ".join(f"{name}: {' '.join(elements)}" for name, elements in support.types.items()),
        )
        for support in support_of_operators()
    ]
    return (
        "# Operators\n\n"
        "Versions are the opsets of the first and the newest definition; models of old opsets are *converted* first,\n"
        "and what was replaced since becomes what replaced it. Operators that are *taken apart* go by ONNX's own\n"
        "definition of them as other operators. What runs on the *host* is never compiled ahead of time. Types are\n"
        "those of the newest definition, by type variable; com.microsoft's are as in onnxruntime.\n\n"
        + table(("operator", "versions", "what becomes of it", "element types"), rows)
    )


def _versions(support: Support) -> str:
    if support.first is None:
        return ""
    return str(support.first) if support.first == support.newest else f"{support.first} to {support.newest}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": command_line,
    "reference/environment.md": environment,
    "reference/operators.md": operators,
    "reference/passes.md": passes,
    "reference/targets.md": targets,
}
