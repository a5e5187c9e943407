"""The table of operators against what importing takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, defs, helper

import mlc
from mlc.errors import MlcError
from mlc.frontends.onnx.import_ import import_model
from mlc.frontends.onnx.load import load_model
from mlc.frontends.onnx.support import ELEMENT_NUMBERS, REASONS, REFUSED, Support, operators

SHAPES = ((4, 4), (4,), (1, 2, 4, 4))


def needed(schema: Any) -> list[Any]:
    """The inputs that can't be left out."""
    return [formal for formal in schema.inputs if formal.option != defs.OpSchema.FormalParameterOption.Optional]


def imports(support: Support, element: str, shape: Sequence[int]) -> bool:
    """Whether a model of the operator alone imports, all inputs that it needs of one element type and shape."""
    schema: Any = defs.get_schema(support.name, domain=support.domain)
    attributes: dict[str, Any] = {"dtype": TensorProto.FLOAT} if "dtype" in schema.attributes else {}
    names = [f"x{i}" for i in range(len(needed(schema)))]
    node = helper.make_node(support.name, names, ["y"], "only", domain=support.domain, **attributes)
    infos = [helper.make_tensor_value_info(name, ELEMENT_NUMBERS[element], shape) for name in names]
    graph = helper.make_graph([node], "g", infos, [helper.make_empty_tensor_value_info("y")])
    opsets = [helper.make_opsetid("", defs.onnx_opset_version()), helper.make_opsetid("ai.onnx.ml", 4)]
    try:
        import_model(load_model(helper.make_model(graph, opset_imports=opsets, ir_version=10)))
    except MlcError:
        return False
    return True


def family() -> dict[str, tuple[Support, tuple[str, ...]]]:
    """Operators that need no attributes, and whose needed inputs are of one type variable, with its types."""
    found: dict[str, tuple[Support, tuple[str, ...]]] = {}
    for support in operators():
        if not support.types or support.domain not in ("", "ai.onnx.ml"):
            continue
        schema: Any = defs.get_schema(support.name, domain=support.domain)
        kinds = {formal.type_str for formal in needed(schema)}
        if (
            len(kinds) == 1
            and kinds <= support.types.keys()
            and not any(a.required for a in schema.attributes.values())
        ):
            found[support.name] = support, support.types[kinds.pop()]
    return found


FAMILY = family()


def taken(name: str) -> set[str]:
    """The element types that operator ``name`` is imported with, for the shape that suits it best."""
    support, elements = FAMILY[name]
    return max(({e for e in elements if imports(support, e, shape)} for shape in SHAPES), key=len)


def test_every_element_type_of_the_table_is_taken() -> None:
    """Of the operators that these shapes suit: most of them, and all that are element-wise."""
    found = {name: taken(name) for name in FAMILY}
    assert {
        name: set(FAMILY[name][1]) - types for name, types in found.items() if types and types != {*FAMILY[name][1]}
    } == {}
    assert sum(map(bool, found.values())) >= 100
    assert all(map(bool, map(found.get, ("Add", "Relu", "Sin", "Mod", "And", "IsNaN", "Clip", "Scaler"))))


def test_what_is_not_supported_has_a_reason() -> None:
    refused = {(support.domain, support.name) for support in operators() if support.how == REFUSED}
    assert refused <= REASONS.keys()
    assert REASONS.keys() <= {(support.domain, support.name) for support in operators() if not support.types}


@pytest.mark.parametrize("op", ["IsNaN", "IsInf"])
def test_classes_of_floats_of_eight_bits(op: str) -> None:
    for dtype in (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz):
        x = np.arange(256, dtype=np.uint8).view(dtype)
        infos = [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)]
        outputs = [helper.make_tensor_value_info("y", TensorProto.BOOL, x.shape)]
        graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], "only")], "g", infos, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        expected = getattr(np, op.lower())(x.astype(np.float32))
        np.testing.assert_array_equal(mlc.compile(model, threads=1, cache=False)(x), expected)
