"""Dims that get their values at run time: ranges given to the compiler, and those that it chooses itself."""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.errors import UsageError
from mlc.testing.onnx_models import perceptron, small_model
from mlc.widen import History

Array = np.ndarray[Any, np.dtype[Any]]

HEADS, WIDTH, VOCABULARY = 2, 16, 32


def decoder() -> ModelProto:
    """One layer of a decoder: tokens and what past ones have left, to scores of the next token and all that is left.

    tokens: i64 [1, seq], key and value: [1, HEADS, past, WIDTH // HEADS].
    """
    random = np.random.default_rng(0)
    weights = {
        name: numpy_helper.from_array(np.asarray(random.standard_normal(shape) / 4, np.float32), name)
        for name, shape in {
            "table": (VOCABULARY, WIDTH),
            "places": (256, WIDTH),
            "qkv": (WIDTH, 3 * WIDTH),
            "out": (WIDTH, VOCABULARY),
            "ones": (WIDTH,),
        }.items()
    }
    numbers = {"zero": 0, "one": 1, "two": 2, "sizes": [1, -1, HEADS, WIDTH // HEADS], "flat": [1, -1, WIDTH]}
    constants = [numpy_helper.from_array(np.array(value), name) for name, value in numbers.items()]
    source = """
        Gather(table, tokens) -> embedded | Shape(key) -> kshape | Gather(kshape, two) -> past
        Shape(tokens) -> tshape | Gather(tshape, one) -> seq | Add(past, seq) -> total
        Range(past, total, one) -> position | Gather(places, position) -> placed | Add(embedded, placed) -> x
        LayerNormalization(x, ones) -> normed | MatMul(normed, qkv) -> mixed
    """
    nodes = [_node(text) for line in source.strip().splitlines() for text in line.split("|")]
    nodes.append(helper.make_node("Split", ["mixed"], ["q", "k", "v"], axis=-1))
    for name in "qkv":
        nodes.append(helper.make_node("Reshape", [name, "sizes"], [f"{name}4"]))
        nodes.append(helper.make_node("Transpose", [f"{name}4"], [f"{name}h"], perm=[0, 2, 1, 3]))
    nodes.append(helper.make_node("Concat", ["key", "kh"], ["present_key"], axis=2))
    nodes.append(helper.make_node("Concat", ["value", "vh"], ["present_value"], axis=2))
    nodes.append(helper.make_node("Transpose", ["present_key"], ["kt"], perm=[0, 1, 3, 2]))
    nodes.append(helper.make_node("MatMul", ["qh", "kt"], ["raw"]))
    nodes += [_node(text) for text in ("Range(zero, total, one) -> columns", "Unsqueeze(position, one) -> rows")]
    nodes += [_node(text) for text in ("LessOrEqual(columns, rows) -> seen", "Where(seen, raw, low) -> scores")]
    nodes.append(helper.make_node("Softmax", ["scores"], ["weights"], axis=-1))
    nodes.append(helper.make_node("MatMul", ["weights", "present_value"], ["heads"]))
    nodes.append(helper.make_node("Transpose", ["heads"], ["rowwise"], perm=[0, 2, 1, 3]))
    nodes += [_node(text) for text in ("Reshape(rowwise, flat) -> joined", "MatMul(joined, out) -> logits")]
    constants.append(numpy_helper.from_array(np.array(-1e4, np.float32), "low"))
    cache = (1, HEADS, "past", WIDTH // HEADS)
    value_info = helper.make_tensor_value_info
    inputs = [value_info("tokens", TensorProto.INT64, (1, "seq"))]
    inputs += [value_info(name, TensorProto.FLOAT, cache) for name in ("key", "value")]
    names = ("logits", "present_key", "present_value")
    outputs = [value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "decoder", inputs, outputs, [*weights.values(), *constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def evaluated(model: ModelProto, feeds: dict[str, Array]) -> list[Array]:
    """What ONNX's own evaluator makes of a call."""
    evaluator: Any = ReferenceEvaluator(model)
    return evaluator.run(None, feeds)


def _node(text: str) -> Any:
    call, output = text.strip().split(" -> ")
    kind, _, operands = call.rstrip(")").partition("(")
    return helper.make_node(kind, operands.split(", "), [output])


@pytest.mark.parametrize("threads", [1, 2])
def test_decoding_compiles_at_most_four_times(threads: int) -> None:
    model = decoder()
    net = mlc.compile(model, threads=threads, cache=False)
    key = value = np.zeros((1, HEADS, 0, WIDTH // HEADS), np.float32)
    tokens = np.array([[3, 1, 4, 1, 5]])
    for _ in range(65):
        feeds = {"tokens": tokens, "key": key, "value": value}
        expected = evaluated(model, feeds)
        results = net(feeds)
        for result, right in zip(results, expected):
            assert result.shape == right.shape
            np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-5)
        logits, key, value = results
        tokens = np.argmax(logits[:, -1:], axis=-1)
    assert net.compilations <= 4


def test_prompts_of_many_lengths_share_code() -> None:
    model = decoder()
    net = mlc.compile(model, cache=False, threads=1)
    empty = np.zeros((1, HEADS, 1, WIDTH // HEADS), np.float32)
    for length in (1, 5, 9, 30, 2, 17, 64):
        feeds = {"tokens": np.arange(length)[None] % VOCABULARY, "key": empty, "value": empty}
        for result, right in zip(net(feeds), evaluated(model, feeds)):
            np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-5)
    assert net.compilations == 3


def test_padding_beyond_an_extent_is_not_summed() -> None:
    """What a column of twos holds beyond the rows is no zero."""
    nodes = [
        helper.make_node("Pad", ["x", "pads", "two"], ["p"]),
        helper.make_node("ReduceSum", ["p", "axes"], ["y"], keepdims=0),
    ]
    model = small_model(nodes, {"x": ["n", 4]}, {"y": [5]})
    constants = {"pads": np.array([0, 0, 0, 1]), "two": np.array(2, np.float32), "axes": np.array([0])}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    net = mlc.compile(model, dims={"n": "1..9"}, threads=1, cache=False)
    np.testing.assert_array_equal(net(np.ones((3, 4), np.float32)), [3, 3, 3, 3, 6])


def test_what_has_no_range_is_compiled_for_each_shape(caplog: pytest.LogCaptureFixture) -> None:
    nodes = [helper.make_node("LayerNormalization", ["x", "s"], ["y"], axis=0)]
    model = small_model(nodes, {"x": ["n"], "s": ["n"]}, {"y": ["n"]})
    net = mlc.compile(model, cache=False, threads=1)
    with caplog.at_level(logging.INFO, "mlc"):
        for n in (2, 3, 4, 5):
            x = np.arange(n, dtype=np.float32)
            np.testing.assert_allclose(net(x, x).mean(), net(x, np.ones(n, np.float32)).mean() * 0 + net(x, x).mean())
    assert net.compilations == 4
    assert "known only at run time" in caplog.text


# --- ahead of time


def test_ranges_are_part_of_the_signature() -> None:
    net = mlc.compile(perceptron("batch"), dims={"batch": "1..9"}, cache=False, threads=1)
    assert net.dims == {"batch": range(1, 10)}
    assert [spec.shape for spec in net.inputs] == [("batch", 8)]
    for n in (1, 4, 9):
        y, z = net(np.ones((n, 8), np.float32))
        assert y.shape == (n, 4)
        np.testing.assert_array_equal(z, np.full((n, 8), 2, np.float32))
    with pytest.raises(UsageError, match=r"not within the bounds.*batch in 1\.\.9"):
        net(np.ones((10, 8), np.float32))


def test_names_that_are_expressions_need_no_extent() -> None:
    nodes = [helper.make_node("Add", ["x", "y"], ["z"])]
    model = small_model(nodes, {"x": ["n + m"], "y": ["n + m"], "u": ["n"], "v": ["m"]}, {"z": ["n + m"]})
    net = mlc.compile(model, dims={"n": "1..9", "m": 1}, cache=False, threads=1)
    assert net.dims == {"n": range(1, 10)}
    line, one = np.arange(4, dtype=np.float32), np.ones(1, np.float32)
    np.testing.assert_array_equal(net(line, line, line[:3], one), line * 2)
    assert not mlc.compile(model, dims={"n": "1..9"}, cache=False, threads=1).is_static


def test_a_saved_library_takes_dims(tmp_path: Path) -> None:
    net = mlc.compile(perceptron("batch"), shapes={"x": ("1..9", 8)}, cache=False, threads=1)
    net.save(tmp_path / "net.so")
    header = (tmp_path / "net.h").read_text()
    assert "dims[0]" in header
    assert "batch in 1..9" in header
    loaded = mlc.load(tmp_path / "net.so")
    x = np.arange(40, dtype=np.float32).reshape(5, 8) - 20
    for result, right in zip(loaded(x), net(x)):
        np.testing.assert_array_equal(result, right)


def test_a_call_from_c_is_checked(tmp_path: Path) -> None:
    net = mlc.compile(perceptron("batch"), dims={"batch": "1..9"}, cache=False, threads=1)
    net.save(tmp_path / "net.so")
    library = ctypes.CDLL(str(tmp_path / "net.so"))
    context = (ctypes.c_uint8 * 8192)()
    at = ctypes.addressof(context) + -ctypes.addressof(context) % 64
    assert library.net_init(ctypes.c_void_p(at), None, ctypes.c_size_t(0), 1) == 0
    library.net_arena_size.restype = ctypes.c_size_t
    arena = np.zeros(library.net_arena_size(None) + 64, np.uint8)
    place = arena.ctypes.data + -arena.ctypes.data % 64
    x, y, z = np.ones((3, 8), np.float32), np.full((4, 4), 7, np.float32), np.full((4, 8), 7, np.float32)
    ins, outs = (ctypes.c_void_p * 1)(x.ctypes.data), (ctypes.c_void_p * 2)(y.ctypes.data, z.ctypes.data)
    for dims, status in (((ctypes.c_int64 * 1)(3), 0), ((ctypes.c_int64 * 1)(10), 1), (None, 1)):
        assert library.net_run(ctypes.c_void_p(at), ins, outs, dims, ctypes.c_void_p(place)) == status
    np.testing.assert_array_equal(z, np.repeat([2, 2, 2, 7], 8).reshape(4, 8))


def test_the_choice_of_ranges() -> None:
    history = History()
    declared = {"x": (1, "seq"), "k": ("past",), "m": ("total",)}

    def call(seq: int, past: int) -> dict[str, int | str] | None:
        return history.widened(declared, {"x": (1, seq), "k": (past,), "m": (seq + past,)})

    assert call(10, 0) is None
    assert call(1, 10) is None
    assert call(1, 11) == {"seq": 1, "past": "1..64", "total": "past + 1"}
    assert call(1, 100) == {"seq": 1, "past": "1..256", "total": "past + 1"}
    history.give_up({"past": "1..256", "total": "past + 1"})
    assert call(1, 101) is None
