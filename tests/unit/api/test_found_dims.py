"""Results as large as the data say: compiled, their extents found as the code runs."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]


def model(nodes: list[Any], outputs: Mapping[str, Any], rows: int | str = 9) -> ModelProto:
    """A model of ``x``: f32 [rows, 5], and ``c``: bool [rows]."""
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, [rows, 5]), info("c", TensorProto.BOOL, [rows])]
    results = [info(name, element, None) for name, element in outputs.items()]
    graph = helper.make_graph(nodes, "found", inputs, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def arrays(rows: int, seed: int, share: float = 0.5) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    x = np.where(random.random((rows, 5)) < share, random.integers(-3, 4, (rows, 5)), 0).astype(np.float32)
    return {"x": x, "c": random.random(rows) < share}


def check(net: mlc.CompiledModel, proto: ModelProto, feeds: dict[str, Array]) -> None:
    evaluator: Any = ReferenceEvaluator(proto)
    results = net.run(feeds).values()
    for result, right in zip(results, evaluator.run(None, feeds)):
        assert result.shape == right.shape
        np.testing.assert_allclose(result, right, rtol=1e-5, atol=1e-5)


UNIQUE = {"y": TensorProto.FLOAT, "i": TensorProto.INT64, "n": TensorProto.INT64, "k": TensorProto.INT64}

NODES = {
    "nonzero": ([helper.make_node("NonZero", ["x"], ["y"])], {"y": TensorProto.INT64}),
    "compress": ([helper.make_node("Compress", ["x", "c"], ["y"], axis=0)], {"y": TensorProto.FLOAT}),
    "reduced": (
        [
            helper.make_node("Compress", ["x", "c"], ["z"], axis=0),
            helper.make_node("Softmax", ["z"], ["p"], axis=0),
            helper.make_node("ReduceSum", ["p"], ["y"], keepdims=0),
        ],
        {"y": TensorProto.FLOAT, "z": TensorProto.FLOAT},
    ),
    "sorted": (
        [helper.make_node("Unique", ["x"], ["y", "i", "n", "k"])],
        {"y": TensorProto.FLOAT, "i": TensorProto.INT64, "n": TensorProto.INT64, "k": TensorProto.INT64},
    ),
    "unsorted": (
        [
            helper.make_node("Constant", [], ["flat"], value_ints=[-1]),
            helper.make_node("Reshape", ["x", "flat"], ["f"]),
            helper.make_node("Unique", ["f"], ["y", "i", "n", "k"], sorted=0),
        ],
        {"y": TensorProto.FLOAT, "i": TensorProto.INT64, "n": TensorProto.INT64, "k": TensorProto.INT64},
    ),
}


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("ordered", [0, 1])
@pytest.mark.parametrize("threads", [1, 2])
def test_distinct_slices(axis: int, ordered: int, threads: int, tmp_path: Path) -> None:
    info = helper.make_tensor_value_info
    node = helper.make_node("Unique", ["x"], list(UNIQUE), axis=axis, sorted=ordered)
    outputs = [info(name, element, None) for name, element in UNIQUE.items()]
    graph = helper.make_graph([node], "slices", [info("x", TensorProto.FLOAT, [6, 5, 7])], outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    net = mlc.compile(proto, threads=threads, cache=False)
    net.save(tmp_path / "net.so")
    for seed, run in enumerate([net, net, net, mlc.load(tmp_path / "net.so")]):
        random = np.random.default_rng(seed)
        drawn = random.integers(-1, 2, (6, 5, 7)).astype(np.float32)
        x: Array = np.take(drawn, random.integers(0, 3, (6, 5, 7)[axis]), axis=axis)
        y, first, inverse, counts = run.run({"x": x}).values()
        distinct: Any = np.unique(x, True, True, True, axis=axis)
        values, where, groups, numbers = distinct
        order = np.arange(len(where)) if ordered else np.argsort(where)
        np.testing.assert_array_equal(y, values.take(order, axis=axis))
        np.testing.assert_array_equal(first, where[order])
        np.testing.assert_array_equal(inverse, np.argsort(order)[groups.ravel()])
        np.testing.assert_array_equal(counts, numbers[order])


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("threads", [1, 2])
def test_extents_are_found(name: str, threads: int) -> None:
    proto = model(*NODES[name])
    net = mlc.compile(proto, threads=threads, cache=False)
    for seed, share in enumerate((0.5, 0.1, 0.9)):
        check(net, proto, arrays(9, seed, share))
    assert net.compilations == 0


@pytest.mark.parametrize("name", NODES)
def test_extents_are_found_among_bounded_dims(name: str) -> None:
    proto = model(*NODES[name], rows="rows")
    net = mlc.compile(proto, dims={"rows": "1..9"}, threads=1, cache=False)
    for rows in (1, 4, 8, 9):
        check(net, proto, {**arrays(rows, rows), "c": np.arange(rows) % 3 == 0})


def test_what_can_not_be_found_is_compiled_for_its_values() -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["z"]), helper.make_node("Cast", ["z"], ["f"], to=TensorProto.FLOAT)]
    nodes.append(helper.make_node("LayerNormalization", ["f", "f"], ["y"], axis=1))
    nodes[-1] = helper.make_node("GroupNormalization", ["f3", "s", "s"], ["y"], num_groups=1)
    nodes.insert(2, helper.make_node("Constant", [], ["s"], value_floats=[1.0, 1.0]))
    nodes.insert(3, helper.make_node("Constant", [], ["a"], value_ints=[0]))
    nodes.insert(4, helper.make_node("Unsqueeze", ["f", "a"], ["f3"]))
    proto = model(nodes, {"y": TensorProto.FLOAT}, rows="rows")
    proto.opset_import[0].version = 21
    net = mlc.compile(proto, threads=1, cache=False)
    for seed in range(2):
        check(net, proto, arrays(9, seed))
    assert net.compilations == 2


def test_nothing_is_found() -> None:
    proto = model(*NODES["nonzero"])
    net = mlc.compile(proto, threads=1, cache=False)
    assert net(arrays(9, 0, 0)).shape == (2, 0)
    assert net.outputs[0].shape == (2, "nonzero.0")
    with pytest.raises(UsageError, match="can't be bound"):
        net.bind(arrays(9, 0), [np.zeros((2, 45), np.int64)])


def test_c_callers_read_the_extent(tmp_path: Path) -> None:
    proto = model(*NODES["compress"])
    mlc.compile(proto, threads=1, cache=False).save(tmp_path / "net.so")
    assert "compressed.0 in 0..9, written by the run" in (tmp_path / "net.h").read_text()
    library = ctypes.CDLL(str(tmp_path / "net.so"))
    context = np.zeros(16384, np.uint8)
    at = ctypes.c_void_p(context.ctypes.data + -context.ctypes.data % 64)
    assert library.net_init(at, None, ctypes.c_size_t(0), 1) == 0
    library.net_arena_size.restype = ctypes.c_size_t
    arena = np.zeros(library.net_arena_size(None) + 64, np.uint8)
    place = ctypes.c_void_p(arena.ctypes.data + -arena.ctypes.data % 64)
    feeds = arrays(9, 3)
    y = np.full((9, 5), 7, np.float32)
    ins = (ctypes.c_void_p * 2)(feeds["x"].ctypes.data, feeds["c"].ctypes.data)
    dims = (ctypes.c_int64 * 1)(-1)
    assert library.net_run(at, ins, (ctypes.c_void_p * 1)(y.ctypes.data), dims, place) == 0
    count = int(feeds["c"].sum())
    assert dims[0] == count
    np.testing.assert_array_equal(y[:count], feeds["x"][feeds["c"]])
    assert (y[count:] == 7).all()
