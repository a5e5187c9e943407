"""Loops while importing: iterations that fold are done at once, few small ones are unrolled, the rest is compiled.

`Iteration` serves Loop and Scan alike. What can't be compiled as a loop, as shapes change from one iteration to the
next or depend on its number, is unrolled within a budget of the whole model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike
from onnx import GraphProto
from xdsl.ir import Attribute, Block, BlockArgument, SSAValue

from mlc.dialects import hlt
from mlc.dialects.extents import capacities, is_bounded
from mlc.dialects.hlt.base import tensor_of
from mlc.frontends.onnx.bounded.builder import BoundedBuilder
from mlc.frontends.onnx.builder import FOLD_LIMIT, Builder
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.node import READ_LIMIT, DataDependentError, Node
from mlc.frontends.onnx.value import BoundedValue, Entry, Value, arguments_behind, like, same_value, signature_of

SMALL_NODES = 24
"""Loops of no more nodes than this, counted in every iteration, are unrolled."""

MOST_NODES = 1 << 13
"""No loop is unrolled into more."""

MOST_STACKED = 1 << 24
"""Elements of a stacked result whose number of slices is data: there is memory for as many as there may be."""

FOREVER = 1 << 40
"""A loop of so many iterations that nothing ends early is refused."""


def scalar(b: Builder, node: Node, value: Value, what: str, dtype: DTypeLike = np.bool_) -> Value:
    """A tensor of one element, which must have that dtype, as one of rank 0."""
    if value.dtype != np.dtype(dtype):
        raise node.invalid(f"{what} is of type {value.dtype}, must be {np.dtype(dtype)}")
    if value.size != 1:
        raise node.invalid(f"{what} must hold one element, not {value.size}")
    return b.reshape(value, ())


@dataclass(frozen=True)
class Outcome:
    """What one iteration leaves: whether to go on (None: that is not asked), the states, a slice of each stack."""

    keep: Value | None
    states: list[Entry]
    parts: list[Value | None]


@dataclass(frozen=True)
class Iteration:
    """A loop around the node's graph ``body``.

    It runs for less than ``limit`` iterations, less than ``trips``, and while ``keep`` holds, which is None where
    nothing but a number ends it. ``states`` are carried, ``slices`` taken along dim 0. A body with ``header`` takes
    the iteration's number and the condition before the states, and yields the condition first.
    """

    b: Builder
    node: Node
    body: GraphProto
    header: bool
    limit: int | None
    trips: Value | None
    keep: Value | None
    states: Sequence[Entry]
    slices: Sequence[Value] = ()
    length: int | None = None
    """The extent of stacked results, where it is known before and not simply the limit."""
    nodes: int = field(init=False)
    """Nodes of the body, those of graphs inside it too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", max(1, _count(self.body)))
        expected = len(self.states) + len(self.slices) + 2 * self.header
        if len(self.body.input) != expected:
            raise self.node.invalid(f"the body has {len(self.body.input)} inputs, must have {expected}")
        if self.stacks < 0:
            raise self.node.invalid(f"the body has {len(self.body.output)} outputs, fewer than what is carried")

    @property
    def stacks(self) -> int:
        """The number of stacked results."""
        return len(self.body.output) - len(self.states) - self.header

    def run(self) -> list[Entry | None]:
        """The states at the end, then the stacked results; None for stacks that nothing uses."""
        if self.limit == 0 or (self.keep is not None and self.keep.known is not None and not self.keep.known):
            return self._nothing()
        folded = self._folded()
        if folded is not None:
            return folded
        try:
            return self._small() or self._compiled(self._passed_through())
        except DataDependentError as error:
            if not self._unrollable(error):
                raise
            return self._unrolled()

    # One iteration

    def _once(self, b: Builder, index: Value, states: Sequence[Entry], parts: Sequence[Value]) -> Outcome:
        """The body's nodes, appended to ``b``."""
        going = self.b.constant(np.array(True))
        first: list[Entry] = [index, going] if self.header else []
        wanted = [*([self.keep is not None] if self.header else []), *[True] * len(self.states), *self._used()]
        made = self.node.scope.import_subgraph(b, self.body, [*first, *states, *parts], wanted)
        keep = made[0] if self.header else None
        results = made[self.header :]
        following = [entry for entry in results[: len(self.states)] if entry is not None]
        stacked = results[len(self.states) :]
        if any(not isinstance(entry, Value | None) for entry in (keep, *stacked)):
            raise self.node.unsupported("conditions and stacked results must be tensors")
        return Outcome(
            scalar(b, self.node, keep, "the condition") if isinstance(keep, Value) else None,
            following,
            [entry if isinstance(entry, Value) else None for entry in stacked],
        )

    def _used(self) -> list[bool]:
        return [self.node.uses_output(len(self.states) + number) for number in range(self.stacks)]

    def _number(self, index: int) -> Value:
        return self.b.constant(np.array(index, np.int64))

    def _part(self, whole: Value, index: int) -> Value:
        return self.b.squeeze(self.b.slice_axis(whole, 0, index, 1), (0,))

    # No iteration, and all of them while importing

    def _nothing(self) -> list[Entry | None]:
        """The states as they are, and stacks without slices."""
        if not any(self._used()):
            return [*self.states, *[None] * self.stacks]
        block = Block(arg_types=[_without_first(whole) for whole in self.slices])
        with self.b.nested(block) as inner:
            outcome = self._once(inner, self._number(0), self.states, _slices(block.args, self.slices))
        block.drop_all_references()
        empty = [None if p is None else self.b.full((0, *p.shape), 0, p.dtype) for p in outcome.parts]
        return [*self.states, *empty]

    def _folded(self) -> list[Entry | None] | None:
        """All iterations, if each is known to come next and leaves no operation behind; else None."""
        if self.limit is None and self.keep is None:
            return None
        given = [*self.states, *self.slices]
        if any(isinstance(v, Value) and (v.known is None or v.size > FOLD_LIMIT) for v in given):
            return None
        return self._one_by_one(keeps_operations=False)

    def _small(self) -> list[Entry | None] | None:
        """All iterations as they are, if those are few small nodes; else None."""
        if self.limit is None or self.limit * self.nodes > SMALL_NODES:
            return None
        return self._one_by_one(keeps_operations=True)

    def _unrolled(self) -> list[Entry | None]:
        """All iterations as they are."""
        found = self._one_by_one(keeps_operations=True)
        if found is None:
            raise self.node.unsupported(
                f"{self.limit} iterations of {self.nodes} nodes are too many to unroll, and the body is not the same"
                " in all of them"
            )
        return found

    def _unrollable(self, error: DataDependentError) -> bool:
        """Whether each iteration on its own knows more than the loop does."""
        return self.limit is not None and self.trips is None and isinstance(error, OfOneIterationError)

    def _one_by_one(self, *, keeps_operations: bool) -> list[Entry | None] | None:
        """The results, or None where the budget ends, where an operation stands that may not, or without a decision."""
        states, stacks = list(self.states), [list[Value]() for _ in range(self.stacks)]
        keep, index = self.keep, 0
        if self.trips is not None or (self.limit is not None and self.limit * self.nodes > MOST_NODES):
            return None
        while self.limit is None or index < self.limit:
            if keep is not None and keep.known is None:
                return None
            if keep is not None and not keep.known:
                break
            outcome = self._next(index, states, keeps_operations)
            if outcome is None:
                return None
            states, keep = outcome.states, outcome.keep
            for stack, part in zip(stacks, outcome.parts, strict=True):
                stack += [] if part is None else [part]
            index += 1
        return [*states, *(self._stacked(stack) if stack else None for stack in stacks)]

    def _next(self, index: int, states: Sequence[Entry], keeps_operations: bool) -> Outcome | None:
        if index * self.nodes > MOST_NODES or not self.node.scope.repetitions.take(self.nodes):
            return None
        parts = [self._part(whole, index) for whole in self.slices]
        if keeps_operations:
            return self._once(self.b, self._number(index), states, parts)
        block = Block()
        try:
            with self.b.nested(block) as inner:
                outcome = self._once(inner, self._number(index), states, parts)
        except DataDependentError:
            return None
        if block.ops.first is None:
            return outcome
        block.drop_all_references()
        return None

    def _stacked(self, parts: Sequence[Value]) -> Value:
        arrays = [part.known for part in parts if part.known is not None]
        if any(part.shape != parts[0].shape for part in parts):
            raise self.node.invalid("the slices of a stacked result have different shapes")
        if len(arrays) == len(parts) and len(parts) * parts[0].size <= READ_LIMIT:
            return self.b.constant(np.stack(arrays))
        return self.b.concat([self.b.expand_dims(part, (0,)) for part in parts], 0)

    # A loop that is compiled

    def _passed_through(self) -> frozenset[int]:
        """The states that the body yields as it gets them."""
        copies = [node for node in self.body.node if node.op_type == "Identity" and not node.domain]
        sources = {node.output[0]: node.input[0] for node in copies}
        found: set[int] = set()
        for number in range(len(self.states)):
            name = self.body.output[number + self.header].name
            while name in sources:
                name = sources[name]
            if name == self.body.input[number + 2 * self.header].name:
                found.add(number)
        return frozenset(found)

    def _compiled(self, fixed: frozenset[int]) -> list[Entry | None]:
        """The loop as an operation. States numbered in ``fixed`` never change."""
        carried = [state for number, state in enumerate(self.states) if number not in fixed]
        values = [value for value in carried if isinstance(value, Value)]
        if len(values) != len(carried):
            raise self._varies("a sequence is carried")
        types = [value.type for value in values] + [_without_first(whole) for whole in self.slices]
        block = Block(arg_types=[INDEX, *types])
        around = [self.b.constant(np.array(0)), *values, *self.slices]
        try:
            with self.b.nested(block) as inner:
                return self._filled(inner, fixed, values)
        except DataDependentError as error:
            raise self._seen_from_outside(error, dict(zip(block.args, around))) from error

    def _filled(self, inner: Builder, fixed: frozenset[int], values: Sequence[Value]) -> list[Entry | None]:
        arguments = iter(inner.block.args)
        index = Value((), np.int64, ssa=next(arguments))
        states = [
            like(state, next(arguments)) if n not in fixed and isinstance(state, Value) else state
            for n, state in enumerate(self.states)
        ]
        outcome = self._once(inner, index, states, _slices(arguments, self.slices))
        unchanged = {n for n, state in enumerate(self.states) if self._stays(state, states[n], outcome.states[n])}
        if unchanged - fixed and self.node.scope.repetitions.take(self.nodes):
            inner.block.drop_all_references()
            return self._compiled(fixed | unchanged)
        following = [state for n, state in enumerate(outcome.states) if n not in fixed]
        self._check_states(values, following)
        keep = self._condition(outcome)
        carried = list(values)
        if self._counts(outcome, keep):
            inner.block.insert_arg(INDEX, 1 + len(values))
            following.append(inner.add(index, 1))
            carried.append(self._number(0))
        parts = [part for part in outcome.parts if part is not None]
        first = [] if keep is None or outcome.keep is None else [outcome.keep]
        yielded = [value for value in (*first, *following, *parts) if isinstance(value, Value)]
        inner.append(hlt.YieldOp(*(inner.ssa(value) for value in yielded)))
        op = self._operation(inner.block, keep, carried)
        self.b.append(op)
        made = iter(op.results)
        finals: list[Entry | None] = [
            s if n in fixed or not isinstance(s, Value) else like(s, next(made)) for n, s in enumerate(self.states)
        ]
        extent = self.length or self.limit or 0
        if len(carried) > len(values) and isinstance(self.b, BoundedBuilder):
            extent = self.b.new_symbol("iterations", Value((), np.int64, ssa=next(made)), self.limit or 0)
        return [*finals, *(None if part is None else _stack(part, extent, next(made)) for part in outcome.parts)]

    def _operation(self, body: Block, keep: Value | None, values: Sequence[Value]) -> hlt.LoopOp:
        b = self.b
        return hlt.LoopOp(
            body,
            limit=self.limit,
            trips=None if self.trips is None else b.ssa(self.trips),
            keep=None if keep is None else b.ssa(keep),
            inits=[b.ssa(value) for value in values],
            slices=[b.ssa(value) for value in self.slices],
        )

    def _stays(self, initial: Entry, before: Entry, after: Entry) -> bool:
        """Whether a state is after an iteration what it was before: the same value, or the known one it starts with."""
        return same_value(before, after) or same_value(initial, after)

    def _condition(self, outcome: Outcome) -> Value | None:
        """The condition at first, if any iteration asks for it."""
        asked = [] if self.keep is None or outcome.keep is None else [self.keep, outcome.keep]
        if any(value.known is None or not value.known for value in asked):
            return self.keep
        if self.limit is None and self.trips is None:
            raise self.node.invalid("nothing ends the loop")
        if self.limit is not None and self.limit > FOREVER:
            raise self.node.invalid(f"the loop runs {self.limit} times")
        return None

    def _check_states(self, before: Sequence[Value], after: Sequence[Entry]) -> None:
        for old, new in zip(before, after, strict=True):
            if not isinstance(new, Value) or (old.shape, old.dtype) != (new.shape, new.dtype):
                found = f"{new.dtype}{list(new.shape)}" if isinstance(new, Value) else "a sequence"
                raise self._varies(f"what starts as {old.dtype}{list(old.shape)} becomes {found}")

    def _counts(self, outcome: Outcome, keep: Value | None) -> bool:
        """Whether the loop has to count its iterations, as they are an extent of its results.

        Raises DataDependentError where that is not possible, and ModelError for too many slices.
        """
        parts = [part for part in outcome.parts if part is not None]
        deciding = [v for v in (keep, None if keep is None else outcome.keep) if v is not None]
        deciding += [] if self.trips is None or self.length is not None else [self.trips]
        if not parts or (self.limit is not None and not deciding):
            self._check_stacks(parts, Limits.elements)
            return False
        finds = isinstance(self.b, BoundedBuilder) and self.b.finds_extents
        if self.limit is None or not finds or any(self.limit * part.size > MOST_STACKED for part in parts):
            raise self.node.depends_on_data("the number of iterations, an extent of the scan outputs,", *deciding)
        return True

    def _check_stacks(self, parts: Sequence[Value], most: int) -> None:
        for part in parts:
            elements = (self.limit or 0) * math.prod(capacities(part.shape))
            if elements > most:
                raise self.node.invalid(f"a scan output of {elements} elements exceeds the limit of {most}")

    # Errors

    def _varies(self, message: str) -> OfOneIterationError:
        return OfOneIterationError(f"iterations differ: {message}", node=self.node.label, arguments=self._deciding())

    def _deciding(self) -> frozenset[BlockArgument]:
        """What the number of iterations depends on: to unroll, it has to be known."""
        values = [value for value in (self.trips, self.keep) if value is not None]
        return frozenset(argument for value in values for argument in arguments_behind(value))

    def _seen_from_outside(self, error: DataDependentError, outside: dict[BlockArgument, Value]) -> DataDependentError:
        """The error of a body, with what its arguments are at first in their place."""
        inside = error.arguments & outside.keys()
        arguments = error.arguments - inside
        arguments = arguments.union(*(arguments_behind(outside[argument]) for argument in inside))
        kind = type(error)
        if inside or isinstance(error, OfOneIterationError):
            kind, arguments = OfOneIterationError, arguments | self._deciding()
        return kind(error.message, node=error.node or self.node.label, arguments=arguments)


class OfOneIterationError(DataDependentError):
    """Something that is known in each iteration on its own may differ between iterations."""


def _count(graph: GraphProto) -> int:
    """The nodes of a graph and of graphs inside it."""
    inner = (g for node in graph.node for attribute in node.attribute for g in (attribute.g, *attribute.graphs))
    return len(graph.node) + sum(map(_count, inner))


INDEX = hlt.tensor_type((), hlt.element_type(np.dtype(np.int64)))
"""The type of an iteration's number."""


def _without_first(whole: Value) -> Attribute:
    """The type of a slice along dim 0."""
    shape, element = tensor_of(whole.type)
    return hlt.tensor_type(shape[1:], element)


def _slices(arguments: Iterable[SSAValue], wholes: Sequence[Value]) -> list[Value]:
    """Slices of ``wholes`` along dim 0, whose extents within the slices are those of the wholes."""
    found: list[Value] = []
    for argument, whole in zip(arguments, wholes, strict=True):
        storage = Value(*signature_of(argument), ssa=argument)
        rest = whole.shape[1:]
        zero = [axis - 1 for axis in whole.zero if axis] if isinstance(whole, BoundedValue) else []
        found.append(BoundedValue(rest, storage, zero) if is_bounded(rest) else storage)
    return found


def _stack(part: Value, extent: int, ssa: SSAValue) -> Value:
    """A stacked result, of which slices that no iteration made are zeros."""
    shape, storage = (extent, *part.shape), Value(*signature_of(ssa), ssa=ssa)
    return BoundedValue(shape, storage, (0,)) if is_bounded(shape) else storage
