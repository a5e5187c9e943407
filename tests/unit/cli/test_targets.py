"""`mlc targets`: every machine, and for one of them its CPUs and features in words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import mlc
from mlc.cli.main import main
from mlc.codegen.targets import all_targets, native_target, resolve
from mlc.codegen.targets.cpus import families
from mlc.codegen.targets.tools import TOOLS, emulator_of
from mlc.errors import UnsupportedError
from mlc.testing.onnx_models import perceptron

Capture = pytest.CaptureFixture[str]


def test_lists_every_target(capsys: Capture) -> None:
    assert main(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(all_targets())


def test_says_what_a_target_has(capsys: Capture) -> None:
    assert main(["targets", "aarch64"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  dotprod +int8 dot products \(also: asimddp\)$", out, re.MULTILINE)
    assert re.search(r"^  neon +.* \[on\]$", out, re.MULTILINE)
    assert re.search(r"^  cortex-a53 +in order, caches 32K/128K/512K: crc fp-armv8 neon$", out, re.MULTILINE)


@pytest.mark.parametrize("name", [*all_targets(), "aarch64-linux-gnu"])
def test_json_of_each_target(name: str, capsys: Capture) -> None:
    assert main(["targets", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    family = families().get(found["triple"].partition("-")[0])
    assert list(found["cpus"]) == ([cpu.name for cpu in family.cpus] if family else [])
    if family:
        assert {n for n, f in found["features"].items() if f["enabled"]} == resolve(name).features & set(
            found["features"]
        )


def test_unknown_targets_advise(capsys: Capture) -> None:
    assert main(["targets", "aarch46"]) == 2
    assert "unknown target 'aarch46' (did you mean 'aarch64'?" in capsys.readouterr().err


def test_every_architecture_with_tools_has_targets() -> None:
    architectures = {target.triple.partition("-")[0] for target in all_targets().values()}
    assert TOOLS.keys() <= architectures
    assert emulator_of(resolve("aarch64", "cortex-a72")) == ("qemu-aarch64", "-cpu", "cortex-a72")
    assert emulator_of(resolve("aarch64", "cortex-x2")) == ("qemu-aarch64", "-cpu", "max")


def test_loading_names_the_missing_feature(tmp_path: Path) -> None:
    """The processor that runs the tests lacks one of its family's features, or there is nothing to test."""
    family = families()[native_target().triple.partition("-")[0]]
    lacking = [feature.name for feature in family.features if feature.name not in native_target().features]
    if not lacking:
        pytest.skip("this processor has every feature")
    (tmp_path / "m.onnx").write_bytes(perceptron().SerializeToString())
    flags = [f"--mattr=+{lacking[-1]}", "--threads=1", "-o", str(tmp_path / "m.so")]
    assert main(["-q", "compile", str(tmp_path / "m.onnx"), *flags]) == 0
    with pytest.raises(
        UnsupportedError, match=rf"lacks .*{re.escape(lacking[-1])}.* that the artefact was compiled for"
    ):
        mlc.load(tmp_path / "m.so")


@pytest.mark.parametrize("mattr", ["", "+dotprod"])
def test_compiling_lists_features_of_other_machines(mattr: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "m.onnx").write_bytes(perceptron().SerializeToString())
    command = [
        "compile",
        str(tmp_path / "m.onnx"),
        "--target=aarch64",
        f"--mattr={mattr}",
        "--emit=fused",
        "--threads=1",
    ]
    command += ["-o", str(tmp_path / "m")]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    found = resolve("aarch64", "", mattr)
    assert lines[0] == f"target {found.name} (aarch64-unknown-linux-gnu, generic), 1 thread"
    assert set(lines[1].split()[1:]) == found.features


def test_compiling_lists_features_of_this_machine_when_asked(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "m.onnx").write_bytes(perceptron().SerializeToString())
    command = ["compile", str(tmp_path / "m.onnx"), "--emit=fused", "-o", str(tmp_path / "m")]
    for flags, listed in (([], False), (["-v"], True)):
        assert main([*command, *flags]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert (lines[1] == f"features {' '.join(sorted(native_target().features))}") == listed
