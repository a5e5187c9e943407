"""Stand-alone programs: what they read and write, how they refuse, and which linker makes them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mlc.cli.main import main
from mlc.codegen.executable import file_names
from mlc.testing.onnx_models import perceptron, small_model
from mlc.testing.require import require_tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are for Linux")
Done = subprocess.CompletedProcess[str]
X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)
Capture = pytest.CaptureFixture[str]

KINDS: dict[str, tuple[int, np.dtype[np.generic]]] = {
    "f": (TensorProto.FLOAT, np.dtype(np.float32)),
    "d": (TensorProto.DOUBLE, np.dtype(np.float64)),
    "h": (TensorProto.FLOAT16, np.dtype(np.float16)),
    "l": (TensorProto.INT64, np.dtype(np.int64)),
    "i": (TensorProto.INT32, np.dtype(np.int32)),
    "u": (TensorProto.UINT8, np.dtype(np.uint8)),
    "o": (TensorProto.BOOL, np.dtype(np.bool_)),
}
"""One input of each type; none is the same transposed."""


def build(folder: Path, model: ModelProto, name: str, *flags: str) -> Path:
    require_tool("cc", "gcc")
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    path = folder / name
    assert main(["-q", "compile", str(folder / f"{name}.onnx"), "--emit=exe", "-o", str(path), *flags]) == 0
    return path


def call(program: Path, *words: object) -> Done:
    command = [program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("program"), perceptron(), "m", "--threads=2")


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that transposes an array of every type."""
    nodes = [helper.make_node("Transpose", [k], [f"{k}/t"], name=k) for k in KINDS]
    inputs = [helper.make_tensor_value_info(k, kind, [2, 3]) for k, (kind, _) in KINDS.items()]
    outputs = [helper.make_tensor_value_info(f"{k}/t", kind, [3, 2]) for k, (kind, _) in KINDS.items()]
    graph = helper.make_graph(nodes, "typed", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return build(tmp_path_factory.mktemp("typed"), model, "typed", "--threads=1")


def test_reads_npy_and_writes_npy(program: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    for words in ([tmp_path / "x.npy"], [f"x={tmp_path / 'x.npy'}"]):
        done = call(program, *words, "-o", tmp_path, "--threads=2")
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), X + X)


def test_shows_first_values(program: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((2, 8), 1.5, np.float32))
    assert "z: float32 2x8: 3 3 3 3 3 3 3 3 ...\n" in call(program, tmp_path / "x.npy").stdout


def arrays() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    generator = np.random.default_rng(2)
    return {k: (generator.standard_normal((2, 3)) * 100).astype(dtype) for k, (_, dtype) in KINDS.items()}


@pytest.mark.parametrize("form", ["npy", "raw", "typed"])
def test_every_type_in_every_form(typed: Path, tmp_path: Path, form: str) -> None:
    words: list[str] = []
    for key, array in arrays().items():
        file = tmp_path / f"{key}.{'npy' if form == 'npy' else 'pb'}"
        if form == "npy":
            np.save(file, array)
        else:
            raw = array.tobytes() if form == "raw" else array.flatten().tolist()
            tensor = helper.make_tensor(key, KINDS[key][0], array.shape, raw, raw=form == "raw")
            file.write_bytes(tensor.SerializeToString())
        words.append(f"{key}={file}")
    done = call(typed, *words, "-o", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for key, array in arrays().items():
        result = np.load(tmp_path / f"{key}_t.npy")
        assert result.dtype == array.dtype
        np.testing.assert_array_equal(result, array.T)


def test_types_that_numpy_does_not_know(tmp_path: Path) -> None:
    bfloat16 = ml_dtypes.bfloat16
    graph = helper.make_graph(
        [helper.make_node("Transpose", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.BFLOAT16, [3, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    program = build(tmp_path, model, "b", "--threads=1")
    array = np.arange(6).reshape(2, 3).astype(bfloat16)
    np.save(tmp_path / "x.npy", array)
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    for name in ("x.npy", "x.pb"):
        done = call(program, tmp_path / name, "-o", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy").view(bfloat16), array.T)


def test_times_runs(program: Path) -> None:
    done = call(program, "--bench=20", "--warmup=1", "--threads=1")
    match = re.fullmatch(r"m  min = (\S+)  max = (\S+)  avg = (\S+) ms  \(20 runs, 1 threads\)\n", done.stdout)
    assert match is not None, done
    least, most, average = map(float, match.groups())
    assert 0 <= least <= average <= most


def test_describes_itself(program: Path) -> None:
    info = call(program, "--info").stdout
    assert info.startswith("in[0]  x: float32 2x8\nout[0]  y: float32 2x4\nout[1]  z: float32 2x8\ntarget   ")
    assert "  x: float32 2x8\n" in call(program, "--help").stdout


def test_weights_in_a_file(tmp_path: Path) -> None:
    program = build(tmp_path, perceptron(), "w", "--threads=1", "--weights=file")
    np.save(tmp_path / "x.npy", X)
    assert call(program, tmp_path / "x.npy", f"--weights={tmp_path / 'w.weights'}").returncode == 0
    (tmp_path / "bad").write_bytes((tmp_path / "w.weights").read_bytes()[:-1])
    cases = {"": (2, "pass --weights=w.weights"), "bad": (1, "another model's"), "no": (2, "No such file")}
    for name, (status, words) in cases.items():
        done = call(program, tmp_path / "x.npy", *([f"--weights={tmp_path / name}"] if name else []))
        assert done.returncode == status
        assert words in done.stderr


BAD: dict[str, tuple[list[str], int, str]] = {
    "nothing": ([], 2, "input 'x' is not given: pass a .npy or .pb file of float32 2x8"),
    "missing": (["nowhere.npy"], 2, "can't read 'nowhere.npy': No such file"),
    "dtype": (["double.npy"], 2, "holds '<f8', input 'x' is '<f4' (float32)"),
    "shape": (["long.npy"], 2, "'long.npy' has shape 2x9, input 'x' is float32 2x8"),
    "order": (["fortran.npy"], 2, "is in Fortran order"),
    "cut": (["cut.npy"], 2, "holds 40 bytes of elements, its shape needs 64"),
    "text": (["text.pb"], 2, "holds "),
    "other": (["text.txt"], 2, "is neither a .npy nor a .pb file"),
    "twice": (["x.npy", "x.npy"], 2, "all 1 inputs are given already"),
    "twice by name": (["x=x.npy", "x=x.npy"], 2, "input 'x' is given twice"),
    "a folder": (["."], 2, "can't read '.': it is a folder"),
    "name": (["q=x.npy"], 2, "'q=x.npy': the model has no such input"),
    "option": (["--fast"], 2, "unknown option '--fast'"),
    "value": (["--threads=two"], 2, "--threads wants a number of at least 1, not 'two'"),
    "no value": (["-o"], 2, "-o wants a value"),
    "folder": (["x.npy", "-o", "no/where"], 1, "can't make the folder 'no/where': No such file"),
    "no folder": (["x.npy", "-o", "x.npy"], 1, "can't write 'x.npy/y.npy': Not a directory"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_command_lines_are_told(program: Path, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, status, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("double.npy", X.astype(np.float64))
    np.save("long.npy", np.zeros((2, 9), np.float32))
    np.save("fortran.npy", np.asfortranarray(X))
    Path("cut.npy").write_bytes(Path("x.npy").read_bytes()[:-24])
    for name in ("text.pb", "text.txt"):
        Path(name).write_text("this is no tensor")
    done = call(program, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert done.stderr.startswith("m: ")
    assert done.stderr.count("\n") == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_refused(program: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is in a file, the program reads it or says what is wrong: it never dies of it."""
    npy = tmp_path / "seed.npy"
    np.save(npy, X)
    kind = data.draw(st.sampled_from(["npy", "pb"]))
    content = bytearray(npy.read_bytes() if kind == "npy" else numpy_helper.from_array(X).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content), 140) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    file = tmp_path / f"damaged.{kind}"
    file.write_bytes(content[:cut] if data.draw(st.booleans()) else content)
    done = call(program, file)
    assert done.returncode in (0, 2), done
    assert done.returncode == 0 or done.stderr.splitlines()[-1].startswith("m: ")


def test_tensors_get_file_names_of_their_own() -> None:
    assert file_names(["a/b", "a:b", "", "..", "ok", "x.y-z"]) == ["a_b_0", "a_b_1", "2", "3", "ok", "x.y-z"]


def test_the_linker_is_told(tmp_path: Path, capsys: Capture) -> None:
    require_tool("cc", "gcc")
    model = tmp_path / "m.onnx"
    model.write_bytes(perceptron().SerializeToString())
    for linker, words in {"own": "linked by mlc's own linker", "system": "linked by /"}.items():
        for threads in (1, 2):
            file = tmp_path / f"{linker}{threads}.so"
            flags = [f"--linker={linker}", f"--threads={threads}", "-o", str(file)]
            assert main(["compile", str(model), *flags]) == 0
            assert words in capsys.readouterr().out
            assert main(["verify", str(model), "--against", str(file)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-o", "m.o", "--linker=system"], "m.o is not linked (leave out --linker)"),
        (["--emit=exe", "--linker=own"], "mlc's own linker makes libraries, not programs"),
        (["--emit=exe", "--target=aarch64-linux-musl", "--linker=system"], "no linker for aarch64-unknown-linux-musl"),
        (["-o", "m.exe"], "does not say what to write"),
    ],
)
def test_linkers_that_do_not_fit(
    tmp_path: Path, flags: list[str], words: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(perceptron().SerializeToString())
    assert main(["compile", "m.onnx", *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.onnx"]


# --- dims that get their values at run time


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [seq, 8] and y [seq + 1, 8] one after the other, and the products of x; seq is 1 to 64."""
    nodes = [
        helper.make_node("Concat", ["x", "y"], ["both"], axis=0),
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Compress", ["v", "keep"], ["kept"], axis=0),
    ]
    model = small_model(
        nodes,
        {"x": ["seq", 8], "y": ["seq + 1", 8], "v": ["seq"]},
        {"both": ["all", 8], "xw": ["seq", 4], "kept": ["found"]},
    )
    model.graph.input.append(helper.make_tensor_value_info("keep", TensorProto.BOOL, ["seq"]))
    return build(tmp_path_factory.mktemp("bounded"), model, "m", "--dim", "seq=1..64", "--threads=2")


@pytest.mark.parametrize("seq", [1, 7, 64])
def test_shapes_come_from_the_files(bounded: Path, tmp_path: Path, seq: int) -> None:
    random = np.random.default_rng(seq)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "x": random.standard_normal((seq, 8)).astype(np.float32),
        "y": random.standard_normal((seq + 1, 8)).astype(np.float32),
        "v": random.standard_normal(seq).astype(np.float32),
        "keep": random.integers(0, 2, seq).astype(np.bool_),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "y.pb").write_bytes(numpy_helper.from_array(arrays["y"]).SerializeToString())
    words = [f"{name}={tmp_path / name}.{'pb' if name == 'y' else 'npy'}" for name in arrays]
    done = call(bounded, *words, "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "out/both.npy"), np.concatenate([arrays["x"], arrays["y"]]))
    np.testing.assert_array_equal(np.load(tmp_path / "out/kept.npy"), arrays["v"][arrays["keep"]])
    assert np.load(tmp_path / "out/xw.npy").shape == (seq, 4)
    shown = call(bounded, *words).stdout
    assert f"both: float32 {2 * seq + 1}x8:" in shown


def test_dims_without_files(bounded: Path) -> None:
    done = call(bounded, "--bench=3", "--dim", "seq=9")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(3 runs, 2 threads)" in done.stdout
    told = call(bounded, "--info").stdout
    assert "y: float32 (seq + 1)x8" in told
    assert "dim      seq: 1 to 64\n" in told


@pytest.mark.parametrize(
    ("shapes", "words", "message"),
    [
        ({}, ["--bench"], "dim seq is not known: it is 1 to 64 (an input's shape or --dim seq=N tells it)"),
        ({}, ["--bench", "--dim=seq=65"], "dim seq is out of bounds: it is 1 to 64"),
        ({}, ["--bench", "--dim=sea=3"], "--dim 'sea=3': the model has no such dim"),
        ({}, ["--bench", "--dim=seq=x"], "--dim wants a number of at least 0, not 'x'"),
        ({"x": (3, 8)}, ["--bench", "--dim=seq=4"], "input 'x' has extent 3 along axis 0, but dim seq is 4"),
        ({"x": (3, 8), "v": (4,)}, ["--bench"], "input 'v' has extent 4 along axis 0, but dim seq is 3"),
        ({"x": (3, 8), "y": (3, 8)}, ["--bench"], "input 'y' has another shape than the dims say"),
        ({"x": (0, 8)}, ["--bench"], "dim seq is out of bounds"),
        ({"x": (65, 8)}, ["--bench"], "has shape 65x8, input 'x' is float32 at most 64x8"),
        ({"x": (3, 7)}, ["--bench"], "has shape 3x7, input 'x' is float32 at most 64x8"),
        ({"x": (3, 8)}, [], "input 'y' is not given: pass a .npy or .pb file of float32 4x8"),
    ],
)
def test_shapes_that_do_not_fit(
    bounded: Path, tmp_path: Path, shapes: dict[str, tuple[int, ...]], words: list[str], message: str
) -> None:
    for name, shape in shapes.items():
        np.save(tmp_path / f"{name}.npy", np.zeros(shape, np.float32))
    done = call(bounded, *words, *(f"{name}={tmp_path / name}.npy" for name in shapes))
    assert done.returncode == 2
    assert message in done.stderr


def test_nothing_installed(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    model = tmp_path / "m.onnx"
    model.write_bytes(perceptron().SerializeToString())
    assert main(["compile", str(model), "--target=aarch64", "--emit=exe", "--linker=system"]) == 2
    assert "install gcc-aarch64-linux-gnu libc6-dev-arm64-cross (Debian and Ubuntu)" in capsys.readouterr().err
    assert main(["verify", str(model), "--target=aarch64"]) == 2
    assert "qemu-aarch64 is not installed (install it (qemu-user on Debian" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["program", "tensor", "main", "model"])
def test_a_model_may_be_called_like_the_harness(name: str, tmp_path: Path) -> None:
    assert call(build(tmp_path, perceptron(), name), "--bench=1").returncode == 0
