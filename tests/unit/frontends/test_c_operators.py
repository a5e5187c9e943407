"""Operators that C functions compute: in this process, in the reference, and linked into C programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from xdsl.parser import Parser

import mlc
from mlc.cli.main import main
from mlc.codegen.targets import find_target
from mlc.codegen.targets.tools import emulator_of, tools_of
from mlc.dialects.interpreters import run_function
from mlc.driver import import_source
from mlc.errors import ModelError, UnsupportedError, UsageError
from mlc.frontends.onnx.c_operators import Results, TensorType
from mlc.frontends.onnx.load import load_model
from mlc.operators import load_plugin
from mlc.registry import make_context
from mlc.request import Request
from mlc.testing.models import reference_outputs
from mlc.testing.onnx_models import small_model
from mlc.testing.require import require_tool

EXAMPLE = Path(__file__).parents[3] / "examples/operators"
Array = np.ndarray[Any, np.dtype[Any]]

PROBE = """
#include "mlc_operator.h"
#include <string.h>

/* All that it gets, as numbers: [rank, dtype of the input] and the parameters; and the text's bytes. */
int32_t probe(const mlc_tensor *inputs, const mlc_tensor *outputs, const mlc_parameter *p)
{
    double *numbers = outputs[0].data;
    *numbers++ = inputs[0].rank;
    *numbers++ = inputs[0].dtype;
    *numbers++ = p[0].value.i;
    *numbers++ = p[1].value.f;
    for (int64_t i = 0; i < p[2].count; i++)
        *numbers++ = p[2].value.ints[i];
    for (int64_t i = 0; i < p[3].count; i++)
        *numbers++ = p[3].value.floats[i];
    memcpy(outputs[1].data, p[4].value.s, p[4].count);
    return p[0].value.i < 0 ? 7 : 0;
}
"""

DRIVER = """
#include "m.h"
#include <stdio.h>

static m_ctx ctx;
static _Alignas(64) unsigned char arena[m_ARENA_BYTES];

int main(void)
{
    float x[5][8], y[5][4], z[5][3];
    const void *in[] = {x};
    void *out[] = {y, z};
    for (int i = 0; i < 40; i++)
        x[0][i] = (i * 7 % 11 - 5) * 0.25f;
    if (m_init(&ctx, NULL, 0, 1) || m_run(&ctx, in, out, NULL, arena))
        return 1;
    for (int i = 0; i < 20; i++)
        printf("%.9g ", y[0][i]);
    for (int i = 0; i < 15; i++)
        printf("%.9g ", z[0][i]);
    return 0;
}
"""
X = ((np.arange(40) * 7 % 11 - 5) * 0.25).reshape(5, 8).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example and the probe, their libraries, and the registration of all."""
    work = tmp_path_factory.mktemp("operators")
    for file in EXAMPLE.iterdir():
        (work / file.name).write_bytes(file.read_bytes())
    (work / "probe.c").write_text(PROBE)
    for source, library in (("operators.c", "libmyoperators.so"), ("probe.c", "libprobe.so")):
        build_c("cc", work / library, work / source, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
    load_plugin(work / "my_operators.py")
    mlc.register_c_op(
        "my.lab::Probe",
        "probe",
        attributes={"whole": 3, "real": 0.5, "wholes": [1], "reals": [0.5], "text": "none"},
        results=probe_results,
        library=work / "libprobe.so",
    )
    return work


def probe_results(inputs: Sequence[TensorType], given: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [("float64", (4 + len(given["wholes"]) + len(given["reals"]),)), ("uint8", (3,))]


def build_c(compiler: str, output: Path, *arguments: str | Path) -> None:
    """Compile and link C with mlc_operator.h."""
    require_tool(compiler)
    words = [compiler, "-std=c11", "-O1", f"-I{mlc.include_dir()}", *map(str, arguments), "-o", str(output)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def network(rows: int | str = 5, scale: float = 2.0, limits: tuple[float, ...] = (0.5, 1.0, 3.0)) -> ModelProto:
    """Both operators between compiled kernels: x [rows, 8] to y [rows, 4] and z [rows, limits]."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("SquaredRelu", ["h"], ["s"], domain="my.lab", scale=scale),
        helper.make_node("Add", ["s", "s"], ["y"]),
        helper.make_node("CountAbove", ["y"], ["c"], domain="my.lab", limits=limits),
        helper.make_node("Cast", ["c"], ["z"], to=TensorProto.FLOAT),
    ]
    return small_model(nodes, {"x": [rows, 8]}, {"y": [rows, 4], "z": [rows, len(limits)]})


def expected(model: ModelProto, x: Array, scale: float, limits: tuple[float, ...]) -> tuple[Array, Array]:
    weight = numpy_helper.to_array(model.graph.initializer[0])
    y = 2 * scale * np.maximum(x @ weight, 0) ** 2
    return y, np.stack([np.sum(y > limit, axis=1) for limit in limits], axis=1)


def probe(attributes: Mapping[str, Any], dtype: int = TensorProto.FLOAT, shape: tuple[int, ...] = (2, 3)) -> ModelProto:
    node = helper.make_node("Probe", ["x"], ["a", "b"], domain="my.lab", **attributes)
    info = helper.make_tensor_value_info
    outputs = [info("a", TensorProto.DOUBLE, None), info("b", TensorProto.UINT8, None)]
    graph = helper.make_graph([node], "probe", [info("x", dtype, shape)], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def reference(model: ModelProto, *arrays: Array) -> list[Array]:
    """What the interpreter makes of a model."""
    request = Request(model)
    return list(reference_outputs(import_source(load_model(model), request), list(arrays), plain=True))


@settings(max_examples=8)
@given(st.integers(1, 17), st.sampled_from([1.0, 0.5, 3.0]), st.lists(st.integers(-2, 9), min_size=1, max_size=4))
def test_compiled_and_reference_call_the_function(folder: Path, rows: int, scale: float, limits: list[int]) -> None:
    above = tuple(limit + 0.25 for limit in limits)
    model = network(rows, scale, above)
    x = np.random.default_rng(rows).standard_normal((rows, 8)).astype(np.float32)
    y, z = expected(model, x, scale, above)
    for threads in (1, 2):
        results = mlc.compile(model, threads=threads, cache=False)(x)
        np.testing.assert_allclose(results[0], y, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(results[1], np.stack([np.sum(results[0] > v, axis=1) for v in above], axis=1))
    np.testing.assert_allclose(reference(model, x)[0], y, rtol=1e-4, atol=1e-5)
    assert z.shape == reference(model, x)[1].shape


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(TensorProto.FLOAT, (2, 3)), (TensorProto.INT8, ()), (TensorProto.BOOL, (4,)), (TensorProto.FLOAT16, (0, 2))],
)
def test_what_a_function_gets(folder: Path, dtype: int, shape: tuple[int, ...]) -> None:
    attributes = {"whole": 9, "real": 1.5, "wholes": [4, 5], "reals": [0.25], "text": "héllo"[:2]}
    model = probe(attributes, dtype, shape)
    x = np.zeros(shape, helper.tensor_dtype_to_np_dtype(dtype))
    wanted = [len(shape), dtype, 9, 1.5, 4, 5, 0.25]
    for numbers, text in (mlc.compile(model, threads=1, cache=False)(x), reference(model, x)):
        assert numbers.tolist() == wanted
        assert bytes(text).decode() == "hé"


def test_defaults_stand_for_attributes_that_are_not_there(folder: Path) -> None:
    numbers, _ = mlc.compile(probe({"text": "abc"}), threads=1, cache=False)(np.zeros((2, 3), np.float32))
    assert numbers.tolist() == [2, 1, 3, 0.5, 1, 0.5]


def test_a_function_may_fail(folder: Path) -> None:
    model = probe({"whole": -1})
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ModelError, match="the C function of an operator failed"):
        mlc.compile(model, threads=1, cache=False)(x)
    with pytest.raises(ModelError, match="C function probe failed with code 7"):
        reference(model, x)


def test_a_function_inside_a_branch(folder: Path) -> None:
    call = helper.make_node("SquaredRelu", ["x"], ["r"], domain="my.lab")
    info = helper.make_tensor_value_info
    branches = [
        helper.make_graph([node], name, [], [info("r", TensorProto.FLOAT, [3])])
        for name, node in (("then", call), ("else", helper.make_node("Neg", ["x"], ["r"])))
    ]
    node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    inputs = [info("c", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, [3])]
    graph = helper.make_graph([node], "branch", inputs, [info("y", TensorProto.FLOAT, [3])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    net = mlc.compile(model, threads=2, cache=False)
    x = np.array([-1, 2, 3], np.float32)
    np.testing.assert_array_equal(net(np.array(True), x), [0, 4, 9])
    np.testing.assert_array_equal(net(np.array(False), x), -x)


# --- ahead of time


@pytest.mark.parametrize("target", ["native", "aarch64", "armv7", "riscv64"])
def test_an_archive_links_with_the_functions(folder: Path, target: str, tmp_path: Path) -> None:
    tools = tools_of(find_target(target))
    assert tools is not None
    foreign = target != "native"
    model = tmp_path / "m.onnx"
    model.write_bytes(network().SerializeToString())
    assert main(["-q", "compile", str(model), f"--target={target}", "--threads=1", "-o", str(tmp_path / "libm.a")]) == 0
    (tmp_path / "main.c").write_text(DRIVER)
    compiler = f"{tools.gnu}-gcc" if foreign else "cc"
    program = tmp_path / "program"
    sources = (tmp_path / "main.c", tmp_path / "libm.a", folder / "operators.c")
    build_c(compiler, program, *sources, f"-I{tmp_path}", *(["-static"] if foreign else []))
    emulator = emulator_of(find_target(target)) if foreign else ()
    if foreign:
        require_tool(tools.emulator)
    done = subprocess.run([*emulator, program], capture_output=True, text=True, check=True)
    y, z = expected(network(), X, 2.0, (0.5, 1.0, 3.0))
    np.testing.assert_allclose([float(word) for word in done.stdout.split()], [*y.flat, *z.flat], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("linker", ["own", "system"])
def test_a_library_leaves_the_functions_to_the_process(folder: Path, linker: str, tmp_path: Path) -> None:
    from elftools.elf.elffile import ELFFile  # pyright: ignore[reportMissingTypeStubs]

    model, library = tmp_path / "m.onnx", tmp_path / "m.so"
    model.write_bytes(network().SerializeToString())
    assert main(["-q", "compile", str(model), f"--linker={linker}", "--threads=1", "-o", str(library)]) == 0
    with library.open("rb") as file:
        elf: Any = ELFFile(file)
        symbols = elf.get_section_by_name(".dynsym").iter_symbols()
        undefined = {symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF"}
        needed = [
            tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags() if tag.entry.d_tag == "DT_NEEDED"
        ]
    assert {"squared_relu", "count_above"} <= undefined
    assert linker != "own" or needed == []
    results = mlc.load(library)(X)
    np.testing.assert_allclose(results[0], expected(network(), X, 2.0, (0.5,))[0], rtol=1e-4, atol=1e-5)
    assert "int32_t squared_relu" in (tmp_path / "m.h").read_text()
    alone = subprocess.run([sys.executable, "-c", f"import mlc; mlc.load({str(library)!r})"], capture_output=True)
    assert b"undefined symbol" in alone.stderr


def test_the_command_line_takes_plugins(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(network().SerializeToString())
    command = [sys.executable, "-m", "mlc", "verify", str(model), "--no-cache"]
    environment = {**os.environ, "MLC_VERIFY_EACH": "0"}
    without = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert without.returncode == UnsupportedError.exit_code
    assert "--plugin" in without.stderr
    command.append(f"--plugin={folder / 'my_operators.py'}")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "2 of 2 tensors agree" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target=wasm32", "-o", "m.wasm"], "wasm32 code can't call the C functions count_above, squared_relu"),
        (["--emit=exe", "-o", "m"], "the program would lack the C functions count_above, squared_relu"),
    ],
)
def test_where_nobody_could_link_them(
    folder: Path, arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(network().SerializeToString())
    *flags, name = arguments
    assert main(["compile", str(model), *flags, str(tmp_path / name)]) == UnsupportedError.exit_code
    assert message in capsys.readouterr().err


# --- what is refused


def test_bounded_dims_are_compiled_shape_by_shape(folder: Path) -> None:
    model = network("rows")
    with pytest.raises(UnsupportedError, match="squared_relu on a dim known only at run time"):
        mlc.compile(model, dims={"rows": "1..9"}, cache=False)
    net = mlc.compile(model, threads=1, cache=False)
    for rows in (1, 2, 3, 4):
        assert net(X[:1].repeat(rows, 0))[0].shape == (rows, 4)


def test_text_can_not_call_what_was_not_registered() -> None:
    text = """
        func.func @main(%x: tensor<2xf32> {hlt.name = "x"}) -> (tensor<2xf32> {hlt.name = "y"}) {
          %y = hlt.call_c "getenv"(%x) [] : (tensor<2xf32>) -> tensor<2xf32>
          return %y : tensor<2xf32>
        }
    """
    program = Parser(make_context(), text).parse_module()
    with pytest.raises(UsageError, match="no library in this process has the C function getenv"):
        run_function(program, [np.zeros(2, np.float32)])


def test_a_model_runs_only_with_its_library(folder: Path) -> None:
    mlc.register_c_op("my.lab::Elsewhere", "function_of_another_machine")
    node = helper.make_node("Elsewhere", ["x"], ["y"], domain="my.lab")
    with pytest.raises(UsageError, match=r"no library in this process has.*function_of_another_machine.*library="):
        mlc.compile(small_model([node], {"x": [2]}, {"y": [2]}), threads=1, cache=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Relu", "f"), "names no operator"),
        (("my.lab::A", "f g"), "no name of a C function"),
        (("com.microsoft::Gelu", "f"), "has an importer already"),
    ],
)
def test_bad_names(arguments: tuple[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mlc.register_c_op(*arguments)


def test_bad_libraries_and_defaults(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.so"):
        mlc.register_c_op("my.lab::A", "f", library=folder / "nothing.so")
    with pytest.raises(UsageError, match="no_such_function"):
        mlc.register_c_op("my.lab::A", "no_such_function", library=folder / "libprobe.so")
    with pytest.raises(UsageError, match="attribute a has the default"):
        mlc.register_c_op("my.lab::A", "f", attributes={"a": [None]})  # pyright: ignore[reportArgumentType]
    again = folder / "libagain.so"
    again.write_bytes((folder / "libprobe.so").read_bytes())
    with pytest.raises(UsageError, match="probe is in another library"):
        mlc.register_c_op("my.lab::A", "probe", library=again)


def test_rules_of_results_are_checked(folder: Path) -> None:
    node = helper.make_node("Broken", ["x"], ["y"], domain="my.lab")
    model = small_model([node], {"x": [2]}, {"y": [2]})
    rules: list[tuple[Results, str]] = [
        (lambda inputs, attributes: [("float32", inputs[3].shape)], "can't be told: IndexError"),
        (lambda inputs, attributes: [], "has 0 results, the node 1 outputs"),
        (lambda inputs, attributes: [("complex64", (2,))], "can't make complex64"),
    ]
    for results, message in rules:
        mlc.register_c_op("my.lab::Broken", "f", results=results)
        with pytest.raises((ModelError, UnsupportedError), match=message):
            mlc.compile(model, cache=False)


def test_unknown_attributes_are_refused(folder: Path) -> None:
    node = helper.make_node("SquaredRelu", ["x"], ["y"], domain="my.lab", alpha=1.0)
    with pytest.raises(UnsupportedError, match="registered without the attribute alpha"):
        mlc.compile(small_model([node], {"x": [2]}, {"y": [2]}), cache=False)


def test_cached_models_know_their_operators(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLC_CACHE_DIR", str(tmp_path / "cache"))
    node = helper.make_node("Changing", ["x"], ["y"], domain="my.lab")
    model = tmp_path / "m.onnx"
    model.write_bytes(small_model([node], {"x": [3]}, {"y": [3]}).SerializeToString())
    library = folder / "libmyoperators.so"
    for scale in (1.0, 2.0, 2.0):
        mlc.register_c_op("my.lab::Changing", "squared_relu", attributes={"scale": scale}, library=library)
        result = mlc.compile(model, threads=1)(np.array([-1, 1, 3], np.float32))
        np.testing.assert_array_equal(result, [0, scale, 9 * scale])
    script = f"import mlc; mlc.compile({str(model)!r}, threads=1)"
    alone = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "my.lab::Changing" in alone.stderr
    assert "UnsupportedError" in alone.stderr
