"""``hlt.fusion``: operations that become one kernel. ``lowering/graph/group`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    lazy_traits_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser, UnresolvedOperand
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsolatedFromAbove, IsTerminator, Pure

from mlc.dialects.hlt.base import TENSOR, HltOp, Value, tensor_of
from mlc.dialects.hlt.fields import fail


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a region of a fusion or of control flow: ``hlt.yield %0, %1 : tensor<2xf32>, tensor<2xi1>``."""

    name = "hlt.yield"

    values = var_operand_def(TENSOR)
    traits = lazy_traits_def(lambda: (IsTerminator(), HasParent(*_with_regions()), Pure()))
    assembly_format = "($values^ `:` type($values))? attr-dict"

    def __init__(self, *values: Value) -> None:
        super().__init__(operands=[[SSAValue.get(value) for value in values]])


@irdl_op_definition
class FusionOp(IRDLOperation):
    """A run of ``hlt`` operations that is compiled as one kernel.

    It sees its operands as block arguments and nothing else; its results are what the body yields.

    ```
    %2 = hlt.fusion(%x = %0 : tensor<2x3xf32>, %y = %1 : tensor<3xf32>) -> (tensor<2x3xf32>) {
      %3 = hlt.broadcast %y <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
      %4 = hlt.add %x, %3 : tensor<2x3xf32>
      hlt.yield %4 : tensor<2x3xf32>
    }
    ```
    """

    name = "hlt.fusion"

    inputs = var_operand_def(TENSOR)
    outputs = var_result_def(TENSOR)
    body = region_def("single_block")
    traits = traits_def(Pure(), IsolatedFromAbove())

    def __init__(self, inputs: Sequence[Value], body: Block) -> None:
        """``body`` has one argument per input and ends with a ``YieldOp``."""
        terminator = body.last_op
        if not isinstance(terminator, YieldOp):
            raise fail("fusion_yield", "the body does not end with hlt.yield")
        super().__init__(
            operands=[[SSAValue.get(value) for value in inputs]],
            result_types=[terminator.operand_types],
            regions=[Region(body)],
        )

    @property
    def terminator(self) -> YieldOp:
        """The ``hlt.yield`` that ends the body."""
        terminator = self.body.block.last_op
        if not isinstance(terminator, YieldOp):
            raise fail("fusion_yield", "the body does not end with hlt.yield")
        return terminator

    @property
    def members(self) -> list[HltOp]:
        """The operations of the body in order, without the terminator."""
        return [op for op in self.body.block.ops if isinstance(op, HltOp)]

    def verify_(self) -> None:
        """[fusion_arguments], [fusion_yield], [fusion_results], [fusion_body] only hlt operations inside."""
        arguments = self.body.block.arg_types
        if not same_types(arguments, self.operand_types):
            raise fail(
                "fusion_arguments", f"arguments {type_list(arguments)} for operands {type_list(self.operand_types)}"
            )
        yielded = self.terminator.operand_types
        if not same_types(yielded, self.result_types):
            raise fail("fusion_results", f"{type_list(yielded)} is yielded for results {type_list(self.result_types)}")
        for op in self.body.block.ops:
            if not isinstance(op, HltOp | YieldOp):
                raise fail("fusion_body", f"{op.name} can't stand in a fusion")

    def print(self, printer: Printer) -> None:
        """Prints ``(%x = %0 : type, ...) -> (types) {body}`` and the attributes."""
        with printer.in_parens():
            printer.print_list(
                tuple(zip(self.body.block.args, self.inputs, strict=True)),
                lambda pair: print_capture(printer, *pair),
            )
        printer.print_string(" -> ")
        with printer.in_parens():
            printer.print_list(self.result_types, printer.print_attribute)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> FusionOp:
        """Parses what ``print`` prints."""
        captures = parser.parse_comma_separated_list(parser.Delimiter.PAREN, lambda: _parse_capture(parser))
        parser.parse_punctuation("->")
        result_types = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)
        operands = [parser.resolve_operand(operand, argument.type) for argument, operand in captures]
        region = parser.parse_region([argument for argument, _ in captures])
        attributes = parser.parse_optional_attr_dict()
        return cls.create(operands=operands, result_types=result_types, regions=[region], attributes=attributes)


def _with_regions() -> tuple[type[Operation], ...]:
    from mlc.dialects.hlt.control import IfOp, LoopOp

    return FusionOp, IfOp, LoopOp


def same_types(left: Sequence[Attribute], right: Sequence[Attribute]) -> bool:
    """Whether shapes and element types agree; layouts are ignored."""
    return len(left) == len(right) and all(tensor_of(a) == tensor_of(b) for a, b in zip(left, right))


def type_list(types: Sequence[Attribute]) -> str:
    """Types for a message."""
    return ", ".join(map(str, types)) or "none"


def print_capture(printer: Printer, argument: SSAValue, operand: SSAValue) -> None:
    """Prints ``%argument = %operand : type``."""
    # The scope of the body's names is open already: print the outer name through the same printer.
    printer.print_ssa_value(argument)
    printer.print_string(" = ")
    printer.print_ssa_value(operand)
    printer.print_string(" : ")
    printer.print_attribute(operand.type)


def _parse_capture(parser: Parser) -> tuple[Any, UnresolvedOperand]:
    argument = parser.parse_argument(expect_type=False)
    parser.parse_punctuation("=")
    operand = parser.parse_unresolved_operand()
    parser.parse_punctuation(":")
    return argument.resolve(parser.parse_type()), operand


def fused(op: Operation) -> FusionOp | None:
    """The fusion that ``op`` stands in."""
    parent = op.parent_op()
    return parent if isinstance(parent, FusionOp) else None
