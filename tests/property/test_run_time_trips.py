"""Kernels stop where a call's extents end: one compilation, many extents, nothing left over from longer calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.testing.open_dims import INPUTS, bounded_models, inputs_for

Array = np.ndarray[Any, np.dtype[Any]]

LONGEST = 150
LENGTHS = st.sampled_from((1, 2, 6, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, LONGEST))


def block(heads: int, width: int, *, batch: int | str, causal: bool, places: bool = False) -> ModelProto:
    """A transformer's block over x [batch, seq, width] and what lies before it, keys and values of length past.

    Results: the block's own, all keys and values, the mean over the sequence, the maximum, and with ``places`` the
    index of that.
    """
    random, depth = np.random.default_rng(0), width // heads
    sizes = {"wq": width, "wk": width, "wv": width, "wo": width, "up": 3 * width}
    weights = {n: random.standard_normal((width, columns)) / 4 for n, columns in sizes.items()}
    weights |= {"down": random.standard_normal((3 * width, width)) / 4, "ones": np.ones(width), "low": np.array(-1e4)}
    numbers = {"zero": 0, "one": 1, "two": 2, "last": [-1], "split": [0, 0, heads, depth], "flat": [0, 0, width]}
    constants = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()]
    constants += [numpy_helper.from_array(np.array(v), n) for n, v in numbers.items()]
    lines = ["LayerNormalization(x, ones) -> n"]
    for name in "qkv":
        lines += [f"MatMul(n, w{name}) -> {name}0", f"Reshape({name}0, split) -> {name}1"]
        lines += [f"Transpose({name}1) -> {name}2 perm=0,2,1,3"]
    lines += ["Concat(keys, k2) -> ks axis=2", "Concat(values, v2) -> vs axis=2", "Transpose(ks) -> kt perm=0,1,3,2"]
    lines += ["MatMul(q2, kt) -> raw", "Shape(keys) -> kshape", "Gather(kshape, two) -> past", "Shape(x) -> xshape"]
    lines += ["Gather(xshape, one) -> seq", "Add(past, seq) -> total", "Range(past, total, one) -> position"]
    lines += ["Unsqueeze(position, one) -> rows", "Range(zero, total, one) -> columns"]
    lines += ["LessOrEqual(columns, rows) -> seen", "Where(seen, raw, low) -> hidden"]
    lines += [f"Softmax({'hidden' if causal else 'raw'}) -> p axis=-1", "MatMul(p, vs) -> o1"]
    lines += ["Transpose(o1) -> o2 perm=0,2,1,3", "Reshape(o2, flat) -> o3", "MatMul(o3, wo) -> o4", "Add(x, o4) -> y0"]
    lines += ["LayerNormalization(y0, ones) -> y1", "MatMul(y1, up) -> y2", "Relu(y2) -> y3", "MatMul(y3, down) -> y4"]
    lines += ["Add(y0, y4) -> y", "ReduceMean(y) -> mean axes=1", "ReduceMax(y) -> peak axes=1"]
    lines += ["ArgMax(y) -> at axis=1"] * places
    inputs = {"x": (batch, "seq", width), **dict.fromkeys(("keys", "values"), (batch, heads, "past", depth))}
    outputs = dict.fromkeys(("y", "ks", "vs", "mean", "peak"), TensorProto.FLOAT)
    outputs |= {"at": TensorProto.INT64} if places else {}
    graph = helper.make_graph(
        [_node(line) for line in lines],
        "block",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()],
        [helper.make_tensor_value_info(n, dtype, None) for n, dtype in outputs.items()],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _node(line: str) -> Any:
    call, _, rest = line.partition(" -> ")
    outputs, *attributes = rest.split()
    kind, _, operands = call.rstrip(")").partition("(")
    given: dict[str, Any] = {}
    for name, _, text in (a.partition("=") for a in attributes):
        given[name] = [int(n) for n in text.split(",")] if name in ("perm", "axes") else int(text)
    return helper.make_node(kind, operands.split(", "), outputs.split(","), **given)


def feeds_for(heads: int, width: int, values: Mapping[str, int], fill: float | None = None) -> dict[str, Array]:
    """Inputs of a `block`: random numbers, or one number."""
    random = np.random.default_rng(values["seq"])
    batch, cache = values["batch"], (values["batch"], heads, values["past"], width // heads)
    shapes = {"x": (batch, values["seq"], width), "keys": cache, "values": cache}
    arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return arrays if fill is None else {name: np.full_like(array, fill) for name, array in arrays.items()}


def evaluated(model: ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """What ONNX's own evaluator makes of a call."""
    evaluator: Any = ReferenceEvaluator(model)
    return evaluator.run(None, dict(feeds))


def assert_same(results: Any, expected: list[Array]) -> None:
    for result, right in zip(results, expected, strict=True):
        assert result.shape == right.shape
        np.testing.assert_allclose(result, right, rtol=2e-4, atol=2e-4)


@given(
    st.sampled_from(((2, 16), (3, 48))),
    st.booleans(),
    st.booleans(),
    st.sampled_from((1, 2)),
    st.lists(st.tuples(LENGTHS, st.sampled_from((0, 1, 5, 16, 33)), st.integers(1, 3)), min_size=3, max_size=4),
)
@settings(max_examples=3, deadline=None)
def test_blocks_of_many_lengths(
    size: tuple[int, int], causal: bool, places: bool, threads: int, calls: list[Any]
) -> None:
    """Between the calls, one of the greatest extents leaves NaN everywhere."""
    model = block(*size, batch="batch", causal=causal, places=places)
    dims = {"seq": f"1..{LONGEST}", "past": "0..33", "batch": "1..3"}
    net = mlc.compile(model, dims=dims, threads=threads, cache=False)
    for seq, past, batch in calls:
        net.run(feeds_for(*size, {"seq": LONGEST, "past": 33, "batch": 3}, fill=np.nan))
        feeds = feeds_for(*size, {"seq": seq, "past": past, "batch": batch})
        assert_same(net.run(feeds).values(), evaluated(model, feeds))


@given(bounded_models(), st.lists(st.tuples(LENGTHS, LENGTHS), min_size=2, max_size=3), st.sampled_from((1, 2)))
@settings(max_examples=12, deadline=None)
def test_random_models(model: ModelProto, calls: list[tuple[int, int]], threads: int) -> None:
    net = _bounded(model, threads)
    if net is None:
        return
    for n, m in calls:
        net.run({name: np.full_like(a, np.nan) for name, a in inputs_for({"n": LONGEST, "m": LONGEST}).items()})
        arrays = inputs_for({"n": n, "m": m})
        static = mlc.compile(model, dims={"n": n, "m": m}, threads=1, cache=False)
        for result, right in zip(net.run(arrays).values(), static.run(arrays).values(), strict=True):
            assert result.shape == right.shape
            np.testing.assert_allclose(result, right, rtol=1e-3, atol=1e-3)


def _bounded(model: ModelProto, threads: int) -> Any:
    assert list(INPUTS) == ["x", "y", "z"]
    try:
        return mlc.compile(model, dims={"n": f"1..{LONGEST}", "m": f"1..{LONGEST}"}, threads=threads, cache=False)
    except mlc.UnsupportedError:
        return None


def product(width: int, columns: int) -> ModelProto:
    """Rows times a matrix, plus the rows' sums."""
    matrix = np.random.default_rng(1).standard_normal((width, columns)).astype(np.float32)
    lines = ["MatMul(x, w) -> p", "ReduceSum(x, axes) -> s", "Add(p, s) -> y"]
    graph = helper.make_graph(
        [_node(line) for line in lines],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("rows", width))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(matrix, "w"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("target", ["native", "x86-64-v3", "x86-64"])
@pytest.mark.parametrize("most", [5, 47])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_number_of_rows(target: str, most: int, threads: int) -> None:
    """However many rows are left for the last tile, each is computed, and none of another call shows."""
    model = product(40, 50)
    net = mlc.compile(model, dims={"rows": f"1..{most}"}, target=target, threads=threads, cache=False)
    for rows in range(1, most + 1):
        net.run({"x": np.full((most, 40), np.nan, np.float32)})
        feeds = {"x": np.random.default_rng(rows).standard_normal((rows, 40)).astype(np.float32)}
        assert_same(net.run(feeds).values(), evaluated(model, feeds))


def test_short_calls_take_less_time() -> None:
    """At a 64th of the greatest length, a block takes less than half of the time."""
    model, size = block(2, 64, batch=1, causal=True), (2, 64)
    net = mlc.compile(model, dims={"seq": "1..512", "past": 0}, threads=1, cache=False)

    def best(seq: int) -> float:
        feeds, times = feeds_for(*size, {"seq": seq, "past": 0, "batch": 1}), list[float]()
        for _ in range(8):
            start = time.perf_counter()
            net.run(feeds)
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(8) < best(512) / 2


def quantised(width: int, columns: int) -> ModelProto:
    """Rows quantised as they come, times a matrix of bytes, and once more with their rectified results."""
    random = np.random.default_rng(2)
    constants = {name: random.integers(-128, 128, (width, columns)).astype(np.int8) for name in ("w", "v")}
    lines = ["DynamicQuantizeLinear(x) -> q,s,z", "MatMulInteger(q, w, z) -> p", "Cast(p) -> f to=1", "Mul(f, s) -> g"]
    lines += ["Relu(g) -> h", "DynamicQuantizeLinear(h) -> r,t,u", "MatMulInteger(r, v, u) -> y"]
    graph = helper.make_graph(
        [_node(line) for line in lines],
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("rows", width))],
        [helper.make_tensor_value_info(n, t, None) for n, t in (("p", TensorProto.INT32), ("y", TensorProto.INT32))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
def test_words_of_open_rows(target: str) -> None:
    """Bytes seen as words end where the rows do; what is quantised is what the call gave."""
    model = quantised(48, 48)
    net = mlc.compile(model, dims={"rows": "1..300"}, target=target, threads=1, cache=False)
    for rows in (1, 2, 6, 7, 8, 33, 64, 300):
        net.run({"x": np.full((300, 48), 1e30, np.float32)})
        feeds = {"x": np.random.default_rng(rows).standard_normal((rows, 48)).astype(np.float32)}
        static = mlc.compile(model, dims={"rows": rows}, target=target, threads=1, cache=False).run(feeds)
        for name, value in net.run(feeds).items():
            np.testing.assert_array_equal(value, static[name])
        assert np.mean(static["p"] == evaluated(model, feeds)[0]) > 0.9, "ties are rounded to one side or the other"


def test_words_end_with_the_rows() -> None:
    """Kernels on both sides of a view of words have limits."""
    found = mlc.compile(quantised(256, 256), dims={"rows": "1..4096"}, threads=1, cache=False)
    few, many = (found.profile(np.ones((rows, 256), np.float32), duration=0.05).ms for rows in (16, 4096))
    assert few < many / 20
