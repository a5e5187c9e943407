"""The generated pages name everything that there is; `make docs` builds the rest, strictly."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from mlc.cli.main import COMMANDS
from mlc.codegen.targets import all_targets
from mlc.frontends.onnx.registry import importers
from mlc.knobs import KNOBS
from mlc.registry import pass_files

ROOT = Path(__file__).parents[3]
NAMES = {
    "reference/cli.md": COMMANDS,
    "reference/environment.md": KNOBS,
    "reference/operators.md": [name for _, name in importers()],
    "reference/passes.md": pass_files(),
    "reference/targets.md": all_targets(),
}


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs/_generated/pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", NAMES)
def test_generated_pages_name_everything(path: str, pages: ModuleType) -> None:
    text = pages.PAGES[path]()
    assert [name for name in NAMES[path] if name not in text] == []


def test_every_page_is_in_the_navigation(pages: ModuleType) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    on_disk = {str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md")}
    assert {page for page in on_disk | set(pages.PAGES) if page not in navigation} == set()


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(file: str) -> None:
    targets: list[str] = re.findall(r"\]\(([^)#:]+)\)", (ROOT / file).read_text())
    assert [target for target in targets if not (ROOT / target).exists()] == []
