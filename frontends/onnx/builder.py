"""Building hlt from importers: values whose contents may be known, and folding as they are made.

Exporters compute shapes with tensors (``Shape``, ``Gather``, ``Concat``, ``Reshape``...). The builder keeps
what is known of a value's contents beside it and evaluates an operation at once when all its operands are
small known constants, so none of that arithmetic reaches the compiler.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.extents import broadcast_shapes, is_bounded, undecided
from mlc.dialects.interpreters import REFERENCES, evaluate
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.errors import MlcError, UnsupportedError
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.value import Array, ExtentsValue, Operand, Scalar, Value, is_float, signature_of

EXACT: frozenset[type[Operation]] = frozenset(
    {
        hlt.AbsOp,
        hlt.AddOp,
        hlt.BitcastOp,
        hlt.CastOp,
        hlt.CeilOp,
        hlt.CompareOp,
        hlt.DivOp,
        hlt.FloorOp,
        hlt.IsInfOp,
        hlt.IsNanOp,
        hlt.MaximumOp,
        hlt.MinimumOp,
        hlt.MulOp,
        hlt.NegOp,
        hlt.ReciprocalOp,
        hlt.RemOp,
        hlt.RoundOp,
        hlt.SelectOp,
        hlt.SignOp,
        hlt.SqrtOp,
        hlt.SubOp,
    }
)
"""Operations whose float results are correctly rounded wherever they are computed."""

FOLD_LIMIT = 4096
"""Operations fold at import when no operand and no result has more elements than this."""

WINDOWED: frozenset[type[Operation]] = frozenset({hlt.ConvOp, hlt.ConvTransposeOp, hlt.ReduceWindowOp, hlt.ResizeOp})
"""Operations that can cost far more than their operands' and results' sizes tell; they never fold here."""

Maker: TypeAlias = Callable[..., Operation]
"""An operation's class, or a function that calls it: operands in order, attributes by keyword."""


def _same_bits(x: Array, y: Array) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


def _folds_exactly(op: Operation) -> bool:
    """Whether evaluating ``op`` now is cheap and gives the bits that running it would, on every target."""
    if type(op) in WINDOWED:
        return False
    values = (*op.operands, *op.results)
    if not any(hlt.is_float(hlt.element_of(value)) for value in values):
        return True
    return type(op) in EXACT or REFERENCES[type(op)].moves_data


def concat_op(*values: SSAValue, axis: int) -> Operation:
    """`hlt.ConcatOp` with its operands one by one, as makers take them."""
    return hlt.ConcatOp(values, axis=axis)


class Builder:
    """Appends hlt operations to a block, folding what is known and making broadcasts explicit.

    Arguments that are Python numbers stand for a constant of the other operand's shape and element type.
    """

    finds = False
    """Whether results may have extents that the program itself finds out as it runs."""

    def __init__(self, block: Block, weights: WeightStore, around: Builder | None = None) -> None:
        self.block = block
        self.weights = weights
        self._top: Builder = around._top if around else self
        self._label: StringAttr | None = None
        self._constants: dict[tuple[Attribute, Attribute], SSAValue] = {}

    @contextmanager
    def labelled(self, label: str) -> Generator[None]:
        """Operations made inside carry ``hlt.node = label``."""
        previous, self._label = self._label, StringAttr(label)
        try:
            yield
        finally:
            self._label = previous

    @contextmanager
    def nested(self, block: Block) -> Generator[Builder]:
        """A builder of a region's block. What an error leaves unfinished is dropped.

        Constants of regions stand in the outermost block: values that are known inside may be so outside, too.
        """
        inner = self._inside(block)
        inner._label = self._label
        try:
            yield inner
        except MlcError:
            block.drop_all_references()
            raise

    def _inside(self, block: Block) -> Builder:
        """A builder of a block inside this one's."""
        return Builder(block, self.weights, self)

    # Operations

    def ops(self, make: Maker, *operands: Value | None, **attributes: Any) -> tuple[Value, ...]:
        """All results of ``make(*operands, **attributes)``, evaluated if every operand is small and known."""
        present = [operand for operand in operands if operand is not None]
        if present and all(v.known is not None and v.size <= FOLD_LIMIT for v in present):
            folded = self._fold(make, operands, attributes)
            if folded is not None:
                return folded
        op = make(*(None if v is None else self.ssa(v) for v in operands), **attributes)
        return self.append(op)

    def op(self, make: Maker, *operands: Value | None, **attributes: Any) -> Value:
        """The first result of `ops`."""
        return self.ops(make, *operands, **attributes)[0]

    def append(self, op: Operation) -> tuple[Value, ...]:
        """Append an operation as it is; returns all its results."""
        self._insert(op)
        return tuple(Value(*signature_of(result), ssa=result) for result in op.results)

    def ssa(self, value: Value) -> SSAValue:
        """The IR's value for ``value``; known contents become a constant operation on first use."""
        if is_bounded(value.shape) or (isinstance(value, ExtentsValue) and value.ssa is None):
            extents = value.extents.flat if isinstance(value, ExtentsValue) else value.shape
            raise undecided("fixed shapes in a branch or a loop", *extents)
        if value.ssa is None:
            op, top = self._constant(value), self._top
            value.ssa = top._constants.get((op.value, op.result.type))
            if value.ssa is None:
                self._name(op)
                top.block.add_op(op)
                value.ssa = top._constants[op.value, op.result.type] = op.result
        return value.ssa

    def _insert(self, op: Operation) -> None:
        for result in op.results:
            if math.prod(hlt.shape_of(result)) > Limits.elements:
                shape = "x".join(map(str, hlt.shape_of(result)))
                raise OverflowError(f"a result of {shape} elements exceeds the limit of {Limits.elements}")
        self._name(op)
        self.block.add_op(op)

    def _name(self, op: Operation) -> None:
        if self._label is not None:
            op.attributes["hlt.node"] = self._label

    def _fold(
        self, make: Maker, operands: Sequence[Value | None], attributes: dict[str, Any]
    ) -> tuple[Value, ...] | None:
        """The results as known values, or None when they are inexact or too large to keep."""
        present = [operand for operand in operands if operand is not None]
        arguments = iter(Block(arg_types=[v.type for v in present]).args)
        op = make(*(None if v is None else next(arguments) for v in operands), **attributes)
        signatures = [signature_of(result) for result in op.results]
        if not _folds_exactly(op) or any(math.prod(shape) > FOLD_LIMIT for shape, _ in signatures):
            return None
        self._name(op)
        arrays = evaluate(op, [v.known for v in present if v.known is not None])
        return tuple(
            Value(shape, dtype, known=np.asarray(array, dtype).reshape(shape))
            for array, (shape, dtype) in zip(arrays, signatures, strict=True)
        )

    def _constant(self, value: Value) -> hlt.ConstantOp:
        """The contents of ``value``: in place when few or uniform, else in the weight store."""
        assert value.known is not None, "a value has contents or an operation"
        if value.known.size <= hlt.INLINE_LIMIT or value.uniform is not None:
            return hlt.ConstantOp(value.known)
        if value.weight is None:
            value.weight = self._stored_name(value.known)
        return hlt.ConstantOp(WeightAttr(value.weight, self.weights.digest(value.weight)), value.type)

    def _stored_name(self, array: Array) -> str:
        """The weight that holds ``array``; importing a model again finds the one added the first time."""
        name = f"folded.{hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
        while name in self.weights and not _same_bits(self.weights.array(name), array):
            name += "+"
        if name not in self.weights:
            self.weights.add_array(name, array)
        return name

    # Constants

    def constant(self, array: Array, *, weight: str | None = None) -> Value:
        """A known value with the contents, shape and element type of ``array``."""
        return Value(array.shape, array.dtype, known=array, weight=weight)

    def full(self, shape: Sequence[int], value: Scalar, dtype: DTypeLike) -> Value:
        """A splat; it takes no memory whatever its shape."""
        return self.constant(np.broadcast_to(np.asarray(value).astype(dtype), tuple(shape)))

    def full_like(self, x: Value, value: Scalar) -> Value:
        """A splat of the shape and dtype of ``x``."""
        return self.full(x.shape, value, x.dtype)

    def iota(self, shape: Sequence[int], axis: int, dtype: DTypeLike = np.int64) -> Value:
        """The index along ``axis`` at every element; known when small."""
        if not math.prod(shape):
            return self.full(shape, 0, dtype)
        if math.prod(shape) > FOLD_LIMIT:
            return self.op(hlt.IotaOp, shape=tuple(shape), axis=axis, dtype=hlt.element_type(np.dtype(dtype)))
        column = np.arange(shape[axis], dtype=dtype).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        return self.constant(np.broadcast_to(column, tuple(shape)))

    # Element-wise, with NumPy's broadcasting

    def lift(self, operands: Sequence[Operand]) -> list[Value]:
        """Numbers among ``operands`` as splats of the others' broadcast shape; at least one is a Value."""
        values = [operand for operand in operands if isinstance(operand, Value)]
        shape = broadcast_shapes(*(v.shape for v in values))
        return [v if isinstance(v, Value) else self.full(shape, v, values[0].dtype) for v in operands]

    def broadcast(self, *operands: Operand) -> list[Value]:
        """The operands at their common shape; raises ValueError when they do not broadcast."""
        values = self.lift(operands)
        shape = broadcast_shapes(*(v.shape for v in values))
        return [self.broadcast_to(v, shape) for v in values]

    def broadcast_to(self, x: Value, shape: Sequence[int], dims: Sequence[int] | None = None) -> Value:
        """``x`` at ``shape``: its dim ``i`` becomes ``dims[i]``, by default the trailing dims."""
        if x.shape == tuple(shape):
            return x
        if x.uniform is not None:
            return self.full(shape, x.uniform, x.dtype)
        where = tuple(range(len(shape) - x.rank, len(shape))) if dims is None else tuple(dims)
        return self.op(hlt.BroadcastOp, x, shape=tuple(shape), dims=where)

    def elementwise(self, make: Maker, *operands: Operand, **attributes: Any) -> Value:
        """An operation on the operands at their common shape."""
        return self.op(make, *self.broadcast(*operands), **attributes)

    def add(self, x: Operand, y: Operand) -> Value:
        """``x + y``"""
        return self.elementwise(hlt.AddOp, x, y)

    def sub(self, x: Operand, y: Operand) -> Value:
        """``x - y``"""
        return self.elementwise(hlt.SubOp, x, y)

    def mul(self, x: Operand, y: Operand) -> Value:
        """``x * y``"""
        return self.elementwise(hlt.MulOp, x, y)

    def div(self, x: Operand, y: Operand) -> Value:
        """``x / y``; integers truncate."""
        return self.elementwise(hlt.DivOp, x, y)

    def maximum(self, x: Operand, y: Operand) -> Value:
        """The larger element; NaN propagates."""
        return self.elementwise(hlt.MaximumOp, x, y)

    def minimum(self, x: Operand, y: Operand) -> Value:
        """The smaller element; NaN propagates."""
        return self.elementwise(hlt.MinimumOp, x, y)

    def compare(self, predicate: str, x: Operand, y: Operand) -> Value:
        """``predicate`` is one of eq ne lt le gt ge; the result is boolean."""
        return self.elementwise(hlt.CompareOp, x, y, predicate=predicate)

    def select(self, condition: Value, on_true: Operand, on_false: Operand) -> Value:
        """``on_true`` where the boolean ``condition`` holds, else ``on_false``; one of these is a Value."""
        like = next(v for v in (on_true, on_false) if isinstance(v, Value))
        branches = [v if isinstance(v, Value) else self.full_like(like, v) for v in (on_true, on_false)]
        return self.elementwise(hlt.SelectOp, condition, *branches)

    def clamp(self, x: Value, low: Operand, high: Operand) -> Value:
        """``x`` between ``low`` and ``high``."""
        return self.minimum(self.maximum(x, low), high)

    def cast(self, x: Value, dtype: DTypeLike, *, saturate: bool = True) -> Value:
        """``x`` as another dtype; with ``saturate``, narrow floats do not overflow."""
        if x.dtype == np.dtype(dtype):
            return x
        if x.uniform is not None and x.rank:
            scalar = self.constant(np.asarray(x.uniform))
            return self.broadcast_to(self.cast(scalar, dtype, saturate=saturate), x.shape)
        return self.op(hlt.CastOp, x, dtype=hlt.element_type(np.dtype(dtype)), saturate=saturate)

    def bitcast(self, x: Value, dtype: DTypeLike) -> Value:
        """The bits of ``x`` as another dtype of the same width."""
        if x.dtype == np.dtype(dtype):
            return x
        return self.op(hlt.BitcastOp, x, dtype=hlt.element_type(np.dtype(dtype)))

    def in_float(self, x: Value, compute: Callable[[Value], Value]) -> Value:
        """``compute(x)``; integers take part as f32 and the result is cast back."""
        if is_float(x):
            return compute(x)
        return self.cast(compute(self.cast(x, np.float32)), x.dtype)

    # Shape

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """The same elements in row-major order at another shape."""
        if x.shape == tuple(shape):
            return x
        if x.uniform is not None:
            return self.full(shape, x.uniform, x.dtype)
        return self.op(hlt.ReshapeOp, x, shape=tuple(shape))

    def expand_dims(self, x: Value, axes: Sequence[int]) -> Value:
        """``x`` with dims of extent 1 inserted at ``axes`` of the result (non-negative)."""
        kept = iter(x.shape)
        return self.reshape(x, [1 if i in axes else next(kept) for i in range(x.rank + len(axes))])

    def squeeze(self, x: Value, axes: Sequence[int]) -> Value:
        """``x`` without the dims ``axes`` (non-negative, of extent 1)."""
        return self.reshape(x, [extent for i, extent in enumerate(x.shape) if i not in axes])

    def transpose(self, x: Value, permutation: Sequence[int]) -> Value:
        """Dim ``i`` of the result is dim ``permutation[i]`` of ``x``."""
        if tuple(permutation) == tuple(range(x.rank)):
            return x
        return self.op(hlt.TransposeOp, x, permutation=tuple(permutation))

    def slice(
        self, x: Value, starts: Sequence[int], sizes: Sequence[int], strides: Sequence[int] | None = None
    ) -> Value:
        """``sizes`` elements from ``starts`` on, every ``strides``-th; all non-negative."""
        steps = (1,) * x.rank if strides is None else tuple(strides)
        if tuple(sizes) == x.shape and all(start == 0 for start in starts):
            return x
        return self.op(hlt.SliceOp, x, starts=tuple(starts), sizes=tuple(sizes), strides=steps)

    def slice_axis(self, x: Value, axis: int, start: int, size: int) -> Value:
        """``size`` elements along one axis."""
        starts = [start if i == axis else 0 for i in range(x.rank)]
        sizes = [size if i == axis else extent for i, extent in enumerate(x.shape)]
        return self.slice(x, starts, sizes)

    def pad(
        self,
        x: Value,
        low: Sequence[int],
        high: Sequence[int],
        *,
        mode: str = "constant",
        value: float = 0.0,
    ) -> Value:
        if all(amount == 0 for amount in (*low, *high)):
            return x
        return self.op(hlt.PadOp, x, low=tuple(low), high=tuple(high), mode=mode, value=value)

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        """The values side by side along ``axis``."""
        return values[0] if len(values) == 1 else self.op(concat_op, *values, axis=axis)

    def positions(self, found: Value, what: str) -> Value:
        """The indices at which a boolean vector holds, in order: as many as there are at run time.

        ``what`` names the dim that the result has.
        """
        if found.known is None:
            raise UnsupportedError(f"the number of {what} elements is known only at run time")
        return self.constant(np.flatnonzero(found.known).astype(np.int64))

    # Reduction and contraction

    def reduce(self, kind: str, x: Value, axes: Sequence[int], *, keep_dims: bool = False) -> Value:
        """``kind`` is one of sum mean prod max min any all; empty ``axes`` reduces nothing."""
        return self.op(hlt.ReduceOp, x, kind=kind, axes=tuple(axes), keep_dims=keep_dims)

    def matmul(self, x: Value, y: Value) -> Value:
        """``numpy.matmul``: batch dims broadcast, vectors take part as a row or a column."""
        if y.rank > 2 and y.rank <= x.rank and math.prod(y.shape[:-2]) == 1:
            y = self.reshape(y, y.shape[-2:])
        if x.rank == 1 or y.rank <= 2:
            return self.dot_general(x, y, contract=((x.rank - 1,), (max(y.rank - 2, 0),)))
        batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
        x = self.broadcast_to(x, (*batch, *x.shape[-2:]))
        y = self.broadcast_to(y, (*batch, *y.shape[-2:]))
        dims, rank = tuple(range(len(batch))), len(batch) + 2
        return self.dot_general(x, y, batch=(dims, dims), contract=((rank - 1,), (rank - 2,)))

    def dot_general(
        self,
        x: Value,
        y: Value,
        *,
        contract: tuple[Sequence[int], Sequence[int]],
        batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
    ) -> Value:
        """Result dims: batch, then the free dims of ``x``, then those of ``y``."""
        return self.op(
            hlt.DotGeneralOp,
            x,
            y,
            lhs_batch=tuple(batch[0]),
            rhs_batch=tuple(batch[1]),
            lhs_contract=tuple(contract[0]),
            rhs_contract=tuple(contract[1]),
        )
