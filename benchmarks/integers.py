"""Integer products and convolutions beside onnxruntime: exact, so the results have to be equal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.decoding import Run, peers
from benchmarks.turns import interleaved, ratio
from benchmarks.zoo import Feeds

PRODUCTS = ((128, 768, 768), (128, 3072, 768), (128, 768, 3072), (16, 768, 768))
"""Rows, depth and columns."""
CONVOLUTIONS = (
    (56, 64, 64, 3),
    (28, 128, 128, 3),
    (14, 256, 256, 3),
    (7, 512, 512, 3),
    (56, 64, 256, 1),
    (14, 1024, 256, 1),
)
"""Height and width, channels in and out, and the window."""


def product(rows: int, depth: int, columns: int) -> onnx.ModelProto:
    """A QLinearMatMul of bytes with a constant."""
    random = np.random.default_rng(0)
    scale = 1 / (73 * 73 * depth**0.5)
    constants = {"w": random.integers(-128, 128, (depth, columns)).astype(np.int8), **_quantisation(scale)}
    node = helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    return _model(node, constants, [rows, depth])


def convolution(size: int, inputs: int, outputs: int, window: int) -> onnx.ModelProto:
    """A QLinearConv of bytes that keeps the size."""
    random = np.random.default_rng(0)
    scale = 1 / (73 * 73 * (inputs * window * window) ** 0.5)
    shape = (outputs, inputs, window, window)
    constants = {"w": random.integers(-128, 128, shape).astype(np.int8), **_quantisation(scale)}
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    node = helper.make_node("QLinearConv", names, ["y"], pads=[window // 2] * 4)
    return _model(node, constants, [1, inputs, size, size])


def _quantisation(scale: float) -> dict[str, Any]:
    """Scales such that results use a good part of their range, and zero points."""
    scales = {"xs": np.float32(1), "ws": np.float32(30 * scale), "ys": np.float32(1)}
    return {**scales, "xz": np.uint8(119), "wz": np.int8(0), "yz": np.uint8(131)}


def _model(node: onnx.NodeProto, constants: dict[str, Any], shape: list[int]) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "integers",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8)


def integers(threads: int = 1) -> Iterator[dict[str, Any]]:
    """QLinearMatMul and QLinearConv of typical sizes: multiply-adds per second, and onnxruntime in turns; 1 thread."""
    import mlc

    cases: list[tuple[str, onnx.ModelProto, tuple[int, ...], int]] = [
        (f"matmul {m}x{k}x{n}", product(m, k, n), (m, k), m * k * n) for m, k, n in PRODUCTS
    ]
    for size, inputs, outputs, window in CONVOLUTIONS:
        name = f"conv {window}x{window} {inputs}->{outputs} @{size}"
        model = convolution(size, inputs, outputs, window)
        cases.append((name, model, (1, inputs, size, size), size**2 * inputs * outputs * window**2))
    for name, model, shape, count in cases:
        feeds: Feeds = {"x": np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)}
        runs: dict[str, Run] = {"mlc": mlc.compile(model, threads=threads, cache=False).run, **peers(model, threads)}
        results = [run(feeds)["y"] for run in runs.values()]
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)
        times = dict(zip(runs, interleaved([partial(run, feeds) for run in runs.values()], 1.0)))
        mine = times.pop("mlc")
        ratios = {f"vs {other}": ratio(mine, seconds) for other, seconds in times.items()}
        yield {"what": name, "threads": threads, "ms": min(mine) * 1e3, "GMAC/s": count / min(mine) / 1e9, **ratios}
