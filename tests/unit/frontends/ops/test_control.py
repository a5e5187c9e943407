"""Importing If, Loop and Scan: what folds, what is unrolled, what becomes an operation, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import parser

from mlc.errors import MlcError, ModelError
from mlc.frontends.onnx.import_ import import_model, specialize
from mlc.frontends.onnx.load import load_model
from mlc.frontends.onnx.node import DataDependentError

Build = Callable[..., Any]
X = np.array([1.0, -2.0], np.float32)

STEP = """<body = b (int64 i, bool go, float[2] s) => (bool more, float[2] t, float[2] u) {
    more = Identity (go)
    t = Add (s, s)
    u = Neg (s)
}>"""


def test_branches_that_agree_need_no_operation(build: Build) -> None:
    program = build("""g (float[2] x, bool c) => (float[2] y) {
        y = If (c) <then_branch = a () => (float[2] p) { p = Identity (x) },
                    else_branch = b () => (float[2] q) { q = Identity (x) }>
    }""")
    assert program.names == []


def test_unused_outputs_of_branches_are_not_computed(build: Build) -> None:
    program = build("""g (float[2] x, bool c) => (float[2] y) {
        y, unused = If (c) <then_branch = a () => (float[2] p, float[2] r) { p = Neg (x)\n r = ImageDecoder (x) },
                            else_branch = b () => (float[2] q, float[2] s) { q = Abs (x)\n s = ImageDecoder (x) }>
    }""")
    assert program.names == ["if"]
    np.testing.assert_array_equal(program(X, np.array(True)), -X)
    np.testing.assert_array_equal(program(X, np.array(False)), np.abs(X))


def test_lists_of_tensors_leave_branches(build: Build) -> None:
    program = build("""g (float[2] x, bool c) => (float[2] y) <int64 one = {1}> {
        list = If (c) <then_branch = a () => (seq(float[2]) p) { n = Neg (x)\n p = SequenceConstruct (x, n) },
                       else_branch = b () => (seq(float[2]) q) { q = SequenceConstruct (x, x) }>
        y = SequenceAt (list, one)
    }""")
    np.testing.assert_array_equal(program(X, np.array(True)), -X)
    np.testing.assert_array_equal(program(X, np.array(False)), X)


def test_shapes_that_a_condition_decides_on_need_the_condition() -> None:
    loaded = load_model(
        parser.parse_model("""<ir_version: 10, opset_import: ["": 23]>
    g (float[2] x, bool c) => (float[] y) {
        [i] y = If (c) <then_branch = a () => (float[2] p) { p = Neg (x) },
                        else_branch = b () => (float[4] q) { q = Concat <axis = 0> (x, x) }>
    }""")
    )
    model = specialize(loaded, {"x": X, "c": np.array(False)})
    assert model.fixed == ("c",)
    with pytest.raises(
        DataDependentError, match=r"i \(If\): the shape of output 0, which differs between the branches"
    ):
        import_model(loaded)


UNROLLED: list[tuple[int, set[str]]] = [(0, set()), (3, {"add", "neg", "concat", "reshape"}), (30, {"loop"})]


@pytest.mark.parametrize(("trips", "operations"), UNROLLED)
def test_few_iterations_are_unrolled(build: Build, trips: int, operations: set[str]) -> None:
    program = build(f"""g (float[2] x) => (float[{trips}, 2] u) <int64 n = {{{trips}}}, bool go = {{1}}> {{
        t, u = Loop (n, go, x) {STEP}
    }}""")
    assert set(program.names) == operations
    np.testing.assert_array_equal(program(X), np.array([-X * 2.0**k for k in range(trips)]).reshape(trips, 2))


def test_known_iterations_fold(build: Build) -> None:
    """100 powers of two, of which nothing is left to compute."""
    program = build(f"""g () => (float[2] t) <int64 n = {{100}}, bool go = {{1}}, float[2] x = {{1.0, 2.0}}> {{
        t, u = Loop (n, go, x) {STEP}
    }}""")
    assert program.names == []
    np.testing.assert_array_equal(program(), np.array([2.0**100, 2.0**101]))


def test_states_that_stay_are_values_from_outside(build: Build) -> None:
    """Two states that only pass through: one is a shape, which has to be known."""
    program = build("""g (float[6] x) => (float[2, 3] y) <int64 n = {100}, bool go = {1}, int64[2] shape = {2, 3}> {
        start = Reshape (x, shape)
        same, kept, y = Loop (n, go, shape, x, start) <body = b
            (int64 i, bool c, int64[2] k, float[6] v, float[2, 3] s) =>
            (bool d, int64[2] l, float[6] w, float[2, 3] t) {
            d = Identity (c)
            l = Identity (k)
            w = Identity (v)
            r = Reshape (v, k)
            t = Add (r, s)
        }>
    }""")
    (loop,) = [op for op in program if op.name == "hlt.loop"]
    assert (len(loop.inits), loop.keep) == (1, None)
    x = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(program(x), x.reshape(2, 3) * 101)


def test_growing_states_are_unrolled(build: Build) -> None:
    program = build("""g (float[2] x) => (float[] y) <int64 n = {20}, bool go = {1}> {
        y = Loop (n, go, x) <body = b (int64 i, bool c, float[] s) => (bool d, float[] t) {
            d = Identity (c)
            t = Concat <axis = 0> (s, x)
        }>
    }""")
    np.testing.assert_array_equal(program(X), np.tile(X, 21))


def test_sequences_are_carried(build: Build) -> None:
    program = build("""g (float[3, 2] x) => (float[3, 2] y) <int64 n = {3}, bool go = {1}> {
        none = SequenceEmpty ()
        list = Loop (n, go, none) <body = b (int64 i, bool c, seq(float[2]) s) => (bool d, seq(float[2]) t) {
            d = Identity (c)
            row = Gather <axis = 0> (x, i)
            t = SequenceInsert (s, row)
        }>
        y = ConcatFromSequence <axis = 0, new_axis = 1> (list)
    }""")
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(program(x), x)


def test_a_condition_left_out_ends_nothing(build: Build) -> None:
    program = build("""g (float[2] x, int64 n) => (float[2] y) <bool no = {0}> {
        y = Loop (n, "", x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t) {
            d = Identity (no)
            t = Add (s, x)
        }>
    }""")
    np.testing.assert_array_equal(program(X, np.array(4)), 5 * X)


def test_names_inside_hide_names_outside(build: Build) -> None:
    """The arguments of a body are its own, even if something outside is called the same."""
    program = build("""g (float[2] x, float[2] s, int64 n) => (float[2] y) <bool go = {1}> {
        z = Loop (n, go, x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t) {
            d = Identity (c)
            t = Add (s, x)
        }>
        y = Add (z, s)
    }""")
    np.testing.assert_array_equal(program(X, X, np.array(2)), 4 * X)


REFUSED = [
    ("Loop (n, go, x)", DataDependentError, "the number of iterations, an extent of the scan outputs"),
    ("Loop (two, go, x, x)", ModelError, "the body has 3 inputs, must have 4"),
    ("Loop (two, x, x)", ModelError, r"input 1 is tensor\(float\)"),
    ("Loop (go, go, x)", ModelError, r"input 0 is tensor\(bool\)"),
    ("Loop (pair, go, x)", ModelError, "the trip count must hold one element, not 2"),
    ('Loop ("", go, x)', ModelError, "nothing ends the loop"),
    ('Loop (huge, "", x)', ModelError, "the loop runs 4611686018427387904 times$"),
    ("Loop (huge, go, x)", ModelError, "the loop runs 4611686018427387904 times"),
    ("Scan <num_scan_inputs = 3> (x)", ModelError, "3 scan inputs of 1 inputs"),
]


@pytest.mark.parametrize(("node", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refusals_name_the_node(build: Build, node: str, error: type[MlcError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        build(f"""g (float[2] x, int64 n) => (float[] y, float[] u)
            <bool go = {{1}}, int64 two = {{2}}, int64[2] pair = {{2, 3}}, int64 huge = {{4611686018427387904}}> {{
                y, u = {node} {STEP if node.startswith("Loop") else ""}
            }}""")
    assert caught.value.node is not None


def test_repeating_bodies_has_a_budget(build: Build) -> None:
    """Loops in loops whose shapes grow would be unrolled again and again."""
    inner, names = "t0 = Concat <axis = 0> (s0, s0)", range(1, 12)
    for k in names:
        inner = f"""t{k} = Loop (n, go, s{k}) <body = b (int64 i{k}, bool c{k}, float[] s{k - 1})
            => (bool d{k}, float[] t{k - 1}) {{ d{k} = Identity (c{k})\n {inner} }}>"""
    text = f"g (float[2] s11) => (float[] t11) <int64 n = {{9}}, bool go = {{1}}> {{ {inner} }}"
    start = time.perf_counter()
    with pytest.raises(MlcError, match=r"too many to unroll|elements"):
        build(text)
    assert time.perf_counter() - start < 30
