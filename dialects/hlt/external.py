"""Calls of C functions that the user brings: what no operation of the dialect says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, FloatAttr, IntegerAttr, StringAttr, TensorType, f64, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    prop_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure

from mlc.dialects.hlt.base import TENSOR, element_of
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.hlt.fields import fail

Parameter: TypeAlias = "int | float | str | Sequence[int] | Sequence[float]"
"""A number or a text that a C function gets beside tensors, or a list of numbers."""

SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
"""What a C function may be called."""

DTYPE_CODES: Mapping[str, int] = MappingProxyType({
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13, "bfloat16": 16,
})  # fmt: skip
"""The element types that C functions take, with ONNX's numbers for them."""


@irdl_op_definition
class CallCOp(IRDLOperation):
    """The results of a C function: of its inputs alone, so that it runs as often as its results are needed.

    ```
    %1 = hlt.call_c "squared_relu"(%0) [2.0 : f64] : (tensor<2x8xf32>) -> tensor<2x8xf32>
    ```

    The list holds what the function gets beside tensors: numbers, texts, lists of numbers.
    """

    name = "hlt.call_c"
    symbol = prop_def(StringAttr)
    parameters = prop_def(ArrayAttr)
    inputs = var_operand_def(TENSOR)
    outputs = var_result_def(TENSOR)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$symbol `(` $inputs `)` $parameters attr-dict `:` functional-type($inputs, $outputs)"

    @classmethod
    def make(
        cls, symbol: str, inputs: Sequence[SSAValue], outputs: Sequence[TensorType], parameters: Sequence[Parameter]
    ) -> CallCOp:
        """A call of ``symbol``, whose results have the types ``outputs``."""
        return cls.create(
            operands=inputs,
            result_types=outputs,
            properties={"symbol": StringAttr(symbol), "parameters": ArrayAttr(list(map(encoded, parameters)))},
        )

    def verify_(self) -> None:
        """[c_symbol] a C identifier; [c_element_type] plain element types; [c_parameter] what `Parameter` says."""
        if not SYMBOL.match(self.symbol.data):
            raise fail("c_symbol", f"{self.symbol.data!r} is no name of a C function")
        for value in (*self.inputs, *self.outputs):
            if numpy_dtype(element_of(value)).name not in DTYPE_CODES:
                raise fail("c_element_type", f"a C function can't take {element_of(value)}")
        for parameter in self.parameters:
            decoded(parameter)


def encoded(parameter: Parameter) -> Attribute:
    """A parameter as an attribute: i64, f64, a string, or a dense array of i64 or f64."""
    match parameter:
        case str():
            return StringAttr(parameter)
        case int():
            return IntegerAttr(parameter, i64)
        case float():
            return FloatAttr(parameter, f64)
        case _:
            if all(isinstance(item, int) for item in parameter):
                return DenseArrayBase.from_list(i64, [int(item) for item in parameter])
            return DenseArrayBase.from_list(f64, [float(item) for item in parameter])


def decoded(attribute: Attribute) -> Parameter:
    """The parameter that an attribute stands for; raises VerifyException [c_parameter] for another attribute."""
    match attribute:
        case StringAttr():
            return attribute.data
        case IntegerAttr() | FloatAttr():
            return attribute.value.data
        case DenseArrayBase():
            return tuple(cast("DenseArrayBase[Any]", attribute).get_values())
        case _:
            raise fail("c_parameter", f"a C function can't take {attribute}")
