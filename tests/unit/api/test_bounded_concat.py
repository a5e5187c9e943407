"""Tensors that are put behind others along a bounded dim: the right elements in the right place, zeros beyond."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.cli.main import main

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | str, ...]

LONGEST = 33
HUGGING = ((0, 0), (0, 1), (1, 0), (1, 1), (15, 1), (16, 1), (17, 16), (LONGEST - 1, 17), (LONGEST, LONGEST), (2, 32))
"""Values of ``n`` and ``m``."""

MODELS: Mapping[str, tuple[dict[str, Shape], str]] = {
    "behind": ({"x": (2, "n", 4), "y": (2, "m", 4)}, "Concat(x, y) -> z axis=1 | ReduceSum(z, one) -> sum"),
    "outermost": ({"x": ("n", 4), "y": ("m", 4)}, "Concat(x, y) -> z axis=0 | ReduceSum(z, zero) -> sum"),
    "innermost": ({"x": (3, "n"), "y": (3, "m")}, "Concat(x, y) -> z axis=1 | ReduceSum(z, one) -> sum"),
    "line": ({"x": ("n",), "y": ("m",)}, "Concat(x, y) -> z axis=0"),
    "one more": ({"x": (2, "n", 4), "y": (2, 1, 4)}, "Concat(x, y) -> z axis=1 | ReduceMax(z, one) -> max"),
    "in front": ({"x": (2, 1, 4), "y": (2, "m", 4)}, "Concat(x, y) -> z axis=1 | ReduceSum(z, one) -> sum"),
    "three": (
        {"x": ("n", 4), "y": (2, 4), "u": ("m", 4)},
        "Concat(x, y, u) -> z axis=0 | Concat(y, x, u) -> z1 axis=0 | Concat(x, u, y) -> z2 axis=0",
    ),
    "batch": (
        {"x": ("b", 2, "n", 4), "y": ("b", 2, "m", 4)},
        "Concat(x, y) -> z axis=2 | ReduceSum(z, two) -> sum | ReduceSum(z, zero) -> all",
    ),
    "itself": ({"x": ("n", 4), "y": ("m", 4)}, "Concat(x, x) -> z axis=0 | Concat(z, y, x) -> u axis=0"),
    "again": (
        {"x": (2, "n", 4), "y": (2, "m", 4)},
        "Concat(x, y) -> z axis=1 | Relu(x) -> r | Concat(z, y) -> u axis=1 | Add(z, z) -> s | Relu(z) -> z1",
    ),
    "computed": (
        {"x": (2, "n", 4), "y": (2, "m", 4)},
        "Exp(x) -> e | Cos(y) -> c | Concat(e, c) -> z axis=1 | ReduceSum(z, one) -> sum | Neg(z) -> t",
    ),
    "rows": (
        {"x": ("n", 4), "y": ("m", 4), "w": (4, 4)},
        "MatMul(x, w) -> a | MatMul(y, w) -> b | Concat(a, b) -> z axis=0 | Transpose(z) -> t | MatMul(t, z) -> p",
    ),
    "chain": (
        {"x": ("n", 4), "y": ("m", 4)},
        "Concat(x, y) -> a axis=0 | Concat(a, y) -> b axis=0 | Concat(b, y) -> z axis=0",
    ),
    "shown": ({"x": ("n", 4), "y": ("m", 4)}, "Concat(x, y) -> z axis=0 | Identity(x) -> x1 | Identity(z) -> z1"),
    "masked": (
        {"x": ("n", 4), "y": (1, 4)},
        "Concat(x, y) -> z axis=0 | Softmax(z) -> p axis=0 | ReduceMin(z, zero) -> l",
    ),
}
"""By what is peculiar: inputs, and nodes; all results are outputs."""

BOUNDS = {"n": f"0..{LONGEST}", "m": f"0..{LONGEST}", "b": "1..3"}

DTYPES: Mapping[type[np.generic], int] = {
    np.float32: TensorProto.FLOAT,
    np.int64: TensorProto.INT64,
    np.bool_: TensorProto.BOOL,
}


def model(name: str, dtype: type[np.generic] = np.float32) -> ModelProto:
    """One of `MODELS`; of other dtypes than f32, what `Concat` alone makes of it."""
    inputs, source = MODELS[name]
    nodes = [_node(line) for line in source.split("|")]
    if dtype is not np.float32:
        nodes = [node for node in nodes if node.op_type in ("Concat", "Identity")]
    results = [node.output[0] for node in nodes]
    value_info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "concat",
        [value_info(n, DTYPES[dtype], shape) for n, shape in inputs.items()],
        [value_info(n, DTYPES[dtype], None) for n in results],
        [numpy_helper.from_array(np.array([i]), n) for i, n in enumerate(("zero", "one", "two"))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _node(line: str) -> Any:
    call, _, rest = line.strip().partition(" -> ")
    output, *attributes = rest.split()
    kind, _, operands = call.rstrip(")").partition("(")
    given: dict[str, Any] = {"keepdims": 0} if kind.startswith("Reduce") else {}
    for key, _, text in (a.partition("=") for a in attributes):
        given[key] = [int(n) for n in text.split(",")] if key == "perm" else int(text)
    return helper.make_node(kind, operands.split(", "), [output], **given)


def feeds(name: str, dims: Mapping[str, int], dtype: type[np.generic], fill: float | None = None) -> dict[str, Array]:
    """Random inputs, or one number everywhere."""
    random = np.random.default_rng(sum(dims.values()))
    shapes = {n: [dims[d] if isinstance(d, str) else d for d in shape] for n, shape in MODELS[name][0].items()}
    return {
        n: (random.integers(-9, 9, shape) if fill is None else np.full(shape, fill)).astype(dtype)
        for n, shape in shapes.items()
    }


def compiled(name: str, dtype: type[np.generic] = np.float32, **options: Any) -> mlc.CompiledModel:
    """One compilation for all extents."""
    used = {d: bounds for d, bounds in BOUNDS.items() if any(d in shape for shape in MODELS[name][0].values())}
    return mlc.compile(model(name, dtype), dims=used, cache=False, **options)


def compare(net: Any, name: str, dtype: type[np.generic] = np.float32) -> None:
    """All extents, each behind a call that leaves NaN (or -1, or true) everywhere."""
    evaluator: Any = ReferenceEvaluator(model(name, dtype))
    for n, m in HUGGING:
        dims = {"n": n, "m": m, "b": 1 + (n + m) % 3}
        poison = np.nan if dtype is np.float32 else -1
        net.run(feeds(name, {"n": LONGEST, "m": LONGEST, "b": 3}, dtype, poison))
        arrays = feeds(name, dims, dtype)
        with np.errstate(all="ignore"):
            expected = evaluator.run(None, arrays)
        for (output, result), right in zip(net.run(arrays).items(), expected, strict=True):
            assert result.shape == right.shape, (output, n, m)
            np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-4, err_msg=f"{output} {n} {m}")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_parts_lie_behind_each_other(name: str, threads: int) -> None:
    compare(compiled(name, threads=threads), name)


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
@pytest.mark.parametrize("name", ["behind", "outermost", "innermost", "three", "itself", "shown"])
def test_other_dtypes(name: str, dtype: type[np.generic]) -> None:
    compare(compiled(name, dtype, threads=1), name, dtype)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["behind", "one more", "batch", "again", "chain"])
def test_libraries(name: str, threads: int, tmp_path: Path) -> None:
    compiled(name, threads=threads).save(tmp_path / "net.so")
    compare(mlc.load(tmp_path / "net.so"), name)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_without_optimisation(level: int) -> None:
    for name in ("behind", "three", "again"):
        compare(compiled(name, threads=1, opt_level=level), name)


@pytest.mark.parametrize(
    ("name", "copies"), [("behind", 0), ("one more", 0), ("batch", 0), ("itself", 2), ("again", 2)]
)
def test_a_part_is_put_into_the_storage_of_what_nothing_reads_again(name: str, copies: int, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model(name).SerializeToString())
    dims = [f"--dim={d}={bounds}" for d, bounds in BOUNDS.items() if f"'{d}'" in str(MODELS[name])]
    command = ["-q", "compile", str(tmp_path / "m.onnx"), "--emit=scheduled", "-o", str(tmp_path / "m"), *dims]
    assert main(command) == 0
    text = (tmp_path / "m.scheduled.mlir").read_text()
    assert ("loop.storage = 0" in text) == (copies == 0)
    assert len(re.findall(r"loop\.call @k\d+_(?:copy|pad)", text)) == copies
