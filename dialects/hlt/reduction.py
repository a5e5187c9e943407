"""Operations that combine or order the elements along axes."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, shape_of, tensor
from mlc.dialects.hlt.contraction import window_extents
from mlc.dialects.hlt.dtypes import i64, is_bool, tensor_type
from mlc.dialects.hlt.fields import Bool, Enum, Int, Ints, fail
from mlc.dialects.hlt.shape import check_axes, check_axis, check_length, check_minimum


def check_numeric(name: str, x: Tensor) -> None:
    """[numeric_element_type] not i1."""
    if is_bool(x.element):
        raise fail("numeric_element_type", f"{name} is not defined on {x.element}")


@hlt_op
class ReduceOp(HltOp):
    """Combines all elements along ``axes``; an empty extent gives the identity of ``kind``.

    ``mean`` of integers truncates; ``any`` and ``all`` are for i1, the other kinds for numbers.

    ``%1 = hlt.reduce %0 <kind = "sum", axes = [1], keep_dims = false> : (tensor<2x3xf32>) -> tensor<2xf32>``
    """

    name = "hlt.reduce"

    x = operand_def(TENSOR)
    kind = Enum("sum", "mean", "prod", "max", "min", "any", "all")
    axes = Ints()
    keep_dims = Bool()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, kind: str, axes: Sequence[int], keep_dims: bool = False) -> None:
        super().__init__((x,), kind=kind, axes=tuple(axes), keep_dims=keep_dims)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [axes_unique], [reduce_element_type] the kind fits the element type."""
        x, axes = tensor(self.x), self.axes
        check_axes(axes, x.rank)
        if is_bool(x.element) != (self.kind in ("any", "all")):
            raise fail("reduce_element_type", f"{self.kind} is not defined on {x.element}")
        return (tensor_type(reduced_shape(x.shape, axes, self.keep_dims), x.element),)


@hlt_op
class ArgReduceOp(HltOp):
    """The index of the first (or with ``last_index`` the last) extreme element along ``axis``.

    A NaN counts as the extreme.

    ```
    %1 = hlt.arg_reduce %0 <kind = "max", axis = 1, keep_dims = false, last_index = false>
        : (tensor<2x3xf32>) -> tensor<2xi64>
    ```
    """

    name = "hlt.arg_reduce"

    x = operand_def(TENSOR)
    kind = Enum("max", "min")
    axis = Int()
    keep_dims = Bool()
    last_index = Bool()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, kind: str, axis: int, keep_dims: bool = False, last_index: bool = False) -> None:
        super().__init__((x,), kind=kind, axis=axis, keep_dims=keep_dims, last_index=last_index)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [arg_extent] there is an element, [numeric_element_type]."""
        x = tensor(self.x)
        check_numeric(self.name, x)
        check_axis(self.axis, x.rank)
        if x.shape[self.axis] == 0:
            raise fail("arg_extent", f"axis {self.axis} has no element")
        return (tensor_type(reduced_shape(x.shape, (self.axis,), self.keep_dims), i64),)


@hlt_op
class ReduceWindowOp(HltOp):
    """Combines the elements under each position of a window (pooling); all lists have the operand's rank.

    Cells of ``pads_low``, ``pads_high`` and ``overhang`` hold the kind's identity. ``mean`` divides by the
    number of cells of the operand that the window covers, with ``count_include_pad`` also of the pads, never
    of ``overhang``, which lies beyond ``pads_high`` (ONNX's ``ceil_mode`` needs it). ``mean`` is 0 where it
    would divide by 0.

    ```
    %1 = hlt.reduce_window %0 <kind = "max", window = [1, 1, 2, 2], strides = [1, 1, 2, 2],
        dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0],
        overhang = [0, 0, 0, 0], count_include_pad = false>
        : (tensor<1x3x4x4xf32>) -> tensor<1x3x2x2xf32>
    ```
    """

    name = "hlt.reduce_window"

    x = operand_def(TENSOR)
    kind = Enum("max", "sum", "mean")
    window = Ints()
    strides = Ints()
    dilations = Ints()
    pads_low = Ints()
    pads_high = Ints()
    overhang = Ints()
    count_include_pad = Bool()
    result = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        *,
        kind: str,
        window: Sequence[int],
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        pads_low: Sequence[int] | None = None,
        pads_high: Sequence[int] | None = None,
        overhang: Sequence[int] | None = None,
        count_include_pad: bool = False,
    ) -> None:
        ones, zeros = (1,) * len(shape_of(x)), (0,) * len(shape_of(x))
        super().__init__(
            (x,),
            kind=kind,
            window=tuple(window),
            strides=ones if strides is None else tuple(strides),
            dilations=ones if dilations is None else tuple(dilations),
            pads_low=zeros if pads_low is None else tuple(pads_low),
            pads_high=zeros if pads_high is None else tuple(pads_high),
            overhang=zeros if overhang is None else tuple(overhang),
            count_include_pad=count_include_pad,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """[attribute_length], [attribute_minimum], [numeric_element_type]."""
        x = tensor(self.x)
        check_numeric(self.name, x)
        leasts = {"window": 1, "strides": 1, "dilations": 1, "pads_low": 0, "pads_high": 0, "overhang": 0}
        for name, least in leasts.items():
            check_length(name, getattr(self, name), x.rank)
            check_minimum(name, getattr(self, name), least)
        high = [a + b for a, b in zip(self.pads_high, self.overhang)]
        shape = window_extents(x.shape, self.window, self.strides, self.dilations, self.pads_low, high)
        return (tensor_type(shape, x.element),)


@hlt_op
class ScanOp(HltOp):
    """Running combination; ``exclusive`` leaves out the element itself, ``reverse`` starts at the end.

    ``%1 = hlt.scan %0 <kind = "sum", axis = 0, exclusive = false, reverse = false> : tensor<4xf32>``
    """

    name = "hlt.scan"

    x = operand_def(TENSOR)
    kind = Enum("sum", "prod", "max", "min")
    axis = Int()
    exclusive = Bool()
    reverse = Bool()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, kind: str, axis: int, exclusive: bool = False, reverse: bool = False) -> None:
        super().__init__((x,), kind=kind, axis=axis, exclusive=exclusive, reverse=reverse)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [numeric_element_type]."""
        x = tensor(self.x)
        check_numeric(self.name, x)
        check_axis(self.axis, x.rank)
        return (x.type,)


@hlt_op
class SortOp(HltOp):
    """Sorts along ``axis``: values and the indices they came from; stable both ways, NaN is largest.

    ```
    %1, %2 = hlt.sort %0 <axis = 0, descending = false>
        : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi64>)
    ```
    """

    name = "hlt.sort"

    x = operand_def(TENSOR)
    axis = Int()
    descending = Bool()
    values = result_def(TENSOR)
    indices = result_def(TENSOR)

    def __init__(self, x: Value, *, axis: int, descending: bool = False) -> None:
        super().__init__((x,), axis=axis, descending=descending)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range]."""
        x = tensor(self.x)
        check_axis(self.axis, x.rank)
        return (x.type, tensor_type(x.shape, i64))


@hlt_op
class TopKOp(HltOp):
    """The ``k`` largest (or smallest) elements along ``axis`` and their indices; of equal ones the first.

    The reference result is sorted even when ``sorted`` does not ask for it; NaN counts as largest.

    ```
    %1, %2 = hlt.top_k %0 <k = 2, axis = 0, largest = true, sorted = true>
        : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
    ```
    """

    name = "hlt.top_k"

    x = operand_def(TENSOR)
    k = Int()
    axis = Int()
    largest = Bool()
    sorted = Bool()
    values = result_def(TENSOR)
    indices = result_def(TENSOR)

    def __init__(self, x: Value, *, k: int, axis: int, largest: bool = True, sorted: bool = True) -> None:
        super().__init__((x,), k=k, axis=axis, largest=largest, sorted=sorted)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [top_k_range] ``0 <= k <= extent``."""
        x = tensor(self.x)
        check_axis(self.axis, x.rank)
        if not 0 <= self.k <= x.shape[self.axis]:
            raise fail("top_k_range", f"k = {self.k} of {x.shape[self.axis]} elements")
        shape = (*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :])
        return (tensor_type(shape, x.element), tensor_type(shape, i64))


def reduced_shape(shape: tuple[int, ...], axes: Sequence[int], keep_dims: bool) -> tuple[int, ...]:
    """``shape`` with the extents at ``axes`` gone, or 1 with ``keep_dims``."""
    if keep_dims:
        return tuple(1 if dim in axes else extent for dim, extent in enumerate(shape))
    return tuple(extent for dim, extent in enumerate(shape) if dim not in axes)
