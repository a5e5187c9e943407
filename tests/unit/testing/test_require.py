"""A missing tool skips a test here and fails it in continuous integration."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlc.testing.require import require_module, require_tool


def test_present_tools_are_found() -> None:
    assert require_tool("no-such-tool", "sh").endswith("/sh")
    require_module("json")


@pytest.mark.parametrize("need", [lambda: require_tool("no-such-tool"), lambda: require_module("no_such_module")])
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_missing_ones(
    need: Callable[[], object], ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="is not installed"):
        need()
