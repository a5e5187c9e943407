"""What callers say of dims: a number, a range ``1..512``, or an expression of other dims such as ``past + 1``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from mlc.dialects.extents import Extent, Symbol, dim, parse_extent, symbol_name
from mlc.errors import UsageError

Spec: TypeAlias = "int | str"

_RANGE = re.compile(r"(\d+)\.\.(\d+)\Z")


def resolve_dims(dims: Mapping[str, Spec]) -> dict[str, int]:
    """Each dim as a number or an `Extent`.

    Raises UsageError for bad text, for expressions of dims that are not given, and for those that go in circles.
    """
    known: dict[str, int] = {}
    pending: dict[str, str] = {}
    for name, spec in dims.items():
        match = _RANGE.match(spec) if isinstance(spec, str) else None
        if match:
            known[name] = dim(Symbol(symbol_name(name), int(match[1]), int(match[2])))
        elif isinstance(spec, str):
            pending[name] = spec
        else:
            known[name] = spec
    while pending:
        made = {name: value for name, text in pending.items() if (value := _tried(text, known)) is not None}
        if not made:
            name, text = next(iter(pending.items()))
            hint = "write a number, a range like 1..512, or an expression of other dims like past + 1"
            raise UsageError(f"dim {name!r} can't be {text!r}", hint=hint)
        if negative := next(
            (name for name, value in made.items() if not isinstance(value, Extent) and value < 0), None
        ):
            raise UsageError(f"dim {negative!r} can't be {pending[negative]!r}: that is {made[negative]}")
        known |= made
        pending = {name: text for name, text in pending.items() if name not in made}
    return known


def named_expressions(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """Dims whose very name is an expression of known ones, as some exporters write: ``past_length + 1``."""
    tried = {name: _tried(name, known) for name in names if name not in known and re.search(r"[-+*/]", name)}
    return {name: value for name, value in tried.items() if value is not None}


def symbols_of(extents: Iterable[int]) -> tuple[Symbol, ...]:
    """The symbols of extents, each once, in the order of appearance."""
    found = [s for e in extents if isinstance(e, Extent) for s in sorted(e.symbols, key=str)]
    return tuple(dict.fromkeys(found))


def _tried(text: str, known: Mapping[str, int]) -> int | None:
    try:
        return parse_extent(text, {symbol_name(name): extent for name, extent in known.items()})
    except UsageError:
        return None
