"""Products of words: reductions over words whose step is a dot-product instruction."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import shape_of
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr
from mlc.lowering.kernels.builder import Buffer, KernelBuilder, Source, Splat, ids, lowers, result_dims
from mlc.lowering.scalar import Scalar


def _sum_of_dots(
    builder: KernelBuilder,
    ins: Sequence[tuple[Source, Sequence[Expr]]],
    out: tuple[Buffer, Sequence[Expr]],
    dims: Sequence[Dim],
    parts: str,
) -> None:
    """``out = sum(dot(ins[0], ins[1]))`` over the reduction dims."""

    def product(s: Scalar, a: SSAValue, b: SSAValue) -> SSAValue:
        return s.dot(parts, a, b, s.constant(0, i32))

    def add(s: Scalar, a: SSAValue, b: SSAValue) -> SSAValue:
        return s.add(a, b)

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        return args[-1]

    builder.compute(ins, [out], dims, start=[Splat(0, i32)], map=product, combine=add, finish=finish)


@lowers(hlt.DotWordsOp)
def lower_dot_words(builder: KernelBuilder, op: hlt.DotWordsOp) -> None:
    """Result dims ``d0 d1 ..``, and ``k0`` over words."""
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    out, fold = ids(dims), Dim("k0", shape_of(op.w)[0], "r")
    (k,) = ids([fold])
    ins = [(builder.source(op.x), [*out[:-1], k]), (builder.source(op.w), [k, out[-1]])]
    _sum_of_dots(builder, ins, (target, out), [*dims, fold], op.parts)


@lowers(hlt.ConvWordsOp)
def lower_conv_words(builder: KernelBuilder, op: hlt.ConvWordsOp) -> None:
    """Result dims ``d0`` batch, ``d1 ..`` space, the last one channel; ``c`` over words, ``k0 k1 ..`` window."""
    target = builder.result(op.result)
    dims = result_dims(target.shape)
    *sizes, depth, _ = shape_of(op.w)
    window, fold = [Dim(f"k{i}", n, "r") for i, n in enumerate(sizes)], Dim("c", depth, "r")
    out, places, (c,) = ids(dims), ids(window), ids([fold])
    index = [
        e.times(stride).plus(k.times(dilation))
        for e, k, stride, dilation in zip(out[1:-1], places, op.strides, op.dilations, strict=True)
    ]
    ins = [(builder.source(op.x), [out[0], *index, c]), (builder.source(op.w), [*places, c, out[-1]])]
    kept = [d for d in (*dims, fold, *window) if d.extent != 1 or d is fold]
    _sum_of_dots(builder, ins, (target, out), kept, op.parts)
