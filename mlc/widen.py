"""From the shapes of calls to ranges of dims: when a dim keeps changing, one compilation should do for many values."""

from __future__ import annotations

from collections.abc import Mapping

LEAST_ROOM = 64
"""A range reaches at least as far, so that what grows from nothing is not compiled again at every power of two."""

VALUES = 3
"""So many different values of a dim make it a range."""

Declared = Mapping[str, "tuple[int | str, ...] | None"]
Shapes = Mapping[str, "tuple[int, ...]"]


class History:
    """The shapes that calls have had, as values of the dims that the model leaves open."""

    def __init__(self) -> None:
        self._calls: list[dict[str, int]] = []
        self._refused: set[frozenset[str]] = set()

    def widened(self, declared: Declared, shapes: Shapes) -> dict[str, int | str] | None:
        """Remember a call; returns what the dims should be compiled for, None when for these shapes alone.

        Dims that have had three values or more become ranges, from 1 to a power of two with room to grow, or
        expressions of others that they have always moved along with: ``past + 1``. All others keep their values.
        """
        now = _values(declared, shapes)
        if now is None:
            return None
        self._calls.append(now)
        varying = [name for name in now if len({call[name] for call in self._calls}) >= VALUES]
        if not varying or any(now[name] < 1 for name in varying) or frozenset(varying) in self._refused:
            return None
        fixed = [name for name in now if name not in varying]
        alike = [call for call in self._calls if all(call[name] == now[name] for name in fixed)]
        dims: dict[str, int | str] = {name: now[name] for name in fixed}
        ranges: list[str] = []
        for name in sorted(varying, key=lambda name: now[name]):
            relation = _relation(name, ranges, alike)
            if relation is None:
                ranges.append(name)
            dims[name] = relation or f"1..{_room(now[name])}"
        return dims

    def give_up(self, dims: Mapping[str, int | str]) -> None:
        """Don't try again to compile for ranges of just these dims."""
        self._refused.add(frozenset(name for name, spec in dims.items() if isinstance(spec, str)))


def _values(declared: Declared, shapes: Shapes) -> dict[str, int] | None:
    """The values of open dims by name; None where a dim has two, or an input may have any rank."""
    values: dict[str, int] = {}
    for name, shape in declared.items():
        if shape is None or len(shape) != len(shapes[name]):
            return None
        for dim, extent in zip(shape, shapes[name]):
            if isinstance(dim, str) and values.setdefault(dim, extent) != extent:
                return None
    return values


def _relation(name: str, ranges: list[str], calls: list[dict[str, int]]) -> str | None:
    """``name`` as another dim plus a constant, if several calls say so."""
    from mlc.dialects.extents import symbol_name

    for other in ranges:
        differences = {call[name] - call[other] for call in calls}
        if len(calls) > 1 and len(differences) == 1:
            return f"{symbol_name(other)} + {differences.pop()}"
    return None


def _room(value: int) -> int:
    return max(LEAST_ROOM, 1 << (2 * value - 1).bit_length())
