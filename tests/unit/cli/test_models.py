"""The commands that take models, and what bad input gets: one line, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

import mlc
from mlc.cli.main import main
from mlc.dialects.weights import WeightStore
from mlc.testing.onnx_models import cyclic, perceptron, small_model, unary

X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "m.onnx"
    path.write_bytes(perceptron().SerializeToString())
    return str(path)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.is_file()}


def test_compile_prints_the_target(model: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["compile", model, "-o", str(tmp_path / "m.so"), "--threads=1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("target x86-64-v")
    assert "1 thread\n" in out
    assert str(tmp_path / "m.so") in out
    np.testing.assert_array_equal(mlc.load(tmp_path / "m.so")(X)[1], X + X)


def test_compile_prints_the_features_of_another_machine(model: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["compile", model, "-o", str(tmp_path / "m.o"), "--target=aarch64", "--mcpu=cortex-a76"]) == 0
    assert "\nfeatures crc dotprod fp-armv8 fullfp16 lse neon rcpc rdm\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "files"),
    [
        (["-o", "n.o"], {"n.o", "n.h"}),
        (["-o", "libn.a", "--weights=file"], {"libn.a", "n.h", "n.weights"}),
        (["-o", "libn.a", "--name=model"], {"libn.a", "model.h"}),
        (["-o", "n.h"], {"n.h"}),
        (["-o", "n", "--emit=lib,archive"], {"n.so", "n.a", "n.h"}),
        (["-o", "n", "--emit=graph"], {"n.hlt.mlir", "n.safetensors"}),
        (["-o", "n", "--emit=llvm,asm,header"], {"n.ll", "n.s", "n.h"}),
        (["-o", "n", "--emit=onnx"], {"n.onnx"}),
    ],
)
def test_outputs(
    model: str, tmp_path: Path, flags: list[str], files: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["-q", "compile", model, "--threads=1", *flags]) == 0
    assert names(folder) == files


@pytest.mark.parametrize("suffix", [".ll", ".s", ".ptx", ".o"])
def test_what_a_compilation_ends_with_is_no_model(suffix: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(b"x")
    assert main(["compile", str(path)]) == 2
    assert "is not read again (go on from .hlt.mlir" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["graph", "fused", "kernels", "scheduled"])
def test_every_text_stage_can_be_resumed(stage: str, model: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["compile", model, "-o", str(tmp_path / "n"), f"--emit={stage}", "--threads=1"]) == 0
    text = next(file for file in tmp_path.iterdir() if file.suffix == ".mlir")
    assert main(["compile", str(text), "-o", str(tmp_path / "n.so"), "--threads=1"]) == 0
    np.testing.assert_array_equal(mlc.load(tmp_path / "n.so")(X)[1], X + X)
    assert main(["verify", model, f"--against={tmp_path / 'n.so'}"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("stage", ["graph", "fused", "kernels", "scheduled"])
def test_names_of_any_characters_are_resumed(stage: str, tmp_path: Path) -> None:
    proto = small_model(
        [helper.make_node("MatMul", ["Größe 大", 'w\n"\\'], ["résultat"], name="乘\x01")],
        {"Größe 大": (2, 8)},
        {"résultat": (2, 4)},
    )
    proto.graph.initializer[0].name = 'w\n"\\'
    model = written(tmp_path, proto.SerializeToString())
    assert main(["compile", model, f"--emit={stage}", "-o", str(tmp_path / "s")]) == 0
    (text,) = tmp_path.glob("s.*.mlir")
    assert main(["compile", str(text), "-o", str(tmp_path / "r.so")]) == 0
    net = mlc.load(tmp_path / "r.so")
    assert [spec.name for spec in (*net.inputs, *net.outputs)] == ["Größe 大", "résultat"]
    np.testing.assert_allclose(net(X), X @ numpy_helper.to_array(proto.graph.initializer[0]), rtol=1e-5)


def test_what_is_past_a_stage_does_not_go_back(model: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["compile", model, "--emit=scheduled", "-o", str(tmp_path / "s")]) == 0
    assert main(["compile", str(tmp_path / "s.scheduled.mlir"), "--emit=graph", "-o", str(tmp_path / "t")]) == 2
    assert "this is scheduled already: graph comes before it" in capsys.readouterr().err


def test_the_emitted_onnx_model_compiles(model: str, tmp_path: Path) -> None:
    assert main(["-q", "compile", model, "-o", str(tmp_path / "n"), "--emit=onnx"]) == 0
    for a, b in zip(mlc.compile(tmp_path / "n.onnx")(X), mlc.compile(model)(X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_machines(model: str, tmp_path: Path) -> None:
    files = {"aarch64": "asm,obj", "cuda-sm80": "asm"}
    for target, stages in files.items():
        command = ["-q", "compile", model, f"--target={target}", f"--emit={stages}", "--threads=1"]
        assert main([*command, "-o", str(tmp_path / target)]) == 0
    assert "fmla" in (tmp_path / "aarch64.s").read_text()
    assert (tmp_path / "aarch64.o").read_bytes()[18] == 183
    assert ".target sm_80" in (tmp_path / "cuda-sm80.ptx").read_text()


def test_resuming_needs_the_same_weights(model: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["compile", model, "-o", str(tmp_path / "n"), "--emit=graph"]) == 0
    file = tmp_path / "n.safetensors"
    right, wrong = WeightStore.load_safetensors(file), WeightStore()
    for name in right:
        wrong.add_array(name, right.array(name) + 1)
    wrong.save_safetensors(file)
    command = ["compile", str(tmp_path / "n.hlt.mlir"), "-o", str(tmp_path / "n.so")]
    capsys.readouterr()
    assert main(command) == 1
    assert "is not the one that the IR was made for" in capsys.readouterr().err
    file.unlink()
    assert main(command) == 1
    assert "is in no file beside" in capsys.readouterr().err


def test_run_reads_and_writes_arrays(model: str, tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "all.npz", x=X)
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(X).SerializeToString())
    for word in ("x.npy", "all.npz", "x.pb"):
        prefix = "" if word == "all.npz" else "x="
        flags = ["-i", f"{prefix}{tmp_path / word}", "-o", str(tmp_path / "y.npz")]
        assert main(["run", model, *flags]) == 0
        with np.load(tmp_path / "y.npz") as outputs:
            np.testing.assert_array_equal(outputs["z"], X + X)
    assert "z: dtype float32, shape [2, 8], min" in capsys.readouterr().out


def test_run_makes_inputs_up(model: str, capsys: Capture) -> None:
    seen: list[dict[str, dict[str, float]]] = []
    for flags in (["--fill=ones"], ["--seed=1"], ["--seed=1"], ["--seed=2"]):
        assert main(["run", model, "--json", *flags]) == 0
        seen.append(json.loads(capsys.readouterr().out))
    assert seen[0]["z"]["mean"] == 2
    assert seen[1] == seen[2] != seen[3]


def test_results_that_json_does_not_know(tmp_path: Path, capsys: Capture) -> None:
    model = written(tmp_path, unary("Log").SerializeToString())
    assert main(["run", model, "--json", "--fill=zeros"]) == 0
    facts = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert facts["y"]["min"] is None


def test_names_can_not_steer_a_terminal(tmp_path: Path, capsys: Capture) -> None:
    proto = unary("Relu")
    proto.graph.output[0].name = proto.graph.node[0].output[0] = "y\n\x1b[31m"
    model = written(tmp_path, proto.SerializeToString())
    for command in ("run", "verify", "inspect"):
        assert main([command, model]) == 0
        out = capsys.readouterr().out
        assert "y\\n\\x1b[31m" in out
        assert "\x1b" not in out


def test_verify_agrees(model: str, capsys: Capture) -> None:
    assert main(["verify", model]) == 0
    out = capsys.readouterr().out
    assert "ok   y [2x4]" in out
    assert "2 of 2 tensors agree" in out
    assert main(["verify", model, "--all-tensors", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert {tensor["name"].split()[0] for tensor in report["tensors"]} >= {"product", "twice"}


def test_verify_notices_a_wrong_kernel(model: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlc.lowering.scalar import Scalar

    monkeypatch.setattr(Scalar, "add", Scalar.sub)
    for flags in ([], ["--all-tensors"]):
        assert main(["verify", model, "--no-cache", *flags]) == 3
        assert "FAIL" in capsys.readouterr().out


def test_verify_takes_test_data(model: str, tmp_path: Path, capsys: Capture) -> None:
    y, z = mlc.compile(model)(X)
    arrays = {"input_0": X, "output_0": y, "output_1": z}
    for name, array in arrays.items():
        (tmp_path / f"{name}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    assert main(["verify", model, "--test-data", str(tmp_path)]) == 0
    (tmp_path / "output_1.pb").write_bytes(numpy_helper.from_array(z + 1).SerializeToString())
    assert main(["verify", model, "--test-data", str(tmp_path)]) == 3
    assert "FAIL z" in capsys.readouterr().out
    (tmp_path / "output_1.pb").unlink()
    assert main(["verify", model, "--test-data", str(tmp_path)]) == 1
    assert "no test data" in capsys.readouterr().err


def test_bench_times_mlc(model: str, capsys: Capture) -> None:
    flags = ["--threads=1", "--iterations=50", "--warmup=0.01"]
    assert main(["bench", model, "--json", *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    (mine,) = report["runtimes"]
    assert (mine["runtime"], mine["runs"]) == ("mlc", 50)
    assert 0 < mine["min_ms"] <= mine["median_ms"] <= mine["p99_ms"]
    assert report["flops"] == 2 * 2 * 8 * 4
    assert report["peak_gflops"] > 1


def test_bench_compares(model: str, capsys: Capture) -> None:
    pytest.importorskip("onnxruntime")
    flags = ["--threads=1", "--iterations=50", "--warmup=0.01", "--compare=onnxruntime"]
    assert main(["bench", model, *flags]) == 0
    assert "onnxruntime" in capsys.readouterr().out


def test_inspect(model: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["inspect", model]) == 0
    out = capsys.readouterr().out
    assert "in[0]    x: float32 2x8" in out
    assert "product (MatMul)" in out
    assert main(["inspect", model, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["arena_bytes"] >= 0
    assert any(kernel["schedules"] for kernel in report["kernels"])
    mlc.compile(model).save(tmp_path / "m.so")
    assert main(["inspect", str(tmp_path / "m.so"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "m"


def test_symbolic_dims(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "s.onnx"
    path.write_bytes(perceptron("batch").SerializeToString())
    for flags in (["--dim", "batch=3"], ["--shapes", "x:3x8"]):
        assert main(["verify", str(path), *flags]) == 0
        assert main(["compile", str(path), "-o", str(tmp_path / "s.so"), *flags]) == 0
    assert mlc.load(tmp_path / "s.so").inputs[0].shape == (3, 8)
    capsys.readouterr()
    assert main(["compile", str(path), "-o", str(tmp_path / "t.so")]) == 2
    assert "no extent given for 'batch' of input 'x' (for example --dim batch=1)" in capsys.readouterr().err
    assert not (tmp_path / "t.so").exists()


def test_dims_within_bounds(tmp_path: Path, capsys: Capture) -> None:
    """Made-up inputs have extents within the bounds, and not the largest: padding counts."""
    path, library = str(tmp_path / "s.onnx"), str(tmp_path / "s.so")
    Path(path).write_bytes(perceptron("batch").SerializeToString())
    assert main(["compile", path, "--dim=batch=1..6", "-o", library]) == 0
    for command in (["verify", path, "--dim=batch=1..6"], ["run", library], ["bench", library, "--iterations=2"]):
        assert main(command) == 0
    out = capsys.readouterr().out
    assert "y [4x4]" in out
    assert "y: dtype float32, shape [4, 4]" in out
    for command in (["inspect", path, "--dim=batch=1..6"], ["inspect", library]):
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "in[0]    x: float32 batchx8" in out
        assert "dim      batch in 1..6" in out


Bad = Callable[[Path, str], list[str]]


def written(folder: Path, data: bytes) -> str:
    (folder / "bad.onnx").write_bytes(data)
    return str(folder / "bad.onnx")


def opened(folder: Path) -> str:
    return written(folder, unary("Relu", shape=("batch", 8)).SerializeToString())


def saved(folder: Path) -> str:
    np.save(folder / "x.npy", X)
    return str(folder / "x.npy")


BAD: dict[str, tuple[Bad, int, str]] = {
    "truncated": (lambda f, m: ["compile", written(f, Path(m).read_bytes()[:-40])], 1, "truncated"),
    "empty": (lambda f, m: ["compile", written(f, b"")], 1, "is empty"),
    "no model": (lambda f, m: ["run", written(f, b"hello world, this is text")], 1, "not an ONNX model"),
    "missing": (lambda f, m: ["verify", str(f / "nowhere.onnx")], 1, "can't open the model"),
    "a folder": (lambda f, m: ["inspect", str(f)], 1, "is a folder"),
    "cyclic": (lambda f, m: ["compile", written(f, cyclic().SerializeToString())], 1, "cycle"),
    "unsupported": (lambda f, m: ["compile", written(f, unary("Frob").SerializeToString())], 4, "Frob"),
    "target": (lambda f, m: ["compile", m, "--target=x86-64-v7"], 2, "unknown target 'x86-64-v7' (did you mean"),
    "flag": (lambda f, m: ["compile", m, "--targt=native"], 2, "unknown argument '--targt=native' (did you mean"),
    "stage": (lambda f, m: ["compile", m, "--emit=grph"], 2, "unknown stage 'grph' in --emit (did you mean 'graph'?"),
    "foreign": (lambda f, m: ["bench", m, "--target=aarch64"], 2, "can't run in this process"),
    "gpu": (lambda f, m: ["compile", m, "--target=cuda-sm80"], 4, "not put into artefacts"),
    "level": (lambda f, m: ["compile", m, "-O7"], 2, "optimisation level 7"),
    "threads": (lambda f, m: ["compile", m, "--threads=-1"], 2, "-1 is no number of threads"),
    "suffix": (lambda f, m: ["compile", m, "-o", str(f / "m.exe")], 2, "does not say what to write"),
    "no such folder": (lambda f, m: ["compile", m, "-o", str(f / "no" / "m.so")], 2, "there is no such folder"),
    "shape": (lambda f, m: ["run", m, "--shapes=x:2xx8"], 2, "bad shape 'x:2xx8'"),
    "other shape": (lambda f, m: ["run", m, "--shapes=x:3x8"], 2, "contradicts"),
    "dim": (lambda f, m: ["run", m, "--dim=batch"], 2, "bad dim 'batch'"),
    "input": (lambda f, m: ["run", m, "-i", "q=x.npy"], 2, "q=x.npy|x.npy"),
    "array": (lambda f, m: ["run", m, "-i", f"x={m}"], 2, "unknown kind of file"),
    "against": (lambda f, m: ["verify", m, "--against=tflite"], 2, "can't verify against 'tflite'"),
    "peer": (lambda f, m: ["bench", m, "--compare=onnxruntim"], 2, "unknown runtime 'onnxruntim' (did you mean"),
    "percentile": (lambda f, m: ["bench", m, "--percentile=fifty"], 2, "bad percentiles"),
    "output of several": (lambda f, m: ["run", m, "-o", str(f / "y.npy")], 2, "can't write 2 outputs"),
    "output's suffix": (lambda f, m: ["run", m, "-o", str(f / "y")], 2, "end it with .npz"),
    "output without name": (lambda f, m: ["compile", m, "-o", ""], 2, "'.' is no file to write to"),
    "output to a stream": (lambda f, m: ["compile", m, "--emit=llvm", "-o", "-"], 2, "'-' is no file to write to"),
    "output to a folder": (lambda f, m: ["compile", m, "--emit=exe", "-o", str(f)], 2, "is a folder"),
    "no stage": (lambda f, m: ["compile", m, "--emit="], 2, "unknown stage ''"),
    "dim twice": (lambda f, m: ["run", m, "--dim=n=1", "--dim=n=2"], 2, "the dim 'n' is given twice"),
    "negative dim": (lambda f, m: ["run", m, "--dim=n=-1"], 2, "extent -1 is not a whole number"),
    "negative expression": (lambda f, m: ["compile", opened(f), "--dim=batch=3-5"], 2, "can't be '3-5': that is -2"),
    "input twice": (lambda f, m: ["run", m, *2 * ("-i", f"x={saved(f)}")], 2, "input 'x' is given already"),
    "external root": (lambda f, m: ["run", m, f"--external-root={f}/no"], 2, "is no folder of external data"),
    "pass": (lambda f, m: ["compile", m, "--print-ir-after=grop"], 2, "unknown pass 'grop' (did you mean 'group'?"),
    "seed": (lambda f, m: ["run", m, "--seed=-1"], 2, "'-1' is not a whole number of at least 0"),
    "emulator": (lambda f, m: ["run", m, '--emulator=qemu "'], 2, "No closing quotation"),
    "iterations": (lambda f, m: ["bench", m, "--iterations=-1"], 2, "'-1' is not a whole number of at least 0"),
    "duration": (lambda f, m: ["bench", m, "--duration=nan"], 2, "'nan' is not a number of at least 0"),
    "tolerance": (lambda f, m: ["verify", m, "--rtol=nan"], 2, "'nan' is not a number of at least 0"),
    "level without =": (lambda f, m: ["compile", "--multiversion", m, m], 2, "unknown argument"),
    "verify a library": (lambda f, m: ["verify", str(f / "m.so")], 2, "is no ONNX model"),
    "run a stage": (lambda f, m: ["run", str(f / "m.hlt.mlir")], 2, "is no ONNX model"),
    "library for": (lambda f, m: ["run", str(f / "m.so"), "--target=aarch64"], 2, "--target comes too late"),
    "library's emulator": (lambda f, m: ["run", str(f / "m.so"), "--emulator=x"], 2, "--emulator comes too late"),
    "stage's dims": (lambda f, m: ["compile", str(f / "m.hlt.mlir"), "--dim=n=1"], 2, "--dim comes too late"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(
    case: str, model: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, status, words = BAD[case]
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    command = arguments(folder, model)
    before = names(folder)
    assert main(command) == status
    error = capsys.readouterr().err
    assert error.startswith("mlc: error: ")
    assert error.count("\n") == 1
    assert any(word in error for word in words.split("|"))
    assert names(folder) == before


@pytest.mark.skipif(os.getuid() == 0, reason="this user may write everywhere")
def test_a_read_only_output(model: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert main(["compile", model, "-o", str(tmp_path / "closed" / "m.so")]) == 2
    assert "read-only" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(
    model: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlc.codegen.image.Image.copy_to", full)
    folder = tmp_path / "out"
    folder.mkdir()
    assert main(["compile", model, "-o", str(folder / "m.so"), "--no-cache"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert names(folder) == set()


def test_verify_against_onnxruntime(model: str, capsys: Capture) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["verify", model, "--against=onnxruntime"]) == 0
    assert "2 of 2 tensors agree" in capsys.readouterr().out
