"""`mlc verify` on other machines: programs under emulators, processors that lack features, and results that differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlc.cli.main import main
from mlc.codegen.targets import resolve
from mlc.codegen.targets.tools import emulator_of, tools_of
from mlc.testing.onnx_models import perceptron
from mlc.testing.require import require_tool

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "m.onnx"
    path.write_bytes(perceptron().SerializeToString())
    return str(path)


def require_tools(target: str) -> None:
    tools = tools_of(resolve(target))
    if tools is None:
        require_tool("node")
        return
    require_tool(f"{tools.gnu}-gcc", *(("cc",) if target.startswith("x86") else ()))
    require_tool(tools.emulator)


CASES = {
    "aarch64": ["--target=aarch64"],
    "aarch64 a76": ["--target=aarch64", "--mcpu=cortex-a76", "--threads=2"],
    "armv7": ["--target=armv7"],
    "riscv64": ["--target=riscv64"],
    "x86-64-v2": ["--target=x86-64-v2", "--emulator=qemu-x86_64"],
    "wasm32": ["--target=wasm32"],
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_under_emulation(case: str, model: str, capsys: Capture) -> None:
    require_tools(case.split()[0])
    assert main(["verify", model, *CASES[case]]) == 0
    assert "2 of 2 tensors agree" in capsys.readouterr().out


def test_notices_a_wrong_kernel(model: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlc.lowering.scalar import Scalar

    require_tools("aarch64")
    monkeypatch.setattr(Scalar, "add", Scalar.sub)
    assert main(["verify", model, "--target=aarch64", "--no-cache"]) == 3
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "cpu", "lesser"),
    [
        ("aarch64", "cortex-a76", "qemu-aarch64 -cpu cortex-a53"),
        ("aarch64", "neoverse-n2", "qemu-aarch64 -cpu a64fx"),
        ("x86-64", "haswell", "qemu-x86_64 -cpu Nehalem"),
    ],
)
def test_lesser_processors_are_refused(target: str, cpu: str, lesser: str, model: str, capsys: Capture) -> None:
    """The same program runs where the features are, and ends with one line where they are not."""
    require_tools(target)
    command = ["verify", model, f"--target={target}", f"--mcpu={cpu}"]
    better = " ".join(emulator_of(resolve(target, cpu)))
    assert main([*command, f"--emulator={better}"]) == 0
    capsys.readouterr()
    assert main([*command, f"--emulator={lesser}"]) == 1
    error = capsys.readouterr().err
    assert "this processor lacks a feature that the program was compiled for: " in error
    assert error.count("\n") == 1


def test_run_works_alike(model: str, tmp_path: Path, capsys: Capture) -> None:
    require_tools("aarch64")
    x = np.ones((2, 8), np.float32)
    np.save(tmp_path / "x.npy", x)
    assert main(["run", model, "--target=aarch64", "-i", str(tmp_path / "x.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["z"]["mean"] == 2


@pytest.mark.parametrize("target", ["aarch64", "armv7", "riscv64"])
def test_dims_within_bounds(target: str, tmp_path: Path, capsys: Capture) -> None:
    """Made-up inputs have several extents within the bounds, given ones their own: whatever tiles that leaves."""
    require_tools(target)
    model = tmp_path / "s.onnx"
    model.write_bytes(perceptron("batch").SerializeToString())
    for batch in (None, 1, 2, 4, 13, 40):
        if batch is not None:
            np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((batch, 8)).astype(np.float32))
        flags = [] if batch is None else ["-i", str(tmp_path / "x.npy")]
        assert main(["verify", str(model), "--dim=batch=1..40", f"--target={target}", *flags]) == 0
        out = capsys.readouterr().out
        assert all(f"y [{rows}x4]" in out for rows in ((40, 1, 21) if batch is None else (batch,)))


def test_modules_with_dims_within_bounds(tmp_path: Path, capsys: Capture) -> None:
    require_tools("wasm32")
    (tmp_path / "s.onnx").write_bytes(perceptron("batch").SerializeToString())
    assert main(["run", str(tmp_path / "s.onnx"), "--dim=batch=1..6", "--target=wasm32"]) == 4
    assert "fixed shapes alone" in capsys.readouterr().err


def test_what_can_not_be_emulated(model: str, capsys: Capture) -> None:
    for flags, words in {
        ("--target=arm64-apple-macos",): "no emulator is known for aarch64 (aarch64-apple-macosx11.0-macho)",
        ("--target=aarch64", "--all-tensors"): "it can't judge another machine's",
    }.items():
        if "--all-tensors" in flags:
            require_tools("aarch64")
        assert main(["verify", model, *flags]) in (2, 4)
        assert words in capsys.readouterr().err


def test_zig_links_programs(model: str, capsys: Capture) -> None:
    pytest.importorskip("ziglang", reason="the ziglang package (400 MB) is not installed")
    assert main(["compile", model, "--target=aarch64", "--emit=exe", "--linker=zig", "-o", model + ".exe"]) == 0
    assert "ziglang cc" in capsys.readouterr().out
