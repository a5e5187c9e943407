"""The signature of a program with bounded dims: which dims there are, and the shapes that depend on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlc.dialects.extents import Extent, Symbol, dim, parse_extent, value_of
from mlc.errors import ModelError, UsageError

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

BOUNDS = "mlc.bounds"
"""Attribute of a module: its bounds of dims as JSON."""

Where: TypeAlias = Literal["least", "middle", "greatest"]
"""Some of the values that a dim within bounds may have."""


@dataclass(frozen=True)
class Bounds:
    """``symbols`` get their values from the caller, in this order; ``found`` from the program, as it runs.

    ``inputs`` and ``outputs`` are the shapes of the program's tensors. Where they are bounded, @main has storage of
    full capacity; its arguments end with the values of ``symbols``, its results with those of ``found``.
    """

    symbols: tuple[Symbol, ...]
    found: tuple[Symbol, ...]
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]

    @property
    def arguments(self) -> int:
        """The number of @main's arguments."""
        return len(self.inputs) + (1 if self.symbols else 0)

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON; `of_data` reads it."""
        return {
            "dims": [[s.name, s.low, s.high] for s in self.symbols],
            "found": [[s.name, s.low, s.high] for s in self.found],
            "inputs": [[str(extent) for extent in shape] for shape in self.inputs],
            "outputs": [[str(extent) for extent in shape] for shape in self.outputs],
        }

    @staticmethod
    def of_data(data: Mapping[str, Any]) -> Bounds:
        """What `to_data` made; ModelError for anything else."""
        try:
            symbols, found = ([Symbol(str(n), int(a), int(z)) for n, a, z in data[key]] for key in ("dims", "found"))
            names = {symbol.name: dim(symbol) for symbol in (*symbols, *found)}
            inputs, outputs = (
                tuple(tuple(parse_extent(text, names) for text in shape) for shape in data[key])
                for key in ("inputs", "outputs")
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise ModelError(f"these are no bounds of dims: {error}") from error
        return Bounds(tuple(symbols), tuple(found), inputs, outputs)

    def solve(self, shapes: Sequence[Sequence[int]]) -> dict[str, int] | None:
        """The values of the symbols for inputs of these shapes; None when they are none that the bounds allow."""
        values: dict[str, int] = {}
        pairs = [pair for shape, given in zip(self.inputs, shapes, strict=True) for pair in zip(shape, given)]
        if any(len(shape) != len(given) for shape, given in zip(self.inputs, shapes)):
            return None
        for extent, number in pairs:
            symbol = plain_symbol(extent)
            if symbol is not None:
                values.setdefault(symbol.name, number)
        if any(s.name not in values or not s.low <= values[s.name] <= s.high for s in self.symbols):
            return None
        return values if all(value_of(extent, values) == number for extent, number in pairs) else None

    def input_shapes(self, given: Sequence[Sequence[int] | None], where: Where = "middle") -> list[tuple[int, ...]]:
        """The inputs' shapes; dims that no given shape settles are the least, the greatest, or half-way between."""
        values = {symbol.name: _value(symbol, where) for symbol in self.symbols}
        for shape, numbers in zip(self.inputs, given, strict=True):
            symbols = map(plain_symbol, shape)
            values |= {symbol.name: number for symbol, number in zip(symbols, numbers or ()) if symbol is not None}
        return [tuple(value_of(extent, values) for extent in shape) for shape in self.inputs]

    def output_shapes(self, values: Mapping[str, int]) -> list[tuple[int, ...]]:
        """The outputs' shapes, the values of all dims given by name."""
        return [tuple(value_of(extent, values) for extent in shape) for shape in self.outputs]

    def output_rooms(self, values: Mapping[str, int]) -> list[tuple[int, ...]]:
        """The outputs' greatest shapes before the program runs: what it finds counts in full."""
        return self.output_shapes({**values, **{symbol.name: symbol.high for symbol in self.found}})


def _value(symbol: Symbol, where: Where) -> int:
    """One of the values that a dim may have."""
    if where == "middle":
        return (symbol.low + symbol.high + 1) // 2
    return symbol.low if where == "least" else symbol.high


def plain_symbol(extent: int) -> Symbol | None:
    """The symbol that an extent consists of; None for a number and for expressions."""
    if not isinstance(extent, Extent):
        return None
    symbols = list(extent.symbols)
    return symbols[0] if len(symbols) == 1 and extent == dim(symbols[0]) else None


def bounds_of(module: ModuleOp) -> Bounds | None:
    """The bounds of dims that a module's attributes tell of; None when all its shapes are fixed.

    Raises ModelError for an attribute that is no bounds.
    """
    from xdsl.dialects.builtin import StringAttr

    found = module.attributes.get(BOUNDS)
    if found is None:
        return None
    try:
        return Bounds.of_data(json.loads(found.data if isinstance(found, StringAttr) else ""))
    except ValueError as error:
        raise ModelError(f"attribute {BOUNDS!r} is no JSON text: {error}") from error
