"""Decoding with a growing cache, as the benchmark does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest

import mlc
from benchmarks.decoding import MODEL, PROMPT, TOKENS, Step, decode, prompt
from benchmarks.zoo import build, shipped

DIMS = {"batch_size": 1, "sequence_length": "1..32", "past_sequence_length": "0..128"}


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests verify the IR after each pass; here it would take as long as all the rest."""
    monkeypatch.setenv("MLC_VERIFY_EACH", "0")


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build(MODEL)


def test_each_call_continues_the_one_before() -> None:
    graph = onnx.ModelProto.FromString((shipped.GRAPHS / f"{MODEL}.onnx").read_bytes())

    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        logits = np.zeros((1, feeds["input_ids"].shape[1], 8), np.float32)
        logits[..., 5] = 1
        grown = ((0, 0), (0, 0), (0, feeds["input_ids"].shape[1]), (0, 0))
        past = {name: array for name, array in feeds.items() if name.startswith("past")}
        return {
            "logits": logits,
            **{n.replace("past_key_values", "present"): np.pad(a, grown) for n, a in past.items()},
        }

    first, second, third = (step.feeds for step in decode(run, prompt(graph, 4), 3))
    assert {value.name for value in graph.graph.input} == first.keys() == second.keys()
    assert [feeds["past_key_values.3.key"].shape[2] for feeds in (first, second, third)] == [0, 4, 5]
    assert [feeds["attention_mask"].shape[1] for feeds in (first, second, third)] == [4, 5, 6]
    assert (second["position_ids"].item(), third["position_ids"].item()) == (4, 5)
    assert third["input_ids"].tolist() == [[5]]


@pytest.mark.slow
def test_gpt2_compiles_at_most_four_times_for_64_tokens(model: onnx.ModelProto) -> None:
    net = mlc.compile(model, cache=False)
    steps = list(decode(net.run, prompt(model), TOKENS + 1))
    assert net.compilations <= 4
    for number in (17, TOKENS):
        check(steps[number], model)


@pytest.mark.slow
def test_one_compilation_of_gpt2_takes_prompts_and_tokens(model: onnx.ModelProto) -> None:
    net = mlc.compile(model, dims=DIMS, cache=False)
    steps = list(decode(net.run, prompt(model), 3))
    assert net.dims == {"sequence_length": range(1, 33), "past_sequence_length": range(129)}
    for number in (0, 2):
        check(steps[number], model)


def check(step: Step, model: onnx.ModelProto) -> None:
    """The logits of a step against those of code for its shapes alone."""
    past = step.feeds["past_key_values.0.key"].shape[2]
    dims = {"batch_size": 1, "sequence_length": PROMPT if not past else 1, "past_sequence_length": past}
    alone = mlc.compile(model, dims=dims, cache=False)
    assert alone.is_static
    assert not alone.dims
    expected = alone.run(step.feeds)["logits"]
    np.testing.assert_allclose(step.outputs["logits"], expected, rtol=1e-3, atol=2e-4)
