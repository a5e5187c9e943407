"""The reference meanings against ONNX's own reference evaluator, on generated shapes and attributes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from xdsl.dialects.test import TestOp as OpaqueOp
from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.interpreters import evaluate

Array = np.ndarray[Any, np.dtype[Any]]

few = settings(max_examples=25, deadline=None)
many = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
extents = st.integers(1, 5)


def values_of(arrays: Sequence[Array]) -> list[SSAValue]:
    """Opaque values of the arrays' types."""
    types = [hlt.tensor_type(array.shape, hlt.element_type(array.dtype)) for array in arrays]
    return list(OpaqueOp(result_types=types).results)


def named_values(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Opaque values of the arrays' types, as keyword arguments."""
    return dict(zip(arrays, values_of(list(arrays.values()))))


def onnx_run(op_type: str, inputs: Sequence[Array | None], outputs: int = 1, **attributes: Any) -> list[Array]:
    """One ONNX node through ``onnx.reference``; ``None`` leaves an optional input out."""
    names = ["" if array is None else f"x{index}" for index, array in enumerate(inputs)]
    results = [f"y{index}" for index in range(outputs)]
    node = onnx.helper.make_node(op_type, names, results, **attributes)
    arguments = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, inputs)
        if array is not None
    ]
    graph = onnx.helper.make_graph([node], "g", arguments, [onnx.ValueInfoProto(name=name) for name in results])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 23)])
    feeds = {name: array for name, array in zip(names, inputs) if array is not None}
    evaluator: Any = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        return [np.asarray(array) for array in evaluator.run(None, feeds)]


def check(op: Operation, inputs: Sequence[Array], expected: Sequence[Array], tolerance: float = 1e-9) -> None:
    """The operation verifies and its results are ``expected``: the dtype, and the values up to rounding."""
    op.verify()
    actual = evaluate(op, inputs)
    assert len(actual) == len(expected)
    for result, wanted in zip(actual, expected):
        assert result.dtype == wanted.dtype
        np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


UNARY: dict[str, tuple[type[hlt.UnaryOp], float, float]] = {
    "Neg": (hlt.NegOp, -9, 9),
    "Abs": (hlt.AbsOp, -9, 9),
    "Sign": (hlt.SignOp, -9, 9),
    "Floor": (hlt.FloorOp, -9, 9),
    "Ceil": (hlt.CeilOp, -9, 9),
    "Round": (hlt.RoundOp, -9, 9),
    "Sqrt": (hlt.SqrtOp, 0, 9),
    "Reciprocal": (hlt.ReciprocalOp, 0.1, 9),
    "Exp": (hlt.ExpOp, -9, 9),
    "Log": (hlt.LogOp, 0.01, 9),
    "Sin": (hlt.SinOp, -9, 9),
    "Cos": (hlt.CosOp, -9, 9),
    "Tan": (hlt.TanOp, -1, 1),
    "Asin": (hlt.AsinOp, -1, 1),
    "Acos": (hlt.AcosOp, -1, 1),
    "Atan": (hlt.AtanOp, -9, 9),
    "Sinh": (hlt.SinhOp, -9, 9),
    "Cosh": (hlt.CoshOp, -9, 9),
    "Tanh": (hlt.TanhOp, -9, 9),
    "Asinh": (hlt.AsinhOp, -9, 9),
    "Acosh": (hlt.AcoshOp, 1, 9),
    "Atanh": (hlt.AtanhOp, -0.99, 0.99),
    "Erf": (hlt.ErfOp, -5, 5),
    "Sigmoid": (hlt.SigmoidOp, -9, 9),
    "IsNaN": (hlt.IsNanOp, -9, 9),
    "IsInf": (hlt.IsInfOp, -9, 9),
}


@pytest.mark.parametrize("op_type", UNARY)
def test_unary(op_type: str) -> None:
    op_class, low, high = UNARY[op_type]
    x = np.concatenate([np.linspace(low, high, 41), np.arange(math.ceil(low), high), [np.nan]])
    x = np.append(x, [np.inf, -np.inf]) if op_type.startswith("Is") else x
    tolerance = 1e-6 if op_type == "Erf" else 1e-9  # onnx.reference has erf in float32
    check(op_class(*values_of([x])), [x], onnx_run(op_type, [x]), tolerance)


BINARY: dict[str, type[hlt.BinaryOp]] = {
    "Add": hlt.AddOp,
    "Sub": hlt.SubOp,
    "Mul": hlt.MulOp,
    "Div": hlt.DivOp,
    "Pow": hlt.PowOp,
    "Max": hlt.MaximumOp,
    "Min": hlt.MinimumOp,
}


@pytest.mark.parametrize("op_type", BINARY)
@given(seeds, extents)
@few
def test_binary(op_type: str, seed: int, extent: int) -> None:
    x, y = normal(seed, 2, extent), normal(seed + 1, 2, extent)
    x = np.abs(x) if op_type == "Pow" else x
    check(BINARY[op_type](*values_of([x, y])), [x, y], onnx_run(op_type, [x, y]))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Max", "Min", "Mod", "BitwiseAnd", "BitwiseXor"])
def test_integer_binary(op_type: str, dtype: type[np.integer[Any]]) -> None:
    classes = {"Mod": hlt.RemOp, "BitwiseAnd": hlt.AndOp, "BitwiseXor": hlt.XorOp} | BINARY
    info = np.iinfo(dtype)
    corners = np.array([info.min, info.min + 1, 1, 2, 3, 7, info.max - 1, info.max], dtype)
    x, y = (np.ascontiguousarray(array.ravel()) for array in np.meshgrid(corners, corners))
    y = np.where(y == 0, 1, y).astype(dtype) if op_type == "Mod" else y
    attributes = {"mode": "floor"} if op_type == "Mod" else {}
    op = classes[op_type](*values_of([x, y]), **attributes)
    check(op, [x, y], onnx_run(op_type, [x, y]))


@pytest.mark.parametrize("predicate", ["eq", "lt", "le", "gt", "ge"])
def test_compare(predicate: str) -> None:
    names = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
    x, y = np.array([1.0, 2, 3, np.nan, 0, 1]), np.array([2.0, 2, 1, 1, -0.0, np.nan])
    check(hlt.CompareOp(*values_of([x, y]), predicate=predicate), [x, y], onnx_run(names[predicate], [x, y]))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    x = np.linspace(-6, 6, 31)
    op = hlt.GeluOp(*values_of([x]), approximate=approximate)
    check(op, [x], onnx_run("Gelu", [x], approximate=approximate), 1e-6)


@given(st.lists(extents, min_size=1, max_size=4), st.data())
@few
def test_data_movement(shape: list[int], data: st.DataObject) -> None:
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    rank = len(shape)
    permutation = data.draw(st.permutations(range(rank)))
    op: hlt.HltOp = hlt.TransposeOp(*values_of([x]), permutation=permutation)
    check(op, [x], onnx_run("Transpose", [x], perm=permutation))

    starts = [data.draw(st.integers(0, extent - 1)) for extent in shape]
    ends = [data.draw(st.integers(start, extent)) for start, extent in zip(starts, shape)]
    steps = [data.draw(st.integers(1, 3)) for _ in shape]
    sizes = [-(-(end - start) // step) for start, end, step in zip(starts, ends, steps)]
    op = hlt.SliceOp(*values_of([x]), starts=starts, sizes=sizes, strides=steps)
    integers = [np.array(items) for items in (starts, ends, range(rank), steps)]
    check(op, [x], onnx_run("Slice", [x, *integers]))

    widths = [data.draw(st.integers(0, 2)) for _ in range(2 * rank)]
    modes = ["constant", "edge", "wrap", *(["reflect"] if min(shape) > 2 else [])]
    mode = data.draw(st.sampled_from(modes))
    op = hlt.PadOp(*values_of([x]), low=widths[:rank], high=widths[rank:], mode=mode, value=7.0)
    check(op, [x], onnx_run("Pad", [x, np.array(widths), np.array(7, x.dtype)], mode=mode))

    axis = data.draw(st.integers(0, rank - 1))
    op = hlt.ConcatOp(values_of([x, x]), axis=axis)
    check(op, [x, x], onnx_run("Concat", [x, x], axis=axis))

    target = [2, *(3 if extent == 1 else extent for extent in shape)]
    op = hlt.BroadcastOp(*values_of([x]), shape=target, dims=range(1, rank + 1))
    check(op, [x], onnx_run("Expand", [x, np.array(target)]))


@given(seeds, st.lists(extents, min_size=1, max_size=3), st.lists(extents, max_size=2), st.data())
@few
def test_gather(seed: int, shape: list[int], index_shape: list[int], data: st.DataObject) -> None:
    x = normal(seed, *shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    indices = np.random.default_rng(seed).integers(-shape[axis], shape[axis], index_shape)
    indices = np.asarray(indices, np.int64)
    check(hlt.GatherOp(*values_of([x, indices]), axis=axis), [x, indices], onnx_run("Gather", [x, indices], axis=axis))


@given(
    seeds, st.lists(extents, min_size=1, max_size=3), st.sampled_from(["none", "add", "mul", "max", "min"]), st.data()
)
@many
def test_elements_along_an_axis(seed: int, shape: list[int], reduction: str, data: st.DataObject) -> None:
    x, generator = normal(seed, *shape), np.random.default_rng(seed)
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = shape[axis] if reduction == "none" else data.draw(extents)
    index_shape = [*shape[:axis], count, *shape[axis + 1 :]]
    places = generator.integers(-shape[axis], shape[axis], index_shape)
    if reduction == "none":  # several writers to one place would leave the order open
        places = np.broadcast_to(generator.permutation(count), np.moveaxis(places, axis, -1).shape)
        places = np.ascontiguousarray(np.moveaxis(places, -1, axis))
    updates = normal(seed + 1, *index_shape)
    op: hlt.HltOp = hlt.GatherElementsOp(*values_of([x, places]), axis=axis)
    check(op, [x, places], onnx_run("GatherElements", [x, places], axis=axis))
    op = hlt.ScatterElementsOp(*values_of([x, places, updates]), axis=axis, reduction=reduction)
    expected = onnx_run("ScatterElements", [x, places, updates], axis=axis, reduction=reduction)
    check(op, [x, places, updates], expected)


@given(
    seeds, st.lists(extents, min_size=1, max_size=3), st.sampled_from(["none", "add", "mul", "max", "min"]), st.data()
)
@many
def test_elements_by_coordinates(seed: int, shape: list[int], reduction: str, data: st.DataObject) -> None:
    x, generator = normal(seed, *shape), np.random.default_rng(seed)
    depth = data.draw(st.integers(1, len(shape)))
    count = math.prod(shape[:depth]) if reduction == "none" else data.draw(extents)
    flat = (
        generator.permutation(count) if reduction == "none" else generator.integers(0, math.prod(shape[:depth]), count)
    )
    indices = np.stack(np.unravel_index(flat, shape[:depth]), -1).astype(np.int64)
    updates = normal(seed + 1, count, *shape[depth:])
    op: hlt.HltOp = hlt.GatherNdOp(*values_of([x, indices]))
    check(op, [x, indices], onnx_run("GatherND", [x, indices]))
    op = hlt.ScatterNdOp(*values_of([x, indices, updates]), reduction=reduction)
    expected = onnx_run("ScatterND", [x, indices, updates], reduction=reduction)
    check(op, [x, indices, updates], expected)


@given(seeds, extents, extents, extents)
@few
def test_gather_nd_with_batch_dims(seed: int, batch: int, extent: int, count: int) -> None:
    x = normal(seed, batch, extent, 2)
    indices = np.random.default_rng(seed).integers(-extent, extent, (batch, count, 1))
    op = hlt.GatherNdOp(*values_of([x, indices]), batch_dims=1)
    check(op, [x, indices], onnx_run("GatherND", [x, indices], batch_dims=1))


@given(seeds, st.permutations("bhmk"), st.permutations("bhkn"))
@few
def test_dot_general(seed: int, left: list[str], right: list[str]) -> None:
    """Every order of two batch dims, one free dim and one contracted dim."""
    sizes = {"b": 2, "h": 3, "m": 4, "n": 5, "k": 6}
    lhs = normal(seed, *(sizes[name] for name in left))
    rhs = normal(seed + 1, *(sizes[name] for name in right))
    op = hlt.DotGeneralOp(
        *values_of([lhs, rhs]),
        lhs_batch=[left.index("b"), left.index("h")],
        rhs_batch=[right.index("b"), right.index("h")],
        lhs_contract=[left.index("k")],
        rhs_contract=[right.index("k")],
    )
    equation = f"{''.join(left)},{''.join(right)}->bhmn"
    check(op, [lhs, rhs], onnx_run("Einsum", [lhs, rhs], equation=equation))


@st.composite
def windows(draw: st.DrawFn, spatial: int) -> dict[str, list[int]]:
    """Kernel, strides, dilations and pads of a convolution."""

    def ints(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=spatial, max_size=spatial))

    return {
        "kernel": ints(1, 3),
        "strides": ints(1, 3),
        "dilations": ints(1, 2),
        "pads_low": ints(0, 2),
        "pads_high": ints(0, 2),
        "extents": ints(5, 9),
    }


def conv_attributes(window: dict[str, list[int]], groups: int) -> dict[str, Any]:
    return {
        "strides": window["strides"],
        "dilations": window["dilations"],
        "pads": window["pads_low"] + window["pads_high"],
        "group": groups,
    }


def hlt_attributes(window: dict[str, list[int]], groups: int) -> dict[str, Any]:
    return {name: window[name] for name in ("strides", "dilations", "pads_low", "pads_high")} | {"groups": groups}


@given(seeds, st.integers(1, 3).flatmap(windows), st.sampled_from([(1, 2, 3), (2, 2, 1), (3, 1, 2), (4, 1, 1)]))
@many
def test_conv(seed: int, window: dict[str, list[int]], channels: tuple[int, int, int]) -> None:
    groups, inner, outer = channels
    x = normal(seed, 2, groups * inner, *window["extents"])
    w = normal(seed + 1, groups * outer, inner, *window["kernel"])
    op = hlt.ConvOp(*values_of([x, w]), **hlt_attributes(window, groups))
    check(op, [x, w], onnx_run("Conv", [x, w], **conv_attributes(window, groups)))


@given(seeds, st.integers(1, 2).flatmap(windows), st.sampled_from([(1, 2, 3), (2, 2, 1), (3, 1, 2)]), st.data())
@many
def test_conv_transpose(
    seed: int, window: dict[str, list[int]], channels: tuple[int, int, int], data: st.DataObject
) -> None:
    groups, inner, outer = channels
    extra = [data.draw(st.integers(0, stride - 1)) for stride in window["strides"]]
    x = normal(seed, 2, groups * inner, *window["extents"])
    w = normal(seed + 1, groups * inner, outer, *window["kernel"])
    op = hlt.ConvTransposeOp(*values_of([x, w]), output_padding=extra, **hlt_attributes(window, groups))
    parts = [  # group by group, as onnx.reference fails on several
        onnx_run("ConvTranspose", [part, kernel], output_padding=extra, **conv_attributes(window, 1))[0]
        for part, kernel in zip(np.split(x, groups, 1), np.split(w, groups, 0))
    ]
    check(op, [x, w], [np.concatenate(parts, 1)])


REDUCE = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


@given(seeds, st.sampled_from(list(REDUCE)), st.lists(extents, min_size=1, max_size=4), st.booleans(), st.data())
@few
def test_reduce(seed: int, kind: str, shape: list[int], keep: bool, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    x = normal(seed, *shape)
    op = hlt.ReduceOp(*values_of([x]), kind=kind, axes=axes, keep_dims=keep)
    check(op, [x], onnx_run(REDUCE[kind], [x, np.array(axes)], keepdims=int(keep)))


@given(seeds, st.sampled_from(["max", "min"]), st.booleans(), st.booleans(), st.integers(0, 2))
@few
def test_arg_reduce(seed: int, kind: str, keep: bool, last: bool, axis: int) -> None:
    x = np.random.default_rng(seed).integers(0, 3, (3, 4, 5)).astype(np.float32)
    op = hlt.ArgReduceOp(*values_of([x]), kind=kind, axis=axis, keep_dims=keep, last_index=last)
    op_type = {"max": "ArgMax", "min": "ArgMin"}[kind]
    check(op, [x], onnx_run(op_type, [x], axis=axis, keepdims=int(keep), select_last_index=int(last)))


@given(seeds, st.integers(1, 2).flatmap(windows), st.booleans())
@many
def test_max_pool(seed: int, window: dict[str, list[int]], ceil_mode: bool) -> None:
    window = _clipped(window) if not ceil_mode else _clipped(window) | {"dilations": [1] * len(window["kernel"])}
    # Where this is all 1, onnx.reference takes the pads in another order.
    assume(max(window["strides"] + window["dilations"]) > 1 or not any(window["pads_low"] + window["pads_high"]))
    x = normal(seed, 2, 3, *window["extents"])
    op = hlt.ReduceWindowOp(*values_of([x]), kind="max", **_pooling(window, ceil_mode))
    attributes = conv_attributes(window, 1)
    del attributes["group"]
    expected = onnx_run("MaxPool", [x], kernel_shape=window["kernel"], ceil_mode=int(ceil_mode), **attributes)
    check(op, [x], expected)


@given(seeds, st.integers(1, 2).flatmap(windows), st.booleans(), st.booleans())
@many
def test_average_pool(seed: int, window: dict[str, list[int]], include: bool, ceil_mode: bool) -> None:
    window = _clipped(window)
    x = normal(seed, 2, 3, *window["extents"])
    pooling = _pooling(window, ceil_mode)
    assume(max(pooling["overhang"]) < 2)  # onnx.reference puts half of it in front
    op = hlt.ReduceWindowOp(*values_of([x]), kind="mean", count_include_pad=include, **pooling)
    attributes = conv_attributes(window, 1)
    del attributes["group"]
    expected = onnx_run(
        "AveragePool",
        [x],
        kernel_shape=window["kernel"],
        count_include_pad=int(include),
        ceil_mode=int(ceil_mode),
        **attributes,
    )
    check(op, [x], expected)


def _clipped(window: dict[str, list[int]]) -> dict[str, list[int]]:
    """Pooling pads less than the kernel, so that no window lies in the padding alone."""
    pads = {
        name: [min(pad, kernel - 1) for pad, kernel in zip(window[name], window["kernel"])]
        for name in ("pads_low", "pads_high")
    }
    return window | pads


def _pooling(window: dict[str, list[int]], ceil_mode: bool) -> dict[str, Any]:
    """The attributes of ``reduce_window``; ``ceil_mode`` is an overhang up to the last window that starts inside."""
    overhang: list[int] = []
    for extent, kernel, stride, dilation, low, high in zip(
        *(window[name] for name in ("extents", "kernel", "strides", "dilations", "pads_low", "pads_high"))
    ):
        span = (kernel - 1) * dilation + 1
        count = -(-(extent + low + high - span) // stride) + 1
        count -= (count - 1) * stride >= extent + low
        end = (count - 1) * stride + span
        overhang.append(max(0, end - (extent + low + high)) if ceil_mode else 0)
    return {
        "window": [1, 1, *window["kernel"]],
        "strides": [1, 1, *window["strides"]],
        "dilations": [1, 1, *window["dilations"]],
        "pads_low": [0, 0, *window["pads_low"]],
        "pads_high": [0, 0, *window["pads_high"]],
        "overhang": [0, 0, *overhang],
    }


@given(seeds, st.booleans(), st.booleans(), st.integers(0, 2))
@few
def test_scan(seed: int, exclusive: bool, reverse: bool, axis: int) -> None:
    x = normal(seed, 3, 1, 4)
    op = hlt.ScanOp(*values_of([x]), kind="sum", axis=axis, exclusive=exclusive, reverse=reverse)
    expected = onnx_run("CumSum", [x, np.array(axis)], exclusive=int(exclusive), reverse=int(reverse))
    check(op, [x], expected)


@given(seeds, st.integers(0, 4), st.booleans())
@few
def test_top_k(seed: int, k: int, largest: bool) -> None:
    x = np.random.default_rng(seed).permutation(12).reshape(3, 4).astype(np.float32)
    op = hlt.TopKOp(*values_of([x]), k=k, axis=1, largest=largest)
    check(op, [x], onnx_run("TopK", [x, np.array([k])], 2, axis=1, largest=int(largest)))


@pytest.mark.parametrize(("op_type", "log"), [("Softmax", False), ("LogSoftmax", True)])
@given(seeds, st.integers(0, 2))
@few
def test_softmax(op_type: str, log: bool, seed: int, axis: int) -> None:
    x = 10 * normal(seed, 3, 4, 5)
    check(hlt.SoftmaxOp(*values_of([x]), axis=axis, log=log), [x], onnx_run(op_type, [x], axis=axis))


@given(seeds, st.integers(0, 2), st.booleans())
@few
def test_layer_and_rms_norm(seed: int, axis: int, with_bias: bool) -> None:
    x = normal(seed, 2, 3, 4).astype(np.float32)
    scale, bias = (normal(seed + n, *x.shape[axis:]).astype(np.float32) for n in (1, 2))
    inputs = [x, scale, bias] if with_bias else [x, scale]
    op: hlt.HltOp = hlt.LayerNormOp(*values_of(inputs), axis=axis, epsilon=1e-3)
    expected = onnx_run("LayerNormalization", inputs, axis=axis, epsilon=1e-3)
    check(op, inputs, expected, 1e-5)
    op = hlt.RmsNormOp(*values_of([x, scale]), axis=axis, epsilon=1e-3)
    check(op, [x, scale], onnx_run("RMSNormalization", [x, scale], axis=axis, epsilon=1e-3), 1e-5)


@given(seeds, st.lists(extents, max_size=2), st.sampled_from([1, 2, 4]))
@few
def test_channel_norms(seed: int, spatial: list[int], size: int) -> None:
    x = normal(seed, 4, 4, *spatial)  # as many as channels: onnx.reference's LRN takes one for the other
    scale, bias, mean = (normal(seed + n, 4) for n in (1, 2, 3))
    variance = np.abs(normal(seed + 4, 4))
    inputs = [x, scale, bias, mean, variance]
    op: hlt.HltOp = hlt.BatchNormOp(*values_of(inputs), epsilon=1e-3)
    check(op, inputs, onnx_run("BatchNormalization", inputs, epsilon=1e-3), 1e-6)
    if len(spatial) == 2:
        op = hlt.LrnOp(*values_of([x]), size=size, alpha=0.3, beta=0.5, bias=2.0)
        check(op, [x], onnx_run("LRN", [x], size=size, alpha=0.3, beta=0.5, bias=2.0), 1e-6)
    if spatial:
        op = hlt.GroupNormOp(*values_of([x, scale, bias]), groups=4, epsilon=1e-3)
        check(op, [x, scale, bias], onnx_run("InstanceNormalization", [x, scale, bias], epsilon=1e-3), 1e-4)
        op = hlt.GroupNormOp(*values_of([x, scale, bias]), groups=size, epsilon=1e-3)
        expected = onnx_run("GroupNormalization", [x, scale, bias], num_groups=size, epsilon=1e-3)
        check(op, [x, scale, bias], expected, 1e-4)


@given(seeds, extents, extents, st.booleans())
@few
def test_attention(seed: int, queries: int, keys: int, masked: bool) -> None:
    q, k, v = normal(seed, 2, 3, queries, 4), normal(seed + 1, 2, 3, keys, 4), normal(seed + 2, 2, 3, keys, 5)
    mask = np.where(normal(seed + 3, 2, 1, queries, keys) > 0.5, -np.inf, 0.25)
    inputs = [q, k, v, mask] if masked else [q, k, v]
    op = hlt.AttentionOp(*values_of(inputs), scale=0.3)
    check(op, inputs, onnx_run("Attention", inputs, scale=0.3), 1e-6)


@given(seeds, extents)
@few
def test_causal_attention_on_a_square(seed: int, length: int) -> None:
    q, k, v = (normal(seed + n, 1, 2, length, 4) for n in range(3))
    op = hlt.AttentionOp(*values_of([q, k, v]), scale=0.5, causal=True)
    check(op, [q, k, v], onnx_run("Attention", [q, k, v], scale=0.5, is_causal=1), 1e-6)


COORDINATES = ["half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric"]
NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def resize_case(x: Array, scales: list[float], **attributes: Any) -> None:
    shape = [math.floor(extent * scale) for extent, scale in zip(x.shape, scales)]
    assume(all(extent > 0 for extent in shape))
    names = {"coordinates": "coordinate_transformation_mode", "cubic_coeff": "cubic_coeff_a"}
    onnx_attributes = {
        names.get(name, name): int(value) if isinstance(value, bool) else value for name, value in attributes.items()
    }
    op = hlt.ResizeOp(*values_of([x]), shape=shape, scales=scales, **attributes)
    expected = onnx_run("Resize", [x, None, np.array(scales, np.float32)], **onnx_attributes)
    check(op, [x], expected, 1e-5)


SCALES = st.sampled_from([0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5, 3.0])


@given(seeds, st.sampled_from(COORDINATES), st.sampled_from(NEAREST), SCALES, SCALES)
@many
def test_resize_nearest(seed: int, coordinates: str, nearest: str, first: float, second: float) -> None:
    x = normal(seed, 1, 2, 4, 5)
    first, second = float(np.float32(first)), float(np.float32(second))
    resize_case(x, [1.0, 1.0, first, second], mode="nearest", coordinates=coordinates, nearest_mode=nearest)


@given(
    seeds,
    st.sampled_from(["linear", "cubic"]),
    st.sampled_from(COORDINATES),
    SCALES,
    SCALES,
    st.booleans(),
    st.booleans(),
)
@many
def test_resize_interpolated(
    seed: int, mode: str, coordinates: str, first: float, second: float, exclude: bool, antialias: bool
) -> None:
    x = normal(seed, 1, 2, 4, 5)
    first, second = float(np.float32(first)), float(np.float32(second))
    resize_case(
        x,
        [1.0, 1.0, first, second],
        mode=mode,
        coordinates=coordinates,
        exclude_outside=exclude,
        antialias=antialias,
        cubic_coeff=-0.5,
    )


@given(
    seeds,
    st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from([0.0, 0.2, -0.3]),
    st.sampled_from([0.6, 1.0, 1.4]),
)
@few
def test_resize_crop(seed: int, mode: str, start: float, end: float) -> None:
    x = normal(seed, 1, 1, 4, 5)
    roi = [0.0, 0.0, start, start, 1.0, 1.0, end, end]
    op = hlt.ResizeOp(
        *values_of([x]),
        shape=(1, 1, 3, 7),
        mode=mode,
        coordinates="tf_crop_and_resize",
        roi=roi,
        extrapolation_value=10.0,
    )
    expected = onnx_run(
        "Resize",
        [x, np.array(roi), None, np.array([1, 1, 3, 7])],
        mode=mode,
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=10.0,
    )
    check(op, [x], expected, 1e-5)


def recurrent_inputs(seed: int, directions: int, gates: int, peepholes: bool) -> dict[str, Array]:
    steps, batch, inputs, hidden = 4, 3, 2, 5
    shapes = {
        "x": (steps, batch, inputs),
        "w": (directions, gates * hidden, inputs),
        "r": (directions, gates * hidden, hidden),
        "b": (directions, 2 * gates * hidden),
        "h0": (directions, batch, hidden),
    }
    if gates == 4:
        shapes["c0"] = (directions, batch, hidden)
        shapes |= {"p": (directions, 3 * hidden)} if peepholes else {}
    return {name: normal(seed + n, *shape) for n, (name, shape) in enumerate(shapes.items())}


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@given(seeds, st.booleans())
@few
def test_lstm(direction: str, seed: int, peepholes: bool) -> None:
    arrays = recurrent_inputs(seed, 1 + (direction == "bidirectional"), 4, peepholes)
    op = hlt.LstmOp(**named_values(arrays), direction=direction)
    ordered = [arrays.get(name) for name in ("x", "w", "r", "b", "lengths", "h0", "c0", "p")]
    expected = onnx_run("LSTM", ordered, 3, hidden_size=5, direction=direction)
    check(op, list(arrays.values()), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@given(seeds, st.booleans())
@few
def test_gru(direction: str, seed: int, linear: bool) -> None:
    arrays = recurrent_inputs(seed, 1 + (direction == "bidirectional"), 3, False)
    op = hlt.GruOp(**named_values(arrays), direction=direction, linear_before_reset=linear)
    ordered = [arrays.get(name) for name in ("x", "w", "r", "b", "lengths", "h0")]
    expected = onnx_run("GRU", ordered, 2, hidden_size=5, direction=direction, linear_before_reset=int(linear))
    check(op, list(arrays.values()), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@given(seeds)
@few
def test_rnn(direction: str, seed: int) -> None:
    arrays = recurrent_inputs(seed, 1 + (direction == "bidirectional"), 1, False)
    op = hlt.RnnOp(**named_values(arrays), direction=direction)
    ordered = [arrays.get(name) for name in ("x", "w", "r", "b", "lengths", "h0")]
    activations = ["Tanh"] * (1 + (direction == "bidirectional"))
    expected = onnx_run("RNN", ordered, 2, hidden_size=5, direction=direction, activations=activations)
    check(op, list(arrays.values()), expected)


@given(seeds, st.lists(st.integers(0, 4), min_size=3, max_size=3))
@few
def test_sequences_of_different_lengths(seed: int, lengths: list[int]) -> None:
    """Each sequence of a batch comes out as if it were run alone, without its padding."""
    arrays = recurrent_inputs(seed, 2, 4, True)
    inputs = arrays | {"lengths": np.array(lengths, np.int32)}
    op = hlt.LstmOp(**named_values(inputs), direction="bidirectional")
    order = ["x", "w", "r", "b", "lengths", "h0", "c0", "p"]
    y, h, c = evaluate(op, [inputs[name] for name in order])
    for row, length in itertools.compress(enumerate(lengths), lengths):
        alone = {name: array[:, row : row + 1] if name in ("h0", "c0") else array for name, array in arrays.items()}
        alone["x"] = arrays["x"][:length, row : row + 1]
        single = hlt.LstmOp(**named_values(alone), direction="bidirectional")
        wanted = evaluate(single, [alone[name] for name in order if name in alone])
        np.testing.assert_allclose(y[:length, :, row], wanted[0][:, :, 0])
        np.testing.assert_allclose(h[:, row], wanted[1][:, 0])
        np.testing.assert_allclose(c[:, row], wanted[2][:, 0])
        assert not y[length:, :, row].any()
