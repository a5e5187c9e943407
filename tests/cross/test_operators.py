"""Narrow types, random numbers, orders and control flow on foreign processors: the bits of the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import parser
from xdsl.dialects.builtin import ModuleOp, f32, i8, i32
from xdsl.ir import SSAValue

from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.dialects.hlt import numpy_dtype, tensor_type
from mlc.dialects.hlt.narrow import EXPONENT, NARROW_DTYPES, bit_width
from mlc.dialects.interpreters import run_function
from mlc.dialects.parts import PARTS
from mlc.dialects.weights import WeightStore
from mlc.frontends.onnx.import_ import import_model
from mlc.frontends.onnx.load import load_model
from mlc.testing.foreign import TARGETS, runs
from mlc.testing.kernels import Builder, program
from mlc.testing.libraries import Job, compile_module
from mlc.testing.strategies import random_array

Array: TypeAlias = NDArray[Any]
Sample: TypeAlias = tuple[ModuleOp, WeightStore, list[Array]]

HEADER = '<ir_version: 10, opset_import: ["": 21]>'
NESTED = """g (int32[9] x, int64 n, bool c) => (int32[9] y) <bool always = {1}, int32 one = {1}> {
    y = Loop (n, always, x) <body = b (int64 i, bool going, int32[9] s) => (bool more, int32[9] t) {
        t = If (c) <then_branch = d () => (int32[9] p) { p = Add (s, x) },
                    else_branch = e () => (int32[9] q) { q = Sub (s, one) }>
        more = Identity (going)
    }>
}"""
CUMULATED = """g (int32[9] a, int32[5, 9] x) => (int32[9] s, int32[5, 9] y) {
    s, y = Scan <num_scan_inputs = 1, body = step (int32[9] before, int32[9] now) => (int32[9] after, int32[9] out) {
        after = Sub (now, before)
        out = Max (after, now)
    }> (a, x)
}"""
QUANTISED = """g (float[7, 9] x, float s) => (float[7, 9] y, int8[7, 9] q) <int8 zero = {3}> {
    q = QuantizeLinear (x, s, zero)
    y = DequantizeLinear (q, s, zero)
}"""


def made(types: Sequence[Any], arrays: list[Array], build: Callable[[Builder, Sequence[SSAValue]], Any]) -> Sample:
    return program(types, build), WeightStore(), arrays


def imported(text: str, *arrays: Array) -> Sample:
    model = import_model(load_model(parser.parse_model(HEADER + text)))
    return model.module, model.weights, list(arrays)


def integers(*shape: int) -> Array:
    return np.random.default_rng(7).integers(-5, 6, shape).astype(np.int32)


def read() -> Sample:
    """Every code of every narrow type, as f32."""
    arrays = [
        (np.arange((1 << bit_width(t)) + 13) % (1 << bit_width(t))).astype(np.uint8).view(numpy_dtype(t))
        for t in NARROW_DTYPES
    ]
    types = [tensor_type(a.shape, t) for a, t in zip(arrays, NARROW_DTYPES)]
    return made(types, arrays, lambda b, v: [b(hlt.CastOp(x, dtype=f32, saturate=True)) for x in v])


def written() -> Sample:
    """Numbers of all sizes in every narrow type."""
    x = np.ldexp(random_array(1, (333,), f32), np.arange(333) % 40 - 20).astype(np.float32)

    def build(b: Builder, v: Sequence[SSAValue]) -> list[Any]:
        return [b(hlt.CastOp(v[0], dtype=t, saturate=True)) for t in NARROW_DTYPES if t != EXPONENT]

    return made([tensor_type((333,), f32)], [x], build)


def ordered() -> Sample:
    """A sort and the best few, with ties, NaN, infinities and zeros of both signs."""
    x = random_array(1, (5, 37), f32, special=True)
    x = np.where(random_array(2, (5, 37), i8) > 64, x.flat[0], x)

    def build(b: Builder, v: Sequence[SSAValue]) -> list[Any]:
        best = b(hlt.TopKOp(v[0], k=6, axis=1, largest=True, sorted=True))
        return [*b(hlt.SortOp(v[0], axis=1, descending=True)), *best]

    return made([tensor_type((5, 37), f32)], [x], build)


def words() -> Sample:
    """Products and convolutions of words of all parts, whether there are instructions for them or not."""
    shapes = ((5, 9), (9, 21), (1, 7, 8, 3), (2, 3, 3, 10))
    random = np.random.default_rng(8)
    arrays = [random.integers(-(2**31), 2**31, shape).astype(np.int32) for shape in shapes]

    def build(b: Builder, v: Sequence[SSAValue]) -> list[Any]:
        dots = [b(hlt.DotWordsOp(v[0], v[1], parts=parts)) for parts in PARTS]
        convs = [b(hlt.ConvWordsOp(v[2], v[3], strides=(1, 2), dilations=(2, 1), parts=parts)) for parts in PARTS]
        return [*dots, *convs]

    return made([tensor_type(shape, i32) for shape in shapes], arrays, build)


SAMPLES: dict[str, Callable[[], Sample]] = {
    "narrow types read": read,
    "narrow types written": written,
    "words": words,
    "quantised": lambda: imported(QUANTISED, random_array(3, (7, 9), f32), np.array(0.02, np.float32)),
    "random bits": lambda: made([], [], lambda b, _: b(hlt.RandomBitsOp(count=69, seed=2**62 + 5, stream=2**39))),
    "order": ordered,
    "branches in a loop": lambda: imported(NESTED, integers(9), np.array(3), np.array(True)),
    "scan": lambda: imported(CUMULATED, integers(9), integers(5, 9)),
}


def same(actual: Array, expected: Array) -> bool:
    """Bit for bit, but that all NaN are alike."""
    if not hlt.is_float(hlt.element_type(expected.dtype)):
        return actual.tobytes() == expected.tobytes()
    a, b = actual.astype(np.float64), expected.astype(np.float64)
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))


@pytest.mark.parametrize("target", TARGETS)
def test_has_the_bits_of_the_reference(target: str, tmp_path: Path) -> None:
    jobs: dict[str, Job] = {}
    wanted: dict[str, Sequence[Array]] = {}
    for name, make in SAMPLES.items():
        module, weights, arrays = make()
        jobs[name] = Job(compile_module(module, find_target(target), weights=weights), arrays)
        wanted[name] = run_function(module, arrays, weights=lambda ref, _, store=weights: store.array(ref.key.data))
    for machine, outcomes in runs(target, list(jobs.values()), tmp_path).items():
        for name, outcome in zip(jobs, outcomes, strict=True):
            assert outcome.status == 0, f"{name} on {machine}"
            pairs = zip(outcome.outputs, wanted[name], strict=True)
            bad = [i for i, (actual, expected) in enumerate(pairs) if not same(actual, expected)]
            assert bad == [], f"{name} on {machine}: outputs {bad}"


def test_notices_other_bits() -> None:
    zeros = np.zeros(3, np.float32)
    assert same(zeros, zeros)
    assert not same(-zeros, zeros)
    assert not same(zeros * np.nan, zeros)
    assert not same(np.array([1, 2]), np.array([1, 3]))
