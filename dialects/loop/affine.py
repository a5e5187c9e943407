"""Quasi-affine index expressions over named dims: the algebra behind ``#loop.map``.

An expression is an integer constant plus a sum of integer multiples of atoms; an atom is a dim, the floor
quotient or remainder of an expression by a positive constant (``n//16``, ``n%16``), or a subscript: a value that is
read from memory (``@0[512]``). Expressions are immutable tuples in a canonical order, so equal expressions compare
and hash equal. Dims are non-negative.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

Ranges: TypeAlias = Mapping[str, int]
"""Extent of each dim: dim ``d`` takes the values ``0 .. extent - 1``."""


class Quotient(NamedTuple):
    """The atom ``expr // divisor`` (``kind == "//"``) or ``expr % divisor`` (``kind == "%"``)."""

    kind: str
    expr: Expr
    divisor: int


class Subscript(NamedTuple):
    """The atom ``@number[extent]``: the value of a subscript operand, an index into ``extent`` elements.

    A negative value counts from the end. The value used always lies in ``0 .. extent - 1``.
    """

    number: int
    extent: int

    def __str__(self) -> str:
        return f"@{self.number}[{self.extent}]"


Atom: TypeAlias = "str | Quotient | Subscript"


class Expr(NamedTuple):
    """``const + sum(coefficient * atom)``; build with `dim`, `constant` and the functions of this module."""

    const: int
    terms: tuple[tuple[Atom, int], ...]

    def plus(self, other: Expr) -> Expr:
        """The sum."""
        if not other.terms:
            return Expr(self.const + other.const, self.terms) if other.const else self
        if not self.terms:
            return Expr(self.const + other.const, other.terms)
        return _build(self.const + other.const, (*self.terms, *other.terms))

    def times(self, factor: int) -> Expr:
        """The product with a number."""
        if factor == 1:
            return self
        return Expr(self.const * factor, tuple((a, c * factor) for a, c in self.terms) if factor else ())

    def shifted(self, offset: int) -> Expr:
        """The sum with a number."""
        return Expr(self.const + offset, self.terms) if offset else self

    @property
    def is_constant(self) -> bool:
        """Whether it depends on no dim and no value."""
        return not self.terms

    @property
    def as_dim(self) -> str | None:
        """The dim's name when the expression is exactly one dim."""
        if self.const == 0 and len(self.terms) == 1:
            atom, coefficient = self.terms[0]
            if coefficient == 1 and isinstance(atom, str):
                return atom
        return None

    def __str__(self) -> str:
        return _format(self)


def constant(value: int) -> Expr:
    """The constant expression ``value``."""
    return Expr(value, ())


_DIMS: dict[str, Expr] = {}


def dim(name: str) -> Expr:
    """The dim ``name`` as an expression."""
    found = _DIMS.get(name)
    if found is None:
        found = _DIMS[name] = Expr(0, ((name, 1),))
    return found


def subscript(number: int, extent: int) -> Expr:
    """The value of a subscript operand as an expression."""
    return _atom(Subscript(number, extent))


def total(parts: Iterable[Expr]) -> Expr:
    """The sum of expressions."""
    const = 0
    terms: list[tuple[Atom, int]] = []
    for part in parts:
        const += part.const
        terms.extend(part.terms)
    return _build(const, terms)


def linear(strides: Iterable[int], indices: Iterable[Expr]) -> Expr:
    """``sum(stride * index)``: the address of a multi-index in a strided buffer."""
    return total(i.times(s) for s, i in zip(strides, indices, strict=True))


def floordiv(expr: Expr, divisor: int, ranges: Ranges) -> Expr:
    """``expr // divisor``, simplified with the dims' ranges."""
    return _divide(expr, divisor, ranges)[0]


def mod(expr: Expr, divisor: int, ranges: Ranges) -> Expr:
    """``expr % divisor``, simplified with the dims' ranges."""
    return _divide(expr, divisor, ranges)[1]


def substitute(expr: Expr, values: Mapping[str, Expr], ranges: Ranges) -> Expr:
    """Replace dims by expressions; ``ranges`` are those of the dims that occur in the result."""
    if not expr.terms:
        return expr
    parts = [constant(expr.const)]
    for atom, coefficient in expr.terms:
        if isinstance(atom, str):
            parts.append(values.get(atom, dim(atom)).times(coefficient))
            continue
        if isinstance(atom, Subscript):
            parts.append(_atom(atom).times(coefficient))
            continue
        inner = substitute(atom.expr, values, ranges)
        parts.append(_quotient(atom.kind, inner, atom.divisor, ranges).times(coefficient))
    return total(parts)


def simplify(expr: Expr, ranges: Ranges) -> Expr:
    """The same value with quotients resolved as far as the ranges allow."""
    return substitute(expr, {}, ranges)


def bounds(expr: Expr, ranges: Ranges) -> tuple[int, int]:
    """An interval ``(low, high)``, both inclusive, that contains every value of ``expr``."""
    low = high = expr.const
    for atom, coefficient in expr.terms:
        lo, hi = _atom_bounds(atom, ranges)
        if coefficient < 0:
            lo, hi = hi, lo
        low += lo * coefficient
        high += hi * coefficient
    return low, high


def dims_of(expr: Expr) -> set[str]:
    """The names of all dims in ``expr``."""
    found: set[str] = set()
    for atom, _ in expr.terms:
        if isinstance(atom, str):
            found.add(atom)
        elif isinstance(atom, Quotient):
            found |= dims_of(atom.expr)
    return found


def subscripts_of(expr: Expr) -> set[Subscript]:
    """All subscripts in ``expr``."""
    found: set[Subscript] = set()
    for atom, _ in expr.terms:
        if isinstance(atom, Subscript):
            found.add(atom)
        elif isinstance(atom, Quotient):
            found |= subscripts_of(atom.expr)
    return found


def quotient_dims(expr: Expr) -> set[str]:
    """The dims that occur inside some quotient."""
    return {d for atom, _ in expr.terms if isinstance(atom, Quotient) for d in dims_of(atom.expr)}


def evaluate(expr: Expr, values: Mapping[str, Any]) -> Any:
    """The value for concrete dims: ints, or integer arrays that broadcast; subscripts by the name ``@0``."""
    result: Any = expr.const
    for atom, coefficient in expr.terms:
        if isinstance(atom, str):
            value = values[atom]
        elif isinstance(atom, Subscript):
            value = values[f"@{atom.number}"]
        else:
            inner = evaluate(atom.expr, values)
            value = inner // atom.divisor if atom.kind == "//" else inner % atom.divisor
        result = result + value * coefficient
    return result


def rename(expr: Expr, names: Mapping[str, str]) -> Expr:
    """Replace dim names one to one."""
    return substitute_free(expr, lambda name: names.get(name, name))


def substitute_free(expr: Expr, name: Callable[[str], str]) -> Expr:
    """Map every dim name through ``name``; no simplification is needed because the structure stays."""
    return _map_atoms(expr, lambda atom: name(atom) if isinstance(atom, str) else atom)


def renumber(expr: Expr, numbers: Mapping[int, int]) -> Expr:
    """Replace the numbers of subscripts; those without a replacement stay."""

    def moved(atom: str | Subscript) -> Atom:
        return atom if isinstance(atom, str) else atom._replace(number=numbers.get(atom.number, atom.number))

    return _map_atoms(expr, moved)


def _map_atoms(expr: Expr, leaf: Callable[[str | Subscript], Atom]) -> Expr:
    terms: list[tuple[Atom, int]] = []
    for atom, coefficient in expr.terms:
        if isinstance(atom, Quotient):
            terms.append((Quotient(atom.kind, _map_atoms(atom.expr, leaf), atom.divisor), coefficient))
        else:
            terms.append((leaf(atom), coefficient))
    return _build(expr.const, terms)


def _key(atom: Atom) -> tuple[str, str]:
    return ("", atom) if isinstance(atom, str) else ("~", str(atom))


def _build(const: int, terms: Iterable[tuple[Atom, int]]) -> Expr:
    merged: dict[Atom, int] = {}
    for atom, coefficient in terms:
        merged[atom] = merged.get(atom, 0) + coefficient
    kept = {a: c for a, c in merged.items() if c}
    if any(not isinstance(a, str) for a in kept):
        const, kept = _rejoin(const, kept)
    return Expr(const, tuple(sorted(kept.items(), key=lambda item: _key(item[0]))))


def _rejoin(const: int, terms: dict[Atom, int]) -> tuple[int, dict[Atom, int]]:
    """``a*k*(e // k) + a*(e % k)`` is ``a*e``."""
    for atom in list(terms):
        if not isinstance(atom, Quotient) or atom.kind != "%" or atom not in terms:
            continue
        whole = _nested(atom.expr, atom.divisor)[0].terms[0][0]
        coefficient = terms[atom]
        if terms.get(whole) != coefficient * atom.divisor:
            continue
        del terms[atom], terms[whole]
        joined = _build(const, [*terms.items(), *((a, c * coefficient) for a, c in atom.expr.terms)])
        return joined.const + atom.expr.const * coefficient, dict(joined.terms)
    return const, terms


def _atom_bounds(atom: Atom, ranges: Ranges) -> tuple[int, int]:
    if isinstance(atom, str):
        return 0, ranges[atom] - 1
    if isinstance(atom, Subscript):
        return 0, atom.extent - 1
    low, high = bounds(atom.expr, ranges)
    if atom.kind == "//":
        return low // atom.divisor, high // atom.divisor
    if low // atom.divisor == high // atom.divisor:
        return low % atom.divisor, high % atom.divisor
    return 0, atom.divisor - 1


def _quotient(kind: str, expr: Expr, divisor: int, ranges: Ranges) -> Expr:
    return _divide(expr, divisor, ranges)[0 if kind == "//" else 1]


def _divide(expr: Expr, divisor: int, ranges: Ranges) -> tuple[Expr, Expr]:
    """Floor quotient and remainder: multiples of the divisor leave, what stays may be known to be small."""
    if divisor <= 0:
        raise ValueError(f"divisor must be positive, not {divisor}")
    if divisor == 1:
        return expr, constant(0)
    whole = [(a, c // divisor) for a, c in expr.terms if c % divisor == 0]
    rest = Expr(expr.const % divisor, tuple((a, c) for a, c in expr.terms if c % divisor))
    quotient = _build(expr.const // divisor, whole)
    low, high = bounds(rest, ranges)
    if low // divisor == high // divisor:
        step = low // divisor
        return quotient.shifted(step), rest.shifted(-step * divisor)
    inner_quotient, inner_rest = _nested(rest, divisor)
    return quotient.plus(inner_quotient), inner_rest


def _nested(rest: Expr, divisor: int) -> tuple[Expr, Expr]:
    """Quotient and remainder of ``rest``, merging ``(e // a) // b``, ``(e % a) // b`` and ``(e % a) % b``."""
    if rest.const == 0 and len(rest.terms) == 1 and rest.terms[0][1] == 1:
        atom = rest.terms[0][0]
        if isinstance(atom, Quotient):
            if atom.kind == "//":
                merged = Quotient("//", atom.expr, atom.divisor * divisor)
                return _atom(merged), _atom(Quotient("%", rest, divisor))
            if atom.divisor % divisor == 0:
                quotient = Quotient("%", _atom(Quotient("//", atom.expr, divisor)), atom.divisor // divisor)
                return _atom(quotient), _atom(Quotient("%", atom.expr, divisor))
    return _atom(Quotient("//", rest, divisor)), _atom(Quotient("%", rest, divisor))


def _atom(atom: Atom) -> Expr:
    return Expr(0, ((atom, 1),))


def _format(expr: Expr) -> str:
    parts = [_format_term(atom, coefficient) for atom, coefficient in expr.terms]
    if expr.const or not parts:
        parts.append(str(expr.const))
    text = parts[0]
    for part in parts[1:]:
        text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return text


def _format_term(atom: Atom, coefficient: int) -> str:
    if isinstance(atom, str):
        text = atom
    elif isinstance(atom, Subscript):
        text = str(atom)
    else:
        inner = _format(atom.expr)
        name = atom.expr.as_dim
        text = f"{inner if name else f'({inner})'}{atom.kind}{atom.divisor}"
    sign, size = "-" * (coefficient < 0), abs(coefficient)
    if size == 1:
        return sign + text
    return f"{sign}({text})*{size}" if isinstance(atom, Quotient) else f"{sign}{text}*{size}"


_SUBSCRIPT = re.compile(r"@(\d+)\[(\d+)\]")
_TOKEN = re.compile(r"\s*(//|@\d+\[\d+\]|[A-Za-z_][A-Za-z_0-9]*|\d+|[-+*%()])")


def parse(text: str) -> Expr:
    """Parse one expression: ``+ - * // %`` with integers on the right of ``* // %``, subscripts ``@0[512]``.

    Raises ValueError where the text is no quasi-affine expression. Quotients are kept as written.
    """
    tokens = _tokenize(text)
    expr, position = _parse_sum(tokens, 0)
    if position != len(tokens):
        raise ValueError(f"unexpected {tokens[position]!r} in index expression {text!r}")
    return expr


def _tokenize(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if not match:
            raise ValueError(f"bad character {stripped[position:].lstrip()[0]!r} in index expression {text!r}")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def _parse_sum(tokens: list[str], at: int) -> tuple[Expr, int]:
    negative = at < len(tokens) and tokens[at] == "-"
    expr, at = _parse_product(tokens, at + negative)
    if negative:
        expr = expr.times(-1)
    while at < len(tokens) and tokens[at] in "+-":
        sign = 1 if tokens[at] == "+" else -1
        term, at = _parse_product(tokens, at + 1)
        expr = expr.plus(term.times(sign))
    return expr, at


def _parse_product(tokens: list[str], at: int) -> tuple[Expr, int]:
    expr, at = _parse_primary(tokens, at)
    while at < len(tokens) and tokens[at] in ("*", "//", "%"):
        operator = tokens[at]
        if at + 1 >= len(tokens) or not tokens[at + 1].isdigit():
            raise ValueError(f"{operator!r} needs an integer on its right")
        value = int(tokens[at + 1])
        if operator == "*":
            expr = expr.times(value)
        elif value == 0:
            raise ValueError(f"{operator!r} by zero")
        else:
            expr = _atom(Quotient(operator, expr, value))
        at += 2
    return expr, at


def parse_subscript(text: str) -> Subscript:
    """The subscript written as ``@0[512]``; raises ValueError."""
    match = _SUBSCRIPT.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no subscript; write @operand[extent]")
    return Subscript(int(match[1]), int(match[2]))


def _parse_primary(tokens: list[str], at: int) -> tuple[Expr, int]:
    if at >= len(tokens):
        raise ValueError("index expression ends too early")
    token = tokens[at]
    if token == "(":
        expr, at = _parse_sum(tokens, at + 1)
        if at >= len(tokens) or tokens[at] != ")":
            raise ValueError("missing ')' in index expression")
        return expr, at + 1
    if token.isdigit():
        return constant(int(token)), at + 1
    if token[0] == "@":
        return _atom(parse_subscript(token)), at + 1
    if token[0].isalpha() or token[0] == "_":
        return dim(token), at + 1
    raise ValueError(f"unexpected {token!r} in index expression")
