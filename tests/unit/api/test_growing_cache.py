"""Attention operators whose cache grows with every call, as exporters write them, are compiled for a range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import mlc

HEADS, WIDTH = 2, 8
MICROSOFT = "com.microsoft"
OPERATORS: dict[str, tuple[int, NodeProto]] = {
    "Attention": (
        HEADS,
        helper.make_node(
            *("Attention", ["q", "k", "v", "", "key", "value"], ["y", "keys", "values"]),
            q_num_heads=HEADS,
            kv_num_heads=HEADS,
            is_causal=1,
        ),
    ),
    "MultiHeadAttention": (
        HEADS,
        helper.make_node(
            *("MultiHeadAttention", ["q", "k", "v", "", "", "", "key", "value"], ["y", "keys", "values"]),
            domain=MICROSOFT,
            num_heads=HEADS,
            unidirectional=1,
        ),
    ),
    "GroupQueryAttention": (
        1,
        helper.make_node(
            *("GroupQueryAttention", ["q", "k", "v", "key", "value", "last", "total"], ["y", "keys", "values"]),
            domain=MICROSOFT,
            num_heads=HEADS,
            kv_num_heads=1,
        ),
    ),
}
"""By name, with the number of heads that the cache has."""


def network(name: str) -> ModelProto:
    """One operator; lengths come from a mask [1, all], where it takes any."""
    heads, node = OPERATORS[name]
    shapes: dict[str, list[int | str]] = {"q": [1, "seq", HEADS * WIDTH]}
    shapes |= {part: [1, "seq", heads * WIDTH] for part in "kv"}
    shapes |= {part: [1, heads, "past", WIDTH] for part in ("key", "value")}
    inputs = [helper.make_tensor_value_info(part, TensorProto.FLOAT, shape) for part, shape in shapes.items()]
    nodes = [node]
    if name == "GroupQueryAttention":
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.INT64, [1, "all"]))
        nodes = [
            helper.make_node("Shape", ["mask"], ["lengths"]),
            helper.make_node("Gather", ["lengths", "one"], ["length"]),
            helper.make_node("Cast", ["length"], ["total"], to=TensorProto.INT32),
            helper.make_node("ReduceSum", ["mask", "axes"], ["count"], keepdims=0),
            helper.make_node("Sub", ["count", "one"], ["index"]),
            helper.make_node("Cast", ["index"], ["last"], to=TensorProto.INT32),
            node,
        ]
    outputs = [helper.make_tensor_value_info(part, TensorProto.FLOAT, None) for part in ("y", "keys", "values")]
    constants = [numpy_helper.from_array(np.array(1), "one"), numpy_helper.from_array(np.array([1]), "axes")]
    graph = helper.make_graph(nodes, "decoder", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_growing_cache_compiles_at_most_four_times(name: str) -> None:
    model, heads = network(name), OPERATORS[name][0]
    net = mlc.compile(model, threads=1, cache=False)
    random = np.random.default_rng(0)
    key = value = np.zeros((1, heads, 0, WIDTH), np.float32)
    for call in range(24):
        tokens = 4 if call == 0 else 1
        feeds: dict[str, Any] = {"key": key, "value": value}
        for part, width in (("q", HEADS), ("k", heads), ("v", heads)):
            feeds[part] = random.standard_normal((1, tokens, width * WIDTH)).astype(np.float32)
        if name == "GroupQueryAttention":
            feeds["mask"] = np.ones((1, key.shape[2] + tokens), np.int64)
        results = net(feeds)
        if call in (0, 1, 4, 23):
            shapes = {part: array.shape for part, array in feeds.items()}
            alone = mlc.compile(model, shapes=shapes, threads=1, cache=False)(feeds)
            for result, right in zip(results, alone, strict=True):
                np.testing.assert_allclose(result, right, rtol=1e-5, atol=1e-5)
        _, key, value = results
        assert key.shape == (1, heads, 4 + call, WIDTH)
    assert net.compilations <= 4
