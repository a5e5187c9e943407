"""The nine light models of the onnx package: real classifiers whose weights are a ConstantOfShape each.

They lie in `onnx/backend/test/data/light/` of the installed package as `light_NAME.onnx`, 4 to 215 kB, opset 9,
with one input [1, 3, 224, 224] and one output of 1000 values. Beside each lies `light_NAME_output_0.pb`, a
TensorProto with the expected output for the input that onnx's own test runner generates: `arange(n) / n` in the
input's shape. Since all weights of a layer are equal, so are all 1000 outputs (0.001 after softmax): these models
test that a graph imports and runs, hardly what it computes.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.zoo.samples import Feeds

_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
_PREFIX = "light_"

# Relative tolerance that onnx's runner grants; 1e-3 where none is named. The absolute one is 1e-7.
_TOLERANCES = {"densenet121": 2e-3}


def light_names() -> tuple[str, ...]:
    """The names of the light models, sorted."""
    return tuple(sorted(path.stem.removeprefix(_PREFIX) for path in _FOLDER.glob(f"{_PREFIX}*.onnx")))


def light_path(name: str) -> Path:
    """The file of the light model `name`. KeyError lists the valid names."""
    if name not in light_names():
        raise KeyError(f"no light model {name!r} (there are: {', '.join(light_names())})")
    return _FOLDER / f"{_PREFIX}{name}.onnx"


def light_model(name: str) -> onnx.ModelProto:
    """The light model `name`. KeyError lists the valid names."""
    return onnx.ModelProto.FromString(light_path(name).read_bytes())


def light_tolerance(name: str) -> tuple[float, float]:
    """The relative and absolute tolerance of the outputs of `name`."""
    return _TOLERANCES.get(name, 1e-3), 1e-7


def light_data(name: str) -> tuple[Feeds, Feeds]:
    """Inputs and expected outputs of the light model `name`, by name. KeyError lists the valid names."""
    path = light_path(name)
    graph = light_model(name).graph
    weights = {w.name for w in graph.initializer}
    feeds: Feeds = {}
    for value in graph.input:
        if value.name not in weights:
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            feeds[value.name] = (np.arange(count).reshape(shape) / count).astype(np.float32)
    expected: Feeds = {}
    for index, value in enumerate(graph.output):
        stored = path.with_name(f"{path.stem}_output_{index}.pb").read_bytes()
        expected[value.name] = numpy_helper.to_array(onnx.TensorProto.FromString(stored))
    return feeds, expected
