"""Instruction sets are named in ``codegen/targets`` alone (and where a file format numbers them)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("codegen", "lowering", "dialects", "frontends")
TARGETS = ROOT / "codegen" / "targets"
FORMATS = (ROOT / "codegen" / "elf.py",)
NAME = re.compile(r"x86|amd64|avx|\bsse|aarch64|arm64|armv7|\barm\b|neon|riscv|rvv|nvptx|\bptx", re.IGNORECASE)


def words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names and texts of a module, those of docstrings and imports apart."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_targets_name_instruction_sets(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text[:60]!r}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if TARGETS not in path.parents and path not in FORMATS
        for line, text in words(ast.parse(path.read_text(encoding="utf-8")))
        if NAME.search(text)
    ]
    assert found == []


def test_the_search_finds_names() -> None:
    tree = ast.parse('"""x86 in a docstring."""\nfast = target.has_avx2 and name == "aarch64"')
    assert [text for _, text in words(tree) if NAME.search(text)] == ["has_avx2", "aarch64"]
