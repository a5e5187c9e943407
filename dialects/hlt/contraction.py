"""Sums of products: general matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, shape_of, tensor
from mlc.dialects.hlt.dtypes import is_bool, tensor_type
from mlc.dialects.hlt.elementwise import same_element_type
from mlc.dialects.hlt.fields import Int, Ints, fail
from mlc.dialects.hlt.shape import check_axes, check_length, check_minimum


def check_factors(name: str, lhs: Tensor, rhs: Tensor) -> None:
    """[same_element_type], [numeric_element_type]."""
    same_element_type(name, lhs, rhs)
    if is_bool(lhs.element):
        raise fail("numeric_element_type", f"{name} is not defined on {lhs.element}")


@hlt_op
class DotGeneralOp(HltOp):
    """Product of two tensors summed over contracted dims; result dims are batch, lhs free, rhs free.

    ```
    %2 = hlt.dot_general %0, %1 <lhs_batch = [0], rhs_batch = [0], lhs_contract = [2], rhs_contract = [1]>
        : (tensor<8x2x3xf32>, tensor<8x3x4xf32>) -> tensor<8x2x4xf32>
    ```
    """

    name = "hlt.dot_general"

    lhs = operand_def(TENSOR)
    rhs = operand_def(TENSOR)
    lhs_batch = Ints()
    rhs_batch = Ints()
    lhs_contract = Ints()
    rhs_contract = Ints()
    result = result_def(TENSOR)

    def __init__(
        self,
        lhs: Value,
        rhs: Value,
        *,
        lhs_contract: Sequence[int],
        rhs_contract: Sequence[int],
        lhs_batch: Sequence[int] = (),
        rhs_batch: Sequence[int] = (),
    ) -> None:
        super().__init__(
            (lhs, rhs),
            lhs_batch=tuple(lhs_batch),
            rhs_batch=tuple(rhs_batch),
            lhs_contract=tuple(lhs_contract),
            rhs_contract=tuple(rhs_contract),
        )

    @property
    def lhs_free(self) -> tuple[int, ...]:
        """The dims of ``lhs`` that are neither batch nor contracted, in order."""
        return _free(tensor(self.lhs).rank, self.lhs_batch + self.lhs_contract)

    @property
    def rhs_free(self) -> tuple[int, ...]:
        """The dims of ``rhs`` that are neither batch nor contracted, in order."""
        return _free(tensor(self.rhs).rank, self.rhs_batch + self.rhs_contract)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [axes_unique], [dot_pairs] paired dims have equal extents; ``check_factors``."""
        lhs, rhs = tensor(self.lhs), tensor(self.rhs)
        check_factors(self.name, lhs, rhs)
        check_axes(self.lhs_batch + self.lhs_contract, lhs.rank)
        check_axes(self.rhs_batch + self.rhs_contract, rhs.rank)
        _check_pairs("batch", lhs, self.lhs_batch, rhs, self.rhs_batch)
        _check_pairs("contracted", lhs, self.lhs_contract, rhs, self.rhs_contract)
        left = [lhs.shape[dim] for dim in self.lhs_batch + self.lhs_free]
        return (tensor_type((*left, *(rhs.shape[dim] for dim in self.rhs_free)), lhs.element),)


@hlt_op
class ConvOp(HltOp):
    """Cross-correlation of ``x: [N, Ci, *S]`` with ``w: [Co, Ci/groups, *K]`` under zero padding.

    ```
    %2 = hlt.conv %0, %1 <strides = [2, 2], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1],
        groups = 1> : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
    ```
    """

    name = "hlt.conv"

    x = operand_def(TENSOR)
    w = operand_def(TENSOR)
    strides = Ints()
    pads_low = Ints()
    pads_high = Ints()
    dilations = Ints()
    groups = Int()
    result = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        w: Value,
        *,
        strides: Sequence[int] | None = None,
        pads_low: Sequence[int] | None = None,
        pads_high: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        groups: int = 1,
    ) -> None:
        spatial = spatial_rank(x)
        super().__init__(
            (x, w),
            strides=_or_default(strides, 1, spatial),
            pads_low=_or_default(pads_low, 0, spatial),
            pads_high=_or_default(pads_high, 0, spatial),
            dilations=_or_default(dilations, 1, spatial),
            groups=groups,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """[conv_channels] ``w`` has Ci/groups; [conv_groups] groups divides Co; ``check_window``."""
        x, w, groups = tensor(self.x), tensor(self.w), self.groups
        check_window(self, x, w)
        if x.shape[1] != w.shape[1] * groups:
            raise fail("conv_channels", f"x has {x.shape[1]} channels, w wants {w.shape[1]} in {groups} groups")
        if w.shape[0] % groups:
            raise fail("conv_groups", f"{groups} groups don't divide {w.shape[0]} output channels")
        spatial = window_extents(x.shape[2:], w.shape[2:], self.strides, self.dilations, self.pads_low, self.pads_high)
        return (tensor_type((x.shape[0], w.shape[0], *spatial), x.element),)


@hlt_op
class ConvTransposeOp(HltOp):
    """The gradient of ``conv`` with respect to its input, which is ONNX ConvTranspose with explicit pads.

    ``x: [N, Ci, *S]``, ``w: [Ci, Co/groups, *K]``; an output extent is
    ``(S - 1) * stride + (K - 1) * dilation + 1 + output_padding - pad_low - pad_high``.

    ```
    %2 = hlt.conv_transpose %0, %1 <strides = [2], pads_low = [0], pads_high = [0], dilations = [1],
        output_padding = [0], groups = 1> : (tensor<1x3x4xf32>, tensor<3x2x2xf32>) -> tensor<1x2x8xf32>
    ```
    """

    name = "hlt.conv_transpose"

    x = operand_def(TENSOR)
    w = operand_def(TENSOR)
    strides = Ints()
    pads_low = Ints()
    pads_high = Ints()
    dilations = Ints()
    output_padding = Ints()
    groups = Int()
    result = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        w: Value,
        *,
        strides: Sequence[int] | None = None,
        pads_low: Sequence[int] | None = None,
        pads_high: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        output_padding: Sequence[int] | None = None,
        groups: int = 1,
    ) -> None:
        spatial = spatial_rank(x)
        super().__init__(
            (x, w),
            strides=_or_default(strides, 1, spatial),
            pads_low=_or_default(pads_low, 0, spatial),
            pads_high=_or_default(pads_high, 0, spatial),
            dilations=_or_default(dilations, 1, spatial),
            output_padding=_or_default(output_padding, 0, spatial),
            groups=groups,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """[conv_channels] ``w`` has Ci; [conv_groups] divides Ci; [output_extent]; ``check_window``."""
        x, w, groups = tensor(self.x), tensor(self.w), self.groups
        check_window(self, x, w)
        check_length("output_padding", self.output_padding, x.rank - 2)
        check_minimum("output_padding", self.output_padding, 0)
        if x.shape[1] != w.shape[0]:
            raise fail("conv_channels", f"x has {x.shape[1]} channels, w wants {w.shape[0]}")
        if x.shape[1] % groups:
            raise fail("conv_groups", f"{groups} groups don't divide {x.shape[1]} input channels")
        pads = zip(self.output_padding, self.pads_low, self.pads_high)
        spatial = tuple(
            (extent - 1) * stride + (kernel - 1) * dilation + 1 + extra - low - high
            for extent, kernel, stride, dilation, (extra, low, high) in zip(
                x.shape[2:], w.shape[2:], self.strides, self.dilations, pads
            )
        )
        if any(extent < 0 for extent in spatial):
            raise fail("output_extent", f"the padding takes more than the output has: {list(spatial)}")
        return (tensor_type((x.shape[0], w.shape[1] * groups, *spatial), x.element),)


def check_window(op: ConvOp | ConvTransposeOp, x: Tensor, w: Tensor) -> None:
    """[conv_rank], [attribute_length], [attribute_minimum], [kernel_extent]; ``check_factors``."""
    check_factors(op.name, x, w)
    if x.rank < 3 or w.rank != x.rank:
        raise fail("conv_rank", f"x has rank {x.rank} and w {w.rank}; both need one rank of at least 3")
    for name, least in (("strides", 1), ("dilations", 1), ("pads_low", 0), ("pads_high", 0)):
        check_length(name, getattr(op, name), x.rank - 2)
        check_minimum(name, getattr(op, name), least)
    if min(w.shape[2:]) < 1:
        raise fail("kernel_extent", f"the kernel is {list(w.shape[2:])}; no extent may be 0")
    if op.groups < 1:
        raise fail("conv_groups", f"groups is {op.groups}, must be at least 1")


def window_extents(
    extents: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
) -> tuple[int, ...]:
    """How many positions a window takes per dim (0 where it doesn't fit)."""
    return tuple(
        max(0, (n + a + b - (k - 1) * d - 1) // s + 1)
        for n, k, s, d, a, b in zip(extents, window, strides, dilations, low, high)
    )


def spatial_rank(x: Value) -> int:
    """The number of spatial dims of ``[N, C, *S]``; 0 for what the verifier will refuse."""
    return max(0, len(shape_of(x)) - 2)


def _or_default(values: Sequence[int] | None, default: int, count: int) -> tuple[int, ...]:
    return (default,) * count if values is None else tuple(values)


def _free(rank: int, taken: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dim for dim in range(rank) if dim not in taken)


def _check_pairs(what: str, lhs: Tensor, left: tuple[int, ...], rhs: Tensor, right: tuple[int, ...]) -> None:
    if [lhs.shape[dim] for dim in left] != [rhs.shape[dim] for dim in right]:
        raise fail(
            "dot_pairs",
            f"{what} dims {list(left)} of {lhs.shape} don't pair with {list(right)} of {rhs.shape}",
        )
