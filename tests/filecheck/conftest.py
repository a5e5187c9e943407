"""Collects the ``.mlir`` files of this folder: each is one test, run in process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlc.errors import UsageError
from mlc.testing.filecheck import FileCheckFailure, run_file


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".mlir":
        return None
    return MlirFile.from_parent(parent, path=file_path)  # pyright: ignore[reportUnknownMemberType]


class MlirFile(pytest.File):
    """A file with RUN lines."""

    def collect(self) -> Iterator[pytest.Item]:
        yield MlirItem.from_parent(self, name="run")  # pyright: ignore[reportUnknownMemberType]


class MlirItem(pytest.Item):
    """All RUN lines of one file."""

    def runtest(self) -> None:
        run_file(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, FileCheckFailure | UsageError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.path.name
