"""Movement goes down past what computes, towards where it vanishes.

A reshape, transpose or broadcast of *all* operands of an element-wise operation (splats apart) becomes one of its
result. On its way down it meets another one and cancels, a product or reduction that absorbs it, or a reader that
takes it as its index. A reshape that adds rank also passes when another operand must then be reshaped, which is a
view: each step computes at a lower rank, so the steps come to an end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.ir import Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.kinds import ELEMENTWISE, MOVEMENT
from mlc.lowering.graph.match import OpT, full, only_units_differ, producer, splat
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()


def same_on(op: Operation, operands: Sequence[Value]) -> Operation:
    """The element-wise operation ``op`` on operands of another shape."""
    values = [SSAValue.get(operand) for operand in operands]
    type_ = hlt.tensor_type(hlt.shape_of(values[0]), hlt.element_of(op.results[0]))
    return type(op).create(operands=values, result_types=[type_], properties=dict(op.properties))


def _sink(op: Operation, inner_shape: tuple[int, ...], take: Callable[[SSAValue], Value | None]) -> Operation | None:
    """``op`` on what ``take`` makes of each operand; splats get ``inner_shape``. None if an operand can't."""
    operands: list[Value] = []
    for operand in op.operands:
        value = splat(operand)
        if value is not None:
            operands.append(full(value, inner_shape, hlt.numpy_dtype(hlt.element_of(operand))))
            continue
        taken = take(operand)
        if taken is None:
            return None
        operands.append(taken)
    return same_on(op, operands)


def _first(op: Operation, cls: type[OpT]) -> OpT | None:
    """The first maker of an operand that is of class ``cls``."""
    makers = (producer(operand, cls) for operand in op.operands)
    return next((maker for maker in makers if maker is not None), None)


@RULES.on(*ELEMENTWISE)
def sink_transpose(op: hlt.HltOp) -> Value | None:
    """``f(transpose(x), transpose(y))`` is ``transpose(f(x, y))``; what is repeated is repeated along other dims."""
    first = _first(op, hlt.TransposeOp)
    if first is None:
        return None
    permutation, shape = first.permutation, hlt.shape_of(first.x)

    def take(operand: SSAValue) -> Value | None:
        broadcast = producer(operand, hlt.BroadcastOp)
        if broadcast is not None and len(broadcast.dims) == 1:
            return hlt.BroadcastOp(broadcast.x, shape=shape, dims=[permutation[broadcast.dims[0]]])
        transpose = producer(operand, hlt.TransposeOp)
        if transpose is None or transpose.permutation != permutation:
            return None
        return transpose.x if all(use.operation is op for use in operand.uses) else None

    inner = _sink(op, shape, take)
    return inner and hlt.TransposeOp(inner, permutation=permutation)


@RULES.on(*ELEMENTWISE)
def sink_broadcast(op: hlt.HltOp) -> Value | None:
    """``f(broadcast(x), broadcast(y))`` is ``broadcast(f(x, y))``: what repeats is computed once."""
    first = _first(op, hlt.BroadcastOp)
    if first is None:
        return None
    dims, shape = first.dims, hlt.shape_of(first.x)

    def take(operand: SSAValue) -> Value | None:
        broadcast = producer(operand, hlt.BroadcastOp)
        same = broadcast is not None and broadcast.dims == dims and hlt.shape_of(broadcast.x) == shape
        return broadcast.x if broadcast is not None and same else None

    inner = _sink(op, shape, take)
    return inner and hlt.BroadcastOp(inner, shape=first.shape, dims=dims)


@RULES.on(*ELEMENTWISE)
def sink_reshape(op: hlt.HltOp) -> Value | None:
    """``f(reshape(x), y)`` is ``reshape(f(x, reshape(y)))`` where ``x`` has the lower rank."""
    first = _first(op, hlt.ReshapeOp)
    if first is None:
        return None
    shape, outer = hlt.shape_of(first.x), hlt.shape_of(op.results[0])
    if len(shape) >= len(outer):
        return None

    def take(operand: SSAValue) -> Value | None:
        reshape = producer(operand, hlt.ReshapeOp)
        if reshape is not None and hlt.shape_of(reshape.x) == shape:
            return reshape.x
        viewed = type(operand.owner) not in MOVEMENT or only_units_differ(shape, outer)
        return hlt.ReshapeOp(operand, shape=shape) if viewed else None

    inner = _sink(op, shape, take)
    return inner and hlt.ReshapeOp(inner, shape=outer)


@RULES.on(hlt.TransposeOp)
def sink_units_below_transpose(op: hlt.TransposeOp) -> Value | None:
    """Extents of 1 that a reshape adds are added after the transpose."""
    reshape = producer(op.x, hlt.ReshapeOp)
    if reshape is None:
        return None
    shape = hlt.shape_of(reshape.x)
    if len(shape) >= len(reshape.shape) or not only_units_differ(shape, reshape.shape):
        return None
    wide = [dim for dim, extent in enumerate(reshape.shape) if extent != 1]
    places = [dim for dim, extent in enumerate(shape) if extent != 1]
    where = dict(zip(wide, places, strict=True))
    moved = [where[dim] for dim in op.permutation if dim in where]
    return hlt.ReshapeOp(_transpose_among(reshape.x, places, moved), shape=hlt.shape_of(op.result))


def _transpose_among(x: SSAValue, places: Sequence[int], moved: Sequence[int]) -> Value:
    """``x`` with the dims ``moved`` put at ``places``; the others stay."""
    permutation = list(range(len(hlt.shape_of(x))))
    for place, dim in zip(places, moved, strict=True):
        permutation[place] = dim
    return hlt.TransposeOp(x, permutation=permutation)


@RULES.on(hlt.TransposeOp)
def squeeze_below_transpose(op: hlt.TransposeOp) -> Value | None:
    """A transpose between reshapes that drop and add extents of 1 works on the tensor before both."""
    reshape = producer(op.x, hlt.ReshapeOp)
    user = op.result.get_user_of_unique_use()
    if reshape is None or not isinstance(user, hlt.ReshapeOp):
        return None
    shape, result = hlt.shape_of(reshape.x), hlt.shape_of(op.result)
    if len(shape) <= len(reshape.shape) or not only_units_differ(shape, reshape.shape):
        return None
    if not only_units_differ(result, user.shape):
        return None
    wide = [dim for dim, extent in enumerate(reshape.shape) if extent != 1]
    places = [dim for dim, extent in enumerate(shape) if extent != 1]
    where = dict(zip(wide, places, strict=True))
    moved = [where[dim] for dim in op.permutation if dim in where]
    return hlt.ReshapeOp(_transpose_among(reshape.x, places, moved), shape=result)


@RULES.on(hlt.SliceOp)
def sink_units_below_slice(op: hlt.SliceOp) -> Value | None:
    """Extents of 1 that a reshape adds are added after the slice."""
    reshape = producer(op.x, hlt.ReshapeOp)
    if reshape is None or 0 in op.sizes:
        return None
    shape = hlt.shape_of(reshape.x)
    if len(shape) >= len(reshape.shape) or not only_units_differ(shape, reshape.shape):
        return None
    wide = iter([box for box, n in zip(zip(op.starts, op.sizes, op.strides), reshape.shape) if n != 1])
    starts, sizes, strides = zip(*(next(wide) if extent != 1 else (0, 1, 1) for extent in shape))
    small = hlt.SliceOp(reshape.x, starts=starts, sizes=sizes, strides=strides)
    return hlt.ReshapeOp(small, shape=op.sizes)


@RULES.on(hlt.LayerNormOp, hlt.RmsNormOp, hlt.SoftmaxOp)
def sink_leading_below_norm(op: hlt.LayerNormOp | hlt.RmsNormOp | hlt.SoftmaxOp) -> Value | None:
    """A reshape of the dims before the ones that are normalised is done afterwards, at lower rank."""
    reshape = producer(op.x, hlt.ReshapeOp)
    if reshape is None:
        return None
    shape, outer = hlt.shape_of(reshape.x), reshape.shape
    axis = op.axis - (len(outer) - len(shape))
    if len(shape) >= len(outer) or axis < 0 or shape[axis:] != outer[op.axis :]:
        return None
    inner = type(op).create(
        operands=[reshape.x, *op.operands[1:]],
        result_types=[hlt.tensor_type(shape, hlt.element_of(op.x))],
        properties={**op.properties, "axis": type(op).axis.encode(axis)},
    )
    return hlt.ReshapeOp(inner, shape=outer)


@RULES.on(hlt.DotGeneralOp)
def sink_leading_below_dot(op: hlt.DotGeneralOp) -> Value | None:
    """Free dims of a left operand that a reshape adds in front are added to the product instead."""
    reshape = producer(op.lhs, hlt.ReshapeOp)
    if reshape is None or op.lhs_batch or len(op.lhs_contract) != 1:
        return None
    shape, outer = hlt.shape_of(reshape.x), reshape.shape
    last = len(outer) - 1
    if op.lhs_contract != (last,) or len(shape) >= len(outer) or shape[-1:] != outer[-1:]:
        return None
    product = hlt.DotGeneralOp(reshape.x, op.rhs, lhs_contract=(len(shape) - 1,), rhs_contract=op.rhs_contract)
    return hlt.ReshapeOp(product, shape=hlt.shape_of(op.result))
