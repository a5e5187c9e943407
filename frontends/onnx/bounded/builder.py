"""A builder for models with bounded dims.

Every operation is made on storage of full capacity, so that what comes out is an ordinary static graph. Rules (one
per operation, in `mlc.frontends.onnx.bounded.rules`) say what the result's extents are, and put masks where elements
beyond an extent would count. Arithmetic on shapes is done on `Extent` and leaves nothing behind; an extent that data
depend on is computed from the call's dims.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike
from xdsl.dialects.builtin import i64
from xdsl.ir import Block, Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, Symbol, capacities, capacity, dim, is_bounded, undecided
from mlc.dialects.weights import WeightStore
from mlc.errors import UnsupportedError
from mlc.frontends.onnx.bounded import rules
from mlc.frontends.onnx.bounded.arithmetic import fold_extents
from mlc.frontends.onnx.builder import Builder, Maker
from mlc.frontends.onnx.value import BoundedValue, ExtentsValue, Scalar, Value


@dataclass(frozen=True)
class Request:
    """An operation to make; ``operands`` has None for one that is left out."""

    make: Maker
    operands: tuple[Value | None, ...]
    attributes: Mapping[str, Any]

    def text(self, name: str) -> str:
        """The attribute ``name``, a string."""
        return self.attributes[name]

    def number(self, name: str) -> int:
        """The attribute ``name``, a number; some can be an `Extent`."""
        return self.attributes[name]

    def numbers(self, name: str, default: int = 0) -> tuple[int, ...]:
        """The attribute ``name``, a list of numbers; without it, the default for each dim."""
        value = self.attributes.get(name)
        return (default,) * self.x.rank if value is None else tuple(value)

    @property
    def x(self) -> Value:
        """The first operand."""
        return self.operand(0)

    def operand(self, index: int) -> Value:
        """An operand that is never left out."""
        value = self.operands[index]
        assert value is not None, "only optional operands are left out"
        return value

    @property
    def present(self) -> list[Value]:
        """The operands that are not left out."""
        return [value for value in self.operands if value is not None]

    def refused(self, why: str) -> UnsupportedError:
        """The error for what has no answer for all values of the dims."""
        return undecided(
            f"{getattr(self.make, 'name', 'hlt.concat')} with {why}", *(e for v in self.present for e in v.shape)
        )


Rule: TypeAlias = "Callable[[BoundedBuilder, Request], Sequence[Value]]"
RuleT = TypeVar("RuleT", bound=Rule)

_RULES: dict[Maker, Rule] = {}


def rule(*operations: Maker) -> Callable[[RuleT], RuleT]:
    """Registers how ``operations`` are made when an operand, or an attribute, has bounded dims.

    The function returns the results.
    """

    def register(function: RuleT) -> RuleT:
        for operation in operations:
            if operation in _RULES:
                raise ValueError(f"{operation} has two rules")
            _RULES[operation] = function
        return function

    return register


@cache
def all_rules() -> Mapping[Maker, Rule]:
    """All rules by operation."""
    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")
    return _RULES


def storage_of(x: Value) -> Value:
    """The static tensor that holds ``x``."""
    return x.storage if isinstance(x, BoundedValue) else x


def bounded_axes(x: Value) -> tuple[int, ...]:
    """The dims whose extent is known only at run time."""
    return tuple(axis for axis, extent in enumerate(x.shape) if isinstance(extent, Extent))


def zero_axes(x: Value) -> frozenset[int]:
    """The bounded dims beyond whose extent the storage holds zeros."""
    if isinstance(x, BoundedValue):
        return frozenset(bounded_axes(x)) if x.uniform == 0 else x.zero
    return frozenset()


class BoundedBuilder(Builder):
    """Appends hlt operations on storage of full capacity.

    The values of ``symbols`` become the block's last argument, an i64 vector. ``found`` has the symbols that the
    program computes itself.
    """

    def __init__(
        self,
        block: Block,
        weights: WeightStore,
        symbols: Sequence[Symbol] = (),
        around: Builder | None = None,
        *,
        finds: bool = True,
    ) -> None:
        super().__init__(block, weights, around)
        self.finds = finds
        self.found: list[Symbol] = []
        self._scalars: dict[Symbol, Value] = {}
        self._extents: dict[int, Value] = {}
        self._masks: dict[int, Value] = {}
        if symbols:
            argument = block.insert_arg(hlt.tensor_type((len(symbols),), i64), len(block.args))
            values = Value((len(symbols),), np.int64, ssa=argument)
            for place, symbol in enumerate(symbols):
                self._scalars[symbol] = self.reshape(self.slice(values, (place,), (1,)), ())

    def _inside(self, block: Block) -> Builder:
        """It sees the extents that are computed so far; those that it computes are its own."""
        inner = BoundedBuilder(block, self.weights, around=self, finds=False)
        inner._scalars = self._scalars
        inner._extents, inner._masks = dict(self._extents), dict(self._masks)
        return inner

    # Operations

    def ops(self, make: Maker, *operands: Value | None, **attributes: Any) -> tuple[Value, ...]:
        present = [operand for operand in operands if operand is not None]
        folded = fold_extents(make, present, attributes)
        if folded is not None:
            return (folded,)
        bounded = any(is_bounded(v.shape) for v in present)
        if not bounded and not any(_mentions_extents(value) for value in attributes.values()):
            return super().ops(make, *operands, **attributes)
        request = Request(make, operands, attributes)
        found = all_rules().get(make)
        if found is None:
            raise request.refused("dims that are no numbers")
        return tuple(found(self, request))

    def ssa(self, value: Value) -> SSAValue:
        if isinstance(value, BoundedValue):
            return super().ssa(value.storage)
        if isinstance(value, ExtentsValue) and value.ssa is None:
            value.ssa = super().ssa(self._computed(value))
        return super().ssa(value)

    def static(self, make: Maker, *operands: Value | None, **attributes: Any) -> Value:
        """The first result of an operation on the operands' storage."""
        return self.all_static(make, *operands, **attributes)[0]

    def all_static(self, make: Maker, *operands: Value | None, **attributes: Any) -> tuple[Value, ...]:
        """All results of an operation on the operands' storage."""
        return super().ops(make, *(None if v is None else storage_of(v) for v in operands), **attributes)

    def bounded(self, shape: Sequence[int], storage: Value, zero: Any = ()) -> Value:
        """A tensor of that shape in ``storage``."""
        if storage.shape != capacities(shape):
            raise undecided(f"storage of {list(capacities(shape))} for {list(shape)}", *shape)
        return BoundedValue(shape, storage, zero) if is_bounded(shape) else storage

    # Constants and extents

    def full(self, shape: Sequence[int], value: Scalar, dtype: DTypeLike) -> Value:
        if isinstance(value, Extent):
            spread = self.broadcast_to(self.cast(self.extent(value), dtype), capacities(shape))
            return self.bounded(shape, spread)
        return self.bounded(shape, super().full(capacities(shape), value, dtype))

    def iota(self, shape: Sequence[int], axis: int, dtype: DTypeLike = np.int64) -> Value:
        return self.bounded(shape, super().iota(capacities(shape), axis, dtype))

    def extent(self, extent: int) -> Value:
        """An extent's value at run time, an i64 tensor of rank 0."""
        if not isinstance(extent, Extent):
            return self.constant(np.asarray(extent, np.int64))
        if extent not in self._extents:
            least, greatest = (_by(self, op) for op in (hlt.MinimumOp, hlt.MaximumOp))
            term = extent.evaluate(lambda symbol: _Term(self, self._scalars[symbol]), least, greatest)
            self._extents[extent] = term.value
        return self._extents[extent]

    @property
    def finds_extents(self) -> bool:
        """Whether the program may compute extents here: inside control flow it may not."""
        return self._top is self

    def new_symbol(self, name: str, value: Value, high: int) -> int:
        """An extent that the program computes: ``value`` is an i64 tensor of rank 0, 0 to ``high``.

        Raises UnsupportedError inside control flow, where an extent would not last.
        """
        if not self.finds_extents:
            raise UnsupportedError("a shape depends on data that are computed inside control flow")
        symbol = Symbol(f"{name}.{len(self.found)}", 0, high)
        self._scalars[symbol] = value
        self.found.append(symbol)
        return dim(symbol)

    def found_values(self) -> list[Value]:
        """The values of the symbols that the program computes, as one i64 vector; nothing where there are none."""
        parts = [self.reshape(self._scalars[symbol], (1,)) for symbol in self.found]
        return [self.concat(parts, 0)] if parts else []

    def _computed(self, value: ExtentsValue) -> Value:
        """An integer tensor of extents as data."""
        parts = [self.reshape(self.extent(extent), (1,)) for extent in value.extents.flat]
        return self.cast(self.reshape(self.concat(parts, 0), value.shape), value.dtype)

    def positions(self, found: Value, what: str) -> Value:
        """Beyond their number stand zeros."""
        if found.known is not None or not self.finds:
            return super().positions(found, what)
        mask = storage_of(self.filled(found, (0,), False))
        (room,) = mask.shape
        ones = self.cast(mask, np.int64)
        place = self.static(hlt.ScanOp, ones, kind="sum", axis=0, exclusive=True, reverse=False)
        target = self.select(mask, place, room)
        line, rest = self.iota((room,), 0), self.full((room + 1,), 0, np.int64)
        packed = self.static(hlt.ScatterElementsOp, rest, target, line, axis=0, reduction="none")
        count = self.new_symbol(what, self.reduce("sum", ones, (0,)), room)
        return self.bounded((count,), self.slice(packed, (0,), (room,)), (0,))

    # Masks

    def inside(self, shape: Sequence[int], axis: int) -> Value:
        """Static booleans at the capacity of ``shape``: which elements lie within the extent of ``axis``."""
        extent = shape[axis]
        if extent not in self._masks:
            line = self.static(hlt.IotaOp, shape=(capacity(extent),), axis=0, dtype=hlt.element_type(np.dtype("int64")))
            limit = self.broadcast_to(self.extent(extent), line.shape)
            self._masks[extent] = self.static(hlt.CompareOp, line, limit, predicate="lt")
        return self.static(hlt.BroadcastOp, self._masks[extent], shape=capacities(shape), dims=(axis,))

    def filled(self, x: Value, axes: Sequence[int], value: Scalar) -> Value:
        """``x`` with ``value`` beyond its extents along ``axes``, as far as these are bounded."""
        asked = [axis for axis in axes if isinstance(x.shape[axis], Extent)]
        if value == 0:
            asked = [axis for axis in asked if axis not in zero_axes(x)]
        storage = storage_of(x)
        for axis in asked:
            rest = super().full(storage.shape, value, x.dtype)
            storage = self.static(hlt.SelectOp, self.inside(x.shape, axis), storage, rest)
        if not asked:
            return x
        return self.bounded(x.shape, storage, [*zero_axes(x), *asked] if value == 0 else ())


def _mentions_extents(value: Any) -> bool:
    return isinstance(value, Extent) or (isinstance(value, tuple) and is_bounded(cast("tuple[object, ...]", value)))


class _Term:
    """A number of the call, with the operators that extents are made of."""

    def __init__(self, builder: BoundedBuilder, value: Value) -> None:
        self.builder = builder
        self.value = value

    def apply(self, make: type[Operation], other: _Term | int) -> _Term:
        operand = other.value if isinstance(other, _Term) else self.builder.constant(np.asarray(other, np.int64))
        return _Term(self.builder, self.builder.op(make, self.value, operand))

    def __add__(self, other: _Term | int) -> _Term:
        return self.apply(hlt.AddOp, other)

    __radd__ = __add__

    def __mul__(self, other: _Term | int) -> _Term:
        return self.apply(hlt.MulOp, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: _Term | int) -> _Term:
        """Towards minus infinity: what is negative can't be an extent, but a part of one."""
        return self.apply(hlt.SubOp, self.apply_mod(other)).apply(hlt.DivOp, other)

    def apply_mod(self, other: _Term | int) -> _Term:
        operand = other.value if isinstance(other, _Term) else self.builder.constant(np.asarray(other, np.int64))
        return _Term(self.builder, self.builder.op(hlt.RemOp, self.value, operand, mode="floor"))


def _by(builder: BoundedBuilder, make: type[Operation]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        return a.apply(make, b) if isinstance(a, _Term) else b.apply(make, a)

    return apply
