"""Attention over keys and queries of run-time number: recognised, exact whatever lies beyond the extents, and cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, parser
from xdsl.passes import ModulePass

import mlc
from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.dialects.loop import ComputeOp
from mlc.driver import Compilation
from mlc.frontends.onnx.import_ import import_model
from mlc.frontends.onnx.load import load_model
from mlc.lowering.graph.recognize_composites import RecognizeCompositesPass
from mlc.lowering.loops.limit_trips import LimitTripsPass
from mlc.pipeline import Options, graph_passes, loop_passes

Array = np.ndarray[Any, np.dtype[Any]]

HEADS, DEPTH, WIDTH = 2, 8, 12
LONGEST = {"n": 40, "m": 35}
EXTENTS = (1, 2, 7, 8, 15, 16, 17, 31, 33)
SCALE = 0.35

# What each kind of model makes of `raw`, the scores [1, HEADS, m, n]; `t` is the mask [1, 1, 1, n] or [1, 1, m, n].
SPELLED = {
    "plain": "p = Softmax <axis = -1> (raw)",
    "added": "s = Add (raw, t)  p = Softmax <axis = -1> (s)",
    "guarded": "s = Add (raw, t)  e = Softmax <axis = -1> (s)  nan = IsNaN (e)  p = Where (nan, none, e)",
    "hidden": "s = Where (seen, raw, low)  e = Softmax <axis = -1> (s)  nan = IsNaN (e)  p = Where (nan, none, e)",
    "both": """a = Add (raw, t)  hid = Not (seen)  s = Where (hid, low, a)  e = Softmax <axis = -1> (s)
               nan = IsNaN (e)  p = Where (nan, none, e)""",
}


@dataclass(frozen=True)
class Case:
    """A kind of model, its numbers of queries and keys (names are open), and whether all queries have one mask.

    ``divided``: beyond the extents stand NaN, and no zeros as beyond those of inputs.
    """

    kind: str
    m: int | str = "m"
    n: int | str = "n"
    shared: bool = True
    divided: bool = True

    @property
    def names(self) -> set[str]:
        """The open dims."""
        return {dim for dim in (self.m, self.n) if isinstance(dim, str)}

    @property
    def bounds(self) -> dict[str, int | str]:
        """The range of each open dim."""
        return {name: f"1..{LONGEST[name]}" for name in sorted(self.names)}

    def sizes(self, call: Mapping[str, int]) -> tuple[int, int]:
        """Queries and keys of a call."""
        return tuple(call[dim] if isinstance(dim, str) else dim for dim in (self.m, self.n))  # pyright: ignore[reportReturnType]


CASES = [
    *(Case(kind) for kind in (*SPELLED, "operator", "causal operator")),
    *(Case(kind, m="n") for kind in (*SPELLED, "operator", "causal operator")),
    *(Case(kind, m=5, shared=shared) for kind in SPELLED for shared in (True, False)),
    *(Case(kind, n=9) for kind in ("plain", "both", "operator")),
    Case("added", m=1),
    Case("both", shared=False),
    *(Case(kind, m="n", divided=False) for kind in ("plain", "both", "operator", "causal operator")),
]
NAMES = [
    f"{case.kind}, {case.m}x{case.n}{'' if case.shared else ', own masks'}{'' if case.divided else ', zeros beyond'}"
    for case in CASES
]


def model_of(case: Case) -> ModelProto:
    """y [1, HEADS, m, WIDTH] of q, k, v and t, or of what divides each by ones: beyond the extents stands 0 / 0."""
    m, n, rows = case.m, case.n, 1 if case.shared else case.m
    inputs = {"q": (HEADS, m, DEPTH), "k": (HEADS, n, DEPTH), "v": (HEADS, n, WIDTH), "t": (1, rows, n)}
    inputs |= {"qs": (1, m, 1), "ks": (1, n, 1), "ts": (1, rows, n)}
    head = ", ".join(f"float[1,{a},{b},{c}] {name}" for name, (a, b, c) in inputs.items())
    body = "qd = Div (q, qs)  kd = Div (k, ks)  vd = Div (v, ks)  mask = Div (t, ts)"
    if not case.divided:
        body = "qd = Identity (q)  kd = Identity (k)  vd = Identity (v)  mask = Identity (t)"
    if "operator" in case.kind:
        fields = f"scale: float = {SCALE}, is_causal: int = {int(case.kind.startswith('causal'))}"
        body += f"  y = Attention <{fields}> (qd, kd, vd, mask)"
    else:
        body += f"""  some = Mul (qd, factor)  kt = Transpose <perm = [0, 1, 3, 2]> (kd)  raw = MatMul (some, kt)
            mn = Shape (raw)  queries = Gather (mn, two)  keys = Gather (mn, three)  line = Range (zero, queries, one)
            row = Unsqueeze (line, one)  column = Range (zero, keys, one)  seen = LessOrEqual (column, row)
            {SPELLED[case.kind]}  y = MatMul (p, vd)"""
    constants = f"float factor = {{{SCALE}}}, float none = {{0.0}}, float low = {{-inf}}"
    constants += "".join(f", int64 {name} = {{{i}}}" for i, name in enumerate(("zero", "one", "two", "three")))
    text = f"""<ir_version: 10, opset_import: ["" : 23]>
        attention ({head}) => (float[1,{HEADS},{m},{WIDTH}] y) <{constants}> {{ {body} }}"""
    return parser.parse_model(text)


def feeds_for(case: Case, call: Mapping[str, int], fill: float | None = None) -> dict[str, Array]:
    """Inputs of a call, or one number everywhere; the mask hides keys from all queries that see it, or from some."""
    random = np.random.default_rng(sum(call.values()))
    (m, n), rows = case.sizes(call), 1
    rows = 1 if case.shared else m
    shapes = {"q": (1, HEADS, m, DEPTH), "k": (1, HEADS, n, DEPTH), "v": (1, HEADS, n, WIDTH), "t": (1, 1, rows, n)}
    arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["t"][random.random((1, 1, rows, n)) < 0.3] = -np.inf
    if case.kind == "added":
        arrays["t"][..., 0] = 1
    ones = {"qs": (1, 1, m, 1), "ks": (1, 1, n, 1), "ts": (1, 1, rows, n)}
    arrays |= {name: np.ones(shape, np.float32) for name, shape in ones.items()}
    return arrays if fill is None else {name: np.full_like(array, fill) for name, array in arrays.items()}


def expected(case: Case, feeds: Mapping[str, Array]) -> Array:
    """y in float64; 0 for a query that sees no key."""
    q, k, v, t = (feeds[name].astype(np.float64) for name in "qkvt")
    scores = SCALE * q @ k.swapaxes(2, 3)
    if case.kind not in ("plain", "hidden"):
        scores = scores + t
    if case.kind in ("hidden", "both", "causal operator"):
        scores = np.where(np.tri(q.shape[2], k.shape[2], dtype=np.bool_), scores, -np.inf)
    highest = scores.max(axis=3, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(highest), 0, highest))
    return weights / np.maximum(weights.sum(axis=3, keepdims=True), 1e-300) @ v


def calls_of(case: Case) -> Iterator[dict[str, int]]:
    """All extents of each dim, beside others of the other."""
    for number, extent in enumerate(EXTENTS):
        yield {"m": EXTENTS[-1 - number], "n": extent}
        yield {"m": extent, "n": LONGEST["n"]}
    yield dict(LONGEST)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_results_do_not_depend_on_what_lies_beyond(case: Case) -> None:
    """Between the calls, others of the greatest extents leave NaN and infinity everywhere."""
    net = mlc.compile(model_of(case), dims=case.bounds, threads=1, cache=False)
    for call in calls_of(case):
        for fill in (np.nan, np.inf):
            net.run(feeds_for(case, LONGEST, fill))
        feeds = feeds_for(case, call)
        (result,) = net.run(feeds).values()
        right = expected(case, feeds)
        assert result.shape == right.shape
        np.testing.assert_allclose(result, right, rtol=1e-5, atol=1e-6, err_msg=str(call))


def compilation(case: Case) -> Compilation:
    """The model for a range, just imported."""
    imported = import_model(load_model(model_of(case).SerializeToString()), dims=case.bounds)
    return Compilation.of(imported, "attention", Options(find_target("x86-64-v3")))


def through(passes: Iterator[ModulePass], last: type[ModulePass]) -> Iterator[ModulePass]:
    """The passes as far as one of class ``last``."""
    for each in passes:
        yield each
        if isinstance(each, last):
            return


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_it_is_recognised(case: Case) -> None:
    """The mask has the extents that it had before it was repeated, and there is one row of what hides keys from all."""
    made = compilation(case)
    made.manager.run(made.module, through(graph_passes(made.options), RecognizeCompositesPass))
    (attention,) = [op for op in made.module.walk() if isinstance(op, hlt.AttentionOp)]
    assert not [op for op in made.module.walk() if isinstance(op, hlt.SoftmaxOp)]
    m, n = case.sizes(LONGEST | {"m": LONGEST["n" if case.m == "n" else "m"]})
    masked, causal = case.kind not in ("plain", "hidden"), case.kind in ("hidden", "both", "causal operator")
    assert attention.scale == pytest.approx(SCALE)
    assert attention.mask is None or hlt.shape_of(attention.mask) == (1, 1, 1 if case.shared else m, n)
    assert (attention.mask is not None) == masked
    assert attention.visible is None or hlt.shape_of(attention.visible)[2:] == (m if causal else 1, n)
    assert (attention.visible is not None) == (causal or "n" in case.names)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_its_kernels_end_with_the_extents(case: Case) -> None:
    """Both products, the maximum and the sum, along queries and keys: at most as far as the last product's steps."""
    made = compilation(case).advance("kernels")
    made.manager.run(made.module, through(loop_passes(made.options), LimitTripsPass))
    computes = [op for op in made.module.walk() if isinstance(op, ComputeOp) and op.has_reduction]
    assert len(computes) == 4
    for compute in computes:
        assert compute.limits is not None
        ends = compute.limits.data.by_dim
        for dim, extent in compute.dims.extents.items():
            moving = next((name for name in sorted(case.names) if LONGEST[name] == extent), None)
            assert dim not in ends if moving is None else str(ends[dim]) in (moving, f"{moving} + 3", f"{moving} + 7")
