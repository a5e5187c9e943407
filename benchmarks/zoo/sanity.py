"""Whether the models of the zoo behave: outputs in range that follow the inputs and do not amplify noise.

    python -m benchmarks.zoo check [NAME...]

runs them with onnxruntime (extra `compare`), a peer that does not share our code.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from benchmarks.zoo import registry, seeds
from benchmarks.zoo.samples import Array, Feeds

_NOISE = 0.01


@dataclass(frozen=True)
class Spread:
    """How one output of a model behaves: `std` of its values, `correlation` with those for another input, and the
    relative change of the values per relative change of the float inputs by noise (NaN where all are integers)."""

    output: str
    shape: tuple[int, ...]
    mean: float
    std: float
    correlation: float
    amplification: float

    @property
    def fault(self) -> str:
        """What is wrong with the output; empty when it is sane."""
        if not np.isfinite(self.std):
            return "not finite"
        if not 0.1 <= self.std <= 10.0:
            return f"standard deviation {self.std:.3g} outside 0.1..10"
        if not abs(self.correlation) < 0.999:
            return f"nearly the same for two inputs (correlation {self.correlation:.5f})"
        if self.amplification > 20.0:
            return f"noise is amplified {self.amplification:.3g} times"
        return ""


def spreads(base: Feeds, other: Feeds, noisy: Feeds | None = None) -> list[Spread]:
    """The spread of every output, given all outputs for an input, another one, and the first with 1 % noise."""
    return [_spread(name, base[name], other[name], noisy[name] if noisy else None) for name in base]


def _spread(name: str, base: Array, other: Array, noisy: Array | None) -> Spread:
    a, b = base.astype(np.float64), other.astype(np.float64)
    std = float(a.std())
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        change = float("nan") if noisy is None else float((noisy - a).std()) / std / _NOISE
    return Spread(name, base.shape, float(a.mean()), std, correlation, change)


def with_noise(feeds: Feeds) -> Feeds | None:
    """The feeds with noise of 1 % of their standard deviation on the float ones; None when there is no float."""
    noisy = {
        name: value + _NOISE * value.std() * seeds.normal(0, f"noise {name}", value.shape)
        for name, value in feeds.items()
        if value.dtype == np.float32
    }
    return {**feeds, **noisy} if noisy else None


def run(model: onnx.ModelProto, *inputs: Feeds) -> list[Feeds]:
    """The outputs of `model` by name for each of the inputs, from onnxruntime."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in model.graph.output]
    return [dict(zip(names, session.run(names, feeds), strict=True)) for feeds in inputs]


def run_reference(model: onnx.ModelProto, *inputs: Feeds) -> list[Feeds]:
    """As `run`, slowly, by onnx's reference implementation."""
    evaluator: Any = ReferenceEvaluator(model)
    names = [output.name for output in model.graph.output]
    return [dict(zip(names, evaluator.run(names, feeds), strict=True)) for feeds in inputs]


def check(name: str) -> list[Spread]:
    """The spread of every output of the model `name` with seed 0."""
    entry = registry.entry(name)
    base, other = entry.inputs(1), entry.inputs(2)
    noisy = with_noise(base)
    outputs = run(entry.build(0), base, other, *([noisy] if noisy else []))
    return spreads(*(entry.units(values) for values in outputs))
