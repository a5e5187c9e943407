"""The random generator: four words per point of one compute."""

from __future__ import annotations

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.random import MULTIPLIERS, ROUNDS, WEYL
from mlc.dialects.loop.affine import constant
from mlc.lowering.kernels.builder import KernelBuilder, ids, lowers, result_dims
from mlc.lowering.scalar import Scalar


@lowers(hlt.RandomBitsOp)
def lower_random_bits(builder: KernelBuilder, op: hlt.RandomBitsOp) -> None:
    """``y[0..3, i]`` from the counter ``i``."""
    target = builder.result(op.result)
    dims = result_dims([op.count])

    def finish(s: Scalar) -> list[SSAValue]:
        index = s.index(dims[0].name, i64)
        high = s.cast(s.op(arith.ShRUIOp, [index, s.constant(32, i64)], i64), i32)
        stream = [s.constant(word, i32) for word in (op.stream, op.stream >> 32)]
        return philox(s, [s.cast(index, i32), high, *stream], (op.seed, op.seed >> 32))

    outs = [(target, [constant(word), *ids(dims)]) for word in range(4)]
    builder.compute([], outs, dims, finish=finish)


def philox(s: Scalar, counter: list[SSAValue], key: tuple[int, int]) -> list[SSAValue]:
    """Four i32 from a counter of four and a key of two."""
    c0, c1, c2, c3 = counter
    for step in range(ROUNDS):
        k0, k1 = (s.constant(k + step * w, i32) for k, w in zip(key, WEYL))
        (high0, low0), (high1, low1) = (_product(s, c, m) for c, m in zip((c0, c2), MULTIPLIERS))
        c0, c1, c2, c3 = _xor(s, _xor(s, high1, c1), k0), low1, _xor(s, _xor(s, high0, c3), k1), low0
    return [c0, c1, c2, c3]


def _product(s: Scalar, x: SSAValue, factor: int) -> tuple[SSAValue, SSAValue]:
    """The high and the low word of a product of two unsigned words."""
    wide = s.mul(s.cast(x, i64, from_unsigned=True), s.constant(factor, i64))
    high = s.op(arith.ShRUIOp, [wide, s.constant(32, i64)], i64)
    return s.cast(high, i32), s.cast(wide, i32)


def _xor(s: Scalar, x: SSAValue, y: SSAValue) -> SSAValue:
    return s.op(arith.XOrIOp, [x, y], i32)
