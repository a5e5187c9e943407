"""hlt against ONNX's reference evaluator: products, convolutions and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.testing.hlt_reference import check, few, many, normal, onnx_run, seeds, values_of


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
