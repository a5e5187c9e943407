"""Environment variables are typed, and a misspelt one is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlc import knobs
from mlc.errors import UsageError
from mlc.host import allowed_cpus


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "2T", "G"])
def test_sizes_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLC_CACHE_BYTES", text)
    with pytest.raises(UsageError, match=f"MLC_CACHE_BYTES='{text}': expected a positive integer"):
        knobs.CACHE_BYTES.get()


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in knobs.KNOBS:
        monkeypatch.delenv(name, raising=False)
    assert knobs.CACHE_DIR.get().name == "mlc"
    assert knobs.CACHE_BYTES.get() == 2 << 30
    assert knobs.NO_CACHE.get() is False
    assert knobs.VERIFY_EACH.get() is False
    assert knobs.JOBS.get() == allowed_cpus()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MLC_CACHE_DIR", "a/b", Path("a/b")),
        ("MLC_CACHE_BYTES", "512", 512),
        ("MLC_CACHE_BYTES", "3M", 3 << 20),
        ("MLC_CACHE_BYTES", "1g", 1 << 30),
        ("MLC_NO_CACHE", "1", True),
        ("MLC_NO_CACHE", "Off", False),
        ("MLC_NO_CACHE", "", False),
        ("MLC_JOBS", "7", 7),
    ],
)
def test_values(name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    assert knobs.KNOBS[name].get() == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("MLC_JOBS", "0"), ("MLC_JOBS", "many"), ("MLC_NO_CACHE", "maybe"), ("MLC_CACHE_BYTES", "G")],
)
def test_bad_values_are_usage_errors(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(UsageError, match=f"^{name}='{text}': "):
        knobs.KNOBS[name].get()


def test_unknown_variables() -> None:
    unknown = knobs.unknown_variables({"MLC_CACHE_DIRS": "x", "MLC_JOBS": "2", "PATH": "/bin"})
    assert list(unknown) == ["MLC_CACHE_DIRS"]
    assert unknown["MLC_CACHE_DIRS"].startswith("did you mean 'MLC_CACHE_DIR'?")


def test_every_knob_says_what_it_does() -> None:
    assert all(knob.doc for knob in knobs.KNOBS.values())
