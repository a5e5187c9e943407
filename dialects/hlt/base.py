"""What all ``hlt`` operations share: construction with inferred types, verification, and the custom format.

A class states its operands, results and fields, and one method ``infer`` that checks the constraints and
returns the result types. The constructor and the verifier both run it, so they can't disagree.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

from xdsl.dialects.builtin import DenseArrayBase, TensorType, i32
from xdsl.ir import Attribute, Operation, OpResult, SSAValue, SSAValues
from xdsl.irdl import (
    AttrSizedOperandSegments,
    BaseAttr,
    IRDLOperation,
    OptOperandDef,
    VarOperandDef,
    irdl_op_definition,
    traits_def,
)
from xdsl.parser import Parser, UnresolvedOperand
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.hlt.dtypes import ELEMENT_TYPES, tensor_type
from mlc.dialects.hlt.fields import Field, fail
from mlc.dialects.hlt.narrow import is_narrow

Value = SSAValue | Operation
"""What constructors take as an operand: a value, or an operation with one result."""

TENSOR = BaseAttr(TensorType)
SEGMENTS = "operandSegmentSizes"
OPTIONAL_OPERANDS = (AttrSizedOperandSegments(as_property=True),)
"""``irdl_options`` of an operation that has optional operands."""

OPERATIONS: list[type[HltOp]] = []
"""Every operation of the dialect, in the order of definition."""


class Tensor(NamedTuple):
    """The part of a tensor type that type inference looks at."""

    shape: tuple[int, ...]
    element: Attribute

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def type(self) -> TensorType:
        """The interned type, without a layout."""
        return tensor_type(self.shape, self.element)


@lru_cache(maxsize=4096)
def tensor_of(type_: Attribute) -> Tensor:
    """Shape and element type; raises ``VerifyException`` unless it is a static tensor that ``hlt`` has."""
    if not isinstance(type_, TensorType):
        raise fail("tensor_type", f"{type_} is not a ranked tensor")
    shape, element = type_.get_shape(), type_.element_type
    if any(extent < 0 for extent in shape):
        raise fail("static_shape", f"{type_} has a dynamic extent")
    if element not in ELEMENT_TYPES:
        raise fail("element_type", f"{element} is not an element type of hlt")
    return Tensor(shape, element)


def tensor(value: SSAValue) -> Tensor:
    """Shape and element type of a value."""
    return tensor_of(value.type)


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of a value (or of an operation's single result)."""
    return tensor(SSAValue.get(value)).shape


def element_of(value: Value) -> Attribute:
    """The element type of a value (or of an operation's single result)."""
    return tensor(SSAValue.get(value)).element


def node_name(op: Operation) -> str:
    """How messages call ``op``: the frontend's ``hlt.node`` where there is one, else the operation's name."""
    node = op.attributes.get("hlt.node")
    return op.name if node is None else str(getattr(node, "data", node))


class HltOp(IRDLOperation):
    """Base of all operations: pure, on static tensors, with inferred result types."""

    traits = traits_def(Pure())

    MOVES: ClassVar[bool] = False
    """Whether elements are moved or converted only, so that operands may be of narrow types."""

    def __init__(self, operands: Sequence[Value | None], **attributes: Any) -> None:
        """Operands in order, ``None`` for one left out; attributes as plain values, ``None`` if not given."""
        fields = fields_of(type(self))
        properties: dict[str, Attribute] = {}
        for name, value in attributes.items():
            if value is not None:
                fields[name].check(value)
                properties[name] = fields[name].encode(value)
        if SEGMENTS in self.get_irdl_definition().properties:
            properties[SEGMENTS] = segment_sizes(tuple(int(operand is not None) for operand in operands))
        values = [SSAValue.get(operand) for operand in operands if operand is not None]
        Operation.__init__(self, operands=values, properties=properties)
        try:
            self.check_narrow()
            types = self.infer()
        except VerifyException:
            self.operands = ()
            raise
        self.results = SSAValues(OpResult(type_, self, index) for index, type_ in enumerate(types))

    def check_narrow(self) -> None:
        """[narrow_element_type] nothing is computed in narrow types."""
        if self.MOVES:
            return
        for operand in self.operands:
            if is_narrow(tensor(operand).element):
                raise fail("narrow_element_type", f"{self.name} can't compute in {tensor(operand).element}; cast first")

    def infer(self) -> tuple[TensorType, ...]:
        """Checks every constraint of the operation and returns its result types (without layouts)."""
        raise NotImplementedError

    def verify_(self) -> None:
        """Runs ``infer`` and compares shape and element type of each result; layouts are ignored."""
        for name, field in fields_of(type(self)).items():
            if name in self.properties:
                field.check(field.decode(self.properties[name]))
        self.check_narrow()
        for expected, result in zip(self.infer(), self.results, strict=True):
            if tensor(result) != tensor_of(expected):
                raise fail("result_type", f"{self.name} yields {expected}, but its result is {result.type}")

    def print(self, printer: Printer) -> None:
        """Prints ``%x, mask = %m <axis = 1> {hlt.node = "n"} : type``; one type stands for equal ones."""
        printer.print_string(" ")
        printer.print_list(named_operands(self), lambda item: _print_operand(printer, *item))
        fields = [(name, field) for name, field in fields_of(type(self)).items() if name in self.properties]
        if fields:
            printer.print_string(" <" if self.operands else "<")
            printer.print_list(fields, lambda item: _print_field(printer, self, *item))
            printer.print_string(">")
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        _print_types(printer, self)

    @classmethod
    def parse(cls, parser: Parser) -> HltOp:
        """Parses what ``print`` prints."""
        operands, segments = _parse_operands(parser, cls)
        properties = _parse_fields(parser, cls)
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        position = parser.pos
        operand_types, result_types = _parse_types(parser, len(operands), len(cls.get_irdl_definition().results))
        if segments is not None:
            properties[SEGMENTS] = segments
        return cls.create(
            operands=parser.resolve_operands(operands, operand_types, position),
            result_types=result_types,
            properties=properties,
            attributes=attributes,
        )


OpT = TypeVar("OpT", bound=type[HltOp])

_FIELDS: dict[type[HltOp], dict[str, Field[Any]]] = {}


def hlt_op(cls: OpT) -> OpT:
    """Class decorator: makes fields IRDL properties and lists the operation in ``OPERATIONS``."""
    fields: dict[str, Field[Any]] = {
        name: cast(Field[Any], value)
        for parent in reversed(cls.__mro__)
        for name, value in vars(parent).items()
        if isinstance(value, Field)
    }
    for name, field in fields.items():
        setattr(cls, f"{name}_attr", field.definition())
    _FIELDS[cls] = fields
    OPERATIONS.append(cls)
    return irdl_op_definition(cls)


def fields_of(cls: type[HltOp]) -> dict[str, Field[Any]]:
    """The fields of an operation class by name, in the order of definition."""
    return _FIELDS[cls]


@lru_cache
def segment_sizes(sizes: tuple[int, ...]) -> Attribute:
    """The interned ``operandSegmentSizes`` of an operation."""
    return DenseArrayBase.from_list(i32, sizes)


def named_operands(op: HltOp) -> list[tuple[str | None, SSAValue]]:
    """The present operands in order, optional ones with their name."""
    named: list[tuple[str | None, SSAValue]] = []
    for name, definition in op.get_irdl_definition().operands:
        value = getattr(op, name)
        if isinstance(definition, OptOperandDef):
            named += [] if value is None else [(name, value)]
        elif isinstance(definition, VarOperandDef):
            named += [(None, item) for item in value]
        else:
            named.append((None, value))
    return named


def _print_operand(printer: Printer, name: str | None, value: SSAValue) -> None:
    if name is not None:
        printer.print_string(f"{name} = ")
    printer.print_operand(value)


def _print_field(printer: Printer, op: HltOp, name: str, field: Field[Any]) -> None:
    printer.print_string(f"{name} = ")
    field.print(printer, field.decode(op.properties[name]))


def _print_types(printer: Printer, op: Operation) -> None:
    types = {*op.operand_types, *op.result_types}
    if len(types) == 1:
        printer.print_attribute(types.pop())
    else:
        printer.print_operation_type(op)


def _parse_operands(parser: Parser, cls: type[HltOp]) -> tuple[list[UnresolvedOperand], Attribute | None]:
    """The operands in order and, if the operation has optional ones, its segment sizes."""
    definition = cls.get_irdl_definition()
    optional = [name for name, item in definition.operands if isinstance(item, OptOperandDef)]
    named: dict[str, UnresolvedOperand] = {}

    def parse_one() -> UnresolvedOperand | None:
        name = parser.parse_optional_keyword_in(optional)
        if name is None:
            return parser.parse_unresolved_operand()
        parser.parse_punctuation("=")
        named[name] = parser.parse_unresolved_operand()
        return None

    listed = parser.parse_optional_undelimited_comma_separated_list(parser.parse_optional_unresolved_operand, parse_one)
    positional = [item for item in listed or () if item is not None]
    if SEGMENTS not in definition.properties:
        return positional, None
    required = len(definition.operands) - len(optional)
    if len(positional) != required:
        parser.raise_error(f"{cls.name} takes {required} operands without a name")
    unnamed = iter(positional)
    found = [[named[n]] if n in named else [] if n in optional else [next(unnamed)] for n, _ in definition.operands]
    return [operand for part in found for operand in part], segment_sizes(tuple(map(len, found)))


def _parse_fields(parser: Parser, cls: type[HltOp]) -> dict[str, Attribute]:
    properties: dict[str, Attribute] = {}
    fields = fields_of(cls)

    def parse_one() -> None:
        name = parser.parse_identifier()
        if name not in fields:
            parser.raise_error(f"{cls.name} has no attribute {name}; it has {', '.join(fields)}")
        parser.parse_punctuation("=")
        properties[name] = fields[name].encode(fields[name].parse(parser))

    if parser.parse_optional_punctuation("<") is None:
        return properties
    parser.parse_comma_separated_list(parser.Delimiter.NONE, parse_one)
    parser.parse_punctuation(">")
    return properties


def _parse_types(parser: Parser, operands: int, results: int) -> tuple[Sequence[Attribute], Sequence[Attribute]]:
    function_type = parser.parse_optional_function_type()
    if function_type is not None:
        return function_type.inputs.data, function_type.outputs.data
    shared = parser.parse_type()
    return list(itertools.repeat(shared, operands)), list(itertools.repeat(shared, results))
