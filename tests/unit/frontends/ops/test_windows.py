"""Convolutions and pools: extents of the results against ONNX's own shape inference, and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mlc.dialects import hlt
from mlc.errors import ModelError

Build = Callable[..., Any]

AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


@st.composite
def window_attributes(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a window over two spatial dims, any of them left out."""
    pair = st.lists(st.integers(1, 3), min_size=2, max_size=2)
    attributes: dict[str, Any] = {"kernel_shape": draw(pair)}
    for name in ("strides", "dilations"):
        if draw(st.booleans()):
            attributes[name] = draw(pair)
    auto_pad = draw(st.sampled_from(AUTO_PADS))
    if auto_pad != "NOTSET":
        attributes["auto_pad"] = auto_pad
    elif draw(st.booleans()):
        largest = min(attributes["kernel_shape"])
        attributes["pads"] = draw(st.lists(st.integers(0, largest - 1), min_size=4, max_size=4))
    return attributes


def inferred_shape(op_type: str, inputs: dict[str, list[int]], attributes: dict[str, Any]) -> tuple[int, ...]:
    """What ONNX says the result's shape is."""
    node = helper.make_node(op_type, list(inputs), ["y"], **attributes)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", values, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return tuple(dim.dim_value for dim in inferred.graph.output[0].type.tensor_type.shape.dim)


def node_text(op_type: str, arguments: str, attributes: dict[str, Any]) -> str:
    texts = [f"{name} = {value!r}".replace("'", '"') for name, value in attributes.items()]
    return f"y = {op_type} <{', '.join(texts)}> ({arguments})"


def fits(size: int, attributes: dict[str, Any]) -> bool:
    """Whether the window fits into an input of that size without pads."""
    dilations = attributes.get("dilations", [1, 1])
    return all((k - 1) * d + 1 <= size for k, d in zip(attributes["kernel_shape"], dilations))


@settings(max_examples=40, deadline=None)
@given(size=st.integers(3, 9), attributes=window_attributes())
def test_conv_shape_is_onnxs(build: Build, size: int, attributes: dict[str, Any]) -> None:
    assume(fits(size, attributes))
    shapes = {"x": [1, 2, size, size], "w": [3, 2, *attributes["kernel_shape"]]}
    program = build(
        f"g (float{shapes['x']} x, float{shapes['w']} w) => (float[] y) {{ {node_text('Conv', 'x, w', attributes)} }}"
    )
    (conv,) = program
    assert hlt.shape_of(conv) == inferred_shape("Conv", shapes, attributes)


@settings(max_examples=60, deadline=None)
@given(
    op_type=st.sampled_from(("MaxPool", "AveragePool", "LpPool")),
    size=st.integers(3, 9),
    attributes=window_attributes(),
    ceil=st.booleans(),
)
def test_pool_shape_is_onnxs(build: Build, op_type: str, size: int, attributes: dict[str, Any], ceil: bool) -> None:
    assume(fits(size, attributes))
    attributes = {**attributes, "ceil_mode": int(ceil)}
    program = build(f"g (float[1, 2, {size}, {size}] x) => (float[] y) {{ {node_text(op_type, 'x', attributes)} }}")
    result = program(np.ones((1, 2, size, size), np.float32))
    assert result.shape == inferred_shape(op_type, {"x": [1, 2, size, size]}, attributes)
    assert np.isfinite(result).all()


def test_same_padding_puts_the_odd_one_last_or_first(build: Build) -> None:
    for mode, low, high in (("SAME_UPPER", (0, 0), (1, 1)), ("SAME_LOWER", (1, 1), (0, 0))):
        program = build(
            f"""
            g (float[1, 1, 4, 4] x, float[1, 1, 2, 2] w) => (float[] y) {{
                y = Conv <auto_pad = "{mode}"> (x, w) }}"""
        )
        (conv,) = program
        assert isinstance(conv, hlt.ConvOp)
        assert (conv.pads_low, conv.pads_high) == (low, high)


def test_ceil_mode_does_not_count_its_own_padding(build: Build) -> None:
    program = build(
        """
        g (float[1, 1, 3] x) => (float[] y) {
            y = AveragePool <kernel_shape = [2], strides = [2], ceil_mode = 1, count_include_pad = 1> (x) }"""
    )
    np.testing.assert_array_equal(program(np.array([[[2, 4, 6]]], np.float32)), np.array([[[3, 6]]], np.float32))


@pytest.mark.parametrize("by_column", [False, True])
def test_max_pool_indices_point_at_the_first_maximum(build: Build, by_column: bool) -> None:
    program = build(
        f"""
        g (float[2, 2, 5, 4] x) => (int64[] i) {{
            y, i = MaxPool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 1, 1],
                            dilations = [1, 2], storage_order = {int(by_column)}> (x) }}"""
    )
    x = np.random.default_rng(0).integers(0, 5, (2, 2, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(program(x), max_indices(x, by_column))


def max_indices(x: np.ndarray[Any, Any], by_column: bool) -> np.ndarray[Any, Any]:
    """The window of the test above, position by position."""
    batch, channels, height, width = x.shape
    result = np.empty((batch, channels, 3, 3), np.int64)
    for n, c, row, column in np.ndindex(result.shape):
        cells = [(row * 2 - 1 + i, column + 2 * j) for i in range(3) for j in range(2)]
        inside = [(i, j) for i, j in cells if 0 <= i < height and 0 <= j < width]
        i, j = max(inside, key=lambda cell: x[n, c, *cell])
        place = i + j * height if by_column else i * width + j
        result[n, c, row, column] = (n * channels + c) * height * width + place
    return result


def test_output_shape_decides_the_pads_of_a_transposed_convolution(build: Build) -> None:
    program = build(
        """
        g (float[1, 1, 3, 3] x, float[1, 2, 3, 3] w) => (float[] y) {
            y = ConvTranspose <strides = [3, 2], output_shape = [10, 8]> (x, w) }"""
    )
    (conv,) = program
    assert hlt.shape_of(conv) == (1, 2, 10, 8)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("Conv <strides = [0, 1]> (x, w)", "strides"),
        ("Conv <pads = [1, 1]> (x, w)", "pads"),
        ("Conv <pads = [-1, 0, 0, 0]> (x, w)", "pads"),
        ('Conv <auto_pad = "SAME"> (x, w)', "auto_pad is 'SAME'.*valid: NOTSET"),
        ("Conv <kernel_shape = [2, 2]> (x, w)", "kernel_shape"),
        ("Conv <group = 2> (x, w)", "conv_channels"),
        ("Conv <dilations = [9, 9]> (x, w)", "larger than the padded input"),
        ("MaxPool <kernel_shape = [3]> (x)", "does not fit 2 spatial dims"),
        ("MaxPool (x)", "kernel_shape is missing"),
        ("LpPool <kernel_shape = [2, 2], p = 0> (x)", "attribute p"),
        ("AveragePool <kernel_shape = [2, 2], ceil_mode = 7> (x)", "ceil_mode is 7"),
    ],
)
def test_bad_windows_are_named(build: Build, node: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"bad .*{message}"):
        build(f"g (float[1, 3, 5, 5] x, float[4, 3, 3, 3] w) => (float[] y) {{ [bad] y = {node} }}")
