"""Who may import whom: downwards only, and no cycles.

    mlc (driver)  ->  frontends, lowering, codegen  ->  dialects

`lowering` also reads ``codegen/targets``; errors, knobs and facts about the host are for all.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("mlc", "dialects", "frontends", "lowering", "codegen")
SHARED = ("mlc.errors", "mlc.knobs", "mlc.host", "mlc.version")
ALLOWED = {
    "dialects": ("mlc.dialects", *SHARED),
    "frontends": ("mlc.frontends", "mlc.dialects", *SHARED),
    "lowering": ("mlc.lowering", "mlc.dialects", "mlc.codegen.targets", *SHARED),
    "codegen": ("mlc.codegen", "mlc.dialects", *SHARED),
    "mlc": ("mlc",),
}
NAMES_OF_OTHERS = {("mlc.frontends.onnx.backend", "mlc.backend")}
"""Modules that are nothing but a second name for one above them."""


@dataclass(frozen=True)
class Import:
    """One imported module; ``eager`` when importing the file imports it too."""

    line: int
    module: str
    eager: bool


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "mlc" else ("mlc", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def sources() -> dict[str, Path]:
    """Every module by its import name."""
    return {module_name(file): file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))}


@functools.cache
def imports(file: Path) -> tuple[Import, ...]:
    """mlc's own modules that ``file`` imports."""
    tree = ast.parse(file.read_text(), str(file))
    lazy = {id(inner) for node in ast.walk(tree) if _defers(node) for inner in ast.walk(node)}
    return tuple(
        Import(node.lineno, module, id(node) not in lazy)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in _imported(node)
        if module.split(".")[0] == "mlc"
    )


def _defers(node: ast.AST) -> bool:
    """Whether what stands inside ``node`` runs later or never: functions, and blocks for type checkers."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.name
        elif node.module:
            nested = f"{node.module}.{alias.name}"
            yield nested if nested in sources() else node.module


def test_the_walk_sees_imports() -> None:
    found = {(item.module, item.eager) for item in imports(ROOT / "mlc" / "cli" / "opt.py")}
    assert ("mlc.registry", True) in found
    assert ("mlc.version", False) in {(item.module, item.eager) for item in imports(ROOT / "mlc/cli/main.py")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_go_downwards(folder: str) -> None:
    upward = [
        f"{file.relative_to(ROOT)}:{item.line} imports {item.module}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for item in imports(file)
        if not _under(item.module, ALLOWED[folder]) and (module_name(file), item.module) not in NAMES_OF_OTHERS
    ]
    assert upward == []


def _under(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_no_module_imports_itself_through_others() -> None:
    graph = {
        name: {item.module for item in imports(file) if item.eager and item.module != name}
        for name, file in sources().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]), pytrace=False)
