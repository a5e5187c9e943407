"""Small models with control flow, which threads have little to share of: a recurrent Loop, and box suppression."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import parser

_HEADER = '<ir_version: 10, opset_import: ["": 21]>\n'

_LOOP = """g (float[1, {width}] x, float[{width}, {width}] w) => (float[1, {width}] y)
        <int64 n = {{50}}, bool go = {{1}}> {{
    y = Loop (n, go, x) <body = step (int64 i, bool k, float[1, {width}] a) => (bool d, float[1, {width}] c) {{
        d = Identity (k)
        b = MatMul (a, w)
        c = Tanh (b)
    }}>
}}"""

_BOXES = """g (float[1, {count}, 4] boxes, float[1, 3, {count}] scores) => (int64[N, 3] kept)
        <int64[1] most = {{10}}, float[1] overlap = {{0.5}}, float[1] least = {{0.1}}> {{
    kept = NonMaxSuppression (boxes, scores, most, overlap, least)
}}"""

Small = tuple[onnx.ModelProto, dict[str, np.ndarray[Any, Any]]]


def recurrent_loop(width: int) -> Small:
    """Fifty steps of a state of ``width`` numbers in an ONNX Loop."""
    generator = np.random.default_rng(0)
    weights = generator.standard_normal((width, width)).astype(np.float32) / np.float32(np.sqrt(width))
    return _model(_LOOP.format(width=width)), {"x": np.ones((1, width), np.float32), "w": weights}


def suppression(count: int) -> Small:
    """The ten best of ``count`` boxes of three classes."""
    generator = np.random.default_rng(0)
    corners = np.sort(generator.random((1, count, 2, 2), np.float32), axis=2)
    return _model(_BOXES.format(count=count)), {
        "boxes": corners.reshape(1, count, 4),
        "scores": generator.random((1, 3, count), np.float32),
    }


def _model(graph: str) -> onnx.ModelProto:
    return parser.parse_model(_HEADER + graph)


SMALL: dict[str, Callable[[], Small]] = {
    "loop 50 x 32": lambda: recurrent_loop(32),
    "loop 50 x 256": lambda: recurrent_loop(256),
    "suppression of 100": lambda: suppression(100),
    "suppression of 1000": lambda: suppression(1000),
}
"""By name: a function that builds the model and its inputs."""
