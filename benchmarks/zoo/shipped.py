"""Graphs written by PyTorch's exporters, shipped without their weights.

A stripped initializer keeps its name, dims and type. Its metadata entry `FILL` says, as JSON, which parameter of the
network it is, so that graphs of one network (prefill and decode, fixed and dynamic) get the same weights whatever
the exporter called or transposed them:

    {"parameter": "h.0.mlp.c_fc.weight", "shape": [768, 3072], "mean": 0.0, "std": 0.02, "transposed": false}

Only random parameters are stripped. Masks, ids and small constants stay as the exporter wrote them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from benchmarks.zoo import seeds

FILL = "mlc.zoo.fill"
GRAPHS = Path(__file__).with_name("graphs")


@dataclass(frozen=True)
class Fill:
    """A normally distributed parameter, and whether the graph holds it with its two dims exchanged."""

    parameter: str
    shape: tuple[int, ...]
    mean: float
    std: float
    transposed: bool = False

    def values(self, seed: int) -> seeds.Float32:
        tensor = seeds.normal(seed, self.parameter, self.shape, mean=self.mean, std=self.std)
        return np.ascontiguousarray(tensor.T) if self.transposed else tensor

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Fill":
        fields: dict[str, Any] = json.loads(text)
        fields["shape"] = tuple(fields["shape"])
        return Fill(**fields)


def strip(tensor: TensorProto, fill: Fill) -> None:
    """Replace the data of an f32 initializer by the entry that says how to make it."""
    kept = TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    kept.metadata_props.add(key=FILL, value=fill.to_json())
    tensor.CopyFrom(kept)


def fill_of(tensor: TensorProto) -> Fill | None:
    """How to make a stripped initializer's data; None when the initializer has data."""
    entries = [entry.value for entry in tensor.metadata_props if entry.key == FILL]
    return Fill.from_json(entries[0]) if entries else None


def load(name: str, seed: int) -> onnx.ModelProto:
    """The shipped graph `name` with weights from `seed`. FileNotFoundError when there is no such graph."""
    model = onnx.ModelProto.FromString((GRAPHS / f"{name}.onnx").read_bytes())
    for tensor in model.graph.initializer:
        fill = fill_of(tensor)
        if fill is not None:
            tensor.ClearField("metadata_props")
            tensor.raw_data = fill.values(seed).tobytes()
    return model
