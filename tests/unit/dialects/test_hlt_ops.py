"""Operations of ``hlt``: construction, inference, attributes as Python values, and text."""

from __future__ import annotations

import inspect
import re
from io import StringIO

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp, StringAttr, TensorType, f32, i1, i64
from xdsl.dialects.func import Func
from xdsl.dialects.test import Test as OpaqueDialect
from xdsl.dialects.test import TestOp as OpaqueOp
from xdsl.ir import SSAValue
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import ParseError

from mlc.dialects import hlt
from mlc.dialects.interpreters import REFERENCES
from mlc.dialects.weights_attr import MLC


def context() -> Context:
    ctx = Context()
    for dialect in (Builtin, Func, OpaqueDialect, hlt.HLT, MLC):
        ctx.load_dialect(dialect)
    return ctx


def value(*shape: int) -> SSAValue:
    return OpaqueOp(result_types=[hlt.tensor_type(shape, f32)]).results[0]


def test_the_result_type_is_inferred() -> None:
    conv = hlt.ConvOp(value(1, 3, 8, 8), value(4, 3, 3, 3), strides=(2, 2), pads_low=(1, 1), pads_high=(1, 1))
    assert conv.result.type == hlt.tensor_type((1, 4, 4, 4), f32)
    assert hlt.CompareOp(value(2), value(2), predicate="lt").result.type == hlt.tensor_type((2,), i1)
    assert hlt.ReduceOp(value(2, 3), kind="sum", axes=(0,), keep_dims=True).result.type == hlt.tensor_type((1, 3), f32)
    assert hlt.SortOp(value(4), axis=0).indices.type == hlt.tensor_type((4,), i64)


def test_a_window_that_does_not_fit_has_no_position() -> None:
    assert hlt.shape_of(hlt.ConvOp(value(1, 1, 2), value(1, 1, 3), strides=(2,))) == (1, 1, 0)


def test_attributes_read_back_as_python_values() -> None:
    pad = hlt.PadOp(value(2, 3), low=[1, 0], high=(0, 2), mode="constant", value=float("-inf"))
    assert (pad.low, pad.high, pad.mode, pad.value) == ((1, 0), (0, 2), "constant", float("-inf"))
    lstm = hlt.LstmOp(value(5, 2, 3), value(1, 16, 3), value(1, 16, 4), c0=value(1, 2, 4))
    assert lstm.activations == ("Sigmoid", "Tanh", "Tanh")
    assert (lstm.clip, lstm.b, lstm.input_forget) == (None, None, False)
    assert lstm.c0 is not None


def test_an_operation_stands_for_its_result() -> None:
    inner = hlt.AbsOp(value(2))
    assert hlt.NegOp(inner).x is inner.result


def test_a_layout_does_not_matter_to_inference() -> None:
    blocked = TensorType(f32, (1, 4, 8), hlt.LayoutAttr.blocked(3, block=4))
    x = OpaqueOp(result_types=[blocked]).results[0]
    op = hlt.AddOp(x, value(1, 4, 8))
    assert op.result.type == hlt.tensor_type((1, 4, 8), f32)
    hlt.AddOp.create(operands=[x, x], result_types=[blocked]).verify()


def test_node_name_prefers_the_frontend() -> None:
    op = hlt.AbsOp(value(2))
    assert hlt.node_name(op) == "hlt.abs"
    op.attributes["hlt.node"] = StringAttr("n3 (Abs)")
    assert hlt.node_name(op) == "n3 (Abs)"


@pytest.mark.parametrize("op_class", hlt.OPERATIONS, ids=lambda op_class: op_class.name)
def test_every_operation_is_pure_exported_and_has_a_reference(op_class: type[hlt.HltOp]) -> None:
    words = op_class.name.removeprefix("hlt.").split("_")
    assert op_class.__name__ == "".join(word.capitalize() for word in words) + "Op"
    assert op_class.has_trait(Pure)
    assert getattr(hlt, op_class.__name__) is op_class
    assert op_class.__name__ in hlt.__all__
    assert op_class in REFERENCES


def example_of(op_class: type[hlt.HltOp]) -> str:
    """The IR in the docstring: between fences, or between double backquotes."""
    text = inspect.getdoc(op_class) or ""
    fenced = re.search(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    inline = re.search(r"``(%\w+.* = hlt\..*?)``", text)
    match = fenced or inline
    assert match is not None, f"{op_class.__name__} shows no example"
    return match.group(1)


def with_arguments(example: str) -> str:
    """The example in a function whose arguments are the example's operands."""
    body = example.split(" = hlt.", 1)[1]
    operands = re.findall(r"%\w+", body)
    types = example.rsplit(" : ", 1)[-1].rsplit("\n    : ", 1)[-1].strip()
    inputs = re.findall(r"tensor<[^>]*>", types.split("->")[0])
    inputs = inputs if types.startswith("(") else inputs * len(operands)
    arguments = ", ".join(f"{name}: {type_}" for name, type_ in zip(operands, inputs, strict=True))
    return f"func.func @f({arguments}) {{\n{example}\nfunc.return\n}}"


@pytest.mark.parametrize("op_class", hlt.OPERATIONS, ids=lambda op_class: op_class.name)
def test_the_documented_example_round_trips(op_class: type[hlt.HltOp]) -> None:
    example = example_of(op_class)
    text = example if op_class is hlt.ConstantOp else with_arguments(example)
    module = Parser(context(), text).parse_module()
    module.verify()
    assert any(isinstance(op, op_class) for op in module.walk())
    again = Parser(context(), str(module)).parse_module()
    assert str(again) == str(module)
    assert again.is_structurally_equivalent(module)
    generic = StringIO()
    Printer(generic, print_generic_format=True).print_op(module)
    assert str(Parser(context(), generic.getvalue()).parse_module()) == str(module)


def test_optional_operands_and_attributes_round_trip() -> None:
    arguments = OpaqueOp(result_types=[hlt.tensor_type(shape, f32) for shape in [(5, 2, 3), (1, 16, 3), (1, 16, 4)]])
    start = OpaqueOp(result_types=[hlt.tensor_type((1, 2, 4), f32)])
    lstm = hlt.LstmOp(*arguments.results, h0=start, clip=0.5)
    lstm.attributes["hlt.node"] = StringAttr("cell")
    module = ModuleOp([arguments, start, lstm])
    text = str(module)
    assert "h0 = %" in text
    assert "clip = 0.5" in text
    assert Parser(context(), text).parse_module().is_structurally_equivalent(module)


@pytest.mark.parametrize("number", [0.0, -0.0, 1e-5, 1e300, 5e-324, float("inf"), float("-inf"), float("nan")])
def test_float_attributes_read_back_bit_for_bit(number: float) -> None:
    x = OpaqueOp(result_types=[hlt.tensor_type((2,), f32)])
    module = ModuleOp([x, hlt.PadOp(x, low=[1], high=[0], value=number)])
    *_, pad = Parser(context(), str(module)).parse_module().ops
    assert isinstance(pad, hlt.PadOp)
    assert np.float64(pad.value).tobytes() == np.float64(number).tobytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('%0 = "test.op"() : () -> tensor<2xf32>\n%1 = hlt.abs %0 <axis = 1> : tensor<2xf32>', "has no attribute axis"),
        ('%0 = "test.op"() : () -> tensor<2xf32>\n%1 = hlt.layer_norm %0, %0 <axis = 0> : tensor<2xf32>', "1 operands"),
        ("%0 = hlt.constant 1 : i64", "hlt.constant holds dense"),
    ],
)
def test_bad_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        Parser(context(), text).parse_module()
