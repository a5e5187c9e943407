"""Operations whose addresses are data. Negative indices count from the end; the rest is out of range."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, shape_of, tensor
from mlc.dialects.hlt.dtypes import i32, i64, is_bool, tensor_type
from mlc.dialects.hlt.elementwise import same_element_type
from mlc.dialects.hlt.fields import Enum, Int, fail
from mlc.dialects.hlt.narrow import is_narrow
from mlc.dialects.hlt.shape import check_axis


def check_indices(indices: Tensor) -> None:
    """[index_type] i32 or i64."""
    if indices.element not in (i32, i64):
        raise fail("index_type", f"indices are of {indices.element}, must be i32 or i64")


@hlt_op
class GatherOp(HltOp):
    """``numpy.take``: slices of ``x`` along ``axis``; result shape ``x[:axis] + indices + x[axis + 1:]``.

    ``%2 = hlt.gather %0, %1 <axis = 0> : (tensor<9x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>``
    """

    name = "hlt.gather"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    indices = operand_def(TENSOR)
    axis = Int()
    result = result_def(TENSOR)

    def __init__(self, x: Value, indices: Value, *, axis: int = 0) -> None:
        super().__init__((x, indices), axis=axis)

    def infer(self) -> tuple[TensorType, ...]:
        """[index_type], [axis_range]."""
        x, indices, axis = tensor(self.x), tensor(self.indices), self.axis
        check_indices(indices)
        check_axis(axis, x.rank)
        return (tensor_type(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.element),)


@hlt_op
class GatherElementsOp(HltOp):
    """``numpy.take_along_axis``: result ``[.., i, ..]`` is ``x[.., indices[.., i, ..], ..]``.

    Off ``axis``, ``indices`` may be smaller than ``x``.
    ``%2 = hlt.gather_elements %0, %1 <axis = 1> : (tensor<2x9xf32>, tensor<2x3xi64>) -> tensor<2x3xf32>``
    """

    name = "hlt.gather_elements"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    indices = operand_def(TENSOR)
    axis = Int()
    result = result_def(TENSOR)

    def __init__(self, x: Value, indices: Value, *, axis: int = 0) -> None:
        super().__init__((x, indices), axis=axis)

    def infer(self) -> tuple[TensorType, ...]:
        """[index_type], [axis_range], [index_shape]."""
        x, indices = tensor(self.x), tensor(self.indices)
        check_indices(indices)
        check_axis(self.axis, x.rank)
        check_index_shape(x, indices, self.axis)
        return (tensor_type(indices.shape, x.element),)


@hlt_op
class GatherNdOp(HltOp):
    """ONNX GatherND: the last dim of ``indices`` addresses dims of ``x`` after ``batch_dims`` shared ones.

    ``%2 = hlt.gather_nd %0, %1 <batch_dims = 0> : (tensor<4x5x6xf32>, tensor<3x2xi64>) -> tensor<3x6xf32>``
    """

    name = "hlt.gather_nd"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    indices = operand_def(TENSOR)
    batch_dims = Int()
    result = result_def(TENSOR)

    def __init__(self, x: Value, indices: Value, *, batch_dims: int = 0) -> None:
        super().__init__((x, indices), batch_dims=batch_dims)

    def infer(self) -> tuple[TensorType, ...]:
        """[index_type]; [batch_dims] equal leading dims, fewer than either rank; [index_depth] fits ``x``."""
        x, indices, batch = tensor(self.x), tensor(self.indices), self.batch_dims
        check_indices(indices)
        if not 0 <= batch < min(x.rank, indices.rank) or x.shape[:batch] != indices.shape[:batch]:
            raise fail("batch_dims", f"{batch} leading dims of {x.shape} and {indices.shape} are not shared")
        depth = check_index_depth(x, indices, batch)
        return (tensor_type(indices.shape[:-1] + x.shape[batch + depth :], x.element),)


class ScatterOp(HltOp):
    """Base of the scatters: ``x`` with ``updates`` put or combined in at ``indices``."""

    x = operand_def(TENSOR)
    indices = operand_def(TENSOR)
    updates = operand_def(TENSOR)
    reduction = Enum("none", "add", "mul", "max", "min")
    result = result_def(TENSOR)

    def check_operands(self, x: Tensor, indices: Tensor, updates: Tensor, expected: tuple[int, ...]) -> None:
        """[index_type], [same_element_type], [numeric_element_type] to combine, [updates_shape]."""
        check_indices(indices)
        same_element_type(self.name, x, updates)
        if self.reduction != "none" and (is_bool(x.element) or is_narrow(x.element)):
            raise fail("numeric_element_type", f"{self.name} can't combine {x.element}")
        if updates.shape != expected:
            raise fail("updates_shape", f"updates have shape {updates.shape}, must have {expected}")


@hlt_op
class ScatterElementsOp(ScatterOp):
    """ONNX ScatterElements: ``result[.., indices[.., i, ..], ..]`` gets ``updates[.., i, ..]``.

    ```
    %3 = hlt.scatter_elements %0, %1, %2 <reduction = "add", axis = 1>
        : (tensor<2x9xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<2x9xf32>
    ```
    """

    name = "hlt.scatter_elements"
    MOVES: ClassVar[bool] = True

    axis = Int()

    def __init__(self, x: Value, indices: Value, updates: Value, *, axis: int = 0, reduction: str = "none") -> None:
        super().__init__((x, indices, updates), axis=axis, reduction=reduction)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [index_shape], and those of ``check_operands``."""
        x, indices, updates = tensor(self.x), tensor(self.indices), tensor(self.updates)
        check_axis(self.axis, x.rank)
        check_index_shape(x, indices, self.axis)
        self.check_operands(x, indices, updates, indices.shape)
        return (x.type,)


@hlt_op
class ScatterNdOp(ScatterOp):
    """ONNX ScatterND: ``result[indices[i]] = updates[i]`` for the slices that ``indices`` address.

    ```
    %3 = hlt.scatter_nd %0, %1, %2 <reduction = "none">
        : (tensor<4x5xf32>, tensor<3x1xi64>, tensor<3x5xf32>) -> tensor<4x5xf32>
    ```
    """

    name = "hlt.scatter_nd"
    MOVES: ClassVar[bool] = True

    def __init__(self, x: Value, indices: Value, updates: Value, *, reduction: str = "none") -> None:
        super().__init__((x, indices, updates), reduction=reduction)

    def infer(self) -> tuple[TensorType, ...]:
        """[index_depth], and those of ``check_operands``."""
        x, indices, updates = tensor(self.x), tensor(self.indices), tensor(self.updates)
        depth = check_index_depth(x, indices, 0)
        self.check_operands(x, indices, updates, indices.shape[:-1] + x.shape[depth:])
        return (x.type,)


@hlt_op
class UpdateSliceOp(HltOp):
    """``x`` with ``update`` in place of the elements from the run-time ``start`` on along ``axis``.

    Off ``axis`` the extents are equal. There are ``x.shape[axis] - update.shape[axis] + 1`` places to start from, of
    which ``start``, of rank 0, names one.
    ```
    %3 = hlt.update_slice %0, %1, %2 <axis = 1>
        : (tensor<2x9xf32>, tensor<2x3xf32>, tensor<i64>) -> tensor<2x9xf32>
    ```
    """

    name = "hlt.update_slice"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    update = operand_def(TENSOR)
    start = operand_def(TENSOR)
    axis = Int()
    result = result_def(TENSOR)

    def __init__(self, x: Value, update: Value, start: Value, *, axis: int = 0) -> None:
        super().__init__((x, update, start), axis=axis)

    @property
    def places(self) -> int:
        """How many places there are to start from."""
        return shape_of(self.x)[self.axis] - shape_of(self.update)[self.axis] + 1

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [same_element_type], [index_type]; [start_rank] one number; [update_shape] fits ``x``."""
        x, update, start, axis = tensor(self.x), tensor(self.update), tensor(self.start), self.axis
        check_axis(axis, x.rank)
        same_element_type(self.name, x, update)
        check_indices(start)
        if start.rank:
            raise fail("start_rank", f"the start has shape {start.shape}, must be one number")
        fits = update.rank == x.rank and all(
            n <= m if i == axis else n == m for i, (n, m) in enumerate(zip(update.shape, x.shape))
        )
        if not fits:
            raise fail("update_shape", f"an update of {update.shape} does not fit {x.shape} along axis {axis}")
        return (x.type,)


def check_index_shape(x: Tensor, indices: Tensor, axis: int) -> None:
    """[index_shape] ``indices`` has the rank of ``x`` and, off ``axis``, no larger extents."""
    if indices.rank != x.rank:
        raise fail("index_shape", f"indices of rank {indices.rank} for x of rank {x.rank}")
    if any(n > m for dim, (n, m) in enumerate(zip(indices.shape, x.shape)) if dim != axis):
        raise fail("index_shape", f"indices {indices.shape} reach beyond {x.shape} off axis {axis}")


def check_index_depth(x: Tensor, indices: Tensor, batch: int) -> int:
    """[index_depth] the last extent of ``indices``: how many dims of ``x`` after ``batch`` it addresses."""
    if indices.rank == 0 or not 0 <= indices.shape[-1] <= x.rank - batch:
        raise fail("index_depth", f"indices {indices.shape} don't address x of {x.shape} after {batch} dims")
    return indices.shape[-1]
