"""Hypothesis strategies for kernels of one compute and for schedules of them.

Values are small integers in every type, so that sums and products are exact: results are compared bit by bit, and
the order in which a schedule folds a reduction can't matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.arith import AndIOp, OrIOp
from xdsl.dialects.builtin import DenseArrayBase, MemRefType, StringAttr, f16, f32, f64, i1, i8, i32, i64
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.hlt.dtypes import is_float, numpy_dtype
from mlc.dialects.loop import ComputeOp, Dim, DimsAttr, KernelOp, Level, MapAttr, Plan, ScheduleAttr
from mlc.dialects.loop.affine import Expr, Quotient, bounds, constant, dim, floordiv, mod, quotient_dims
from mlc.lowering.scalar import Body, Scalar, region
from mlc.testing.strategies import extents

Array: TypeAlias = NDArray[Any]
Index: TypeAlias = tuple[Expr, ...]

TYPES: tuple[Attribute, ...] = (f32, f64, i64, i32, f16, i8, i1)
ACCUMULATED: tuple[Attribute, ...] = (f32, f64, i64, i32)
MAX_POINTS = 3000
MAX_REGISTERS = 48
LANES = (2, 4, 8, 16)


@dataclass(frozen=True, repr=False)
class Case:
    """A kernel and arrays for all its arguments; the outputs' hold what must stay where nothing is written."""

    kernel: KernelOp
    arrays: tuple[Array, ...]
    outputs: int

    def __repr__(self) -> str:
        return f"Case({self.kernel})"

    @property
    def compute(self) -> ComputeOp:
        """The kernel's only compute."""
        return self.kernel.computes()[0]

    def defined(self, argument: int) -> Array:
        """Which elements of an argument count: not those that pad the last block of a blocked dim."""
        compute = self.compute
        assert compute.maps is not None
        shape = self.arrays[argument].shape
        index = np.indices(shape)
        counts = np.ones(shape, np.bool_)
        for name, block, places in _blocked(compute.maps.data[argument].data):
            counts &= index[places["//"]] * block + index[places["%"]] < compute.dims.extents[name]
        return counts

    def scheduled(self, plan: Plan) -> KernelOp:
        """The kernel with a schedule for its compute."""
        copy = self.kernel.clone()
        copy.computes()[0].properties["schedule"] = ScheduleAttr(plan)
        return copy


def _blocked(index: Index) -> list[tuple[str, int, dict[str, int]]]:
    """The dims that an index splits in blocks: name, block size, and which positions hold quotient and remainder."""
    found: dict[tuple[str, int], dict[str, int]] = {}
    for place, expr in enumerate(index):
        for atom, _ in expr.terms:
            if isinstance(atom, Quotient) and atom.expr.as_dim:
                found.setdefault((atom.expr.as_dim, atom.divisor), {})[atom.kind] = place
    return [(name, block, places) for (name, block), places in found.items() if len(places) == 2]


@dataclass(frozen=True)
class Operand:
    """A buffer in the making."""

    element: Attribute
    shape: tuple[int, ...]
    index: Index


@st.composite
def domains(draw: st.DrawFn, *, reduces: bool) -> tuple[Dim, ...]:
    """Up to three parallel and, if it ``reduces``, up to two reduction dims."""
    count = draw(st.integers(0 if reduces else 1, 3))
    points = MAX_POINTS
    dims: list[Dim] = []
    for i in range(count + (draw(st.integers(1, 2)) if reduces else 0)):
        extent = draw(extents(points))
        points //= extent
        dims.append(Dim(f"r{i}" if i >= count else f"p{i}", extent, "r" if i >= count else "p"))
    return tuple(draw(st.permutations(dims)))


@st.composite
def input_indices(draw: st.DrawFn, dims: Sequence[Dim]) -> tuple[Index, tuple[int, ...]]:
    """An index over some of the dims (permuted, strided, reversed, blocked, in windows) and a shape it fits."""
    ranges = {d.name: d.extent for d in dims}
    used = draw(st.permutations([d for d in dims if draw(st.integers(0, 3))]))
    index: list[Expr] = []
    for d in used:
        form = draw(st.sampled_from(["plain"] * 5 + ["strided", "reversed", "blocked", "window"]))
        if form == "blocked" and d.extent > 1:
            block = draw(st.sampled_from([2, 4, 8]))
            index += [floordiv(dim(d.name), block, ranges), mod(dim(d.name), block, ranges)]
        elif form == "window" and index:
            index[-1] = index[-1].plus(dim(d.name))
        elif form == "strided":
            index.append(dim(d.name).times(draw(st.integers(2, 3))).shifted(draw(st.integers(0, 2))))
        elif form == "reversed":
            index.append(dim(d.name).times(-1).shifted(d.extent - 1))
        else:
            index.append(dim(d.name))
    if draw(st.integers(0, 9)) == 0:
        index.append(constant(draw(st.integers(0, 2))))
    return _placed(draw, index, ranges)


@st.composite
def output_indices(draw: st.DrawFn, dims: Sequence[Dim]) -> tuple[Index, tuple[int, ...]]:
    """An index that gives every point of the dims an element of its own."""
    ranges = {d.name: d.extent for d in dims}
    index: list[Expr] = []
    for d in draw(st.permutations(list(dims))):
        form = draw(st.sampled_from(["plain"] * 6 + ["strided", "reversed", "blocked"]))
        if form == "blocked" and d.extent > 1:
            block = draw(st.sampled_from([2, 4, 8, 16]))
            index += [floordiv(dim(d.name), block, ranges), mod(dim(d.name), block, ranges)]
        elif form == "strided":
            index.append(dim(d.name).times(2).shifted(1))
        elif form == "reversed":
            index.append(dim(d.name).times(-1).shifted(d.extent - 1))
        else:
            index.append(dim(d.name))
    return _placed(draw, draw(st.permutations(index)) if draw(st.booleans()) else index, ranges)


def _placed(draw: st.DrawFn, index: Sequence[Expr], ranges: dict[str, int]) -> tuple[Index, tuple[int, ...]]:
    """The index and a shape with room for it; blocks are whole, as layouts have them."""
    shape: list[int] = []
    for expr in index:
        high = bounds(expr, ranges)[1] + 1
        block = next((a.divisor for a, _ in expr.terms if isinstance(a, Quotient) and a.kind == "%"), 0)
        shape.append(max(block, high) + (0 if block else draw(st.sampled_from([0, 0, 0, 1]))))
    return tuple(index), tuple(shape)


# --- regions


@dataclass(frozen=True)
class Fold:
    """A reduction: accumulator types, and builders of its regions over already converted values."""

    accumulators: Callable[[Attribute], tuple[Attribute, ...]]
    init: Callable[[Scalar, Attribute], list[SSAValue]]
    map: Callable[[Scalar, SSAValue, str], list[SSAValue]]
    combine: Body


def _lowest(element: Attribute) -> float:
    return -100.0 if is_float(element) else -100


def _better(s: Scalar, v: SSAValue, i: SSAValue, w: SSAValue, j: SSAValue) -> list[SSAValue]:
    """The larger value, of equal ones that with the smaller index."""
    wins = s.compare("gt", v, w)
    ties = s.op(AndIOp, [s.compare("eq", v, w), s.compare("le", i, j)], i1)
    first = s.op(OrIOp, [wins, ties], i1)
    return [s.select(first, v, w), s.select(first, i, j)]


FOLDS: dict[str, Fold] = {
    "sum": Fold(
        lambda e: (e,),
        lambda s, e: [s.constant(0, e)],
        lambda s, x, _: [x],
        Scalar.add,
    ),
    "max": Fold(
        lambda e: (e,),
        lambda s, e: [s.constant(_lowest(e), e)],
        lambda s, x, _: [x],
        Scalar.maximum,
    ),
    "biased": Fold(
        lambda e: (e,),
        lambda s, e: [s.constant(5, e)],
        lambda s, x, _: [x],
        Scalar.add,
    ),
    "moments": Fold(
        lambda e: (e, e),
        lambda s, e: [s.constant(0, e), s.constant(0, e)],
        lambda s, x, _: [x, s.mul(x, x)],
        lambda s, a, b, c, d: [s.add(a, c), s.add(b, d)],
    ),
    "argmax": Fold(
        lambda e: (e, i64),
        lambda s, e: [s.constant(_lowest(e), e), s.constant(0, i64)],
        lambda s, x, name: [x, s.index(name)],
        _better,
    ),
}


@st.composite
def cases(draw: st.DrawFn, *, reduces: bool) -> Case:
    """A kernel of one compute, with data."""
    dims = draw(domains(reduces=reduces))
    parallel = [d for d in dims if d.kind == "p"]
    wide = draw(st.sampled_from(ACCUMULATED))
    ins = [_operand(draw, dims) for _ in range(draw(st.integers(1, 3 if not reduces else 2)))]
    extra = [_operand(draw, parallel)] if reduces and draw(st.booleans()) else []
    outs = [_output(draw, parallel) for _ in range(draw(st.sampled_from([1, 1, 1, 2])))]
    elems = [_output(draw, dims)] if reduces and draw(st.integers(0, 4)) == 0 else []
    kernel = _kernel(draw, dims, wide, ins, extra, outs, elems)
    operands = [*ins, *extra, *outs, *elems]
    seed = draw(st.integers(0, 2**16))
    return Case(kernel, tuple(_array(seed + i, o) for i, o in enumerate(operands)), len(outs) + len(elems))


def _operand(draw: st.DrawFn, dims: Sequence[Dim]) -> Operand:
    index, shape = draw(input_indices(dims))
    return Operand(draw(st.sampled_from(TYPES)), shape, index)


def _output(draw: st.DrawFn, dims: Sequence[Dim]) -> Operand:
    index, shape = draw(output_indices(dims))
    return Operand(draw(st.sampled_from(TYPES)), shape, index)


def _array(seed: int, operand: Operand) -> Array:
    dtype = numpy_dtype(operand.element)
    low, high = (0, 2) if dtype == np.bool_ else (-3, 4)
    return np.random.default_rng(seed).integers(low, high, operand.shape).astype(dtype)


def _kernel(
    draw: st.DrawFn,
    dims: tuple[Dim, ...],
    wide: Attribute,
    ins: list[Operand],
    extra: list[Operand],
    outs: list[Operand],
    elems: list[Operand],
) -> KernelOp:
    operands = [*ins, *extra, *outs, *elems]
    block = Block(arg_types=[MemRefType(o.element, o.shape) for o in operands])
    types = [o.element for o in (*ins, *extra)]
    inputs = len(types)
    reductions = [d.name for d in dims if d.kind == "r"]
    fold = FOLDS[draw(st.sampled_from(sorted(FOLDS)))]
    accs = fold.accumulators(wide) if reductions else ()
    indexed = draw(st.sampled_from([d.name for d in dims] or [""])) if draw(st.integers(0, 4)) == 0 else ""

    def product(s: Scalar, values: Sequence[SSAValue]) -> SSAValue:
        total = s.cast(values[0], wide)
        for value in values[1:]:
            total = s.mul(total, s.cast(value, wide))
        return total

    def finish(s: Scalar, *values: SSAValue) -> list[SSAValue]:
        result = [s.cast(v, wide) for v in values[inputs:]] if reductions else [product(s, values[: len(ins)])]
        if extra:
            result[0] = s.add(result[0], s.cast(values[len(ins)], wide))
        if indexed and indexed not in reductions:
            result[0] = s.add(result[0], s.cast(s.index(indexed), wide))
        return [s.cast(result[i % len(result)], o.element) for i, o in enumerate(outs)]

    def initial(s: Scalar, *_: SSAValue) -> list[SSAValue]:
        return fold.init(s, wide)

    def mapped(s: Scalar, *values: SSAValue) -> list[SSAValue]:
        total = product(s, values[: len(ins)])
        return [*fold.map(s, total, reductions[0]), *(s.cast(total, o.element) for o in elems)]

    compute = ComputeOp.make(
        block.args[:inputs],
        block.args[inputs : inputs + len(outs)],
        DimsAttr(dims),
        [MapAttr(o.index) for o in operands],
        elems=block.args[inputs + len(outs) :],
        finish=region([*types, *accs], finish),
        init=region(types, initial) if reductions else None,
        map=region(types, mapped) if reductions else None,
        combine=region([*accs, *accs], fold.combine) if reductions else None,
    )
    block.add_op(compute)
    properties: dict[str, Attribute] = {"sym_name": StringAttr("k")}
    weights = [i for i in range(inputs) if draw(st.integers(0, 2)) == 0]
    if weights:
        properties["weights"] = DenseArrayBase.from_list(i64, weights)
    return KernelOp.create(properties=properties, regions=[Region(block)])


# --- schedules

_REFUSED = re.compile(r"\[(split_linear|split_balanced|pack_balanced|schedule_repeat)\]")
"""Schedules that don't fit an operand's blocks are refused, never compiled wrongly."""


@contextmanager
def drawn_plan() -> Generator[None]:
    """What is lowered inside has schedules of `plans`: an example in which one is refused does not count."""
    try:
        yield
    except VerifyException as error:
        if _REFUSED.search(str(error)):
            reject()
        raise


@st.composite
def plans(
    draw: st.DrawFn,
    kernel: KernelOp,
    number: int = 0,
    shared: Mapping[str, int] | None = None,
    room: int = MAX_REGISTERS,
) -> Plan:
    """A schedule of one of the kernel's computes: any loops, register axes, lanes, packs, prefetches and group.

    ``shared`` gives the steps of the kernel's shared loops, which leave that much of their dims, ``room`` the
    size of the largest register tile.
    """
    compute = kernel.computes()[number]
    steps = shared or {}
    dims = tuple(d._replace(extent=min(d.extent, steps.get(d.name, d.extent))) for d in compute.dims.data)
    blocks = _blocks(compute)
    lane = draw(st.sampled_from([None, *dims]))
    lanes = draw(st.sampled_from(LANES)) if lane else 1
    loops: dict[str, list[Level]] = {}
    registers: list[Level] = []
    for d in draw(st.permutations(list(dims))):
        unit = lanes if d is lane else 1
        here = draw(st.integers(1, min(room, 4)))
        size = here * unit if draw(st.integers(0, 3)) else max(1, here * unit - draw(st.integers(0, unit - 1)))
        block = blocks.get(d.name, 0)
        if block:
            size = max(unit, min(size, block)) if draw(st.booleans()) else -(-size // block) * block
        size = d.extent if size >= d.extent else size
        count = -(-size // unit)
        if count > room:
            size, count = unit, 1
        room //= count
        loops[d.name] = _chain(draw, d, size, blocks.get(d.name, 0), whole=d.name not in steps)
        if count > 1 or draw(st.booleans()):
            kept = d.kind == "r" and draw(st.booleans())
            registers.append(Level(d.name, "+" if kept else "*"))
    registers = list(draw(st.permutations(registers)))
    if lane:
        registers.insert(len(registers) if draw(st.integers(0, 4)) else 0, Level(lane.name, "@", lanes))
    parallel = [loops[d.name] for d in dims if d.kind == "p"]
    reduced = [loops[d.name] for d in dims if d.kind == "r"]
    constants = [i for i, v in enumerate(compute.ins) if any(v is c for c in kernel.constant_args)]
    in_map = [i for i in constants if compute.map.blocks and compute.map.block.args[i].first_use is not None]
    pack = tuple(i for i in in_map if draw(st.booleans()))
    prefetch = tuple(i for i in range(len(compute.ins)) if draw(st.integers(0, 4)) == 0)
    group = draw(st.sampled_from([0, 0, 1, 2, 3, 5]))
    return Plan((*_interleaved(draw, parallel), *_interleaved(draw, reduced), *registers), pack, prefetch, group)


def _blocks(compute: ComputeOp) -> dict[str, int]:
    """By dim: the block of some operand that divides it."""
    assert compute.maps is not None
    found: dict[str, int] = {}
    for mapping in compute.maps:
        for expr in mapping.data:
            for name in quotient_dims(expr):
                divisors = [a.divisor for a, _ in expr.terms if isinstance(a, Quotient)]
                found[name] = max(found.get(name, 0), *divisors)
    return found


def _chain(draw: st.DrawFn, d: Dim, size: int, block: int, *, whole: bool) -> list[Level]:
    """Loops over a dim from its extent down to ``size``; where that is the ``whole`` dim, maybe a loop of one step."""
    if size >= d.extent:
        return [Level(d.name, "/", d.extent)] if whole and draw(st.integers(0, 5)) == 0 else []
    sizes = [size]
    while draw(st.integers(0, 2)) == 0 and sizes[0] * 2 < d.extent:
        outer = draw(st.integers(sizes[0] + 1, d.extent - 1))
        if block and outer % block and draw(st.booleans()):
            outer = -(-outer // block) * block
        if outer >= d.extent:
            break
        sizes.insert(0, outer)
    if block > size and all(s % block for s in sizes) and block < d.extent and block % size == 0:
        sizes = [block, size]
    return [Level(d.name, "/", s, balanced=draw(st.integers(0, 5)) == 0) for s in sizes]


def _interleaved(draw: st.DrawFn, chains: Sequence[list[Level]]) -> list[Level]:
    """Several chains in one order that keeps each."""
    left = [list(c) for c in chains if c]
    merged: list[Level] = []
    while left:
        chain = draw(st.sampled_from(left))
        merged.append(chain.pop(0))
        left = [c for c in left if c]
    return merged
