"""Random If, Loop and Scan models in machine code against ONNX's reference evaluator: integers, so exactly.

The models are written in ONNX's text syntax. What they decide on is data: nothing of it folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, parser
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.cli.main import main
from mlc.dialects.interpreters import run_function
from mlc.frontends.onnx.import_ import import_model
from mlc.frontends.onnx.load import load_model

Array = np.ndarray[Any, Any]

HEADER = '<ir_version: 10, opset_import: ["": 21]>\n'
EXTENTS = (1, 2, 7, 8, 9, 17)
BINARY = ("Add", "Sub", "Mul", "Max", "Min")
UNARY = ("Neg", "Abs", "Identity")


@dataclass
class Writer:
    """Writes the nodes of one graph; all its tensors are ``int32[extent]``, conditions aside."""

    draw: st.DrawFn
    extent: int
    names: list[str]
    depth: int
    fresh: list[int] = field(default_factory=lambda: [0])
    lines: list[str] = field(default_factory=list[str])

    def name(self) -> str:
        self.fresh[0] += 1
        return f"v{self.fresh[0]}"

    def pick(self) -> str:
        return self.draw(st.sampled_from(self.names))

    def node(self, text: str, *, tensor: bool = True) -> str:
        made = self.name()
        self.lines.append(f"{made} = {text}")
        self.names += [made] if tensor else []
        return made

    def steps(self, most: int = 3) -> str:
        """Some random nodes; returns the last one's result."""
        made = self.pick()
        for _ in range(self.draw(st.integers(1, most))):
            made = self.step()
        return made

    def step(self) -> str:
        kinds = ["unary", "binary", "binary"] + (["if", "loop"] if self.depth else [])
        match self.draw(st.sampled_from(kinds)):
            case "unary":
                return self.node(f"{self.draw(st.sampled_from(UNARY))} ({self.pick()})")
            case "binary":
                return self.node(f"{self.draw(st.sampled_from(BINARY))} ({self.pick()}, {self.pick()})")
            case "if":
                return self.branch()
            case _:
                return self.loop()

    def condition(self) -> str:
        """Whether the sum of a tensor is odd: data, and as good as random."""
        total = self.node(f"ReduceSum <keepdims = 0> ({self.pick()})", tensor=False)
        rest = self.node(f"BitwiseAnd ({total}, one)", tensor=False)
        return self.node(f"Equal ({rest}, one)", tensor=False)

    def inner(self, *names: str) -> Writer:
        return Writer(self.draw, self.extent, [*self.names, *names], self.depth - 1, self.fresh)

    def branch(self) -> str:
        bodies: list[str] = []
        for _ in range(2):
            inner = self.inner()
            result = inner.node(f"Identity ({inner.steps(2)})")
            bodies.append(f"() => (int32[{self.extent}] {result}) {{ {chr(10).join(inner.lines)} }}")
        return self.node(f"If ({self.condition()}) <then_branch = t {bodies[0]}, else_branch = e {bodies[1]}>")

    def loop(self) -> str:
        """Trips are data; the body may end it early."""
        i, going, state, following, more = (self.name() for _ in range(5))
        inner = self.inner(state)
        result = inner.steps(2)
        kind = f"int32[{self.extent}]"
        keep = inner.condition() if self.draw(st.booleans()) else going
        inner.lines += [f"{following} = Add ({result}, {state})", f"{more} = Identity ({keep})"]
        body = f"(int64 {i}, bool {going}, {kind} {state}) => (bool {more}, {kind} {following})"
        start = self.condition() if self.draw(st.booleans()) else "always"
        return self.node(f"Loop (n, {start}, {self.pick()}) <body = b {body} {{ {chr(10).join(inner.lines)} }}>")


def model_of(text: str) -> ModelProto:
    return parser.parse_model(HEADER + text)


def compiled(model: ModelProto, threads: int, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of the machine code; nothing may have been decided by the inputs' values."""
    net = mlc.compile(model, threads=threads, cache=False)
    assert net.metadata["kernels"]
    return list(net.run(dict(zip([spec.name for spec in net.inputs], inputs, strict=True))).values())


def interpreted(model: ModelProto, inputs: Sequence[Array]) -> list[Array]:
    imported = import_model(load_model(model))
    return list(run_function(imported.module, inputs, weights=lambda ref, _: imported.weights.array(ref.key.data)))


def assert_all_agree(model: ModelProto, inputs: Sequence[Array], threads: int) -> None:
    names = [value.name for value in model.graph.input]
    evaluator: Any = ReferenceEvaluator(model)
    expected: list[Array] = evaluator.run(None, dict(zip(names, inputs, strict=True)))
    for found in (interpreted(model, inputs), compiled(model, threads, inputs)):
        for result, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(result, wanted)


@st.composite
def nested_models(draw: st.DrawFn) -> tuple[ModelProto, list[Array]]:
    """If and Loop, inside one another, with values from all graphs around."""
    extent = draw(st.sampled_from(EXTENTS))
    writer = Writer(draw, extent, ["x", "y"], depth=3)
    draw(st.sampled_from([writer.branch, writer.loop]))()
    result = writer.steps()
    kind = f"int32[{extent}]"
    lines = "\n".join([*writer.lines, f"z = Identity ({result})"])
    model = model_of(
        f"g ({kind} x, {kind} y, int64 n) => ({kind} z) <int32 one = {{1}}, bool always = {{1}}> {{ {lines} }}"
    )
    seed = draw(st.integers(0, 2**16))
    x, y = np.random.default_rng(seed).integers(-5, 6, (2, extent)).astype(np.int32)
    return model, [x, y, np.array(draw(st.integers(-1, 5)))]


@given(nested_models(), st.sampled_from([(1, 0), (2, 0), (2, 0), (3, 1), (2, 1), (2, 1500)]))
@settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_nested_control_flow(drawn: tuple[ModelProto, list[Array]], sharing: tuple[int, int]) -> None:
    """Threads share everything, only what is worth a hand-out of one cycle, or nothing."""
    model, inputs = drawn
    threads, handout = sharing
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLC_HANDOUT", str(handout))
        assert_all_agree(model, inputs, threads)


@st.composite
def scan_models(draw: st.DrawFn) -> tuple[ModelProto, list[Array], list[Array]]:
    """A Scan of two states and an input and an output cut along any axis from either end; what it must yield."""
    steps, extent = draw(st.sampled_from((1, 2, 5, 16))), draw(st.sampled_from(EXTENTS))
    axis, out_axis, back, out_back = draw(st.tuples(*[st.integers(0, 1)] * 4))
    shape = (steps, extent) if axis == 0 else (extent, steps)
    out = (steps, extent) if out_axis == 0 else (extent, steps)
    kind = f"int32[{extent}]"
    directions = f"scan_input_directions = [{back}], scan_output_directions = [{out_back}]"
    model = model_of(
        f"""g ({kind} a, {kind} b, int32{list(shape)} x) => ({kind} p, {kind} q, int32{list(out)} y) {{
            p, q, y = Scan <num_scan_inputs = 1, scan_input_axes = [{axis - 2 * draw(st.integers(0, 1))}],
                            scan_output_axes = [{out_axis}], {directions},
                            body = step ({kind} s, {kind} t, {kind} v) => ({kind} u, {kind} w, {kind} z) {{
                u = Identity (t)
                sv = Mul (s, v)
                w = Sub (sv, t)
                z = Add (w, a)
            }}> (a, b, x)
        }}"""
    )
    a, b = np.random.default_rng(steps).integers(-3, 4, (2, extent)).astype(np.int32)
    x = np.random.default_rng(extent).integers(-3, 4, shape).astype(np.int32)
    s, t, parts = a, b, list[Array]()
    for v in (np.flip(x, axis) if back else x).swapaxes(0, axis):
        s, t = t, s * v - t
        parts.append(t + a)
    return model, [a, b, x], [s, t, np.stack(parts[::-1] if out_back else parts, out_axis)]


@given(scan_models(), st.sampled_from([1, 2]))
@settings(max_examples=8, deadline=None)
def test_scans(drawn: tuple[ModelProto, list[Array], list[Array]], threads: int) -> None:
    model, inputs, expected = drawn
    for found in (interpreted(model, inputs), compiled(model, threads, inputs)):
        for result, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(result, wanted)


RNN = """g (float[6, 3, 5] x, float[3, 9] h0, float[5, 9] w, float[9, 9] r) => (float[3, 9] h, float[6, 3, 9] y) {
    h, y = Scan <num_scan_inputs = 1, body = step (float[3, 9] before, float[3, 5] now)
                                                   => (float[3, 9] after, float[3, 9] out) {
        in = MatMul (now, w)
        again = MatMul (before, r)
        sum = Add (in, again)
        after = Tanh (sum)
        out = Identity (after)
    }> (h0, x)
}"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_recurrent_network_as_a_scan(threads: int) -> None:
    rng = np.random.default_rng(0)
    shapes = ((6, 3, 5), (3, 9), (5, 9), (9, 9))
    inputs = [rng.standard_normal(shape).astype(np.float32) * np.float32(0.5) for shape in shapes]
    h, y = compiled(model_of(RNN), threads, inputs)
    wanted_h, wanted_y = interpreted(model_of(RNN), inputs)
    np.testing.assert_allclose(h, wanted_h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, wanted_y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[-1], h)


def test_verification_enters_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two kernels in each of six iterations are compared one by one."""
    path = tmp_path / "rnn.onnx"
    path.write_bytes(model_of(RNN).SerializeToString())
    assert main(["verify", str(path), "--all-tensors"]) == 0
    assert "12 of 12 tensors agree" in capsys.readouterr().out


GREEDY = """g (float[8, 8] next, int64[1] first, int64 most) => (int64[12] tokens, int64 count)
    <int64 zero = {0}, int64 one = {1}, int64 end = {7}, int64[12] blank = {-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1},
     bool always = {1}> {
    last, tokens, count = Loop (most, always, first, blank, zero) <body = step
        (int64 i, bool going, int64[1] token, int64[12] before, int64 n)
        => (bool more, int64[1] chosen, int64[12] after, int64 m) {
        row = Gather <axis = 0> (next, token)
        best = ArgMax <axis = 1, keepdims = 0> (row)
        axes = Constant <value_ints = [0]> ()
        at = Unsqueeze (i, axes)
        after = ScatterElements <axis = 0> (before, at, best)
        chosen = Identity (best)
        scalar = Squeeze (best, axes)
        ends = Equal (scalar, end)
        more = Not (ends)
        m = Add (n, one)
    }>
}"""


def greedy(table: Array, first: int, most: int) -> list[int]:
    tokens: list[int] = []
    token = first
    while len(tokens) < most:
        token = int(table[token].argmax())
        tokens.append(token)
        if token == 7:
            break
    return tokens


@pytest.mark.parametrize("threads", [1, 2])
def test_greedy_decoding_ends_at_the_end_token(threads: int, tmp_path: Path) -> None:
    """In a shared library, as nothing is known before the run."""
    mlc.compile(model_of(GREEDY), threads=threads, cache=False).save(tmp_path / "greedy.so")
    net = mlc.load(tmp_path / "greedy.so", threads=threads)
    for seed in range(6):
        table = np.random.default_rng(seed).standard_normal((8, 8)).astype(np.float32)
        for most in (0, 3, 12):
            tokens, count = net(table, np.array([seed]), np.array(most))
            wanted = greedy(table, seed, most)
            assert int(count) == len(wanted)
            np.testing.assert_array_equal(tokens, wanted + [-1] * (12 - len(wanted)))


def test_scan_outputs_have_a_slice_per_iteration(tmp_path: Path) -> None:
    """How many there are is known at run time, also in a shared library."""
    model = model_of("""g (float[3] x, int64 n, bool c) => (float[3] y, float[K, 3] z) <int64 most = {20}> {
        y, z = Loop (most, c, x) <body = b (int64 i, bool k, float[3] s) => (bool d, float[3] t, float[3] u) {
            d = Less (i, n)
            t = Add (s, x)
            u = Neg (t)
        }>
    }""")
    mlc.compile(model, threads=2, cache=False).save(tmp_path / "scan.so")
    net = mlc.load(tmp_path / "scan.so")
    x = np.arange(3).astype(np.float32)
    for n, start, count in ((0, True, 1), (4, True, 5), (4, False, 0), (30, True, 20)):
        y, z = net(x, np.array(n), np.array(start))
        np.testing.assert_array_equal(y, (count + 1) * x)
        np.testing.assert_array_equal(z, -np.outer(np.arange(2, count + 2), x).astype(np.float32))


def test_bounded_dims_enter_control_flow() -> None:
    """A Scan over a bounded number of steps, in a branch, beside a Loop that carries a bounded tensor."""
    model = model_of("""g (float[T, 3] x, int64 n, bool c) => (float[T, 3] y, float[T, 3] z) <bool go = {1}> {
        y = Loop (n, go, x) <body = b (int64 i, bool k, float[T, 3] s) => (bool d, float[T, 3] t) {
            d = Identity (k)
            t = Add (s, x)
        }>
        zero = Constant <value_floats = [0.0, 0.0, 0.0]> ()
        z = If (c) <then_branch = a () => (float[T, 3] p) {
            last, p = Scan <num_scan_inputs = 1, body = step (float[3] before, float[3] now)
                                                        => (float[3] after, float[3] out) {
                after = Add (before, now)
                out = Identity (after)
            }> (zero, x)
        }, else_branch = e () => (float[T, 3] q) { q = Softmax <axis = 0> (x) }>
    }""")
    net = mlc.compile(model, dims={"T": "1..8"}, threads=1, cache=False)
    for steps in (1, 5, 8):
        x = np.random.default_rng(steps).standard_normal((steps, 3)).astype(np.float32)
        for condition in (True, False):
            y, z = net(x, np.array(3), np.array(condition))
            wanted = x.cumsum(0) if condition else np.exp(x) / np.exp(x).sum(0)
            np.testing.assert_allclose(y, 4 * x, rtol=1e-5)
            np.testing.assert_allclose(z, wanted, rtol=1e-5, atol=1e-6)
