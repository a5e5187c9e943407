"""Reductions: reduce, arg_reduce and reduce_window, each one compute."""

from __future__ import annotations

from math import prod

from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerType, i64
from xdsl.ir import Attribute, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr
from mlc.errors import UnsupportedError
from mlc.lowering.kernels.builder import KernelBuilder, Splat, ids, lowers, result_dims
from mlc.lowering.kernels.contraction import accumulator
from mlc.lowering.narrow import is_unsigned
from mlc.lowering.scalar import Scalar, last


def identity(kind: str, element: Attribute, unsigned: bool = False) -> float:
    """The value that a fold of this kind starts from."""
    if kind in ("sum", "mean", "any"):
        return 0
    if kind in ("prod", "all"):
        return 1
    if not isinstance(element, IntegerType):
        return float("-inf") if kind == "max" else float("inf")
    width = element.width.data
    low, high = (0, (1 << width) - 1) if unsigned or width == 1 else (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    return low if kind == "max" else high


def fold(s: Scalar, kind: str, a: SSAValue, b: SSAValue, unsigned: bool = False) -> SSAValue:
    """The associative operation of a kind."""
    if kind in ("sum", "mean"):
        return s.add(a, b)
    if kind == "prod":
        return s.mul(a, b)
    if kind in ("any", "all"):
        return s.op(arith.OrIOp if kind == "any" else arith.AndIOp, [a, b], a.type)
    return s.maximum(a, b, unsigned=unsigned) if kind == "max" else s.minimum(a, b, unsigned=unsigned)


@lowers(hlt.ReduceOp)
def lower_reduce(builder: KernelBuilder, op: hlt.ReduceOp) -> None:
    """Result dims ``d0 d1 ..``; dim ``r2`` folds axis 2."""
    source = builder.source(op.x)
    target = builder.result(op.result)
    shape = shape_of(op.x)
    dims = result_dims(target.shape)
    out = ids(dims)
    folds = [Dim(f"r{axis}", shape[axis], "r") for axis in op.axes] or [Dim("r", 1, "r")]
    index: list[Expr] = []
    places = iter(range(len(dims)))
    for axis in range(len(shape)):
        if axis in op.axes:
            index.append(ids([Dim(f"r{axis}", shape[axis], "r")])[0])
            if op.keep_dims:
                next(places)
        else:
            index.append(out[next(places)])
    element, kind = target.element, op.kind
    unsigned = is_unsigned(element_of(op.x))
    acc = accumulator(element)
    count = prod(shape[a] for a in op.axes)

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        value = args[-1]
        if kind == "mean":
            value = _mean(s, value, count, unsigned)
        return s.cast(value, element)

    builder.compute(
        [(source, index)],
        [(target, out)],
        [*dims, *folds],
        start=[Splat(identity(kind, acc, unsigned), acc)],
        map=Scalar.widen,
        combine=lambda s, a, b: fold(s, kind, a, b, unsigned),
        finish=finish,
    )


def _mean(s: Scalar, total: SSAValue, count: int, unsigned: bool) -> SSAValue:
    divisor = s.constant(count, total.type)
    if isinstance(total.type, IntegerType):
        return s.div(total, divisor, unsigned=unsigned)
    if count & (count - 1) == 0 and count:
        return s.mul(total, s.constant(1.0 / count, total.type))
    return s.div(total, divisor)


@lowers(hlt.ReduceWindowOp)
def lower_reduce_window(builder: KernelBuilder, op: hlt.ReduceWindowOp) -> None:
    """Result dims ``d0 d1 ..``, window dims ``k0 k1 ..``; padding is an explicit `hlt.pad` before."""
    if any(op.pads_low) or any(op.pads_high) or any(op.overhang):
        raise UnsupportedError("padding must be explicit before lowering", node=hlt.node_name(op))
    source = builder.source(op.x)
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    window = [Dim(f"k{i}", n, "r") for i, n in enumerate(op.window) if n > 1] or [Dim("k0", 1, "r")]
    by_name = {d.name: ids([d])[0] for d in window}
    index = [
        e.times(stride).plus(by_name[f"k{i}"].times(dilation)) if f"k{i}" in by_name else e.times(stride)
        for i, (e, stride, dilation) in enumerate(zip(ids(dims), op.strides, op.dilations))
    ]
    element, kind = target.element, op.kind
    acc = accumulator(element)
    count = prod(op.window)
    floating = not isinstance(acc, IntegerType)

    def combine(s: Scalar, a: SSAValue, b: SSAValue) -> SSAValue:
        return s.max_number(a, b) if kind == "max" and floating else fold(s, kind, a, b)

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        return s.cast(_mean(s, args[-1], count, False) if kind == "mean" else args[-1], element)

    builder.compute(
        [(source, index)],
        [(target, ids(dims))],
        [*(d for d in dims if d.extent != 1), *window],
        start=[Splat(identity(kind, acc), acc)],
        map=Scalar.widen,
        combine=combine,
        finish=finish,
    )


@lowers(hlt.ArgReduceOp)
def lower_arg_reduce(builder: KernelBuilder, op: hlt.ArgReduceOp) -> None:
    """Two accumulators: the best value and its index; ties go to the first (or last) index."""
    source = builder.source(op.x)
    target = builder.result(op.result)
    shape = shape_of(op.x)
    dims = result_dims(target.shape)
    axis = Dim("r", shape[op.axis], "r")
    kept = [i for i in range(len(dims)) if not (op.keep_dims and i == op.axis)]
    index = [ids(dims)[i] for i in kept]
    index.insert(op.axis, ids([axis])[0])
    value_type = accumulator(builder.buffer(op.x).element)
    unsigned = is_unsigned(element_of(op.x))
    largest, last_wins = op.kind == "max", op.last_index

    def better(s: Scalar, a: SSAValue, i: SSAValue, b: SSAValue, j: SSAValue) -> list[SSAValue]:
        """(a, i) unless (b, j) wins: by value, NaN first of all, then by index."""
        wins = s.compare("gt" if largest else "lt", b, a, unsigned=unsigned)
        ties = s.compare("eq", a, b)
        if not isinstance(a.type, IntegerType):
            a_nan, b_nan = s.is_nan(a), s.is_nan(b)
            only_b = s.op(arith.AndIOp, [b_nan, s.logical_not(a_nan)], a_nan.type)
            wins = s.op(arith.OrIOp, [wins, only_b], wins.type)
            both = s.op(arith.AndIOp, [a_nan, b_nan], a_nan.type)
            ties = s.op(arith.OrIOp, [ties, both], ties.type)
        earlier = s.compare("gt" if last_wins else "lt", j, i)
        tied = s.op(arith.AndIOp, [ties, earlier], ties.type)
        chosen = s.op(arith.OrIOp, [wins, tied], wins.type)
        return [s.select(chosen, b, a), s.select(chosen, j, i)]

    worst = Splat(identity(op.kind, value_type, unsigned), value_type)
    nowhere = Splat(-1 if last_wins else 1 << 62, i64)
    builder.compute(
        [(source, index)],
        [(target, ids(dims))],
        [*dims, axis],
        start=[worst, nowhere],
        map=lambda s, x: [s.widen(x), s.index("r", i64)],
        combine=better,
        finish=last,
    )
