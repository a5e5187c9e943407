"""What is too small to share out runs on one thread: without barriers, without a pool, and with the same results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, parser
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.codegen.program import Program
from mlc.codegen.steps import Alone, Branch, Call, Repeat, steps_within
from mlc.driver import Compilation
from mlc.frontends.onnx.import_ import import_model
from mlc.frontends.onnx.load import load_model
from mlc.request import Request

HEADER = '<ir_version: 10, opset_import: ["": 21]>\n'

SMALL = """g (float[2, 8] x, float[2, 8] v, int64 n) => (float[2, 8] z) <bool go = {1}> {
    s = Loop (n, go, x) <body = b (int64 i, bool k, float[2, 8] before) => (bool d, float[2, 8] after) {
        d = Identity (k)
        p = Mul (before, v)
        after = Softmax <axis = 1> (p)
    }>
    c = Softmax <axis = 0> (s)
    z = Sub (c, x)
}"""

MIXED = """g (float[1, 512] x, float[1, 512] v, float[512, 512] a, int64 n)
        => (float[512, 512] z, float[1, 512] y, float[512] w) <bool go = {1}, int64[1] rows = {0}> {
    e = Exp (x)
    f = Softmax <axis = 1> (e)
    s = Loop (n, go, f) <body = b (int64 i, bool k, float[1, 512] before) => (bool d, float[1, 512] after) {
        d = Identity (k)
        p = Mul (before, v)
        after = Softmax <axis = 1> (p)
    }>
    c = MatMul (a, a)
    z = Add (c, s)
    y = Softmax <axis = 1> (s)
    w = ReduceMax <keepdims = 0> (z, rows)
}"""
"""Small kernels, a small loop whose result a large product reads where the loop left it, and what follows either."""


@pytest.fixture(autouse=True)
def usual_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand-outs cost what they cost."""
    monkeypatch.delenv("MLC_HANDOUT", raising=False)


def program_of(graph: str, threads: int) -> Program:
    model = parser.parse_model(HEADER + graph)
    options = Request(model.SerializeToString(), threads=threads).options()
    return Compilation.of(import_model(load_model(model)), "m", options).frame().program


def feeds_of(model: ModelProto, trips: int) -> dict[str, Any]:
    rng = np.random.default_rng(trips)
    feeds: dict[str, Any] = {"n": np.array(trips)}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if shape:
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32) / np.float32(4)
    return feeds


def test_small_programs_are_one_threads() -> None:
    program = program_of(SMALL, 2)
    assert (program.threads, program.imports) == (False, ())
    assert not any(isinstance(step, Alone) for step in steps_within(program.steps))


def test_everything_is_shared_where_that_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLC_HANDOUT", "0")
    assert program_of(SMALL, 2).threads


def test_small_steps_between_large_ones_are_the_first_threads() -> None:
    """One barrier before the product, which reads the loop's result; what follows the loop alone waits for nothing."""
    program = program_of(MIXED, 2)
    assert program.threads
    lone = [step for step in program.steps if isinstance(step, Alone)]
    shared = [step for step in program.steps if not isinstance(step, Alone)]
    assert all(isinstance(step, Call) for step in shared)
    assert any(isinstance(step, Call) and step.barrier for step in shared)
    loops = [step for step in steps_within(lone) if isinstance(step, Repeat)]
    assert [loop.slots is not None for loop in loops] == [True]
    inside = [step for step in steps_within(lone) if isinstance(step, Call | Branch)]
    assert inside and not any(step.barrier for step in inside)


@pytest.mark.parametrize("graph", [SMALL, MIXED])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_who_computes(graph: str, threads: int) -> None:
    """An even and an odd number of iterations: the places that a loop hands on in have changed roles, or not."""
    model = parser.parse_model(HEADER + graph)
    net = mlc.compile(model, threads=threads, cache=False)
    assert net.threads == (1 if graph is SMALL else threads)
    evaluator: Any = ReferenceEvaluator(model)
    for trips in (0, 1, 4, 7):
        feeds = feeds_of(model, trips)
        wanted = evaluator.run(None, feeds)
        for _ in range(5):
            for found, expected in zip(net.run(feeds).values(), wanted, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
