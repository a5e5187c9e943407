"""Products and convolutions of 8-bit integers become such of words, for which the target has instructions.

    dot(i32(x) - z, i32(w) - v)   ->  dot_words(words(x), words(w - v)) - z * sum(w - v)
    conv(i32(x) - z, i32(w) - v)  ->  conv_words(words(pad(x with z)), words(w - v)) - z * sum(w - v)

``w`` and ``v`` are constants, so all of the right operand is computed once. ``x`` and ``z`` are of the kind that the
instruction takes, or 128 is added to both or taken from both. In i32, which wraps, all this is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i8, i16, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass

from mlc.codegen.targets import Target, find_target
from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.dialects.hlt import Value
from mlc.dialects.parts import PARTS, UI8, Parts
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.derive import Array, constant_op, derive, readable, reader
from mlc.lowering.graph.match import constant, full, producer, splat
from mlc.lowering.graph.rewrite import Rules, run_rules


@dataclass(frozen=True)
class WordDotsPass(ModulePass):
    """Products of 8-bit integers with constants use the target's dot-product instructions."""

    name = "word-dots"

    target: str = "native"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kinds = kinds_of(find_target(self.target))
        if not kinds:
            return
        store, rules = weights_of(ctx), Rules()

        def dot(op: hlt.DotGeneralOp) -> Value | None:
            return _dot(op, kinds, store)

        def conv(op: hlt.ConvOp) -> Value | None:
            return _conv(op, kinds, store)

        rules.on(hlt.DotGeneralOp)(dot)
        rules.on(hlt.ConvOp)(conv)
        run_rules(op, rules)


def kinds_of(target: Target) -> list[str]:
    """The parts of words that the target's full vectors have instructions for."""
    return [kind for kind in PARTS if target.row(f"loop.dot.{kind}", "i32", target.lanes(4)) is not None]


class Shifted(NamedTuple):
    """``i32(x) - zero`` of 8-bit integers; ``zero`` is one number of i32, None for 0."""

    x: SSAValue
    zero: Value | None

    @property
    def element(self) -> Attribute:
        """The type of ``x``."""
        return hlt.element_of(self.x)


def _shifted(value: SSAValue) -> Shifted | None:
    """What ``value`` is the difference of, if it is one."""
    zero: Value | None = None
    difference = producer(value, hlt.SubOp)
    if difference is not None:
        number = _one_number(difference.rhs)
        if number is None:
            return None
        value, zero = difference.lhs, number
    cast = producer(value, hlt.CastOp)
    if cast is None or cast.dtype != i32 or hlt.element_of(cast.x) not in (i8, UI8):
        return None
    return Shifted(cast.x, zero)


def _one_number(value: SSAValue) -> Value | None:
    """The scalar that a tensor repeats."""
    number = splat(value)
    if number is not None:
        return full(number, (), np.dtype(np.int32))
    broadcast = producer(value, hlt.BroadcastOp)
    if broadcast is None or any(extent != 1 for extent in hlt.shape_of(broadcast.x)):
        return None
    return hlt.ReshapeOp(broadcast.x, shape=())


@dataclass(frozen=True)
class _Factor:
    """The constant right operand, less its zero point: from sources, by a function of their arrays.

    As ``[*window, K, N]``, that is the weights with their dims in ``order``; a matrix has no window.
    """

    sources: tuple[hlt.ConstantOp, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    @staticmethod
    def of(value: SSAValue, order: tuple[int, ...], store: WeightStore | None) -> _Factor | None:
        """What ``value`` is, if it is such a constant."""
        difference = producer(value, hlt.SubOp)
        operands = [value] if difference is None else [difference.lhs, difference.rhs]
        cast = producer(operands[0], hlt.CastOp)
        if cast is not None and hlt.element_of(cast.x) in (i8, UI8):
            operands[0] = cast.x
        found = [constant_op(operand) for operand in operands if readable(operand, store)]
        sources = tuple(op for op in found if op is not None)
        shape = hlt.shape_of(value)
        return _Factor(sources, order, tuple(shape[i] for i in order)) if len(sources) == len(operands) else None

    def values(self, weights: Array, *zero: Array) -> Array:
        """The factor in i32."""
        wide = weights.astype(np.int32) - (zero[0].astype(np.int32) if zero else 0)
        return wide.transpose(self.order)

    def fits(self, dtype: np.dtype[Any], store: WeightStore | None) -> bool:
        """Whether all values have that type."""
        source = hlt.numpy_dtype(hlt.element_of(self.sources[0].result))
        if len(self.sources) == 1 and np.can_cast(source, dtype):
            return True
        values = self.values(*(reader(op, store)() for op in self.sources))
        info = np.iinfo(dtype)
        return values.size == 0 or (int(values.min()) >= info.min and int(values.max()) <= info.max)

    def words(self, element: Attribute, store: WeightStore | None) -> hlt.ConstantOp | None:
        """``[*window, K words, N]``, zeros where K leaves the last words open."""
        dtype = hlt.numpy_dtype(element).newbyteorder("<")
        *window, depth, columns = self.shape
        count = 4 // dtype.itemsize
        words = -(-depth // count)

        def packed(*arrays: Array) -> Array:
            rows = np.zeros((*window, words * count, columns), dtype)
            rows[..., :depth, :] = self.values(*arrays)
            parts = rows.reshape(*window, words, count, columns).swapaxes(-1, -2)
            return np.ascontiguousarray(parts).view("<i4")[..., 0].astype(np.int32)

        recipe = f"words {dtype.name} order={self.order}"
        return derive(store, recipe, self.sources, hlt.Tensor((*window, words, columns), i32), packed)

    def sums(self, store: WeightStore | None) -> hlt.ConstantOp | None:
        """The sum of each column."""

        def summed(*arrays: Array) -> Array:
            values = self.values(*arrays)
            return values.sum(axis=tuple(range(values.ndim - 1)), dtype=np.int64).astype(np.int32)

        recipe = f"sums order={self.order}"
        return derive(store, recipe, self.sources, hlt.Tensor(self.shape[-1:], i32), summed)


class _Chosen(NamedTuple):
    """How a product is computed: in words of which parts, with the right operand and its sums as these constants."""

    parts: str
    rows: Shifted
    words: hlt.ConstantOp
    sums: hlt.ConstantOp

    @property
    def per_word(self) -> int:
        """Parts of a word."""
        return PARTS[self.parts].per_word


def _choose(
    lhs: SSAValue, rhs: SSAValue, order: tuple[int, ...], kinds: list[str], store: WeightStore | None
) -> _Chosen | None:
    """The first kind of words that both operands fit, best one that the left operand is made for."""
    rows, factor = _shifted(lhs), _Factor.of(rhs, order, store)
    if rows is None or factor is None:
        return None
    for kind in sorted(kinds, key=lambda name: (PARTS[name].left != rows.element, list(PARTS).index(name))):
        parts = PARTS[kind]
        if not factor.fits(hlt.numpy_dtype(parts.right), store):
            continue
        words, sums = factor.words(parts.right, store), factor.sums(store)
        return None if words is None or sums is None else _Chosen(kind, _as_parts(rows, parts), words, sums)
    return None


def _dot(dot: hlt.DotGeneralOp, kinds: list[str], store: WeightStore | None) -> Value | None:
    lhs = hlt.shape_of(dot.lhs)
    if dot.lhs_batch or len(hlt.shape_of(dot.rhs)) != 2 or dot.lhs_contract != (len(lhs) - 1,) or not lhs[-1]:
        return None
    chosen = _choose(dot.lhs, dot.rhs, (1, 0) if dot.rhs_contract == (1,) else (0, 1), kinds, store)
    if chosen is None:
        return None
    x = _padded(chosen.rows.x, [(0, 0)] * len(lhs), chosen, 0)
    product = hlt.DotWordsOp(hlt.WordsOp(x), chosen.words, parts=chosen.parts)
    return _less_zero(product, chosen, len(lhs) - 1)


def _conv(conv: hlt.ConvOp, kinds: list[str], store: WeightStore | None) -> Value | None:
    """Channels go last; a border is what stands for 0, so that what is taken off is the same everywhere."""
    rank = len(hlt.shape_of(conv.x))
    if conv.groups != 1:
        return None
    space = tuple(range(2, rank))
    chosen = _choose(conv.x, conv.w, (*space, 1, 0), kinds, store)
    if chosen is None:
        return None
    borders = list(zip(conv.pads_low, conv.pads_high))
    border = _border(chosen) if any(map(any, borders)) else 0
    if border is None:
        return None
    x = hlt.TransposeOp(chosen.rows.x, permutation=(0, *space, 1))
    x = _padded(x, [(0, 0), *borders, (0, 0)], chosen, border)
    product = hlt.ConvWordsOp(
        hlt.WordsOp(x), chosen.words, strides=conv.strides, dilations=conv.dilations, parts=chosen.parts
    )
    back = hlt.TransposeOp(product, permutation=(0, rank - 1, *range(1, rank - 1)))
    return _less_zero(back, chosen, 1)


def _border(chosen: _Chosen) -> int | None:
    """What stands for 0 in the left operand, if that is known and an integer of its type."""
    if chosen.rows.zero is None:
        return 0
    zero = constant(SSAValue.get(chosen.rows.zero))
    info = np.iinfo(hlt.numpy_dtype(chosen.rows.element))
    return int(zero) if zero is not None and info.min <= zero <= info.max else None


def _padded(x: Value, borders: list[tuple[int, int]], chosen: _Chosen, value: int) -> Value:
    """``x`` with borders, and filled up to whole words along the last dim, whatever with."""
    rest = -hlt.shape_of(x)[-1] % chosen.per_word
    low, high = [a for a, _ in borders], [z for _, z in borders]
    high[-1] += rest
    return hlt.PadOp(x, low=low, high=high, value=float(value)) if any((*low, *high)) else x


def _less_zero(product: hlt.HltOp, chosen: _Chosen, dim: int) -> Value:
    """``product`` less the zero point of the left operand times the sums, which are along ``dim``."""
    if chosen.rows.zero is None:
        return product
    factor = hlt.BroadcastOp(chosen.rows.zero, shape=hlt.shape_of(chosen.sums), dims=())
    line = hlt.MulOp(factor, chosen.sums)
    return hlt.SubOp(product, hlt.BroadcastOp(line, shape=hlt.shape_of(product), dims=(dim,)))


def _as_parts(rows: Shifted, parts: Parts) -> Shifted:
    """The same differences, of integers of the left part's type."""
    shape = hlt.shape_of(rows.x)
    if parts.left == rows.element:
        return rows
    if parts.left == i16:
        return Shifted(hlt.CastOp(rows.x, dtype=i16).result, rows.zero)
    # Flipping the sign bit adds 128 to signed numbers, which are unsigned then, or takes it from unsigned ones.
    dtype = hlt.numpy_dtype(rows.element)
    bits = hlt.XorOp(rows.x, full(np.array(128, np.uint8).view(dtype), shape, dtype))
    moved = full(128 if parts.left == UI8 else -128, (), np.dtype(np.int32))
    zero = moved if rows.zero is None else hlt.AddOp(rows.zero, moved)
    return Shifted(hlt.BitcastOp(bits, dtype=parts.left).result, zero)
