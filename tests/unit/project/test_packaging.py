"""The wheel holds every package: an unlisted one works from a checkout and is absent for users."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = {"mlc": "mlc", **{f"mlc.{name}": name for name in ("dialects", "frontends", "lowering", "codegen")}}


def _setuptools_table() -> dict[str, dict[str, str] | list[str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def _packages_on_disk() -> set[str]:
    return {
        ".".join((package, *file.relative_to(ROOT / folder).parts[:-1]))
        for package, folder in FOLDERS.items()
        for file in (ROOT / folder).rglob("__init__.py")
    }


def test_entry_points_lead_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    for group, entries in groups.items():
        for name, value in entries.items():
            assert EntryPoint(name, value, group).load() is not None


def test_package_dir_maps_the_source_folders() -> None:
    assert _setuptools_table()["package-dir"] == FOLDERS


def test_every_package_is_listed() -> None:
    assert set(_setuptools_table()["packages"]) == _packages_on_disk()


def test_every_source_file_is_in_a_package() -> None:
    orphans = [
        str(file.relative_to(ROOT))
        for folder in FOLDERS.values()
        for file in (ROOT / folder).rglob("*.py")
        if not (file.parent / "__init__.py").exists()
    ]
    assert orphans == []


@pytest.mark.slow
def test_the_wheel_holds_every_module(tmp_path: Path) -> None:
    copy = tmp_path / "source"
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(copy),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    suffixes = {".py", ".c", ".h", ".mjs"}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if Path(name).suffix in suffixes}
    assert packed == {
        f"{package.replace('.', '/')}/{file.relative_to(copy / folder).as_posix()}"
        for package, folder in FOLDERS.items()
        for file in (copy / folder).rglob("*")
        if file.suffix in suffixes
    }
