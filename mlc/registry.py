"""Which dialects and passes exist: by name, loaded when first used.

Dialects stand in one table. Passes are found on disk: a file under ``lowering/`` that defines a subclass of
xDSL's ``ModulePass`` is a pass, and its name is the file's with dashes: ``lowering/graph/fold_constants.py``
is ``fold-constants``. Nothing is imported until it is asked for.

Other distributions add theirs through the entry point group ``mlc.plugins``, each entry a `Plugin`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlc.errors import InternalError, UsageError, nearest

if TYPE_CHECKING:
    from xdsl.ir import Dialect
    from xdsl.passes import ModulePass

    from mlc.dialects.context import CompilerContext
    from mlc.dialects.weights import WeightStore

PLUGIN_GROUP = "mlc.plugins"

DIALECTS: Mapping[str, str] = {
    "affine": "xdsl.dialects.affine:Affine",
    "arith": "xdsl.dialects.arith:Arith",
    "builtin": "xdsl.dialects.builtin:Builtin",
    "func": "xdsl.dialects.func:Func",
    "hlt": "mlc.dialects.hlt:HLT",
    "loop": "mlc.dialects.loop:LOOP",
    "math": "xdsl.dialects.math:Math",
    "memref": "xdsl.dialects.memref:MemRef",
    "mlc": "mlc.dialects.weights_attr:MLC",
    "scf": "xdsl.dialects.scf:Scf",
    "test": "xdsl.dialects.test:Test",
    "ub": "xdsl.dialects.ub:UB",
    "vector": "xdsl.dialects.vector:Vector",
}
"""Dialect name to ``module:attribute``, mlc's own and those it takes from xDSL."""

UPSTREAM_PASSES: Mapping[str, str] = {
    "cse": "xdsl.transforms.common_subexpression_elimination:CommonSubexpressionElimination",
    "dce": "xdsl.transforms.dead_code_elimination:DeadCodeElimination",
}
"""Passes taken from xDSL as they are."""

T = TypeVar("T")
DialectFactory = Callable[[], "Dialect"]
PassFactory = Callable[[], "type[ModulePass]"]


@dataclass(frozen=True)
class Plugin:
    """What an entry point of the group ``mlc.plugins`` holds: dialects and passes, each behind a function."""

    dialects: Mapping[str, DialectFactory] = field(default_factory=dict[str, DialectFactory])
    passes: Mapping[str, PassFactory] = field(default_factory=dict[str, PassFactory])


@cache
def dialects() -> Mapping[str, DialectFactory]:
    """Every dialect by name; calling the value loads it."""
    own = {name: lazy(path) for name, path in DIALECTS.items()}
    return _with_plugins("dialect", own, lambda plugin: plugin.dialects)


@cache
def passes() -> Mapping[str, PassFactory]:
    """Every pass by name; calling the value imports its file and returns the class."""
    own = {name: lazy(path) for name, path in {**UPSTREAM_PASSES, **pass_files()}.items()}
    return _with_plugins("pass", own, lambda plugin: plugin.passes)


def make_context(*, allow_unregistered: bool = False, weights: WeightStore | None = None) -> CompilerContext:
    """A context that knows every dialect, loads each when its first operation is met, and holds ``weights``."""
    from mlc.dialects.context import CompilerContext

    context = CompilerContext.of(dialects(), weights)
    context.allow_unregistered = allow_unregistered
    return context


def load_pass(name: str) -> type[ModulePass]:
    """The pass called ``name``; `UsageError` names the nearest when there is none."""
    factory = passes().get(name)
    if factory is None:
        raise UsageError(f"unknown pass {name!r}", hint=nearest(name, passes()))
    return factory()


def parse_passes(spec: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline string such as ``"canonicalize,tile{sizes=4,16}"``, options checked."""
    from xdsl.utils.arg_spec import parse_pipeline
    from xdsl.utils.exceptions import ArgSpecParseError

    try:
        items = tuple(parse_pipeline(spec))
    except ArgSpecParseError as error:
        raise UsageError(f"bad pass pipeline {spec!r}: {_pipeline_error(error)}") from None
    return tuple(_instantiate(load_pass(item.name), item) for item in items)


def _pipeline_error(error: BaseException) -> str:
    """xDSL's five-line complaint (title, place, text, caret, reason) as a phrase."""
    _, place, *_, reason = str(error).strip().splitlines()
    column = place.rpartition(":")[2]
    return f"{reason.strip().lower()}, column {column}"


def _instantiate(pass_class: type[ModulePass], item: Any) -> ModulePass:
    try:
        return pass_class.from_spec(item)
    except ValueError as error:
        raise UsageError(f"pass {item.name!r}: {error}", hint="see `mlc passes`") from None


_PASS_CLASS = re.compile(r"^class (\w+)\([^)]*\bModulePass\b[^)]*\):", re.MULTILINE)


@cache
def pass_files() -> dict[str, str]:
    """mlc's own passes, name to ``module:class``, read off the files under ``lowering/``."""
    import mlc.lowering

    found: dict[str, str] = {}
    (root,) = map(Path, mlc.lowering.__path__)
    for file in sorted(root.rglob("*.py")):
        classes: list[str] = _PASS_CLASS.findall(file.read_text(encoding="utf-8"))
        if not classes:
            continue
        module = ".".join(("mlc.lowering", *file.relative_to(root).with_suffix("").parts))
        name = file.stem.strip("_").replace("_", "-")
        if len(classes) > 1:
            raise InternalError(f"{module} defines {len(classes)} passes", hint="one pass, one file")
        if name in found:
            raise InternalError(f"two passes are called {name!r}: {found[name]} and {module}")
        found[name] = f"{module}:{classes[0]}"
    return found


@cache
def plugins() -> Mapping[str, Plugin]:
    """The installed plugins by entry point name."""
    return {entry.name: _load_plugin(entry.name, entry.load) for entry in entry_points(group=PLUGIN_GROUP)}


def _load_plugin(name: str, load: Callable[[], object]) -> Plugin:
    try:
        plugin = load()
    except Exception as error:
        raise UsageError(f"plugin {name!r} can't be loaded: {error!r}", hint="uninstall or repair it") from error
    if not isinstance(plugin, Plugin):
        raise UsageError(f"plugin {name!r} is a {type(plugin).__name__}, not an mlc.registry.Plugin")
    return plugin


def _with_plugins(kind: str, own: Mapping[str, T], part: Callable[[Plugin], Mapping[str, T]]) -> Mapping[str, T]:
    """``own`` and what the plugins add, by name; a name taken twice is an error that says by whom."""
    owners = dict.fromkeys(own, "mlc")
    merged = dict(own)
    for plugin_name, plugin in plugins().items():
        for name, factory in part(plugin).items():
            if name in merged:
                raise UsageError(f"plugin {plugin_name!r} adds the {kind} {name!r}, which {owners[name]} has")
            owners[name] = f"plugin {plugin_name!r}"
            merged[name] = factory
    return dict(sorted(merged.items()))


def lazy(path: str) -> Callable[[], Any]:
    """A function that imports ``module:attribute`` when called."""
    module, _, attribute = path.partition(":")
    return lambda: getattr(importlib.import_module(module), attribute)
