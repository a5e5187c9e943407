"""Objects for macOS and Windows: which symbols they have, that others are refused, and what can't be made for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto, helper

from mlc.cli.main import main
from mlc.codegen.foreign import ALLOWED, check_foreign_imports, global_symbols
from mlc.codegen.object import link_ir
from mlc.codegen.targets import resolve
from mlc.errors import InternalError
from mlc.testing.onnx_models import perceptron, small_model

INTERFACE = {"init", "run", "run_frame", "free", "threads", "arena_size", "abi_version", "metadata"}
TARGETS = {
    "arm64-apple-macos": b"\xcf\xfa\xed\xfe",
    "x86_64-apple-darwin": b"\xcf\xfa\xed\xfe",
    "x86_64-pc-windows-msvc": b"\x64\x86",
    "aarch64-pc-windows-msvc": b"\x64\xaa",
    "x86_64-windows-gnu": b"\x64\x86",
}
SHARED_CONSTANTS = ("__real@", "__xmm@", "__ymm@", "__zmm@")
"""Constants that objects by Microsoft's rules share, named by their value."""
Capture = pytest.CaptureFixture[str]


def math_model() -> ModelProto:
    """Operations that other compilers call a library for."""
    names = ["Exp", "Erf", "Floor", "Round", "Sin", "Tanh", "Sqrt"]
    nodes = [helper.make_node(op, [before], [op]) for op, before in zip(names, ["x", *names])]
    nodes.append(helper.make_node("Log", [names[-1]], ["y"]))
    return small_model([*nodes, helper.make_node("Mod", ["x", "y"], ["z"], fmod=1)], {"x": (3, 17)}, {"z": (3, 17)})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["perceptron", "math"])
def test_objects_export_the_interface(target: str, kind: str, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes((perceptron() if kind == "perceptron" else math_model()).SerializeToString())
    file = tmp_path / "m.o"
    assert main(["-q", "compile", str(model), f"--target={target}", "-o", str(file)]) == 0
    data = file.read_bytes()
    assert data.startswith(TARGETS[target])
    container = resolve(target).container
    defined, needed = global_symbols(data, container)
    assert defined >= {f"m_{function}" for function in INTERFACE}
    assert [name for name in defined if not name.startswith(("m_", "@feat.00", *SHARED_CONSTANTS))] == []
    assert needed <= ALLOWED[container]


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_program_has_not_is_refused(target: str) -> None:
    machine = resolve(target)
    text = b"""declare float @fmodf(float, float)
define float @f(float %x) {
  %y = call float @fmodf(float %x, float %x)
  ret float %y
}
"""
    made = link_ir("f", [text], machine, ["f"])
    assert "fmodf" in global_symbols(made, machine.container)[1]
    with pytest.raises(InternalError, match="the code needs fmodf of another library"):
        check_foreign_imports(made, machine.container)


@pytest.mark.parametrize("container", ["macho", "coff"])
def test_other_files_are_no_objects(container: str) -> None:
    with pytest.raises(InternalError, match="not a 64-bit"):
        global_symbols(bytes(64), container)


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["-o", "m.so"], 2, "has no shared library (end it with .o)"),
        (["-o", "m.a"], 4, "mlc writes no archives for aarch64-apple-macosx11.0-macho"),
        (["--emit=exe", "-o", "m"], 4, "no linker for aarch64-apple-macosx11.0-macho"),
        (["-o", "m.o", "--threads=2"], 4, "code runs on one thread, not 2"),
        (["-o", "m.o", "--mcpu=apple-m2"], 4, "can't ask for the processor features bf16, i8mm"),
        (["-o", "m.o", "--multiversion=aarch64,aarch64:apple-m1"], 2, "not aarch64-apple-macosx11.0-macho"),
    ],
)
def test_refusals(
    flags: list[str], status: int, words: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(perceptron().SerializeToString())
    assert main(["compile", "m.onnx", "--target=arm64-apple-macos", *flags]) == status
    assert words in capsys.readouterr().err


def test_large_weights_stay_in_a_file(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlc.codegen.artefact.MOST_WEIGHTS_IN_IR", 1 << 10)
    (tmp_path / "m.onnx").write_bytes(perceptron().SerializeToString())
    command = ["compile", str(tmp_path / "m.onnx"), "--target=arm64-apple-macos", "-o", str(tmp_path / "m.o")]
    assert main(command) == 4
    assert "too large to embed (keep them in a file: --weights=file)" in capsys.readouterr().err
    assert main([*command, "--weights=file"]) == 0


@pytest.mark.parametrize("features", ["", "+dotprod,+fp16"])
def test_macs_need_no_check_for_what_all_have(features: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(perceptron().SerializeToString())
    flags = ["--target=arm64-apple-macos", "--mcpu=apple-m1", *([f"--mattr={features}"] if features else [])]
    assert main(["-q", "compile", str(tmp_path / "m.onnx"), *flags, "-o", str(tmp_path / "m.o")]) == 0
