"""mlc as an `onnx.backend.base.Backend`, so that whatever drives ONNX backends (ONNX's own suite too) drives mlc.

import onnx
from mlc.backend import prepare

y = prepare(onnx.load("model.onnx")).run([x])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.backend.base import Backend, BackendRep, DeviceType, namedtupledict

from mlc.api import compile as compile_model
from mlc.errors import UnsupportedError, UsageError
from mlc.model import CompiledModel


class Prepared(BackendRep):
    """A compiled model; ``model`` is what `mlc.compile` made of it."""

    def __init__(self, model: CompiledModel) -> None:
        self.model = model
        self._results = namedtupledict("Outputs", [spec.name for spec in model.outputs])

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs, by position and by name, for one input per position (a sequence) or by name (a dict)."""
        if kwargs:
            raise UsageError(f"running takes no options, but {', '.join(kwargs)} is given")
        feeds = cast("dict[str, Any]", inputs) if isinstance(inputs, dict) else self._by_position(inputs)
        return self._results(*self.model.run(feeds).values())

    def _by_position(self, inputs: Any) -> dict[str, Any]:
        arrays = list(cast("Sequence[Any]", inputs)) if isinstance(inputs, list | tuple) else [inputs]
        names = [spec.name for spec in self.model.inputs]
        if len(arrays) != len(names):
            raise UsageError(f"{len(arrays)} inputs are given, the model has {len(names)}: {', '.join(names)}")
        return dict(zip(names, arrays))


class MlcBackend(Backend):
    """Compiles for the processor that it runs on. Further arguments are those of `mlc.compile`."""

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the model compiles, as far as that can be told without running it."""
        try:
            cls.prepare(model, device, **kwargs)
        except UnsupportedError:
            return False
        return True

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """The model, compiled. Raises what `mlc.compile` raises, and UsageError for devices other than the CPU."""
        if not cls.supports_device(device):
            raise UsageError(f"device {device!r} is not supported", hint="use CPU")
        return Prepared(compile_model(model, **kwargs))

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The outputs of one node of ONNX's domain for arrays; ``outputs_info`` (dtype and shape of each) is needed.

        ``opset_version`` is that of the node's domain, by default the newest.
        """
        if outputs_info is None:
            raise UsageError("the dtypes and shapes of the outputs are not given", hint="pass outputs_info")
        version = kwargs.pop("opset_version", None)
        given = [name for name in node.input if name]
        inputs_info = [(array.dtype, array.shape) for array in inputs]
        graph = helper.make_graph([node], "node", _infos(given, inputs_info), _infos(node.output, outputs_info))
        imports = [helper.make_opsetid(node.domain, version)] if version else None
        model = helper.make_model(graph, opset_imports=imports)
        return cls.prepare(model, device, **kwargs).run(list(inputs))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether ``device`` is the CPU."""
        name = device.partition(":")[0]
        return hasattr(DeviceType, name) and name == "CPU"


def _infos(names: Sequence[str], infos: Sequence[tuple[Any, tuple[int, ...]]]) -> list[Any]:
    """Graph inputs or outputs of these dtypes and shapes."""
    found: list[Any] = []
    for name, (dtype, shape) in zip(names, infos, strict=True):
        element = helper.np_dtype_to_tensor_dtype(dtype)
        assert element != TensorProto.UNDEFINED
        found.append(helper.make_tensor_value_info(name, element, shape))
    return found


is_compatible = MlcBackend.is_compatible
prepare = MlcBackend.prepare
run_model = MlcBackend.run_model
run_node = MlcBackend.run_node
supports_device = MlcBackend.supports_device
