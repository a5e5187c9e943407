"""Profiles: every kernel of a call is there, with its node, its runs and a time, whatever the model is like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import mlc
from mlc.cli.main import main
from mlc.errors import UsageError
from mlc.report.profile import KernelTime, Profile
from mlc.testing.onnx_models import perceptron

X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)


def summing(trips: int) -> ModelProto:
    """A loop that adds its input ``x`` so many times to itself, with a product in each turn."""
    state = helper.make_tensor_value_info("s", TensorProto.FLOAT, [64, 64])
    body = helper.make_graph(
        [helper.make_node("MatMul", ["s", "x"], ["p"]), helper.make_node("Identity", ["c"], ["d"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            state,
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("p", TensorProto.FLOAT, [64, 64]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [64, 64])],
        [numpy_helper.from_array(np.array(trips, np.int64), "n")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def matching(rows: int | str) -> ModelProto:
    """The product of an input of so many rows with a matrix."""
    matrix = np.random.default_rng(2).standard_normal((256, 256)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 256])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 256])],
        [numpy_helper.from_array(matrix, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_product_takes_nearly_all_of_its_call(threads: int) -> None:
    found = mlc.compile(matching(256), threads=threads).profile(np.ones((256, 256), np.float32), duration=0.05)
    (product,) = [k for k in found.kernels if "product" in k.node]
    assert product.runs == 1
    assert found.threads == threads
    assert 0 < product.ms <= found.ms
    assert product.gflops == pytest.approx(2 * 256**3 / product.ms * 1e-6, rel=0.01)


def test_kernels_in_loops_are_counted_by_their_runs() -> None:
    found = mlc.compile(summing(100), threads=1).profile(np.eye(64, dtype=np.float32), duration=0.01)
    assert 100 in [kernel.runs for kernel in found.kernels]


def test_what_is_profiled_computes_the_same() -> None:
    net = mlc.compile(perceptron(), threads=2)
    before = net(X)
    net.profile(X, duration=0.01)
    np.testing.assert_array_equal(net(X)[0], before[0])


@pytest.mark.parametrize("dims", [None, {"n": "1..300"}])
def test_open_dims_are_those_of_the_call(dims: dict[str, int | str] | None) -> None:
    found = mlc.compile(matching("n"), dims=dims, threads=1).profile(np.ones((256, 256), np.float32), duration=0.05)
    (product,) = [k for k in found.kernels if "product" in k.node]
    assert (product.gflops is None) == (dims is not None)
    assert product.ms > 0


def test_a_library_has_no_clocks(tmp_path: Path) -> None:
    mlc.compile(perceptron()).save(tmp_path / "m.so")
    with pytest.raises(UsageError, match="compiled here"):
        mlc.load(tmp_path / "m.so").profile(X)


def test_wrong_arrays_are_refused_as_in_calls() -> None:
    with pytest.raises(UsageError, match="shape"):
        mlc.compile(perceptron()).profile(X[:1])


def test_the_command_prints_tables_json_and_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, page = tmp_path / "m.onnx", tmp_path / "p.html"
    path.write_bytes(matching(64).SerializeToString())
    assert main(["profile", str(path), "--threads=1", "--duration=0.01", "--top=1"]) == 0
    out = capsys.readouterr().out
    assert "ms per call, 1 thread" in out
    assert "product (MatMul)" in out
    assert main(["profile", str(path), "--threads=1", "--duration=0.01", "--json", "--html", str(page)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ms"] >= sum(k["ms"] for k in report["kernels"]) - 1e-3 or report["between_ms"] == 0
    assert "product (MatMul)" in page.read_text(encoding="utf-8")
    assert main(["profile", str(path), "--duration=0.01", "--html", str(tmp_path)]) == 2
    assert "can't write" in capsys.readouterr().err


def test_names_of_nodes_are_text_and_no_markup(tmp_path: Path) -> None:
    kernel = KernelTime("<script>", "k0", 1, 1.0, None)
    Profile("<b>", 1, 5, 2.0, (kernel,)).to_html(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
