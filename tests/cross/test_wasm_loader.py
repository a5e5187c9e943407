"""What `mlc compile --target=wasm32` writes, as a JavaScript program sees it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlc.cli.main import main
from mlc.testing.onnx_models import perceptron
from mlc.testing.require import require_tool

EXAMPLE = Path(__file__).parents[2] / "examples" / "wasm"


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[..., Path]:
    """Compile the perceptron; returns the folder."""

    def compile_(*flags: str, output: str = "m.wasm") -> Path:
        (tmp_path / "p.onnx").write_bytes(perceptron().SerializeToString())
        command = ["compile", str(tmp_path / "p.onnx"), "--target=wasm32", "-q", "-o", str(tmp_path / output), *flags]
        assert main(command) == 0
        return tmp_path

    return compile_


def script(folder: Path, text: str) -> Any:
    """What a module prints, as JSON; ``print`` is defined, and ``failure`` gives the error of a function."""
    head = """
import { load } from "./m.mjs";
import { readFile } from "node:fs/promises";
const print = (value) => console.log(JSON.stringify(value));
const failure = async (f) => { try { await f(); } catch (e) { return `${e.name}: ${e.message}`; } };
"""
    (folder / "test.mjs").write_text(head + text)
    done = subprocess.run(
        [require_tool("node"), "test.mjs"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RUN = """
const { y, z } = model.run({ x: new Float32Array(16).fill(1) });
print([y.length, [...z.slice(0, 3)], y.every((v) => v >= 0), y.some((v) => v > 0)]);
"""


@pytest.mark.parametrize("flags", [(), ("--weights=file", "--name=net")], ids=["embedded", "file"])
def test_runs(compiled: Callable[..., Path], flags: tuple[str, ...]) -> None:
    folder = compiled(*flags)
    assert script(folder, f"const model = await load();{RUN}") == [8, [2, 2, 2], True, True]
    assert (folder / "net.weights").exists() == bool(flags)


def test_takes_bytes_and_responses(compiled: Callable[..., Path]) -> None:
    folder = compiled("--weights=file")
    given = """
const code = await readFile("m.wasm");
const module = fetch(`data:application/wasm;base64,${code.toString("base64")}`);
const model = await load({ module, weights: await readFile("m.weights") });
"""
    assert script(folder, given + RUN) == [8, [2, 2, 2], True, True]


def test_works_in_place(compiled: Callable[..., Path]) -> None:
    text = """
const model = await load();
model.inputs[0].data.fill(3);
model.execute();
print([model.inputs[0].shape, model.outputs.map((t) => t.name), model.outputs[1].data[5], model.metadata.target.name]);
"""
    assert script(compiled(), text) == [[2, 8], ["y", "z"], 6, "wasm32"]


def test_refuses_what_does_not_fit(compiled: Callable[..., Path]) -> None:
    text = """
const model = await load();
const tried = [{}, { x: new Float32Array(3) }, { x: [1] }, { x: new Float64Array(16) }, { w: 1 }];
print(await Promise.all(tried.map((feeds) => failure(() => model.run(feeds)))));
"""
    wanted = "Float32Array of 16 elements (float32 2x8)"
    assert script(compiled(), text) == [
        f'TypeError: input "x" is missing: a {wanted}',
        f'RangeError: input "x" must be a {wanted}; 3 were given',
        f'TypeError: input "x" must be a {wanted}, not Array',
        f'TypeError: input "x" must be a {wanted}, not Float64Array',
        'TypeError: no input "w"; the model takes x',
    ]


def test_refuses_files_that_are_not_its_own(compiled: Callable[..., Path]) -> None:
    folder = compiled("--weights=file")
    text = """
const weights = await readFile("m.weights");
weights[30] ^= 1;
const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
print([
  await failure(() => load({ weights })),
  await failure(() => load({ weights: new Uint8Array(8) })),
  await failure(() => load({ module: empty })),
  await failure(() => load({ module: new Uint8Array(8) })),
  (await failure(() => load({ module: "nowhere.wasm" }))).includes("nowhere.wasm"),
]);
"""
    mine = "the weights are missing, cut short, misaligned or another model's"
    compile_error = "Error: this engine can't compile m: it needs WebAssembly with simd128"
    assert script(folder, text) == [
        f"Error: m: {mine}",
        f"Error: m: {mine}",
        "Error: the module is no m of interface version 1",
        compile_error,
        True,
    ]


def test_declares_its_types(compiled: Callable[..., Path]) -> None:
    text = (compiled() / "m.d.mts").read_text()
    assert '/** float32 2x8 */\n  "x": Float32Array;' in text
    assert '/** float32 2x4 */\n  "y": Float32Array;' in text


def test_the_same_input_gives_the_same_bytes(compiled: Callable[..., Path]) -> None:
    first = (compiled() / "m.wasm").read_bytes()
    assert (compiled("--no-cache") / "m.wasm").read_bytes() == first


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-o", "m.so"], "end it with .wasm"),
        (["--threads=2", "-o", "m.wasm"], "runs on one thread, not 2"),
        (["--mattr=+avx2", "-o", "m.wasm"], "no choice of CPUs and features"),
    ],
)
def test_says_what_webassembly_has_not(
    flags: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.onnx").write_bytes(perceptron().SerializeToString())
    assert main(["compile", "p.onnx", "--target=wasm32", *flags]) != 0
    assert message in capsys.readouterr().err


def test_the_example_runs(compiled: Callable[..., Path]) -> None:
    folder = compiled(output="model.wasm")
    command = [require_tool("node"), EXAMPLE / "run.mjs", folder / "model.mjs"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("x: float32 2x8\n")
    assert "y: float32 2x4" in done.stdout
