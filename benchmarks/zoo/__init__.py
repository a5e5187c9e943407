"""A zoo of real architectures with seeded weights, built offline as ONNX models.

>>> from benchmarks.zoo import build, inputs, names
>>> model = build("resnet50", seed=0)
>>> feeds = inputs("resnet50", seed=1)
"""

import re

import numpy as np
import onnx
from onnx import TensorProto

from benchmarks.zoo import registry
from benchmarks.zoo.registry import names
from benchmarks.zoo.samples import Feeds

__all__ = ["Feeds", "build", "inputs", "names", "parameter_count"]

# Names of initializers that training does not change.
_BUFFER = re.compile(r"(running_mean|running_var|initial_[hc]|scales|anchors|strides)(_\d+)?$")


def build(name: str, *, seed: int = 0) -> onnx.ModelProto:
    """The model `name` with weights drawn from `seed`: the same seed, the same model. KeyError: no such model."""
    return registry.entry(name).build(seed)


def inputs(name: str, seed: int = 0) -> Feeds:
    """Realistic inputs of the model `name` by input name; other seeds give other inputs. KeyError: no such model."""
    return registry.entry(name).inputs(seed)


def parameter_count(model: onnx.ModelProto) -> int:
    """Elements of the float initializers of `model`, without scalars and buffers such as running statistics."""
    return sum(
        int(np.prod(w.dims, dtype=np.int64))
        for w in model.graph.initializer
        if w.data_type == TensorProto.FLOAT and w.dims and not _BUFFER.search(w.name)
    )
