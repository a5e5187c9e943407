"""Operations that move data: no arithmetic on elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import operand_def, result_def, var_operand_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, tensor
from mlc.dialects.hlt.dtypes import ELEMENT_TYPES, is_bool, tensor_type
from mlc.dialects.hlt.fields import Element, Enum, Float, Int, Ints, fail
from mlc.dialects.hlt.narrow import is_narrow


def check_axis(axis: int, rank: int) -> None:
    """[axis_range] ``0 <= axis < rank``."""
    if not 0 <= axis < rank:
        raise fail("axis_range", f"axis {axis} is not in 0 to {rank - 1}")


def check_axes(axes: Sequence[int], rank: int) -> None:
    """[axis_range] each axis in range; [axes_unique] none twice."""
    for axis in axes:
        check_axis(axis, rank)
    if len(set(axes)) != len(axes):
        raise fail("axes_unique", f"an axis stands twice in {list(axes)}")


def check_length(name: str, values: Sequence[object], count: int) -> None:
    """[attribute_length] a list attribute has one entry per dimension it speaks of."""
    if len(values) != count:
        raise fail("attribute_length", f"{name} has {len(values)} entries, must have {count}")


def check_minimum(name: str, values: Sequence[int], least: int) -> None:
    """[attribute_minimum] every entry of a list attribute is at least ``least``."""
    if any(value < least for value in values):
        raise fail("attribute_minimum", f"{name} is {list(values)}; every entry must be at least {least}")


@hlt_op
class BroadcastOp(HltOp):
    """Repeats the operand: its dim ``i`` becomes result dim ``dims[i]``.

    ``%1 = hlt.broadcast %0 <shape = [2, 3, 4], dims = [0, 2]> : (tensor<2x1xf32>) -> tensor<2x3x4xf32>``
    """

    name = "hlt.broadcast"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    shape = Ints()
    dims = Ints()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, shape: Sequence[int], dims: Sequence[int]) -> None:
        super().__init__((x,), shape=tuple(shape), dims=tuple(dims))

    def infer(self) -> tuple[TensorType, ...]:
        """[broadcast_dims] one per operand dim, increasing; [broadcast_extent] 1 or the result's."""
        x, shape, dims = tensor(self.x), self.shape, self.dims
        check_minimum("shape", shape, 0)
        if len(dims) != x.rank or list(dims) != sorted(set(dims)) or any(not 0 <= d < len(shape) for d in dims):
            raise fail("broadcast_dims", f"dims {list(dims)} don't map {x.rank} dims in order into {len(shape)}")
        for extent, dim in zip(x.shape, dims):
            if extent not in (1, shape[dim]):
                raise fail("broadcast_extent", f"extent {extent} can't become result dim {dim} of {shape[dim]}")
        return (tensor_type(shape, x.element),)


@hlt_op
class ReshapeOp(HltOp):
    """The same elements in row-major order under another shape.

    ``%1 = hlt.reshape %0 <shape = [3, 2]> : (tensor<2x3xf32>) -> tensor<3x2xf32>``
    """

    name = "hlt.reshape"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    shape = Ints()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, shape: Sequence[int]) -> None:
        super().__init__((x,), shape=tuple(shape))

    def infer(self) -> tuple[TensorType, ...]:
        """[reshape_count] the element count stays."""
        x, shape = tensor(self.x), self.shape
        check_minimum("shape", shape, 0)
        if math.prod(x.shape) != math.prod(shape):
            raise fail("reshape_count", f"{list(x.shape)} has not the element count of {list(shape)}")
        return (tensor_type(shape, x.element),)


@hlt_op
class TransposeOp(HltOp):
    """Permutes dims: result dim ``i`` is operand dim ``permutation[i]``.

    ``%1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>``
    """

    name = "hlt.transpose"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    permutation = Ints()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, permutation: Sequence[int]) -> None:
        super().__init__((x,), permutation=tuple(permutation))

    def infer(self) -> tuple[TensorType, ...]:
        """[permutation] every operand dim exactly once."""
        x, permutation = tensor(self.x), self.permutation
        if sorted(permutation) != list(range(x.rank)):
            raise fail("permutation", f"{list(permutation)} is no permutation of {x.rank} dims")
        return (tensor_type(tuple(x.shape[dim] for dim in permutation), x.element),)


@hlt_op
class SliceOp(HltOp):
    """A box of elements: result ``[i]`` is ``x[starts + i * strides]`` for ``i < sizes``.

    ``%1 = hlt.slice %0 <starts = [1], sizes = [2], strides = [2]> : (tensor<5xf32>) -> tensor<2xf32>``
    """

    name = "hlt.slice"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    starts = Ints()
    sizes = Ints()
    strides = Ints()
    result = result_def(TENSOR)

    def __init__(
        self, x: Value, *, starts: Sequence[int], sizes: Sequence[int], strides: Sequence[int] | None = None
    ) -> None:
        ones = (1,) * len(starts)
        super().__init__(
            (x,),
            starts=tuple(starts),
            sizes=tuple(sizes),
            strides=ones if strides is None else tuple(strides),
        )

    def infer(self) -> tuple[TensorType, ...]:
        """[attribute_length], [attribute_minimum], [slice_bounds] the last element lies in the operand."""
        x = tensor(self.x)
        for name, least in (("starts", 0), ("sizes", 0), ("strides", 1)):
            check_length(name, getattr(self, name), x.rank)
            check_minimum(name, getattr(self, name), least)
        for dim, (extent, start, size, stride) in enumerate(zip(x.shape, self.starts, self.sizes, self.strides)):
            if size and start + (size - 1) * stride >= extent:
                raise fail("slice_bounds", f"dim {dim} of {extent} has no element {start + (size - 1) * stride}")
        return (tensor_type(self.sizes, x.element),)


@hlt_op
class ReverseOp(HltOp):
    """Flips the order along ``axes``. ``%1 = hlt.reverse %0 <axes = [0]> : tensor<2x3xf32>``"""

    name = "hlt.reverse"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    axes = Ints()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, axes: Sequence[int]) -> None:
        super().__init__((x,), axes=tuple(axes))

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [axes_unique]."""
        x = tensor(self.x)
        check_axes(self.axes, x.rank)
        return (x.type,)


@hlt_op
class PadOp(HltOp):
    """Adds ``low`` and ``high`` elements per dim.

    They are ``value`` (``constant``), the mirror image without the border itself (``reflect``), the border
    (``edge``), or the other end (``wrap``).

    ```
    %1 = hlt.pad %0 <low = [1], high = [0], mode = "constant", value = 0.0>
        : (tensor<2xf32>) -> tensor<3xf32>
    ```
    """

    name = "hlt.pad"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    low = Ints()
    high = Ints()
    mode = Enum("constant", "reflect", "edge", "wrap")
    value = Float()
    result = result_def(TENSOR)

    def __init__(
        self, x: Value, *, low: Sequence[int], high: Sequence[int], mode: str = "constant", value: float = 0.0
    ) -> None:
        super().__init__((x,), low=tuple(low), high=tuple(high), mode=mode, value=value)

    def infer(self) -> tuple[TensorType, ...]:
        """[attribute_length], [attribute_minimum], [pad_source] there are elements to copy."""
        x, low, high = tensor(self.x), self.low, self.high
        for name, values in (("low", low), ("high", high)):
            check_length(name, values, x.rank)
            check_minimum(name, values, 0)
        self._check_source(x)
        return (tensor_type(tuple(a + n + b for a, n, b in zip(low, x.shape, high)), x.element),)

    def _check_source(self, x: Tensor) -> None:
        if self.mode == "constant":
            return
        least = 2 if self.mode == "reflect" else 1
        for dim, (extent, low, high) in enumerate(zip(x.shape, self.low, self.high)):
            if low + high and extent < least:
                raise fail("pad_source", f"dim {dim} of {extent} has too few elements for mode {self.mode}")


@hlt_op
class ConcatOp(HltOp):
    """The operands one after the other along ``axis``.

    ``%2 = hlt.concat %0, %1 <axis = 0> : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<3x3xf32>``
    """

    name = "hlt.concat"
    MOVES: ClassVar[bool] = True

    inputs = var_operand_def(TENSOR)
    axis = Int()
    result = result_def(TENSOR)

    def __init__(self, inputs: Sequence[Value], *, axis: int) -> None:
        super().__init__(inputs, axis=axis)

    def infer(self) -> tuple[TensorType, ...]:
        """[concat_operands] at least one; [axis_range]; [same_element_type]; [concat_shape]."""
        tensors = [tensor(value) for value in self.inputs]
        if not tensors:
            raise fail("concat_operands", "there is no operand")
        first, axis = tensors[0], self.axis
        check_axis(axis, first.rank)
        for other in tensors[1:]:
            if other.element != first.element:
                raise fail("same_element_type", f"{first.element} and {other.element} don't concatenate")
            if _without(other.shape, axis) != _without(first.shape, axis) or other.rank != first.rank:
                raise fail("concat_shape", f"{first.shape} and {other.shape} differ outside axis {axis}")
        total = sum(other.shape[axis] for other in tensors)
        return (tensor_type((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.element),)


@hlt_op
class IotaOp(HltOp):
    """Every element is its index along ``axis``.

    ``%0 = hlt.iota <shape = [2, 3], axis = 1, dtype = i64> : tensor<2x3xi64>``
    """

    name = "hlt.iota"

    shape = Ints()
    axis = Int()
    dtype = Element()
    result = result_def(TENSOR)

    def __init__(self, *, shape: Sequence[int], axis: int, dtype: Attribute) -> None:
        super().__init__((), shape=tuple(shape), axis=axis, dtype=dtype)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [attribute_minimum], [element_type], [numeric_element_type]."""
        check_minimum("shape", self.shape, 0)
        check_axis(self.axis, len(self.shape))
        if self.dtype not in ELEMENT_TYPES:
            raise fail("element_type", f"{self.dtype} is not an element type of hlt")
        if is_bool(self.dtype) or is_narrow(self.dtype):
            raise fail("numeric_element_type", f"{self.name} is not defined on {self.dtype}")
        return (tensor_type(self.shape, self.dtype),)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]
