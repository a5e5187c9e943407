"""Models of one operation each, to time kernels through the public interface."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Single:
    """A model of one kernel: its name, ONNX model, and input."""

    name: str
    model: onnx.ModelProto
    feeds: dict[str, np.ndarray[Any, Any]]


def _single(
    name: str,
    op: str,
    shape: Sequence[int],
    result: Sequence[int],
    weights: Sequence[np.ndarray[Any, Any]] = (),
    layers: int = 1,
    **attributes: Any,
) -> Single:
    """``layers`` of the operation in a row, so that what the first and last pay for layouts is shared."""
    generator = np.random.default_rng(0)
    initializers = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
    tensors = ["x", *(f"t{i}" for i in range(1, layers)), "y"]
    constants = [w.name for w in initializers]
    nodes = [
        helper.make_node(op, [a, *constants], [b], name=f"{op.lower()}_{b}", **attributes)
        for a, b in itertools.pairwise(tensors)
    ]
    graph = helper.make_graph(
        nodes,
        op.lower(),
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return Single(name, model, {"x": generator.standard_normal(shape).astype(np.float32)})


def _weights(*shape: int) -> np.ndarray[Any, Any]:
    fan_in = int(np.prod(shape[1:])) or 1
    return (np.random.default_rng(1).standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def gemm(m: int, n: int, k: int) -> Single:
    """``[m, k] @ [k, n]``."""
    weights = [np.ascontiguousarray(_weights(n, k).T)]
    return _single(f"gemm {m}x{n}x{k}", "MatMul", (m, k), (m, n), weights)


def conv(
    size: int, channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1, layers: int = 1
) -> Single:
    """A convolution with bias on a square image, padded to keep its size (over ``stride``)."""
    out = -(-size // stride)
    weights = [_weights(filters, channels // groups, kernel, kernel), _weights(filters)]
    name = f"conv {kernel}x{kernel}{f'/{stride}' if stride > 1 else ''} {size}x{size} {channels}->{filters}"
    if groups > 1:
        name = f"{layers} x depthwise {kernel}x{kernel} {size}x{size} {channels}"
    return _single(
        name,
        "Conv",
        (1, channels, size, size),
        (1, filters, out, out),
        weights,
        layers,
        strides=[stride, stride],
        pads=[kernel // 2] * 4,
        group=groups,
    )


def gemms() -> list[Single]:
    """The products of figure 2: of BERT-base and of ResNet-50's 1x1 convolutions."""
    sizes = (
        *((128, 768, 768), (128, 3072, 768), (128, 768, 3072)),
        *((3136, 256, 64), (196, 1024, 256), (49, 2048, 512)),
    )
    return [gemm(*size) for size in sizes]


def convolutions() -> list[Single]:
    """The stride-1 convolutions of ResNet-50."""
    wide = [conv(size, channels, channels, 3) for size, channels in ((56, 64), (28, 128), (14, 256), (7, 512))]
    narrow = [
        conv(size, channels, filters, 1)
        for size, narrow, full in ((56, 64, 256), (28, 128, 512), (14, 256, 1024), (7, 512, 2048))
        for channels, filters in ((narrow, full), (full, narrow))
    ]
    return [*wide, *narrow]


def others() -> list[Single]:
    """What memory or transcendental functions bound: softmax, layer norm, GELU, depthwise convolution."""
    scale = [np.ones(768, np.float32), np.zeros(768, np.float32)]
    return [
        _single("softmax 1536x128", "Softmax", (1536, 128), (1536, 128), axis=-1),
        _single("layer norm 128x768", "LayerNormalization", (128, 768), (128, 768), scale, axis=-1),
        _single("gelu 128x3072", "Gelu", (128, 3072), (128, 3072)),
        conv(28, 192, 192, 3, groups=192, layers=8),
    ]
