"""What stands in memory beyond run-time extents, as far as it is one number: what masks put there.

    %y[d1] = select(d1 < seq, %x[d1], -inf)      ->  beyond seq, %y holds -inf

A forward analysis, one compute at a time. Under the assumption that a dim is at least an extent, a region's code is
run on what is known then: numbers, extents, and the index itself. It takes 0 for ``0 * x`` and -inf for ``-inf - x``:
where ``x`` is not finite, what lies inside the extent says so as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import Float16Type, Float32Type, Float64Type, IntegerType
from xdsl.ir import Attribute, Block, BlockArgument, Operation, SSAValue

from mlc.dialects.extents import Extent, greatest
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.interpreters.loop import evaluate_operation
from mlc.dialects.loop import ComputeOp, IndexOp, YieldOp, buffer_type
from mlc.dialects.loop.affine import linear, simplify
from mlc.lowering.loops.footprint import Axis, at_least, axis_of, ceil_extent, cut, end, least
from mlc.lowering.loops.levels import row_major

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Index(NamedTuple):
    """The value of a dim."""

    dim: str


Value: TypeAlias = "Array | Extent | Index | None"
"""A number, an extent, a dim's value, or something unknown."""


@dataclass
class Contents:
    """What is known of a buffer: numbers beyond extents of an axis, and elements that are extents, by position.

    ``counts``: element number i is i.
    """

    beyond: dict[tuple[Axis, int], Array] = field(default_factory=dict[tuple[Axis, int], Array])
    elements: dict[int, int] = field(default_factory=dict[int, int])
    counts: bool = False

    def of_wider(self, count: int, element: Attribute) -> Contents:
        """The same of elements that ``count`` of these make one of: zeros are zeros."""
        if count == 1:
            return self
        beyond: dict[tuple[Axis, int], Array] = {}
        for ((stride, extent), bound), value in self.beyond.items():
            if value == 0 and (stride if stride > 1 else extent) % count == 0:
                inner = stride == 1
                axis = (1, extent // count) if inner else (stride // count, extent)
                beyond[axis, ceil_extent(bound, count) if inner else bound] = np.zeros((), numpy_dtype(element))
        return Contents(beyond)


Known: TypeAlias = "Mapping[SSAValue, Contents]"


class Assumption(NamedTuple):
    """A dim is at least an extent."""

    dim: str
    start: int


class Regions:
    """Runs the regions of one compute on what is known of its operands."""

    def __init__(self, op: ComputeOp, known: Known, *, exact: bool = False) -> None:
        """``exact``: nothing is taken for known that depends on an unknown number being finite."""
        assert op.maps is not None
        self.op = op
        self.exact = exact
        self.maps = [m.data for m in op.maps]
        self.contents = [known.get(v) for v in op.operands]
        self.shapes = [buffer_type(v).get_shape() for v in op.operands]
        self.compared: dict[Assumption, None] = {}

    def assumptions(self) -> list[Assumption]:
        """What may be worth assuming: where the contents of operands end, and what indices are compared with."""
        found: dict[Assumption, None] = {}
        for number in range(len(self.op.ins)):
            for axis, bound in self._ends(number):
                reached = cut(self.maps[number][axis], bound)
                if reached is not None:
                    found[Assumption(*reached)] = None
        self.compared.clear()
        if self.op.has_reduction:
            self.mapped(None)
        self.finished(None)
        return list({**found, **self.compared})

    def mapped(self, assumption: Assumption | None) -> list[Value]:
        """What ``map`` yields."""
        return self._run(self.op.map.block, assumption, ())

    def finished(self, assumption: Assumption | None) -> list[Value]:
        """What ``finish`` yields."""
        return self._run(self.op.finish.block, assumption, self._folded(assumption))

    def folds_nothing(self, assumption: Assumption) -> bool:
        """Whether leaving out those points of a reduction changes no accumulator."""
        values = self.mapped(assumption)[: self.op.accumulators]
        return all(_is_neutral(self.op, number, value) for number, value in enumerate(values))

    def used(self, assumption: Assumption) -> set[int]:
        """The operands on which depends what the compute makes of a point then: a known condition chooses."""
        if self.op.dims.kinds[assumption.dim] == "r":
            return self._reached(self.op.map.block, assumption)
        found = self._reached(self.op.finish.block, assumption)
        folded = any(number >= len(self.op.ins) for number in found)
        if self.op.has_reduction and (folded or self.op.elems):
            found |= self._reached(self.op.map.block, assumption) | self._reached(self.op.init.block, assumption)
        return found

    def _reached(self, block: Block, assumption: Assumption) -> set[int]:
        """The arguments that what a block yields depends on."""
        env: dict[SSAValue, Value] = {}
        self._evaluate(block, assumption, [None] * self.op.accumulators, env)
        last = block.last_op
        assert last is not None
        found, pending = set[SSAValue](), list(last.operands)
        while pending:
            value = pending.pop()
            if value in found:
                continue
            found.add(value)
            operands = list(value.owner.operands) if isinstance(value.owner, Operation) else []
            condition = env[operands[0]] if isinstance(value.owner, arith.SelectOp) else None
            if isinstance(condition, np.ndarray):
                operands = [operands[0], operands[1 if condition else 2]]
            pending += operands
        return {v.index for v in found if isinstance(v, BlockArgument)}

    def element(self, number: int) -> int | None:
        """The value of an operand that is one integer, where it is a number or an extent."""
        contents, index = self.contents[number], self.maps[number]
        if contents is None or not all(e.is_constant for e in index):
            return None
        return contents.elements.get(sum(e.const * s for e, s in zip(index, row_major(self.shapes[number]))))

    def subscripts(self) -> dict[str, int]:
        """The subscripts whose values are known, which are not negative: by name, ``@0``."""
        first = len(self.op.operands) - len(self.op.subscripts)
        values = {f"@{i}": self.element(first + i) for i in range(len(self.op.subscripts))}
        return {name: value for name, value in values.items() if value is not None and at_least(value, 0)}

    def written(self, assumption: Assumption) -> list[Value]:
        """What all results get, ``outs`` and ``elems``, of the points then."""
        parallel = self.op.dims.kinds[assumption.dim] != "r"
        finished = self.finished(assumption) if parallel else [None] * len(self.op.outs)
        return [*finished, *(self.mapped(assumption)[self.op.accumulators :] if self.op.elems else [])]

    def _folded(self, assumption: Assumption | None) -> list[Value]:
        """The accumulators: what they start from, where all that is folded changes nothing."""
        if not self.op.has_reduction:
            return []
        if assumption is None or self.op.dims.kinds[assumption.dim] == "r" or not self.folds_nothing(assumption):
            return [None] * self.op.accumulators
        return self._run(self.op.init.block, assumption, ())

    def _ends(self, number: int) -> list[tuple[int, int]]:
        """The dims of an operand beyond an extent of which its contents are known, and these extents."""
        contents, shape = self.contents[number], self.shapes[number]
        found: list[tuple[int, int]] = []
        for key, bound in contents.beyond if contents is not None else ():
            for number_, _ in enumerate(shape):
                axis, unit = axis_of(shape, number_)
                if axis == key and shape[number_] != 1:
                    found.append((number_, ceil_extent(bound, unit)))
        return found

    def _load(self, number: int, assumption: Assumption | None) -> Value:
        contents, index = self.contents[number], self.maps[number]
        element = self.element(number)
        if element is not None:
            type_ = buffer_type(self.op.operands[number]).element_type
            return element if isinstance(element, Extent) else np.asarray(element, numpy_dtype(type_))
        if contents is not None and contents.counts:
            place = simplify(linear(row_major(self.shapes[number]), index), self.op.dims.extents).as_dim
            return Index(place) if place is not None else None
        if assumption is None or contents is None:
            return None
        for (key, bound), value in contents.beyond.items():
            for number_, expr in enumerate(index):
                axis, unit = axis_of(self.shapes[number], number_)
                reached = least(expr, *assumption) if axis == key else None
                if reached is not None and at_least(reached, ceil_extent(bound, unit)):
                    return value
        return None

    def _run(self, block: Block, assumption: Assumption | None, accumulators: Sequence[Value]) -> list[Value]:
        """What a block yields."""
        env: dict[SSAValue, Value] = {}
        self._evaluate(block, assumption, accumulators, env)
        last = block.last_op
        return [env[v] for v in last.operands] if last is not None else []

    def _evaluate(
        self, block: Block, assumption: Assumption | None, accumulators: Sequence[Value], env: dict[SSAValue, Value]
    ) -> None:
        """Note in ``env`` what is known of a block's arguments and of what it computes."""
        count = len(self.op.ins)
        for i, argument in enumerate(block.args):
            env[argument] = self._load(i, assumption) if i < count else accumulators[i - count]
        for op in block.ops:
            if not isinstance(op, YieldOp):
                env[op.results[0]] = self._operation(op, [env[v] for v in op.operands], assumption)

    def _operation(self, op: Operation, values: list[Value], assumption: Assumption | None) -> Value:
        if isinstance(op, IndexOp):
            return Index(op.dim.data)
        if isinstance(op, arith.CmpiOp) and any(isinstance(v, Index) for v in values):
            return self._compared(op.predicate.value.data, values, assumption)
        if isinstance(op, arith.ExtSIOp | arith.IndexCastOp) and isinstance(values[0], Extent | Index):
            return values[0]
        if isinstance(op, arith.SelectOp):
            return _selected(*values)
        if any(isinstance(v, Extent) for v in values):
            return _computed(op, values)
        numbers = [v for v in values if isinstance(v, np.ndarray)]
        if len(numbers) == len(values):
            return evaluate_operation(op, numbers)
        return next((v for v in numbers if _absorbs(op, values, v) and not (self.exact and v.dtype.kind == "f")), None)

    def _compared(self, predicate: int, values: list[Value], assumption: Assumption | None) -> Value:
        """Whether an index is below a number, and the like, as far as the assumption tells."""
        left, right = values
        if isinstance(right, Index):
            left, right, predicate = right, left, _MIRRORED.get(predicate, predicate)
        number = int(right) if isinstance(right, np.ndarray) else right
        if not isinstance(left, Index) or not isinstance(number, int | Extent) or predicate not in _BEYOND:
            return None
        further, answer = _BEYOND[predicate]
        needed = Assumption(left.dim, number + further)
        self.compared[needed] = None
        if assumption is None or assumption.dim != left.dim or not at_least(assumption.start, needed.start):
            return None
        return np.asarray(answer)


_MIRRORED = {2: 4, 3: 5, 4: 2, 5: 3}
"""eq, ne, slt, sle, sgt, sge are 0 to 5."""

_BEYOND = {0: (1, False), 1: (1, True), 2: (0, False), 3: (1, False), 4: (1, True), 5: (0, True)}
"""By predicate: how far beyond a number an index has to be for the answer to be known, and the answer."""


def _selected(condition: Value, first: Value, second: Value) -> Value:
    if isinstance(condition, np.ndarray):
        return first if condition else second
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray) and np.array_equal(first, second):
        return first
    return None


_EXACT: Mapping[type[Operation], Callable[[Any, Any], Any]] = {
    arith.AddiOp: lambda a, b: a + b,
    arith.SubiOp: lambda a, b: a - b,
    arith.MuliOp: lambda a, b: a * b,
}


def _computed(op: Operation, values: list[Value]) -> Value:
    """Arithmetic and comparison of extents."""
    numbers = [int(v) if isinstance(v, np.ndarray) else v for v in values]
    extents = [v for v in numbers if isinstance(v, int | Extent)]
    if len(extents) != len(values):
        return None
    if isinstance(op, arith.CmpiOp):
        return _decided(op.predicate.value.data, *extents)
    if type(op) not in _EXACT:
        return None
    found = _EXACT[type(op)](*extents)
    return found if isinstance(found, Extent) else np.asarray(found, np.int64)


def _decided(predicate: int, a: int, b: int) -> Value:
    """What a comparison says for all values of the dims; None where it depends on them."""
    ways = {2: (b, a, 1), 3: (b, a, 0), 4: (a, b, 1), 5: (a, b, 0)}
    if predicate not in ways:
        return None
    larger, smaller, distance = ways[predicate]
    if at_least(larger, smaller + distance):
        return np.asarray(True)
    return np.asarray(False) if at_least(smaller + distance - 1, larger) else None


def _absorbs(op: Operation, values: list[Value], number: Array) -> bool:
    """Whether a number is the result of an operation on it whatever the other operand is."""
    if isinstance(op, arith.MulfOp | arith.MuliOp | arith.AndIOp):
        return not number
    if isinstance(op, arith.OrIOp):
        return number.dtype == np.bool_ and bool(number)
    if isinstance(op, arith.SubfOp):
        return bool(np.isinf(number)) and values[0] is number
    if isinstance(op, arith.DivfOp):
        return not number and values[0] is number
    return isinstance(op, arith.AddfOp) and bool(np.isinf(number))


def _is_neutral(op: ComputeOp, number: int, value: Value) -> bool:
    """Whether folding a value into accumulator ``number`` changes nothing."""
    block, count = op.combine.block, op.accumulators
    last = block.last_op
    assert isinstance(last, YieldOp)
    fold = last.values[number].owner
    if not isinstance(value, np.ndarray) or not isinstance(fold, Operation) or len(fold.operands) != 2:
        return False
    neutral = _NEUTRAL.get(type(fold))
    if neutral is None or {*fold.operands} != {block.args[number], block.args[count + number]}:
        return False
    return bool(value == neutral(fold.results[0].type))


def _lowest(type_: Attribute) -> float:
    return -_highest(type_) - (1 if isinstance(type_, IntegerType) else 0)


def _highest(type_: Attribute) -> float:
    if isinstance(type_, Float16Type | Float32Type | Float64Type):
        return float("inf")
    return int(np.iinfo(numpy_dtype(type_)).max)


_NEUTRAL: Mapping[type[Operation], Callable[[Attribute], float]] = {
    arith.AddfOp: lambda _: 0,
    arith.AddiOp: lambda _: 0,
    arith.MulfOp: lambda _: 1,
    arith.MuliOp: lambda _: 1,
    arith.OrIOp: lambda _: 0,
    arith.MaximumfOp: _lowest,
    arith.MaxnumfOp: _lowest,
    arith.MaxSIOp: _lowest,
    arith.MinimumfOp: _highest,
    arith.MinnumfOp: _highest,
    arith.MinSIOp: _highest,
}
"""What changes nothing when it is folded in."""


def contents_of(op: ComputeOp, known: Known) -> dict[SSAValue, Contents]:
    """What is known of the buffers that a compute writes, which nothing else may write."""
    regions = Regions(op, known)
    found: dict[SSAValue, Contents] = {}
    first = len(op.ins)
    if all(d.extent == 1 for d in op.dims.data):
        return {v: Contents(elements={0: e}) for v, r in zip(op.outs, regions.finished(None)) for e in _element(v, r)}
    for assumption in regions.assumptions():
        results = zip((*op.outs, *op.elems), regions.written(assumption), strict=True)
        for number, (value, result) in enumerate(results, first):
            if isinstance(result, np.ndarray):
                _note(found.setdefault(value, Contents()), regions, number, assumption, result)
    return found


def contents_kept(op: ComputeOp, number: int, known: Known) -> Contents:
    """What stays known of a buffer of which a compute writes a part: where it writes what stands there, or nothing."""
    regions = Regions(op, known)
    before, shape = regions.contents[number], regions.shapes[number]
    ends = {**op.dims.extents, **{name: value + 1 for name, value in regions.subscripts().items()}}
    written = [(a, regions.written(a)[number - len(op.ins)]) for a in regions.assumptions()]
    found = Contents()
    for place, expr in enumerate(regions.maps[number]):
        axis, unit = axis_of(shape, place)
        for (key, bound), value in before.beyond.items() if before is not None and shape[place] != 1 else ():
            if key == axis:
                alike = [a for a, result in written if isinstance(result, np.ndarray) and np.array_equal(result, value)]
                reached = [end(expr, ends), *(end(expr, {**ends, a.dim: a.start}) for a in alike)]
                last = reduce(lambda best, other: other if at_least(best, other) else best, reached)
                found.beyond[key, greatest(bound, last * unit)] = value
    return found


def _element(buffer: SSAValue, value: Value) -> list[int]:
    """What is known of the only element of a buffer of integers."""
    if prod(buffer_type(buffer).get_shape()) != 1:
        return []
    if isinstance(value, np.ndarray):
        return [int(value)] if value.dtype.kind == "i" else []
    return [value] if isinstance(value, Extent) else []


def _note(into: Contents, regions: Regions, number: int, assumption: Assumption, value: Array) -> None:
    """Beyond some extent of a dim of a result, all is computed under the assumption."""
    shape = regions.shapes[number]
    for place, expr in enumerate(regions.maps[number]):
        reached = cut(expr, 0)
        if reached is None or reached[0] != assumption.dim or len(expr.terms) != 1:
            continue
        bound = least(expr, assumption.dim, assumption.start)
        if bound is None:
            continue
        again = cut(expr, bound)
        if again is not None and at_least(again[1], assumption.start):
            axis, unit = axis_of(shape, place)
            into.beyond[axis, bound * unit] = value
