"""Shape operators, and the shape arithmetic that exporters write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.errors import ModelError
from mlc.frontends.onnx.node import DataDependentError

Build = Callable[..., Any]

FEW = settings(max_examples=25, deadline=None)


def test_view_idiom_is_one_reshape(build: Build) -> None:
    """``x.view(x.size(0), -1)`` as PyTorch exports it."""
    program = build(
        """
        g (float[n, 4, 6] x) => (float[n, 24] y) <int64 zero = {0}, int64[1] rest = {-1}> {
            s = Shape (x)
            n0 = Gather <axis = 0> (s, zero)
            axes = Constant <value_ints = [0]> ()
            n1 = Unsqueeze (n0, axes)
            target = Concat <axis = 0> (n1, rest)
            y = Reshape (x, target)
        }""",
        dims={"n": 2},
    )
    assert program.names == ["reshape"]
    x = np.arange(48, dtype=np.float32).reshape(2, 4, 6)
    np.testing.assert_array_equal(program(x), x.reshape(2, 24))


def test_expand_idiom_is_one_broadcast(build: Build) -> None:
    """``x.expand(-1, 5)``: Where(Equal(shape, -1), 1, shape)."""
    program = build(
        """
        g (float[3, 1] x) => (float[3, 5] y) <int64[2] asked = {-1, 5}> {
            two = Shape (asked)
            one = ConstantOfShape <value = int64[1] {1}> (two)
            minus = Constant <value_int = -1> ()
            unknown = Equal (asked, minus)
            target = Where (unknown, one, asked)
            y = Expand (x, target)
        }"""
    )
    assert program.names == ["broadcast"]
    assert program(np.ones((3, 1), np.float32)).shape == (3, 5)


def test_head_size_arithmetic_folds(build: Build) -> None:
    """Division by the square root of an extent leaves one multiplication or division by a constant."""
    program = build(
        """
        g (float[2, 64] x) => (float[2, 64] y) {
            s = Shape <start = 1> (x)
            f = Cast <to = 1> (s)
            root = Sqrt (f)
            y = Div (x, root)
        }"""
    )
    assert program.names == ["div"]
    np.testing.assert_array_equal(program(np.ones((2, 64), np.float32)), np.full((2, 64), 0.125, np.float32))


def test_inexact_functions_of_constants_do_not_fold(build: Build) -> None:
    """The bits of exp depend on the mode and the target, so that folding it is left to later passes."""
    program = build("g (float[2] x) => (float[2] y) <float[2] c = {1, 2}> { e = Exp (c)\n y = Add (x, e) }")
    assert program.names == ["exp", "add"]


def test_large_splats_take_no_memory(build: Build) -> None:
    program = build(
        """
        g (float[1] x) => (float[512, 512, 512] y) <int64[3] s = {512, 512, 512}> {
            c = ConstantOfShape <value = float[1] {2.5}> (s)
            y = Add (x, c)
        }"""
    )
    assert program.names == ["broadcast", "add"]
    assert len(program.model.weights) <= 1  # the shape


@st.composite
def slices(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], list[int]]:
    """A shape, and starts, ends and steps for all its dims, far out of range too."""
    shape = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    bound = st.integers(-12, 12) | st.sampled_from((-(2**63), 2**63 - 1))
    steps = st.integers(-4, 4).filter(bool)
    starts, ends, strides = ([draw(kind) for _ in shape] for kind in (bound, bound, steps))
    return shape, starts, ends, strides


@FEW
@given(case=slices())
def test_slice_is_pythons(build: Build, case: tuple[list[int], ...]) -> None:
    shape, starts, ends, steps = case
    program = build(
        f"""
        g (float{shape} x) => (float[] y) {{
            starts = Constant <value_ints = {starts}> ()
            ends = Constant <value_ints = {ends}> ()
            axes = Constant <value_ints = {list(range(len(shape)))}> ()
            steps = Constant <value_ints = {steps}> ()
            y = Slice (x, starts, ends, axes, steps)
        }}"""
    )
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected = x[tuple(slice(*bounds) for bounds in zip(starts, ends, steps))]
    np.testing.assert_array_equal(program(x), expected)


@FEW
@given(low=st.integers(-3, 4), high=st.integers(-3, 4), value=st.sampled_from((0.0, 1.5, -1.0)))
def test_negative_pads_cut(build: Build, low: int, high: int, value: float) -> None:
    program = build(
        f"""
        g (float[2, 7] x) => (float[] y) <float v = {{{value}}}> {{
            pads = Constant <value_ints = [{low}, {high}]> ()
            axes = Constant <value_ints = [1]> ()
            y = Pad (x, pads, v, axes)
        }}"""
    )
    x = np.arange(14, dtype=np.float32).reshape(2, 7)
    cut = x[:, max(0, -low) : 7 - max(0, -high)]
    expected = np.pad(cut, ((0, 0), (max(0, low), max(0, high))), constant_values=value)
    np.testing.assert_array_equal(program(x), expected)


def test_padding_value_from_run_time_data(build: Build) -> None:
    program = build(
        """
        g (float[2] x, float v) => (float[4] y) { p = Constant <value_ints = [1, 1]> ()
            y = Pad (x, p, v) }"""
    )
    x, v = np.array([1, 2], np.float32), np.array(7, np.float32)
    np.testing.assert_array_equal(program(x, v), np.array([7, 1, 2, 7], np.float32))


@FEW
@given(repeats=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_tile_is_numpys(build: Build, repeats: list[int]) -> None:
    program = build(
        f"""
        g (int32[2, 1, 3] x) => (int32[] y) {{ r = Constant <value_ints = {repeats}> ()
            y = Tile (x, r) }}"""
    )
    x = np.arange(6, dtype=np.int32).reshape(2, 1, 3)
    np.testing.assert_array_equal(program(x), np.tile(x, repeats))


def test_uneven_split_gives_the_rest_to_the_last_part(build: Build) -> None:
    program = build("g (float[7] x) => (float[3] a, float[1] c) { a, b, c = Split <num_outputs = 3> (x) }")
    assert program.names == ["slice", "slice", "slice"]
    shapes = [hlt.shape_of(op.results[0]) for op in program]
    assert shapes == [(3,), (3,), (1,)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y = Squeeze (x, axes)", "not all are 1"),
        ("y = Unsqueeze (x, twice)", "name a dim twice"),
        ("y = Transpose <perm = [0, 0]> (x)", "no permutation"),
        ("y = Flatten <axis = 5> (x)", "axis 5 is out of range"),
        ("y = Concat <axis = 2> (x, x)", "axis 2 is out of range"),
        ("y = Concat <axis = 0> (x, z)", "concat_shape"),
        ("y = Reshape (x, axes)", "element counts differ"),
        ("y = Split <num_outputs = 0> (x)", "outputs for 0 parts"),
        ("y = DepthToSpace <blocksize = 2> (x)", "4 dims"),
    ],
)
def test_invalid_nodes_are_named(build: Build, body: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"bad .*{message}") as caught:
        build(
            f"""
            g (float[2, 3] x, float[2, 4] z) => (float[] y)
            <int64[1] axes = {{0}}, int64[2] twice = {{1, 1}}> {{ [bad] {body} }}"""
        )
    assert caught.value.node is not None
    assert caught.value.node.startswith("bad (")


def test_shapes_from_run_time_data_are_refused(build: Build) -> None:
    with pytest.raises(DataDependentError, match=r"bad \(Reshape\): the shape depends on run-time data"):
        build("g (float[6] x, int64[2] s) => (float[] y) { [bad] y = Reshape (x, s) }")


def test_values_of_inputs_make_shapes_known(build: Build) -> None:
    shape = np.array([2, -1], np.int64)
    program = build("g (float[6] x, int64[2] s) => (float[] y) { y = Reshape (x, s) }", values={"s": shape})
    assert program(np.ones(6, np.float32), shape).shape == (2, 3)
