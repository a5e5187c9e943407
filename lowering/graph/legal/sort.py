"""Sorting: short rows by comparing all with all, longer ones bit by bit; and the first few of long rows.

The rank of an element is the number of elements that come before it. Of `RANKED` elements or fewer it takes the fewest
steps to compare every element with every other, all at once and in vectors. More are sorted by their bits, from the
lowest to the highest: each step of a loop moves elements without the bit before those with it and keeps the order
among them (a radix sort; Knuth, The Art of Computer Programming 3, 5.2.5). Both are stable.

Of the first few of many elements the last one is found bit by bit, by counting; those that don't come after it are put
together and compared all with all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import i1, i32, i64
from xdsl.ir import Attribute, Block, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value, YieldOp, tensor_type
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.hlt.dtypes import is_bool, is_float, numpy_dtype, ui8, ui16, ui32, ui64
from mlc.dialects.hlt.narrow import bit_width
from mlc.errors import UnsupportedError
from mlc.lowering.graph.match import full
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()

RANKED = 1 << 9
"""The most elements along an axis that are compared all with all."""

LONGEST = 2**31 - 1
"""The most elements along an axis that can be sorted: places are counted in 32 bits."""

_UNSIGNED = {8: ui8, 16: ui16, 32: ui32, 64: ui64}


@RULES.on(hlt.SortOp)
def sort(op: hlt.SortOp) -> list[Value]:
    """A gather in order."""
    _check_length(op, op.axis)
    order = _order(op.x, op.axis, op.descending)
    return [hlt.GatherElementsOp(op.x, order, axis=op.axis), order]


@RULES.on(hlt.TopKOp)
def top_k(op: hlt.TopKOp) -> list[Value]:
    """The start of the order."""
    _check_length(op, op.axis)
    packed = (
        None if op.k > RANKED or not op.k or shape_of(op.x)[op.axis] <= RANKED else Packed.of(op.x, op.axis, op.largest)
    )
    best = _first(_order(op.x, op.axis, op.largest), op.axis, op.k) if packed is None else _least(packed, op.axis, op.k)
    return [hlt.GatherElementsOp(op.x, best, axis=op.axis), best]


def _check_length(op: hlt.SortOp | hlt.TopKOp, axis: int) -> None:
    length = shape_of(op.x)[axis]
    if length > LONGEST:
        raise UnsupportedError(f"can't sort {length} elements: at most {LONGEST}", node=hlt.node_name(op))


def _first(x: Value, axis: int, count: int) -> Value:
    """The first elements along an axis."""
    shape = shape_of(x)
    return hlt.SliceOp(x, starts=(0,) * len(shape), sizes=_with(shape, axis, count), strides=(1,) * len(shape))


def _with(shape: Sequence[int], axis: int, extent: int) -> tuple[int, ...]:
    """A shape with another extent along an axis."""
    return tuple(extent if i == axis else n for i, n in enumerate(shape))


def _order(x: Value, axis: int, descending: bool) -> Value:
    """The indices of ``x`` in stable order along ``axis``."""
    shape = shape_of(x)
    if shape[axis] > RANKED:
        return _by_bits(x, axis, descending)
    indices = hlt.IotaOp(shape=shape, axis=axis, dtype=i64)
    nothing = full(0, shape, np.dtype(np.int64))
    return hlt.ScatterElementsOp(nothing, _ranks(x, axis, descending), indices, axis=axis)


# --- by ranks


def _ranks(x: Value, axis: int, descending: bool) -> Value:
    """How many elements come before each: greater ones (or lesser), equal ones of a lower index; NaN is largest."""
    shape = shape_of(x)
    square = (*shape[: axis + 1], *shape[axis:])
    own = tuple(d for d in range(len(square)) if d != axis + 1)
    others = tuple(d for d in range(len(square)) if d != axis)
    a = hlt.BroadcastOp(x, shape=square, dims=others)
    b = hlt.BroadcastOp(x, shape=square, dims=own)
    high, low = (a, b) if descending else (b, a)
    before: Value = hlt.CompareOp(high, low, predicate="gt")
    tied: Value = hlt.CompareOp(a, b, predicate="eq")
    if is_float(element_of(x)):
        before = hlt.OrOp(before, hlt.AndOp(hlt.IsNanOp(high), hlt.NotOp(hlt.IsNanOp(low))))
        tied = hlt.OrOp(tied, hlt.AndOp(hlt.IsNanOp(a), hlt.IsNanOp(b)))
    earlier = hlt.CompareOp(
        hlt.IotaOp(shape=square, axis=axis + 1, dtype=i32),
        hlt.IotaOp(shape=square, axis=axis, dtype=i32),
        predicate="lt",
    )
    first = hlt.OrOp(before, hlt.AndOp(tied, earlier))
    return hlt.ReduceOp(hlt.CastOp(first, dtype=i32), kind="sum", axes=(axis + 1,), keep_dims=False)


# --- by bits


def _by_bits(x: Value, axis: int, descending: bool) -> Value:
    """A loop over the bits of keys that are in the order of ``x``, which move together with their places."""
    packed = Packed.of(x, axis, descending)
    if packed is None:
        key = _key(x, descending)
        place = hlt.IotaOp(shape=shape_of(x), axis=axis, dtype=i64)
        return _loop([key, place], bit_width(element_of(key)), 0, axis)[1]
    (moved,) = _loop([packed.values], packed.key_bits, packed.place_bits, axis)
    return packed.places(moved)


@dataclass(frozen=True)
class Packed:
    """A key and, below it, the place that it comes from, as one ui64 each: all differ, and order stably."""

    values: Value
    key_bits: int
    place_bits: int

    @staticmethod
    def of(x: Value, axis: int, descending: bool) -> Packed | None:
        """None where both don't fit into 64 bits."""
        shape = shape_of(x)
        key, place_bits = _key(x, descending), (shape[axis] - 1).bit_length()
        key_bits = bit_width(element_of(key))
        if key_bits + place_bits > bit_width(ui64):
            return None
        high = hlt.ShiftLeftOp(hlt.CastOp(key, dtype=ui64), _full(place_bits, shape, ui64))
        place = hlt.IotaOp(shape=shape, axis=axis, dtype=i64)
        return Packed(hlt.OrOp(high, hlt.CastOp(place, dtype=ui64)), key_bits, place_bits)

    def places(self, values: Value) -> Value:
        """The places in some of the values, an i64."""
        low = hlt.AndOp(values, _full((1 << self.place_bits) - 1, shape_of(values), ui64))
        return hlt.CastOp(low, dtype=i64)


def _least(packed: Packed, axis: int, count: int) -> Value:
    """The places of the ``count`` least values, in their order."""
    values = packed.values
    shape = shape_of(values)
    extents = _with(shape, axis, 1)
    last = _last_of_least(values, axis, count, packed.key_bits + packed.place_bits, extents)
    bound = hlt.BroadcastOp(last, shape=shape, dims=tuple(range(len(shape))))
    taken = hlt.CompareOp(values, bound, predicate="le")
    before = hlt.ScanOp(hlt.CastOp(taken, dtype=i32), kind="sum", axis=axis, exclusive=True)
    spare = _full(count, shape, i32)
    nothing = _full(0, _with(shape, axis, count + 1), ui64)
    spread = hlt.ScatterElementsOp(nothing, hlt.SelectOp(taken, before, spare), values, axis=axis)
    found = _first(spread, axis, count)
    ranks = _ranks(found, axis, descending=False)
    return packed.places(hlt.ScatterElementsOp(_full(0, shape_of(found), ui64), ranks, found, axis=axis))


def _last_of_least(values: Value, axis: int, count: int, bits: int, extents: tuple[int, ...]) -> Value:
    """The greatest of the ``count`` least values: a bit belongs to it if fewer than these are below it with the bit."""
    shape = shape_of(values)
    block = Block(arg_types=[tensor_type((), i64), tensor_type(extents, ui64)])
    step, known = block.args
    emit = _Emitter(block)
    number = emit(hlt.CastOp(emit(hlt.SubOp(emit(_full(bits - 1, (), i64)), step)), dtype=ui64))
    bit = emit(hlt.ShiftLeftOp(emit(_full(1, (), ui64)), number))
    candidate = emit(hlt.OrOp(known, emit(hlt.BroadcastOp(bit, shape=extents, dims=()))))
    bound = emit(hlt.BroadcastOp(candidate, shape=shape, dims=tuple(range(len(shape)))))
    below = emit(hlt.CastOp(emit(hlt.CompareOp(SSAValue.get(values), bound, predicate="lt")), dtype=i32))
    total = emit(hlt.ReduceOp(below, kind="sum", axes=(axis,), keep_dims=True))
    fewer = emit(hlt.CompareOp(total, emit(_full(count, extents, i32)), predicate="lt"))
    block.add_op(YieldOp(emit(hlt.SelectOp(fewer, candidate, known))))
    return hlt.LoopOp(block, limit=bits, inits=[_full(0, extents, ui64)]).results[0]


def _loop(values: Sequence[Value], bits: int, lowest: int, axis: int) -> Sequence[SSAValue]:
    """``values`` sorted by ``bits`` bits of the first one, from bit ``lowest`` on."""
    types = [tensor_type(shape_of(v), element_of(v)) for v in values]
    block = Block(arg_types=[tensor_type((), i64), *types])
    step, *states = block.args
    emit = _Emitter(block)
    shape, element = shape_of(states[0]), element_of(states[0])
    count = emit(hlt.AddOp(step, emit(_full(lowest, (), i64))))
    shift = emit(hlt.BroadcastOp(emit(hlt.CastOp(count, dtype=element)), shape=shape, dims=()))
    shifted = emit(hlt.ShiftRightOp(states[0], shift))
    bit = emit(hlt.AndOp(shifted, emit(_full(1, shape, element))))
    place = _split_places(emit, bit, axis)
    moved = [emit(hlt.ScatterElementsOp(v, place, v, axis=axis)) for v in states]
    block.add_op(YieldOp(*moved))
    return hlt.LoopOp(block, limit=bits, inits=values).results


def _split_places(emit: _Emitter, bit: SSAValue, axis: int) -> SSAValue:
    """Where each element goes, an i32, if those whose bit is 0 come first: behind as many of its kind as before."""
    shape = shape_of(bit)
    extents = _with(shape, axis, 1)
    ones = emit(hlt.CastOp(bit, dtype=i32))
    before = emit(hlt.ScanOp(ones, kind="sum", axis=axis, exclusive=True))
    total = emit(hlt.ReduceOp(ones, kind="sum", axes=(axis,), keep_dims=True))
    zeros = emit(hlt.SubOp(emit(_full(shape[axis], extents, i32)), total))
    after_zeros = emit(hlt.AddOp(emit(hlt.BroadcastOp(zeros, shape=shape, dims=tuple(range(len(shape))))), before))
    among_zeros = emit(hlt.SubOp(emit(hlt.IotaOp(shape=shape, axis=axis, dtype=i32)), before))
    return emit(hlt.SelectOp(emit(hlt.CastOp(bit, dtype=i1)), after_zeros, among_zeros))


@dataclass
class _Emitter:
    """Appends operations to a block and yields their results."""

    block: Block

    def __call__(self, op: hlt.HltOp) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]


def _key(x: Value, descending: bool) -> Value:
    """Unsigned numbers in the order of ``x``: equal for equal elements, the largest for NaN."""
    element, shape = element_of(x), shape_of(x)
    if is_bool(element):
        key: Value = hlt.CastOp(x, dtype=ui8)
    elif is_float(element):
        key = _float_key(x, element, shape)
    elif str(element).startswith("ui"):
        key = x
    else:
        unsigned = _UNSIGNED[bit_width(element)]
        key = hlt.XorOp(hlt.BitcastOp(x, dtype=unsigned), _full(1 << (bit_width(element) - 1), shape, unsigned))
    return hlt.NotOp(key) if descending else key


def _float_key(x: Value, element: Attribute, shape: tuple[int, ...]) -> Value:
    """The bits with the sign inverted, those of negative numbers inverted throughout; both zeros are one."""
    unsigned = _UNSIGNED[bit_width(element)]
    sign = _full(1 << (bit_width(element) - 1), shape, unsigned)
    bits = hlt.BitcastOp(hlt.AddOp(x, _full(0, shape, element)), dtype=unsigned)
    negative = hlt.CompareOp(bits, sign, predicate="ge")
    key = hlt.SelectOp(negative, hlt.NotOp(bits), hlt.OrOp(bits, sign))
    everything = _full((1 << bit_width(element)) - 1, shape, unsigned)
    return hlt.SelectOp(hlt.IsNanOp(x), everything, key)


def _full(number: int, shape: tuple[int, ...], element: Attribute) -> hlt.ConstantOp:
    return full(np.array(number, numpy_dtype(element)), shape, numpy_dtype(element))
