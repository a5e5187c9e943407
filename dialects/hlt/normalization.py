"""Normalisations: subtract a mean, divide by a deviation, scale and shift."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue
from xdsl.irdl import operand_def, opt_operand_def, result_def

from mlc.dialects.hlt.base import OPTIONAL_OPERANDS, TENSOR, HltOp, Tensor, Value, hlt_op, tensor
from mlc.dialects.hlt.dtypes import is_float
from mlc.dialects.hlt.elementwise import require, same_element_type
from mlc.dialects.hlt.fields import Float, Int, fail
from mlc.dialects.hlt.shape import check_axis


def _check_parameter(op: HltOp, x: Tensor, name: str, value: SSAValue | None, shape: tuple[int, ...]) -> None:
    """[parameter_shape] and [same_element_type] of one scale, bias, mean or variance, if present."""
    if value is None:
        return
    parameter = tensor(value)
    same_element_type(op.name, x, parameter)
    if parameter.shape != shape:
        raise fail("parameter_shape", f"{name} has shape {parameter.shape}, must have {shape}")


def _channels(x: Tensor) -> tuple[int, ...]:
    """[channel_rank] the shape of a per-channel parameter of ``[N, C, *]``."""
    if x.rank < 2:
        raise fail("channel_rank", f"x has rank {x.rank}; [N, C, *] needs at least 2")
    return x.shape[1:2]


@hlt_op
class LayerNormOp(HltOp):
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over axes ``axis`` to the last.

    ```
    %3 = hlt.layer_norm %0, scale = %1, bias = %2 <axis = 1, epsilon = 1.0e-05>
        : (tensor<2x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
    ```
    """

    name = "hlt.layer_norm"
    irdl_options = OPTIONAL_OPERANDS

    x = operand_def(TENSOR)
    scale = opt_operand_def(TENSOR)
    bias = opt_operand_def(TENSOR)
    axis = Int()
    epsilon = Float()
    result = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        scale: Value | None = None,
        bias: Value | None = None,
        *,
        axis: int,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__((x, scale, bias), axis=axis, epsilon=epsilon)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [float_element_type], [parameter_shape], [same_element_type]."""
        x = tensor(self.x)
        require(self.name, is_float, x)
        check_axis(self.axis, x.rank)
        _check_parameter(self, x, "scale", self.scale, x.shape[self.axis :])
        _check_parameter(self, x, "bias", self.bias, x.shape[self.axis :])
        return (x.type,)


@hlt_op
class RmsNormOp(HltOp):
    """x / sqrt(mean(x * x) + epsilon) * scale over axes ``axis`` to the last.

    ```
    %2 = hlt.rms_norm %0, scale = %1 <axis = 1, epsilon = 1.0e-05>
        : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
    ```
    """

    name = "hlt.rms_norm"
    irdl_options = OPTIONAL_OPERANDS

    x = operand_def(TENSOR)
    scale = opt_operand_def(TENSOR)
    axis = Int()
    epsilon = Float()
    result = result_def(TENSOR)

    def __init__(self, x: Value, scale: Value | None = None, *, axis: int, epsilon: float = 1e-5) -> None:
        super().__init__((x, scale), axis=axis, epsilon=epsilon)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [float_element_type], [parameter_shape], [same_element_type]."""
        x = tensor(self.x)
        require(self.name, is_float, x)
        check_axis(self.axis, x.rank)
        _check_parameter(self, x, "scale", self.scale, x.shape[self.axis :])
        return (x.type,)


@hlt_op
class BatchNormOp(HltOp):
    """(x - mean) / sqrt(variance + epsilon) * scale + bias per channel of ``[N, C, *]``.

    ```
    %5 = hlt.batch_norm %0, %1, %2, %3, %4 <epsilon = 1.0e-05>
        : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4xf32>
    ```
    """

    name = "hlt.batch_norm"

    x = operand_def(TENSOR)
    scale = operand_def(TENSOR)
    bias = operand_def(TENSOR)
    mean = operand_def(TENSOR)
    variance = operand_def(TENSOR)
    epsilon = Float()
    result = result_def(TENSOR)

    def __init__(
        self, x: Value, scale: Value, bias: Value, mean: Value, variance: Value, *, epsilon: float = 1e-5
    ) -> None:
        super().__init__((x, scale, bias, mean, variance), epsilon=epsilon)

    def infer(self) -> tuple[TensorType, ...]:
        """[channel_rank], [float_element_type], [parameter_shape], [same_element_type]."""
        x = tensor(self.x)
        require(self.name, is_float, x)
        for name in ("scale", "bias", "mean", "variance"):
            _check_parameter(self, x, name, getattr(self, name), _channels(x))
        return (x.type,)


@hlt_op
class GroupNormOp(HltOp):
    """Normalises each of ``groups`` runs of channels of ``[N, C, *]`` over its channels and all that follows.

    ``groups = C`` is instance normalisation.

    ```
    %3 = hlt.group_norm %0, %1, %2 <groups = 2, epsilon = 1.0e-05>
        : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4xf32>
    ```
    """

    name = "hlt.group_norm"

    x = operand_def(TENSOR)
    scale = operand_def(TENSOR)
    bias = operand_def(TENSOR)
    groups = Int()
    epsilon = Float()
    result = result_def(TENSOR)

    def __init__(self, x: Value, scale: Value, bias: Value, *, groups: int, epsilon: float = 1e-5) -> None:
        super().__init__((x, scale, bias), groups=groups, epsilon=epsilon)

    def infer(self) -> tuple[TensorType, ...]:
        """[channel_rank], [norm_groups] groups divides C, [float_element_type], [parameter_shape]."""
        x = tensor(self.x)
        require(self.name, is_float, x)
        channels = _channels(x)
        if self.groups < 1 or channels[0] % self.groups:
            raise fail("norm_groups", f"{self.groups} groups don't divide {channels[0]} channels")
        _check_parameter(self, x, "scale", self.scale, channels)
        _check_parameter(self, x, "bias", self.bias, channels)
        return (x.type,)


@hlt_op
class LrnOp(HltOp):
    """ONNX LRN: x / (bias + alpha / size * sum of squares over ``size`` neighbouring channels) ** beta.

    The window around channel ``c`` is ``c - (size - 1) // 2`` to ``c + size // 2``, cut at the ends.

    ``%1 = hlt.lrn %0 <size = 5, alpha = 1.0e-04, beta = 0.75, bias = 1.0> : tensor<1x8x4x4xf32>``
    """

    name = "hlt.lrn"

    x = operand_def(TENSOR)
    size = Int()
    alpha = Float()
    beta = Float()
    bias = Float()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> None:
        super().__init__((x,), size=size, alpha=alpha, beta=beta, bias=bias)

    def infer(self) -> tuple[TensorType, ...]:
        """[channel_rank], [lrn_size] at least 1, [float_element_type]."""
        x = tensor(self.x)
        require(self.name, is_float, x)
        _channels(x)
        if self.size < 1:
            raise fail("lrn_size", f"size is {self.size}, must be at least 1")
        return (x.type,)
