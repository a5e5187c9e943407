"""ONNX's backend interface, beside the rest of what is ONNX's: a name for `mlc.backend`, which compiles and runs."""

from mlc.backend import MlcBackend, Prepared, is_compatible, prepare, run_model, run_node, supports_device

__all__ = ["MlcBackend", "Prepared", "is_compatible", "prepare", "run_model", "run_node", "supports_device"]
