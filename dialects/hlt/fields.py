"""Attributes of ``hlt`` operations as typed Python values.

A field is declared once in the class body (``axes = Ints()``). It defines the IRDL property of that name,
encodes the constructor's argument, reads the property back as a plain Python value (``op.axes == (0, 2)``),
and prints and parses it in the custom format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, Self, TypeVar, cast, overload

from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute, TypeAttribute
from xdsl.irdl import BaseAttr, opt_prop_def, prop_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

T = TypeVar("T")


def fail(label: str, message: str) -> VerifyException:
    """The exception for a broken constraint, to be raised by the caller."""
    return VerifyException(f"[{label}] {message}")


class Field(property, Generic[T]):
    """One attribute of an operation: a codec between an xDSL attribute and a plain Python value."""

    attribute: type[Attribute]
    name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Self | T:
        return self if instance is None else self.decode(instance.properties[self.name])

    def definition(self) -> Any:
        """The IRDL definition of the property."""
        return prop_def(BaseAttr(self.attribute), prop_name=self.name)

    def check(self, value: T) -> None:
        """Raises ``VerifyException`` if ``value`` is outside the field's domain."""

    def encode(self, value: T) -> Attribute:
        """The attribute that holds ``value``."""
        raise NotImplementedError

    def decode(self, attr: Attribute) -> T:
        """The value that ``attr`` holds."""
        raise NotImplementedError

    def print(self, printer: Printer, value: T) -> None:
        """Prints ``value`` in the custom format."""
        raise NotImplementedError

    def parse(self, parser: Parser) -> T:
        """Parses what ``print`` prints."""
        raise NotImplementedError


class Int(Field[int]):
    """A 64-bit integer."""

    attribute = IntegerAttr

    def encode(self, value: int) -> Attribute:
        return _int_attr(int(value))

    def decode(self, attr: Attribute) -> int:
        return cast(IntegerAttr, attr).value.data

    def print(self, printer: Printer, value: int) -> None:
        printer.print_string(str(value))

    def parse(self, parser: Parser) -> int:
        return parser.parse_integer(allow_boolean=False)


class Bool(Field[bool]):
    """A boolean."""

    attribute = IntegerAttr

    def encode(self, value: bool) -> Attribute:
        return _bool_attr(bool(value))

    def decode(self, attr: Attribute) -> bool:
        return bool(cast(IntegerAttr, attr).value.data)

    def print(self, printer: Printer, value: bool) -> None:
        printer.print_string("true" if value else "false")

    def parse(self, parser: Parser) -> bool:
        return parser.parse_boolean()


class Float(Field[float]):
    """A 64-bit float; infinities and NaN are the keywords ``inf`` and ``nan``."""

    attribute = FloatAttr

    def encode(self, value: float) -> Attribute:
        return _float_attr(float(value))

    def decode(self, attr: Attribute) -> float:
        return cast(FloatAttr, attr).value.data

    def print(self, printer: Printer, value: float) -> None:
        printer.print_string(_float_text(value))

    def parse(self, parser: Parser) -> float:
        return _parse_float(parser)


class OptionalFloat(Field[float | None]):
    """A 64-bit float, or ``None`` where the property is absent."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return None if instance is not None and self.name not in instance.properties else super().__get__(instance)

    def definition(self) -> Any:
        return opt_prop_def(BaseAttr(FloatAttr), prop_name=self.name)

    def encode(self, value: float | None) -> Attribute:
        return _float_attr(float(cast(float, value)))

    def decode(self, attr: Attribute) -> float:
        return cast(FloatAttr, attr).value.data

    def print(self, printer: Printer, value: float | None) -> None:
        printer.print_string(_float_text(cast(float, value)))

    def parse(self, parser: Parser) -> float:
        return _parse_float(parser)


class Enum(Field[str]):
    """One of a closed set of words; the constraint's label is the field's name."""

    attribute = StringAttr

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def check(self, value: str) -> None:
        if value not in self.words:
            raise fail(self.name, f"{self.name} is {value!r}, must be one of {', '.join(self.words)}")

    def encode(self, value: str) -> Attribute:
        return _string_attr(value)

    def decode(self, attr: Attribute) -> str:
        return cast(StringAttr, attr).data

    def print(self, printer: Printer, value: str) -> None:
        printer.print_string_literal(value)

    def parse(self, parser: Parser) -> str:
        return parser.parse_str_literal()


class Ints(Field[tuple[int, ...]]):
    """A list of 64-bit integers."""

    attribute = DenseArrayBase

    def check(self, value: tuple[int, ...]) -> None:
        if any(not -(2**63) <= item < 2**63 for item in value):
            raise fail("int_range", f"{self.name} has an element outside 64 bits")

    def encode(self, value: Sequence[int]) -> Attribute:
        return _ints_attr(tuple(int(item) for item in value))

    def decode(self, attr: Attribute) -> tuple[int, ...]:
        return _ints_of(attr)

    def print(self, printer: Printer, value: tuple[int, ...]) -> None:
        _print_list(printer, value, lambda item: printer.print_string(str(item)))

    def parse(self, parser: Parser) -> tuple[int, ...]:
        return _parse_list(parser, lambda: parser.parse_integer(allow_boolean=False))


class Floats(Field[tuple[float, ...]]):
    """A list of 64-bit floats."""

    attribute = DenseArrayBase

    def encode(self, value: Sequence[float]) -> Attribute:
        return DenseArrayBase.from_list(f64, [float(item) for item in value])

    def decode(self, attr: Attribute) -> tuple[float, ...]:
        return tuple(float(item) for item in cast(DenseArrayBase[Any], attr).get_values())

    def print(self, printer: Printer, value: tuple[float, ...]) -> None:
        _print_list(printer, value, lambda item: printer.print_string(_float_text(item)))

    def parse(self, parser: Parser) -> tuple[float, ...]:
        return _parse_list(parser, lambda: _parse_float(parser))


class Strings(Field[tuple[str, ...]]):
    """A list of words out of a closed set; the constraint's label is the field's name."""

    attribute = ArrayAttr

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def check(self, value: tuple[str, ...]) -> None:
        for item in value:
            if item not in self.words:
                raise fail(self.name, f"{self.name} has {item!r}, must be of {', '.join(self.words)}")

    def encode(self, value: Sequence[str]) -> Attribute:
        return ArrayAttr([_string_attr(item) for item in value])

    def decode(self, attr: Attribute) -> tuple[str, ...]:
        return tuple(cast(StringAttr, item).data for item in cast(ArrayAttr[Attribute], attr))

    def print(self, printer: Printer, value: tuple[str, ...]) -> None:
        _print_list(printer, value, printer.print_string_literal)

    def parse(self, parser: Parser) -> tuple[str, ...]:
        return _parse_list(parser, parser.parse_str_literal)


class Element(Field[Attribute]):
    """An element type."""

    attribute = Attribute

    def definition(self) -> Any:
        return prop_def(prop_name=self.name)

    def encode(self, value: Attribute) -> Attribute:
        return value

    def decode(self, attr: Attribute) -> Attribute:
        return attr

    def print(self, printer: Printer, value: Attribute) -> None:
        printer.print_attribute(value)

    def parse(self, parser: Parser) -> TypeAttribute:
        return parser.parse_type()


@lru_cache(maxsize=1024)
def _int_attr(value: int) -> Attribute:
    return IntegerAttr(value, i64)


@lru_cache
def _bool_attr(value: bool) -> Attribute:
    return BoolAttr.from_bool(value)


def _float_attr(value: float) -> Attribute:
    return FloatAttr(value, f64)


@lru_cache(maxsize=1024)
def _string_attr(value: str) -> StringAttr:
    return StringAttr(value)


@lru_cache(maxsize=4096)
def _ints_attr(value: tuple[int, ...]) -> Attribute:
    return DenseArrayBase.from_list(i64, value)


@lru_cache(maxsize=4096)
def _ints_of(attr: Attribute) -> tuple[int, ...]:
    return tuple(int(item) for item in cast(DenseArrayBase[Any], attr).get_values())


def _print_list(printer: Printer, items: Sequence[T], print_one: Callable[[T], object]) -> None:
    printer.print_string("[")
    printer.print_list(items, print_one)
    printer.print_string("]")


def _parse_list(parser: Parser, parse_one: Callable[[], T]) -> tuple[T, ...]:
    return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parse_one))


def _float_text(value: float) -> str:
    """The shortest text that reads back as ``value``; MLIR wants a point in every float."""
    if not math.isfinite(value):
        return str(value)
    mantissa, _, exponent = repr(value).partition("e")
    point = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{point}e{exponent}" if exponent else point


def _parse_float(parser: Parser) -> float:
    negative = parser.parse_optional_punctuation("-") is not None
    word = parser.parse_optional_keyword_in(("inf", "nan"))
    value = float(word) if word else float(parser.parse_number())
    return -value if negative else value
