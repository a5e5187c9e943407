"""mlc: a multi-level compiler from ONNX models to fast native code.

import mlc

net = mlc.compile("resnet50.onnx")
y = net(x)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlc.api import compile, load
    from mlc.errors import InternalError, MismatchError, MlcError, ModelError, UnsupportedError, UsageError
    from mlc.model import CompiledModel, TensorInfo
    from mlc.operators import include_dir, register_c_op

_EXPORTS = {
    "compile": "mlc.api",
    "load": "mlc.api",
    "include_dir": "mlc.operators",
    "register_c_op": "mlc.operators",
    "CompiledModel": "mlc.model",
    "TensorInfo": "mlc.model",
    "MlcError": "mlc.errors",
    "ModelError": "mlc.errors",
    "UsageError": "mlc.errors",
    "MismatchError": "mlc.errors",
    "UnsupportedError": "mlc.errors",
    "InternalError": "mlc.errors",
}
"""Public name to the module that holds it; imported when first used, so that ``import mlc`` costs nothing."""

__all__ = [
    "CompiledModel",
    "InternalError",
    "MismatchError",
    "MlcError",
    "ModelError",
    "TensorInfo",
    "UnsupportedError",
    "UsageError",
    "compile",
    "include_dir",
    "load",
    "register_c_op",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from mlc.version import mlc_version

        return mlc_version()
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module 'mlc' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
