"""Layer and RMS normalisation spelled out.

First the core is found, without scale and bias; then products and sums with constants of the normalised shape join.
"""

from __future__ import annotations

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.composites.matching import Mismatch, either_order, number, past_units, require, spread
from mlc.lowering.graph.composites.softmax import repeats_along
from mlc.lowering.graph.match import producer, splat

Norm = hlt.LayerNormOp | hlt.RmsNormOp


def norm_by_division(op: hlt.DivOp) -> Value | None:
    """``d / sqrt(mean(d * d) + epsilon)``."""
    root = producer(_narrow(op.rhs), hlt.SqrtOp)
    return root and _norm(op.lhs, op.rhs, root.x)


def norm_by_product(op: hlt.MulOp) -> Value | None:
    """``d * rsqrt(mean(d * d) + epsilon)``, or with the reciprocal of the root."""
    for centred, factor in either_order(op):
        narrow = _narrow(factor)
        inverse = producer(narrow, hlt.ReciprocalOp)
        root = producer(narrow, hlt.RsqrtOp) or (inverse and producer(past_units(inverse.x), hlt.SqrtOp))
        if root is not None:
            found = _norm(centred, factor, root.x)
            if found is not None:
                return found
    return None


def _norm(centred: SSAValue, factor: SSAValue, biased: SSAValue) -> Value | None:
    """The normalisation that ``centred`` times or over ``factor`` is, whose root is of ``biased``."""
    add = producer(past_units(biased), hlt.AddOp)
    if add is None:
        return None
    for variance, offset in either_order(add):
        epsilon = number(offset)
        mean = producer(past_units(variance), hlt.ReduceOp)
        if epsilon is None or mean is None or mean.kind != "mean":
            continue
        square = producer(mean.x, hlt.MulOp)
        if square is None or square.lhs is not square.rhs or square.lhs is not centred:
            raise Mismatch("the mean is not of the squares of what is divided")
        return _core(centred, factor, mean, epsilon)
    return None


def _core(centred: SSAValue, factor: SSAValue, mean: hlt.ReduceOp, epsilon: float) -> Value:
    shape = hlt.shape_of(centred)
    axis = len(shape) - len(mean.axes)
    require(mean.axes == tuple(range(axis, len(shape))), f"axes {list(mean.axes)} are not the last ones")
    require(repeats_along(factor, shape, mean.axes), "the deviation is repeated along other axes")
    x = _uncentred(centred, mean.axes)
    return (
        hlt.RmsNormOp(centred, axis=axis, epsilon=epsilon)
        if x is None
        else hlt.LayerNormOp(x, axis=axis, epsilon=epsilon)
    )


def _uncentred(centred: SSAValue, axes: tuple[int, ...]) -> SSAValue | None:
    """``x`` if ``centred`` is ``x - mean(x)`` over ``axes``."""
    sub = producer(centred, hlt.SubOp)
    if sub is None:
        return None
    mean = producer(_narrow(sub.rhs), hlt.ReduceOp)
    if mean is None or mean.kind != "mean" or mean.x is not sub.lhs or mean.axes != axes:
        return None
    return sub.lhs if repeats_along(sub.rhs, hlt.shape_of(centred), axes) else None


def _narrow(value: SSAValue) -> SSAValue:
    """What ``value`` repeats, without extents of 1."""
    repeated = spread(value)
    return past_units(value if repeated is None else repeated.x)


def norm_scale(op: hlt.MulOp) -> Value | None:
    """The scale of a normalisation that has none yet."""
    for value, factor in either_order(op):
        norm = _bare(value)
        if norm is None or norm.scale is not None or (isinstance(norm, hlt.LayerNormOp) and norm.bias is not None):
            continue
        scale = _parameter(factor, norm)
        if scale is not None and isinstance(norm, hlt.RmsNormOp):
            return hlt.RmsNormOp(norm.x, scale, axis=norm.axis, epsilon=norm.epsilon)
        if scale is not None:
            return hlt.LayerNormOp(norm.x, scale, axis=norm.axis, epsilon=norm.epsilon)
    return None


def norm_bias(op: hlt.AddOp) -> Value | None:
    """The bias of a layer normalisation that has none yet."""
    for value, term in either_order(op):
        norm = _bare(value)
        if not isinstance(norm, hlt.LayerNormOp) or norm.bias is not None:
            continue
        bias = _parameter(term, norm)
        if bias is not None:
            return hlt.LayerNormOp(norm.x, norm.scale, bias, axis=norm.axis, epsilon=norm.epsilon)
    return None


def _bare(value: SSAValue) -> Norm | None:
    op = value.owner
    return op if isinstance(op, hlt.LayerNormOp | hlt.RmsNormOp) and value.has_one_use() else None


def _parameter(value: SSAValue, norm: Norm) -> Value | None:
    """The tensor of the normalised shape that ``value`` repeats over the dims before."""
    shape = hlt.shape_of(norm.x)
    wanted = shape[norm.axis :]
    repeated = spread(value)
    if repeated is None:
        # The constant has the shape of x itself, where the dims before are of extent 1.
        whole = isinstance(value.owner, hlt.ConstantOp) and splat(value) is None
        return hlt.ReshapeOp(value, shape=wanted) if whole and _leading_units(shape, norm.axis) else None
    if any(dim < norm.axis for dim in repeated.dims):
        return None
    return hlt.BroadcastOp(repeated.x, shape=wanted, dims=[dim - norm.axis for dim in repeated.dims])


def _leading_units(shape: tuple[int, ...], axis: int) -> bool:
    return all(extent == 1 for extent in shape[:axis])
