"""``hlt.constant``: a tensor known at compile time, small and in place or a reference to a weight."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import BytesAttr, DenseIntOrFPElementsAttr, TensorType
from xdsl.ir import Attribute, Operation
from xdsl.irdl import prop_def, result_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import ConstantLike, Pure

from mlc.dialects.hlt.base import TENSOR, HltOp, hlt_op, tensor_of
from mlc.dialects.hlt.dtypes import element_type, is_float, numpy_dtype, tensor_type
from mlc.dialects.hlt.fields import fail
from mlc.dialects.hlt.narrow import bit_width, is_narrow
from mlc.dialects.weights_attr import WeightAttr

INLINE_LIMIT = 16
"""The most elements that stand in the IR itself; larger constants are splats or weights."""

Dense = DenseIntOrFPElementsAttr[Any]


@hlt_op
class ConstantOp(HltOp):
    """A constant tensor: at most 16 elements or a splat in place, else a reference to a weight.

    A splat is stored as one element, whatever its shape; read it with ``constant_value``.

    ```
    %0 = hlt.constant dense<[1, 2]> : tensor<2xi64>
    %1 = hlt.constant dense<0.0> : tensor<1x64x56x56xf32>
    %2 = hlt.constant #mlc.weight<"fc", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855">
        : tensor<1000x2048xf32>
    ```
    """

    name = "hlt.constant"

    value = prop_def()
    result = result_def(TENSOR)
    traits = traits_def(Pure(), ConstantLike())

    def __init__(self, value: npt.ArrayLike | Attribute, type: TensorType | None = None) -> None:
        """``value`` is anything ``numpy.asarray`` takes, a dense attribute, or a weight with ``type``."""
        if isinstance(value, WeightAttr):
            if type is None:
                raise fail("constant_type", "a weight needs the tensor type")
            attr, result_type = value, type
        else:
            attr = compact(value) if isinstance(value, Attribute) else dense(np.asarray(value))
            result_type = cast(TensorType, attr.type) if type is None else type
        Operation.__init__(self, result_types=(result_type,), properties={"value": attr})
        self.infer()

    @staticmethod
    def splat(value: float | bool, type: TensorType) -> ConstantOp:
        """A constant of ``type`` whose elements are all ``value``, cast to the element type."""
        scalar = np.asarray(value).astype(numpy_dtype(type.element_type))
        return ConstantOp(np.broadcast_to(scalar, type.get_shape()))

    def infer(self) -> tuple[TensorType, ...]:
        """[constant_value] dense or a weight; [constant_size] small; [constant_type] types agree."""
        declared = tensor_of(self.result.type)
        if isinstance(self.value, WeightAttr):
            return (declared.type,)
        if not isinstance(self.value, DenseIntOrFPElementsAttr):
            raise fail("constant_value", f"{self.value.name} is neither dense nor a weight")
        stored = cast(Dense, self.value)
        if tensor_of(stored.type) != declared:
            raise fail("constant_type", f"the value has type {stored.type}, the result {self.result.type}")
        count = len(stored.data.data) // numpy_dtype(declared.element).itemsize
        size = math.prod(declared.shape)
        if count not in (1, size):
            raise fail("constant_size", f"{count} elements are stored for {size}")
        if count > INLINE_LIMIT and not _is_splat_bytes(stored.data.data, numpy_dtype(declared.element).itemsize):
            raise fail("constant_size", f"{count} elements; at most {INLINE_LIMIT} stand in place unless all equal")
        return (declared.type,)

    def print(self, printer: Printer) -> None:
        """Prints ``value`` and the type; what only raw bytes read back as it is (infinities, NaN), as these."""
        printer.print_string(" ")
        if isinstance(self.value, WeightAttr):
            printer.print_attribute(self.value)
            printer.print_string(" : ")
            printer.print_attribute(self.result.type)
        elif _reads_back(self.value):
            printer.print_attribute(self.value)
        else:
            printer.print_string(f'dense<"0x{cast(Dense, self.value).data.data.hex().upper()}"> : ')
            printer.print_attribute(self.result.type)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> ConstantOp:
        """Parses what ``print`` prints."""
        attr = parser.parse_attribute()
        if isinstance(attr, WeightAttr):
            parser.parse_punctuation(":")
            type_ = parser.parse_type()
        elif isinstance(attr, DenseIntOrFPElementsAttr):
            attr = compact(cast(Dense, attr))
            type_ = attr.type
        else:
            parser.raise_error("hlt.constant holds dense<...> or #mlc.weight<...>")
        attributes = parser.parse_optional_attr_dict()
        return cls.create(result_types=(type_,), properties={"value": attr}, attributes=attributes)


def dense(array: np.ndarray[Any, Any]) -> Dense:
    """The dense attribute of an array; one element is stored for a splat.

    Raises ``VerifyException`` for more than 16 elements that are not all the same bits, and for foreign
    dtypes.
    """
    try:
        element = element_type(array.dtype)
    except KeyError:
        raise fail("element_type", f"NumPy's {array.dtype} is not an element type of hlt") from None
    type_ = tensor_type(array.shape, element)
    if _is_splat(array):
        return Dense(cast(Any, type_), BytesAttr(_to_bytes(array[(slice(0, 1),) * array.ndim])))
    if array.size > INLINE_LIMIT:
        raise fail("constant_size", f"{array.size} elements; at most {INLINE_LIMIT} stand in place unless all equal")
    return Dense(cast(Any, type_), BytesAttr(_to_bytes(array)))


def compact(attr: Attribute) -> Dense:
    """``attr`` with a splat stored as one element; raises ``VerifyException`` if it is not dense."""
    if not isinstance(attr, DenseIntOrFPElementsAttr):
        raise fail("constant_value", f"{attr.name} is neither dense nor a weight")
    stored = cast(Dense, attr)
    itemsize = numpy_dtype(tensor_of(stored.type).element).itemsize
    raw = stored.data.data
    if len(raw) <= itemsize or not _is_splat_bytes(raw, itemsize):
        return stored
    return DenseIntOrFPElementsAttr(stored.type, BytesAttr(raw[:itemsize]))


def constant_value(value: Operation | Attribute) -> np.ndarray[Any, Any] | None:
    """The read-only array of a dense ``hlt.constant`` (a broadcast view for a splat), else ``None``."""
    attr = value.value if isinstance(value, ConstantOp) else value
    if not isinstance(attr, DenseIntOrFPElementsAttr):
        return None
    stored = cast(Dense, attr)
    shape, element = tensor_of(stored.type)
    dtype = numpy_dtype(element)
    if dtype == np.bool_:
        flat = np.frombuffer(stored.data.data, dtype=np.uint8) != 0
    elif is_narrow(element):
        flat = (np.frombuffer(stored.data.data, dtype=np.uint8) & ((1 << bit_width(element)) - 1)).view(dtype)
    else:
        flat = np.frombuffer(stored.data.data, dtype=dtype)
    array = np.broadcast_to(flat.reshape(()), shape) if flat.size == 1 else flat.reshape(shape)
    array.flags.writeable = False
    return array


def _reads_back(attr: Attribute) -> bool:
    """Whether xDSL's text of a dense attribute reads back bit for bit: finite numbers of types that aren't narrow."""
    array = constant_value(attr)
    if array is None:
        return True
    element = element_type(array.dtype)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return not is_narrow(element) and (not is_float(element) or bool(np.isfinite(array).all()))


def _to_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """The elements in row-major order; xDSL stores a true i1 as 0xFF."""
    return (np.negative(array.view(np.int8)) if array.dtype == np.bool_ else array).tobytes()


def _is_splat(array: np.ndarray[Any, Any]) -> bool:
    if array.size <= 1 or not any(stride for stride, extent in zip(array.strides, array.shape) if extent > 1):
        return array.size == 1 or array.size > 1
    head = array.flat[0].tobytes()
    if any(array.flat[index].tobytes() != head for index in range(1, min(array.size, INLINE_LIMIT))):
        return False
    return _is_splat_bytes(array.tobytes(), array.itemsize)


def _is_splat_bytes(raw: bytes, itemsize: int) -> bool:
    """Whether all elements have the same bits: every element equals the one before."""
    return len(raw) > 0 and raw[itemsize:] == raw[:-itemsize]
