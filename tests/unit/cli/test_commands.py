"""The small commands, and the parts of ``mlc opt`` that text tests can't reach."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mlc.cli.main import main
from mlc.registry import passes

MODULE = "builtin.module {\n}\n"


def test_doctor_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"versions", "machine", "linkers", "runners", "cache", "variables"}
    assert report["machine"]["cpus allowed"] >= 1


def test_doctor_looks_into_the_cache(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MLC_CACHE_DIR", str(folder))
    main(["doctor", "--json"])
    cache = json.loads(capsys.readouterr().out)["cache"]
    assert (cache["exists"], cache["writable"], cache["private"]) == (False, True, None)
    folder.mkdir(mode=0o755)
    (folder / "kernel").write_bytes(b"12345")
    main(["doctor", "--json"])
    cache = json.loads(capsys.readouterr().out)["cache"]
    assert (cache["exists"], cache["private"], cache["entries"], cache["bytes"]) == (True, False, 1, 5)


def test_doctor_knows_that_a_file_is_no_cache(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLC_CACHE_DIR", str(tmp_path / "file"))
    main(["doctor", "--json"])
    cache = json.loads(capsys.readouterr().out)["cache"]
    assert (cache["exists"], cache["writable"]) == (False, False)


def test_doctor_speaks_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "\nmachine\n" in capsys.readouterr().out


def test_passes_lists_every_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in listed] == list(passes())


def test_passes_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passes", "csee"]) == 2
    assert "did you mean 'cse'?" in capsys.readouterr().err


def test_opt_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("builtin.module {}"))
    assert main(["opt"]) == 0
    assert capsys.readouterr().out == MODULE


def test_opt_keeps_escaped_strings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'builtin.module attributes {a = "\\C3\\A9\\0A", b = [{c = "\\E5\\A4\\A7"}]} {\n}\n'
    (tmp_path / "m.mlir").write_text(text)
    assert main(["opt", str(tmp_path / "m.mlir")]) == 0
    assert capsys.readouterr().out == text
    (tmp_path / "m.mlir").write_text(text.replace("\\A9", "\\FF"))
    assert main(["opt", str(tmp_path / "m.mlir")]) == 1
    assert "this string is no UTF-8" in capsys.readouterr().err


def test_opt_writes_a_file(tmp_path: Path) -> None:
    (tmp_path / "in.mlir").write_text("builtin.module {}")
    assert main(["opt", str(tmp_path / "in.mlir"), "-o", str(tmp_path / "out.mlir")]) == 0
    assert (tmp_path / "out.mlir").read_text() == MODULE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"builtin.module {", "in block definition"),
        (b"builtin.module {" * 2000, "the IR is nested too deeply"),
        (b'"test.op"() : () -> tensor<', ":1:"),
        (b'"builtin.unrealized_conversion_cast"', ":1:"),
    ],
)
def test_opt_refuses_bad_input_in_one_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.mlir"
    file.write_bytes(content)
    assert main(["opt", str(file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"mlc: error: {file}")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("spec", ["cse{", "cse{x=", ",", "cse, dce", "%", "cse}", "cse{x", '"cse"'])
def test_opt_refuses_bad_pipelines_in_one_line(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["opt", "-p", spec]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mlc: error: bad pass pipeline {spec!r}: ")
    assert error.count("\n") == 1
