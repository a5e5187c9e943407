"""Extents that are known only at run time: named dims with bounds, and integer expressions of them.

`Extent` is what stands in a shape where a number would. Its arithmetic is exact (`past + 1`, `2*seq`, `batch*seq`,
`(seq + 1)//2`), its comparisons hold for every value within the bounds or raise. Nothing takes it for a number by
accident: whatever needs one gets UnsupportedError, which names the dim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import add, mul
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias

import numpy as np

from mlc.errors import UnsupportedError, UsageError

MAX_EXTENT = 1 << 40
"""No dim may be larger, nor may the elements of a tensor of bounded dims be more."""


@dataclass(frozen=True)
class Symbol:
    """A dim that gets its value at run time, ``low`` to ``high`` inclusive."""

    name: str
    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= MAX_EXTENT:
            raise UsageError(f"dim {self.name!r} can't have bounds {self.low}..{self.high}", hint="write 1..512")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Composed:
    """``least(a, b)``, ``greatest(a, b)`` or ``a // b`` where no simpler form is known."""

    kind: str
    a: Extent
    b: Extent

    def __str__(self) -> str:
        if self.kind == "//":
            divisor = str(self.b)
            return f"({self.a})//{divisor if divisor.isidentifier() or divisor.isdigit() else f'({divisor})'}"
        return f"{self.kind}({self.a}, {self.b})"

    @property
    def low(self) -> int:
        """The least value."""
        return _OPERATIONS[self.kind](self.a.low, self.b.low if self.kind != "//" else self.b.high)

    @property
    def high(self) -> int:
        """The greatest value."""
        return _OPERATIONS[self.kind](self.a.high, self.b.high if self.kind != "//" else max(1, self.b.low))


def _floor(a: Any, b: Any) -> Any:
    return a // b


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {"min": min, "max": max, "//": _floor}

Atom: TypeAlias = "Symbol | Composed"
Monomial: TypeAlias = "tuple[Atom, ...]"

if TYPE_CHECKING:
    # Shapes are tuples of int everywhere; importers compute with both kinds in the same way.
    _Number = int
else:
    _Number = object


class Extent(_Number):
    """A polynomial with integer coefficients in bounded dims."""

    __slots__ = ("_hash", "terms")

    terms: tuple[tuple[Monomial, int], ...]

    def __new__(cls, terms: Mapping[Monomial, int]) -> Self:
        """Sorted, without zero terms."""
        self = object.__new__(cls)
        found = [(monomial, factor) for monomial, factor in terms.items() if factor]
        self.terms = tuple(sorted(found, key=lambda term: (-len(term[0]), tuple(map(str, term[0])))))
        self._hash = hash(self.terms)
        return self

    @property
    def low(self) -> int:
        """No value is less."""
        return sum(factor * prod((a.low if factor > 0 else a.high) for a in atoms) for atoms, factor in self.terms)

    @property
    def high(self) -> int:
        """No value is greater: the capacity that storage has along this dim."""
        return sum(factor * prod((a.high if factor > 0 else a.low) for a in atoms) for atoms, factor in self.terms)

    @property
    def symbols(self) -> frozenset[Symbol]:
        """The dims it depends on."""
        atoms = [atom for monomial, _ in self.terms for atom in monomial]
        return frozenset[Symbol]().union(*(_symbols_of(atom) for atom in atoms))

    def evaluate(
        self,
        value: Callable[[Symbol], Any],
        least: Callable[[Any, Any], Any] = min,
        greatest: Callable[[Any, Any], Any] = max,
    ) -> Any:
        """Its value where ``value`` gives that of each symbol: numbers, or anything with ``+``, ``*`` and ``//``."""
        composed: dict[str, Callable[[Any, Any], Any]] = {"min": least, "max": greatest, "//": _floor}

        def atom(item: Atom) -> Any:
            if isinstance(item, Symbol):
                return value(item)
            return composed[item.kind](*(side.evaluate(value, least, greatest) for side in (item.a, item.b)))

        def term(monomial: Monomial, factor: int) -> Any:
            factors = [atom(item) for item in monomial]
            return reduce(mul, factors if factor == 1 and factors else [*factors, factor])

        parts = [term(monomial, factor) for monomial, factor in self.terms]
        return reduce(add, parts) if parts else 0

    def __str__(self) -> str:
        text = ""
        for monomial, factor in self.terms:
            sign = ("-" if factor < 0 else "") if not text else (" - " if factor < 0 else " + ")
            single = len(monomial) == 1 and abs(factor) == 1
            names = "*".join(str(a) if single or not _divides(a) else f"({a})" for a in monomial)
            magnitude = "" if abs(factor) == 1 and names else str(abs(factor))
            text += sign + "*".join(filter(None, (magnitude, names)))
        return text or "0"

    __repr__ = __str__

    # Arithmetic: the results are plain numbers where they can be

    def __add__(self, other: int) -> int:
        return _combined(self, other, 1)

    __radd__ = __add__

    def __sub__(self, other: int) -> int:
        return _combined(self, other, -1)

    def __rsub__(self, other: int) -> int:
        return other + self * -1

    def __neg__(self) -> int:
        return self * -1

    def __mul__(self, other: int) -> int:
        product: dict[Monomial, int] = {}
        for a, x in self.terms:
            for b, y in _terms(other):
                key = tuple(sorted(a + b, key=str))
                product[key] = product.get(key, 0) + x * y
        return _simple(product)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> int:
        """Exact where every term is divisible; what is left over stays in a quotient of its own."""
        return _divided(self, other)

    def __rfloordiv__(self, other: int) -> int:
        return _simple({(Composed("//", _extent(other), self),): 1})

    def __mod__(self, other: int) -> int:
        return self - _divided(self, other) * other

    def __rmod__(self, other: int) -> int:
        return other - (other // self) * self

    # Comparison: decided for all values within the bounds, or not at all

    def __eq__(self, other: object) -> bool:
        """Whether both are the same expression; an extent that merely may have the same value is another."""
        return isinstance(other, Extent) and self.terms == other.terms

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: int) -> bool:
        return _decided(self, "<", other, self - other, -1)

    def __le__(self, other: int) -> bool:
        return _decided(self, "<=", other, self - other, 0)

    def __gt__(self, other: int) -> bool:
        return not self <= other

    def __ge__(self, other: int) -> bool:
        return not self < other

    def __bool__(self) -> bool:
        if self.low <= 0 <= self.high:
            raise undecided(f"whether {self} is 0", self)
        return True

    def __index__(self) -> NoReturn:
        raise undecided(f"the number of {self}", self)

    __int__ = __float__ = __index__

    def __reduce__(self) -> tuple[Any, ...]:
        return (Extent, (dict(self.terms),))


Shape: TypeAlias = "tuple[int, ...]"
"""Extents of dims; some may be an `Extent`."""


def undecided(what: str, *extents: int) -> UnsupportedError:
    """The error for something that has no one answer for all values of the dims."""
    symbols = sorted({s for e in extents if isinstance(e, Extent) for s in e.symbols}, key=str)
    bounds = ", ".join(f"{s.name} in {s.low}..{s.high}" for s in symbols)
    return UnsupportedError(f"this needs {what}, which is known only at run time ({bounds})")


def dim(symbol: Symbol) -> int:
    """A symbol as an extent; one whose bounds meet is a number."""
    return symbol.low if symbol.low == symbol.high else Extent({(symbol,): 1})


def is_bounded(shape: Iterable[object]) -> bool:
    """Whether some extent is known only at run time."""
    return any(isinstance(extent, Extent) for extent in shape)


def capacity(extent: int) -> int:
    """The greatest value of an extent."""
    return extent.high if isinstance(extent, Extent) else extent


def capacities(shape: Sequence[int]) -> tuple[int, ...]:
    """The greatest value of each extent: the shape of storage."""
    return tuple(capacity(extent) for extent in shape)


def least(a: int, b: int) -> int:
    """The smaller of two extents."""
    return _chosen("min", a, b)


def greatest(a: int, b: int) -> int:
    """The larger of two extents."""
    return _chosen("max", a, b)


def is_simple(extent: int) -> bool:
    """Whether an extent divides by nothing but numbers, for which every machine has code."""
    if not isinstance(extent, Extent):
        return True
    composed = [a for monomial, _ in extent.terms for a in monomial if isinstance(a, Composed)]
    return all(is_simple(a.a) and is_simple(a.b) and (a.kind != "//" or not a.b.symbols) for a in composed)


def value_of(extent: int, values: Mapping[str, int]) -> int:
    """An extent's value, given those of the dims by name."""
    return extent.evaluate(lambda symbol: values[symbol.name]) if isinstance(extent, Extent) else extent


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """NumPy's rule; a bounded dim goes with itself and with 1. ValueError or UnsupportedError where it fails."""
    if not any(is_bounded(shape) for shape in shapes):
        return np.broadcast_shapes(*shapes)
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(_broadcast_extent(column, shapes) for column in zip(*padded))


def _broadcast_extent(column: Sequence[int], shapes: Sequence[Sequence[int]]) -> int:
    found = {extent for extent in column if extent != 1}
    if len(found) <= 1:
        return found.pop() if found else 1
    if is_bounded(found):
        raise undecided(f"whether {' and '.join(sorted(map(str, found)))} are equal", *found)
    raise ValueError(f"shapes {', '.join(str(list(shape)) for shape in shapes)} do not broadcast")


def _chosen(kind: str, a: int, b: int) -> int:
    if not is_bounded((a, b)):
        return _OPERATIONS[kind](a, b)
    difference = _extent(a - b)
    if difference.high <= 0 or difference.low >= 0:
        return (a if difference.high <= 0 else b) if kind == "min" else (b if difference.high <= 0 else a)
    return _simple({(Composed(kind, _extent(a), _extent(b)),): 1})


def _divides(atom: Atom) -> bool:
    return isinstance(atom, Composed) and atom.kind == "//"


def _symbols_of(atom: Atom) -> frozenset[Symbol]:
    return frozenset((atom,)) if isinstance(atom, Symbol) else atom.a.symbols | atom.b.symbols


def _terms(value: int) -> tuple[tuple[Monomial, int], ...]:
    return value.terms if isinstance(value, Extent) else (((), int(value)),)


def _extent(value: int) -> Extent:
    return value if isinstance(value, Extent) else Extent({(): int(value)})


def _simple(terms: Mapping[Monomial, int]) -> int:
    found = Extent(terms)
    return found if any(monomial for monomial, _ in found.terms) else sum(factor for _, factor in found.terms)


def _combined(a: int, b: int, sign: int) -> int:
    terms = dict(_terms(a))
    for monomial, factor in _terms(b):
        terms[monomial] = terms.get(monomial, 0) + sign * factor
    return _simple(terms)


def _divided(value: Extent, divisor: int) -> int:
    divisors = _terms(divisor)
    if len(divisors) != 1:
        return 1 if value == divisor else _simple({(Composed("//", value, _extent(divisor)),): 1})
    (below, number), exact, rest = divisors[0], dict[Monomial, int](), dict[Monomial, int]()
    if not number:
        raise ZeroDivisionError(f"{value} divided by zero")
    for monomial, factor in value.terms:
        quotient = _without(monomial, below)
        if quotient is None or factor % number:
            rest[monomial] = factor
        else:
            exact[quotient] = factor // number
    left = _simple(rest)
    if not below and not isinstance(left, Extent):
        return _simple(exact) + left // number
    return _simple(exact) + (_simple({(Composed("//", _extent(left), _extent(divisor)),): 1}) if rest else 0)


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _decided(a: int, sign: str, b: int, difference: int, limit: int) -> bool:
    """Whether ``difference <= limit`` for all values."""
    low, high = (_extent(difference).low, _extent(difference).high)
    if high <= limit:
        return True
    if low > limit:
        return False
    raise undecided(f"whether {a} {sign} {b}", a, b)


# --- text

_TOKENS = re.compile(r"\s*(?:(\d+)|([A-Za-z_][\w.]*)|(//|[-+*(),]))")


class _Parser:
    """Recursive descent over the tokens of an expression."""

    def __init__(self, text: str, extents: Mapping[str, int]) -> None:
        self.text, self.extents = text, extents
        self.tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKENS.match(text, at)
            if match is None:
                raise self.error()
            self.tokens.append(match.group().strip())
            at = match.end()

    def error(self) -> UsageError:
        return UsageError(f"{self.text!r} is no expression of dims", hint="write for example past + 1 or 2*seq")

    def take(self, *tokens: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in tokens else None

    def whole(self) -> int:
        value = self.sum()
        if self.tokens:
            raise self.error()
        return value

    def sum(self) -> int:
        value = -self.product() if self.take("-") else self.product()
        while sign := self.take("+", "-"):
            value = value + self.product() if sign == "+" else value - self.product()
        return value

    def product(self) -> int:
        value = self.atom()
        while sign := self.take("*", "//"):
            value = value * self.atom() if sign == "*" else value // self.atom()
        return value

    def atom(self) -> int:
        if not self.tokens:
            raise self.error()
        token = self.tokens.pop(0)
        if token == "(":
            return self.closed(self.sum())
        if token.isdigit():
            return int(token)
        if token in ("min", "max") and self.take("("):
            first = self.sum()
            if not self.take(","):
                raise self.error()
            return self.closed(_chosen(token, first, self.sum()))
        if token not in self.extents:
            raise self.error()
        return self.extents[token]

    def closed(self, value: int) -> int:
        if not self.take(")"):
            raise self.error()
        return value


def parse_extent(text: str, extents: Mapping[str, int]) -> int:
    """What ``str`` of an extent prints, of the ``extents`` with these names; UsageError for other text."""
    return _Parser(text, extents).whole()


def symbol_name(name: str) -> str:
    """``name`` as expressions can spell it."""
    text = re.sub(r"[^\w.]", "_", name, flags=re.ASCII)
    return text if re.match(r"[A-Za-z_]", text) else f"d{text}"
