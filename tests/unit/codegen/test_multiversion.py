"""Several versions in one artefact: each gives the right results, and the best that the processor can run is chosen."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import mlc
from mlc.cli.main import main
from mlc.codegen.jit import Library, read_metadata
from mlc.codegen.llvm import host_triple
from mlc.codegen.runtime import context as ctx
from mlc.codegen.targets import native_target, resolve
from mlc.codegen.targets.levels import levels_of
from mlc.codegen.weights import Region, WeightsImage
from mlc.errors import MlcError
from mlc.multiversion import check_levels
from mlc.testing.require import require_tool

pytestmark = pytest.mark.skipif(not host_triple().startswith("x86_64"), reason="runs x86-64 code")
LEVELS = ("x86-64-v1", "x86-64-v3", "x86-64-v4")
HERE = [name for name in LEVELS if resolve(name).features <= native_target().features]
X = np.random.default_rng(0).standard_normal((1, 8, 9, 9)).astype(np.float32)
Capture = pytest.CaptureFixture[str]


def convolutions() -> ModelProto:
    """Two convolutions whose weights are packed by the width of vectors, and a product."""
    generator = np.random.default_rng(1)
    shapes = {"w1": (20, 8, 3, 3), "w2": (16, 20, 1, 1), "w3": (16 * 81, 10)}
    weights = [
        numpy_helper.from_array((generator.standard_normal(s) / 8).astype(np.float32), n) for n, s in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "w3"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    path.write_bytes(convolutions().SerializeToString())
    return path


@pytest.fixture(scope="module", params=["embed", "file"])
def shared(request: pytest.FixtureRequest, model: Path) -> Path:
    """The library with its weights inside or beside it."""
    path = model.with_name(request.param) / "m.so"
    path.parent.mkdir()
    flags = ["--threads=2", f"--weights={request.param}", "-o", str(path)]
    assert main(["-q", "compile", str(model), "--multiversion", *flags]) == 0
    return path


class Loaded:
    """A library called through its C interface."""

    def __init__(self, path: Path) -> None:
        self.library = Library.open(path)
        self.context = Region.allocate(ctx.CONTEXT_BYTES)
        beside = path.with_suffix(".weights")
        self.weights = WeightsImage.open(beside) if beside.exists() else None

    def init(self, most: int, threads: int = 2) -> int:
        image = (self.weights.address, self.weights.size) if self.weights else (None, 0)
        initialize = self.library.handle["m_init_level"]
        initialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32, ctypes.c_int32]
        return initialize(self.context.address, *image, threads, most)

    def number(self, function: str, argument: int | None = None) -> int:
        entry = self.library.handle[f"m_{function}"]
        entry.argtypes, entry.restype = [ctypes.c_void_p], ctypes.c_int64
        return entry(argument)

    def run(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        y = np.full((1, 10), np.nan, np.float32)
        arena = Region.allocate(self.number("arena_size"))
        sources, sinks = (ctypes.c_void_p * 1)(X.ctypes.data), (ctypes.c_void_p * 1)(y.ctypes.data)
        run = self.library.handle["m_run"]
        run.argtypes = [ctypes.c_void_p] * 5
        assert run(self.context.address, sources, sinks, None, arena.address) == ctx.OK
        return y


@pytest.mark.parametrize("number", range(len(HERE)))
def test_every_version_gives_the_result(shared: Path, model: Path, number: int) -> None:
    loaded = Loaded(shared)
    assert loaded.init(number) == ctx.OK
    assert loaded.number("level", loaded.context.address) & 0xFFFFFFFF == number
    np.testing.assert_allclose(loaded.run(), mlc.compile(model)(X), rtol=1e-4, atol=1e-4)
    loaded.number("free", loaded.context.address)
    loaded.library.close()


def test_the_best_version_is_chosen(shared: Path) -> None:
    loaded = Loaded(shared)
    assert loaded.init(2**31 - 1) == ctx.OK
    assert loaded.number("level", loaded.context.address) & 0xFFFFFFFF == len(HERE) - 1
    loaded.number("free", loaded.context.address)
    loaded.library.close()


def test_nothing_is_chosen_below_all(shared: Path) -> None:
    loaded = Loaded(shared)
    assert loaded.init(-1) == ctx.CPU_UNSUPPORTED
    loaded.library.close()


def test_metadata_lists_the_versions(shared: Path) -> None:
    loaded = Loaded(shared)
    metadata = read_metadata(loaded.library, "m")
    assert [level["target"]["name"] for level in metadata["levels"]] == list(LEVELS)
    arenas = [level["arena_bytes"] for level in metadata["levels"]]
    assert loaded.number("arena_size") == metadata["arena_bytes"] == max(arenas)
    assert metadata["target"]["features"] == []
    assert " * level 2  avx avx2 avx512" in shared.with_suffix(".h").read_text()
    loaded.library.close()


def test_python_loads_it_as_any_other(shared: Path, model: Path) -> None:
    np.testing.assert_allclose(mlc.load(shared)(X), mlc.compile(model)(X), rtol=1e-4, atol=1e-4)
    assert main(["verify", str(model), "--against", str(shared)]) == 0


def test_weights_that_are_packed_alike_are_shared(model: Path, tmp_path: Path) -> None:
    sizes: dict[str, int] = {}
    for choice in ("v1,v2", "v1,v3", "v1,v3,v4"):
        path = tmp_path / choice.replace(",", "_") / "m.so"
        path.parent.mkdir()
        flags = [f"--multiversion={choice}", "--weights=file", "--threads=1", "-o", str(path)]
        assert main(["-q", "compile", str(model), *flags]) == 0
        sizes[choice] = path.with_suffix(".weights").stat().st_size
    assert sizes["v1,v2"] < sizes["v1,v3"] < sizes["v1,v3,v4"] < 4 * sizes["v1,v2"]


def test_one_thread_needs_no_library(model: Path, tmp_path: Path) -> None:
    nm = require_tool("nm")
    flags = ["--multiversion", "--threads=1", "-o", str(tmp_path / "m.o")]
    assert main(["-q", "compile", str(model), *flags]) == 0
    assert subprocess.run([nm, "-u", tmp_path / "m.o"], capture_output=True, check=True).stdout == b""


@pytest.mark.parametrize(("processor", "level"), [("Nehalem", "x86-64-v1"), ("Haswell", "x86-64-v3")])
def test_emulated_processors_get_their_version(model: Path, tmp_path: Path, processor: str, level: str) -> None:
    emulator = require_tool("qemu-x86_64")
    require_tool("cc", "gcc")
    program = tmp_path / "m"
    flags = ["--multiversion", "--threads=1", "--emit=exe", "-o", str(program)]
    assert main(["-q", "compile", str(model), *flags]) == 0
    np.save(tmp_path / "x.npy", X)
    command = [emulator, "-cpu", processor, program, tmp_path / "x.npy"]
    timed = subprocess.run([*command, "--bench=1", "--warmup=0"], capture_output=True, text=True, check=True)
    assert re.search(rf"\(1 runs, 1 threads, {level}\)", timed.stdout)
    subprocess.run([*command, "-o", tmp_path], capture_output=True, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), mlc.compile(model)(X), rtol=1e-4, atol=1e-4)


def test_versions_by_cpu(model: Path, tmp_path: Path) -> None:
    flags = ["--multiversion=aarch64,aarch64:cortex-a76", "--target=aarch64", "--threads=1"]
    assert main(["-q", "compile", str(model), *flags, "-o", str(tmp_path / "m.so")]) == 0
    text = (tmp_path / "m.h").read_text()
    assert " * level 1  crc dotprod fp-armv8 fullfp16" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x86-64", "v1,v7"), "unknown version 'v7' in --multiversion (valid: x86-64-v1"),
        (("x86-64", "v3"), "--multiversion needs at least two versions"),
        (("x86-64", "v3,aarch64:"), "version aarch64 is for aarch64-unknown-linux-gnu, not x86_64"),
        (("aarch64", "auto"), "mlc has no levels for aarch64 (name the versions: --multiversion=aarch64,"),
    ],
)
def test_unknown_versions_advise(arguments: tuple[str, str], words: str) -> None:
    with pytest.raises(MlcError) as error:
        levels_of(resolve(arguments[0]), arguments[1])
    assert error.value.describe().startswith(words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--multiversion", "--emit=llvm"], "--multiversion writes artefacts, not stages"),
        (["--multiversion", "--mcpu=haswell"], "--multiversion takes processors by version"),
    ],
)
def test_flags_that_do_not_fit(model: Path, flags: list[str], words: str, capsys: Capture) -> None:
    assert main(["compile", str(model), *flags, "-o", str(model.with_name("n.so"))]) in (2, 4)
    assert words in capsys.readouterr().err


def test_versions_of_a_system_without_a_check() -> None:
    check_levels([resolve("armv7")])
    with pytest.raises(MlcError, match="versions can't be told apart on"):
        check_levels([resolve("aarch64-apple-macosx11.0")])


def test_levels_are_in_order() -> None:
    names = [target.name for target in levels_of(native_target(), "v4,v1,v3")]
    assert names == list(LEVELS)
    assert [target.name for target in levels_of(resolve("x86-64"))] == list(LEVELS)
    assert json.dumps(names)
