"""A model in ONNX's text syntax, imported and ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from onnx import parser
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from mlc.dialects.interpreters import run_function
from mlc.frontends.onnx.import_ import ImportedModel, import_model
from mlc.frontends.onnx.load import load_model

Array = np.ndarray[Any, Any]

HEADER = '<ir_version: 10, opset_import: ["": 23, "com.microsoft": 1, "local": 1]>\n'


@dataclass(frozen=True)
class Program:
    """An imported model."""

    model: ImportedModel

    def __iter__(self) -> Iterator[Operation]:
        """The operations of @main but for constants and the return, in order."""
        main = self.model.module.body.block.first_op
        assert isinstance(main, FuncOp)
        return (op for op in main.body.block.ops if op.name not in ("hlt.constant", "func.return"))

    @property
    def names(self) -> list[str]:
        """The operations' names without the dialect."""
        return [op.name.removeprefix("hlt.") for op in self]

    def __call__(self, *inputs: Array) -> Array:
        """The first result for these inputs."""
        weights = self.model.weights
        return run_function(self.model.module, inputs, weights=lambda ref, _: weights.array(ref.key.data))[0]


Build = Callable[..., Program]


@pytest.fixture(scope="session")
def build() -> Build:
    """``build(graph, **arguments of import_model)``; functions may follow the graph."""

    def _build(text: str, **arguments: Any) -> Program:
        loaded = load_model(parser.parse_model(HEADER + text))
        program = Program(import_model(loaded, **arguments))
        program.model.module.verify()
        return program

    return _build
