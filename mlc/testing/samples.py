"""Kernels of typical layers, small or large: what tests of instruction selection and of foreign targets compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, MemRefType, TensorType, UnitAttr, f16, f32, i64
from xdsl.ir import Block, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.hlt.layout import LayoutAttr
from mlc.dialects.interpreters.loop import run_kernel
from mlc.dialects.loop import KernelOp
from mlc.lowering.kernels import lower_fusion
from mlc.lowering.kernels.contraction import ACCUMULATE

Array: TypeAlias = NDArray[Any]
Add: TypeAlias = Callable[[hlt.HltOp], Any]


@dataclass(frozen=True, repr=False)
class Sample:
    """A kernel before scheduling; ``outputs`` of its arguments, the last ones, are results."""

    kernel: KernelOp
    outputs: int = 1

    def __repr__(self) -> str:
        return f"Sample({self.kernel.sym_name.data}, {', '.join(str(a.type) for a in self.kernel.args)})"

    def arrays(self, seed: int = 0) -> list[Array]:
        """Random inputs and zeros for the outputs."""
        random = np.random.default_rng(seed)
        found: list[Array] = []
        for i, argument in enumerate(self.kernel.args):
            assert isinstance(argument.type, MemRefType)
            shape, dtype = argument.type.get_shape(), numpy_dtype(argument.type.element_type)
            is_output = i >= len(self.kernel.args) - self.outputs
            found.append(np.zeros(shape, dtype) if is_output else random.standard_normal(shape).astype(dtype))
        return found

    def expected(self, arrays: Sequence[Array]) -> list[Array]:
        """The results in float64."""
        wide = [a.astype(np.float64) for a in arrays]
        run_kernel(self.kernel, wide, widen=True)
        return wide[len(wide) - self.outputs :]


def sample(
    name: str,
    types: Sequence[TensorType[Any]],
    build: Callable[..., SSAValue],
    *,
    weights: Sequence[int] = (),
    layout: LayoutAttr | None = None,
) -> Sample:
    """The kernel of one fusion that ``build(add, *arguments)`` makes; its result has ``layout``."""
    block = Block(arg_types=types)

    def add(op: hlt.HltOp) -> Any:
        block.add_op(op)
        return op.results[0]

    result = build(add, *block.args)
    block.add_op(hlt.YieldOp(result))
    holder = Block(arg_types=types)
    fusion = hlt.FusionOp(list(holder.args), block)
    if layout is not None:
        assert isinstance(result.type, TensorType)
        kind = tensor_type(result.type.get_shape(), result.type.element_type, layout)
        fusion = hlt.FusionOp.create(
            operands=holder.args, result_types=[kind], regions=[fusion.detach_region(fusion.body)]
        )
    kernel = lower_fusion(fusion, name)
    if weights:
        kernel.properties["weights"] = DenseArrayBase.from_list(i64, list(weights))
    return Sample(kernel)


def _plain(*shape: int) -> TensorType[Any]:
    return tensor_type(shape, f32)


def gemm(m: int, n: int, k: int) -> Sample:
    """A matrix product with a bias; the right operand and the bias are weights."""

    def build(add: Add, x: SSAValue, w: SSAValue, bias: SSAValue) -> SSAValue:
        product = add(hlt.DotGeneralOp(x, w, lhs_contract=(1,), rhs_contract=(0,)))
        return add(hlt.AddOp(product, add(hlt.BroadcastOp(bias, shape=(m, n), dims=(1,)))))

    return sample("gemm", [_plain(m, k), _plain(k, n), _plain(n)], build, weights=(1, 2))


def half_gemm(m: int, n: int, k: int, *, accumulate: bool = False) -> Sample:
    """A matrix product of f16 tensors, computed and summed in f32 or, with ``accumulate``, in f16."""

    def build(add: Add, x: SSAValue, w: SSAValue) -> SSAValue:
        if accumulate:
            product = hlt.DotGeneralOp(x, w, lhs_contract=(1,), rhs_contract=(0,))
            product.attributes[ACCUMULATE] = UnitAttr()
            return add(product)
        wide = [add(hlt.CastOp(v, f32)) for v in (x, w)]
        return add(hlt.CastOp(add(hlt.DotGeneralOp(*wide, lhs_contract=(1,), rhs_contract=(0,))), f16))

    return sample("half_gemm", [tensor_type((m, k), f16), tensor_type((k, n), f16)], build, weights=(1,))


def conv(
    size: int, channels: int, filters: int, kernel: int = 3, *, block: int = 1, groups: int = 1, stride: int = 1
) -> Sample:
    """A convolution with bias and rectifier on channels in blocks of ``block`` (1: plain NCHW), without padding."""
    out = (size - kernel) // stride + 1
    layout = LayoutAttr.blocked(4, 1, block) if block > 1 else None

    def build(add: Add, x: SSAValue, w: SSAValue, bias: SSAValue) -> SSAValue:
        made = add(hlt.ConvOp(x, w, groups=groups, strides=(stride, stride)))
        made = add(hlt.AddOp(made, add(hlt.BroadcastOp(bias, shape=(1, filters, out, out), dims=(1,)))))
        zero = add(hlt.ConstantOp(np.broadcast_to(np.float32(0), (1, filters, out, out))))
        return add(hlt.MaximumOp(made, zero))

    types = [
        tensor_type((1, channels, size, size), f32, layout),
        _plain(filters, channels // groups, kernel, kernel),
        _plain(filters),
    ]
    return sample("conv", types, build, weights=(1, 2), layout=layout)


def depthwise(size: int, channels: int, *, block: int = 1) -> Sample:
    """A 3x3 depthwise convolution with bias and rectifier."""
    return conv(size, channels, channels, block=block, groups=channels)


def softmax(rows: int, columns: int) -> Sample:
    """A softmax over rows."""

    def build(add: Add, x: SSAValue) -> SSAValue:
        return add(hlt.SoftmaxOp(x, axis=1))

    return sample("softmax", [_plain(rows, columns)], build)


def layer_norm(rows: int, columns: int) -> Sample:
    """Rows normalised, then scaled and shifted."""

    def build(add: Add, x: SSAValue, scale: SSAValue, shift: SSAValue) -> SSAValue:
        return add(hlt.LayerNormOp(x, scale, shift, axis=1, epsilon=1e-5))

    return sample("layer_norm", [_plain(rows, columns), _plain(columns), _plain(columns)], build, weights=(1, 2))


def gate(rows: int, columns: int) -> Sample:
    """``x sigmoid(x)``."""

    def build(add: Add, x: SSAValue) -> SSAValue:
        return add(hlt.MulOp(x, add(hlt.SigmoidOp(x))))

    return sample("gate", [_plain(rows, columns)], build)


def elementwise(rows: int, columns: int) -> Sample:
    """``tanh(x) + y``, with ``y`` broadcast over the rows."""

    def build(add: Add, x: SSAValue, y: SSAValue) -> SSAValue:
        return add(hlt.AddOp(add(hlt.TanhOp(x)), add(hlt.BroadcastOp(y, shape=(rows, columns), dims=(1,)))))

    return sample("elementwise", [_plain(rows, columns), _plain(columns)], build)
