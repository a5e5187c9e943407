"""Whole models: the zoo against the float64 reference, and the models that come with onnx against stored outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.zoo import build, inputs
from benchmarks.zoo.light import light_data, light_names, light_path, light_tolerance
from benchmarks.zoo.registry import names
from mlc.api import Maker
from mlc.driver import import_source
from mlc.model import Array
from mlc.request import Request
from mlc.testing.models import Tolerance, compare, reference_outputs

QUICK = ("mlp_tiny", "mlp", "squeezenet1_1", "mobilenet_v2")
"""Checked by `make quick` too."""

HEAVY = ("vgg16", "bert_base", "bert_base_dynamic", "distilbert", "gpt2_prefill", "gpt2_decode_dynamic", "yolov8n")
"""Compiled for two threads alone: what one thread does differently shows in other models."""


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests verify the IR after each pass; here it would take as long as all the rest.

    Kernels are shared out where users' are.
    """
    monkeypatch.setenv("MLC_VERIFY_EACH", "0")
    monkeypatch.delenv("MLC_HANDOUT", raising=False)


def threads_of(name: str) -> tuple[int, ...]:
    return (2,) if name in HEAVY else (1, 2)


def verify(name: str, threads: int, expected: list[tuple[str, Array, Array]], feeds: Mapping[str, Array]) -> list[str]:
    """Compile a model of the zoo, run it twice, and say what is wrong."""
    net = Maker(Request(build(name), threads=threads), None).model()
    first, second = net.run(feeds), net.run(feeds)
    verdicts = [compare(key, first[key], wide, plain=plain) for key, wide, plain in expected]
    wrong = [f"{threads} threads, {v.name}: {v.message}" for v in verdicts if not v.ok]
    differing = [key for key in first if not np.array_equal(first[key], second[key], equal_nan=True)]
    return wrong + [f"{threads} threads, {key}: the second run differs" for key in differing]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names()]
)
def test_zoo(name: str) -> None:
    feeds = inputs(name)
    maker = Maker(Request(build(name)), None)
    imported = import_source(maker.loaded, maker.request, feeds)
    arrays = [feeds[info.name] for info in imported.inputs]
    wide, plain = (reference_outputs(imported, arrays, plain=plain) for plain in (False, True))
    expected = list(zip([info.name for info in imported.outputs], wide, plain))
    del maker, imported
    assert [line for threads in threads_of(name) for line in verify(name, threads, expected, feeds)] == []


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in light_names()])
def test_light(name: str) -> None:
    feeds, expected = light_data(name)
    rtol, atol = light_tolerance(name)
    outputs = Maker(Request(light_path(name), threads=2), None).model().run(feeds)
    verdicts = [compare(key, outputs[key], wanted, tolerance=Tolerance(rtol, atol)) for key, wanted in expected.items()]
    assert [v.message for v in verdicts if not v.ok] == []


def test_a_wrong_result_is_noticed() -> None:
    feeds = inputs("mlp")
    maker = Maker(Request(build("mlp")), None)
    imported = import_source(maker.loaded, maker.request, feeds)
    arrays = [feeds[info.name] for info in imported.inputs]
    (wide,), (plain,) = (reference_outputs(imported, arrays, plain=plain) for plain in (False, True))
    right = maker.model().run(feeds)[imported.outputs[0].name]
    assert compare("y", right, wide, plain=plain).ok
    assert not compare("y", right * np.float32(1 + 1e-4), wide, plain=plain).ok
