"""The example of the documentation: an operator of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import mlc
from mlc.testing.onnx_models import unary

PAGE = Path(__file__).parents[3] / "docs/develop/operators.md"


def test_the_documented_operator_compiles() -> None:
    model = unary("SquaredRelu", domain="my.company")
    model.graph.node[0].attribute.append(helper.make_attribute("scale", 2.0))
    with pytest.raises(mlc.UnsupportedError, match=r"SquaredRelu in only.*register custom operators with onnx_op"):
        mlc.compile(model, threads=1, cache=False)
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    exec(found[1], {"__name__": "example"})
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)
    result = mlc.compile(model, threads=1, cache=False)(x)
    np.testing.assert_allclose(result, 2 * np.maximum(x, 0) ** 2, rtol=1e-6)
