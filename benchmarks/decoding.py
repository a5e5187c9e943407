"""Tokens one after the other from a decoder whose cache grows with each: what it presents is the next call's past."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from benchmarks.zoo import Feeds, build, inputs

Run = Callable[[Feeds], Mapping[str, Any]]

MODEL = "gpt2_decode_dynamic"
PROMPT = 16
TOKENS = 64


@dataclass(frozen=True)
class Step:
    """One call: what went in, what came out, and the seconds in between."""

    feeds: Feeds
    outputs: Mapping[str, Any]
    seconds: float


def prompt(model: onnx.ModelProto, length: int = PROMPT) -> Feeds:
    """The inputs of a first call, with ``length`` tokens and no past."""
    feeds: Feeds = {name: array[:, :length] for name, array in inputs("gpt2_prefill").items()}
    for value in model.graph.input:
        if value.name.startswith("past_key_values."):
            heads, width = (value.type.tensor_type.shape.dim[axis].dim_value for axis in (1, 3))
            feeds[value.name] = np.zeros((1, heads, 0, width), np.float32)
    return feeds


def decode(run: Run, feeds: Feeds, calls: int) -> Iterator[Step]:
    """So many calls of a decoder, each of which takes the likeliest token of the one before."""
    for _ in range(calls):
        start = time.perf_counter()
        outputs = run(feeds)
        step = Step(feeds, outputs, time.perf_counter() - start)
        yield step
        feeds = following(step)


def following(step: Step) -> Feeds:
    """The inputs of the call after ``step``."""
    past = {
        name.replace("present", "past_key_values"): array
        for name, array in step.outputs.items()
        if name.startswith("present.")
    }
    position = step.feeds["position_ids"][:, -1:] + 1
    return {
        "input_ids": np.argmax(step.outputs["logits"][:, -1:], axis=-1),
        "attention_mask": np.ones((1, int(position[0, 0]) + 1), np.int64),
        "position_ids": position,
        **past,
    }


def peers(model: onnx.ModelProto, threads: int) -> dict[str, Run]:
    """onnxruntime, where it is installed."""
    try:
        import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return {}
    library: Any = onnxruntime
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads spin while it runs, but not while others are timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = library.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return {"onnxruntime": lambda feeds: dict(zip(names, session.run(names, feeds)))}


def timed(model: onnx.ModelProto, threads: int, calls: int = TOKENS + 1) -> Iterator[dict[str, Any]]:
    """A row per runtime, the calls of all in turns: seconds of all calls, and tokens per second by the median call.

    Nothing has seen a shape before. AssertionError where logits differ.
    """
    import mlc

    net = mlc.compile(model, threads=threads, cache=False)
    found = {"mlc": net.run, **peers(model, threads)}
    rounds = list(zip(*(decode(run, prompt(model), calls) for run in found.values())))
    for index, name in enumerate(found):
        for steps in rounds:
            np.testing.assert_allclose(*(steps[i].outputs["logits"] for i in (index, 0)), rtol=1e-3, atol=1e-3)
        seconds = [steps[index].seconds for steps in rounds]
        yield {
            "what": f"{calls - 1} tokens, {name}",
            "threads": threads,
            "compilations": net.compilations if name == "mlc" else None,
            "all s": sum(seconds),
            "tokens/s": 1 / float(np.median(seconds[1:])),
        }


def figure() -> Iterator[dict[str, Any]]:
    """GPT-2 from a prompt of 16 tokens, its past growing by one with each of 64 more: 1 and 2 threads."""
    model = build(MODEL)
    for threads in (1, 2):
        yield from timed(model, threads)
