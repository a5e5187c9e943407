"""The values of ONNX tensors: which element types there are and how their payloads are stored.

A ``TensorProto`` keeps its values in ``raw_data`` (little-endian, sub-byte elements packed) or in one of
the typed fields (``float_data``, ``int32_data``...), see onnx.proto. One table says which; the rest follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto

from mlc.dialects.weights import DTYPES, Array, Shape, WeightStore
from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.limits import Limits, element_count
from mlc.frontends.onnx.wire import Payload

WEIGHT_KEY: Final = "mlc.weight"
"""The key of ``external_data`` under which a tensor of a loaded model names its weight."""

_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Element:
    """An ONNX element type: its name, NumPy dtype, width as stored in ``raw_data``, and its typed field."""

    name: str
    dtype: np.dtype[Any]
    bits: int
    field: str

    def raw_bytes(self, count: int) -> int:
        """Bytes of ``raw_data`` for ``count`` elements."""
        return (count * self.bits + 7) // 8


_ROWS: Final = (
    ("FLOAT", "float32", 32, "float_data"),
    ("UINT8", "uint8", 8, "int32_data"),
    ("INT8", "int8", 8, "int32_data"),
    ("UINT16", "uint16", 16, "int32_data"),
    ("INT16", "int16", 16, "int32_data"),
    ("INT32", "int32", 32, "int32_data"),
    ("INT64", "int64", 64, "int64_data"),
    ("BOOL", "bool", 8, "int32_data"),
    ("FLOAT16", "float16", 16, "int32_data"),
    ("DOUBLE", "float64", 64, "double_data"),
    ("UINT32", "uint32", 32, "uint64_data"),
    ("UINT64", "uint64", 64, "uint64_data"),
    ("COMPLEX64", "complex64", 64, "float_data"),
    ("COMPLEX128", "complex128", 128, "double_data"),
    ("BFLOAT16", "bfloat16", 16, "int32_data"),
    ("FLOAT8E4M3FN", "float8_e4m3fn", 8, "int32_data"),
    ("FLOAT8E4M3FNUZ", "float8_e4m3fnuz", 8, "int32_data"),
    ("FLOAT8E5M2", "float8_e5m2", 8, "int32_data"),
    ("FLOAT8E5M2FNUZ", "float8_e5m2fnuz", 8, "int32_data"),
    ("UINT4", "uint4", 4, "int32_data"),
    ("INT4", "int4", 4, "int32_data"),
    ("FLOAT4E2M1", "float4_e2m1fn", 4, "int32_data"),
    ("FLOAT8E8M0", "float8_e8m0fnu", 8, "int32_data"),
    ("UINT2", "uint2", 2, "int32_data"),
    ("INT2", "int2", 2, "int32_data"),
    ("FLOAT6E2M3", "float6_e2m3fn", 6, "int32_data"),
    ("FLOAT6E3M2", "float6_e3m2fn", 6, "int32_data"),
)

ELEMENTS: Final[dict[int, Element]] = {
    TensorProto.DataType.Value(name): Element(name, DTYPES[dtype], bits, field)
    for name, dtype, bits, field in _ROWS
    if name in TensorProto.DataType.keys()
}
"""Element types by ``TensorProto.data_type``. Strings are not among them: they are no weights."""

_FIXED_FIELDS: Final = {"raw_data", "float_data", "double_data"}
_TYPED_FIELDS: Final = {row[3] for row in _ROWS}


def element_of(tensor: TensorProto, what: str) -> Element:
    """The element type of a tensor; ``what`` names it in the errors."""
    if tensor.data_type not in ELEMENTS:
        known = tensor.data_type in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(tensor.data_type) if known else str(tensor.data_type)
        raise UnsupportedError(f"{what}: element type {name} is not known here")
    return ELEMENTS[tensor.data_type]


def weight_name(tensor: TensorProto) -> str | None:
    """The name in the weight store of a tensor of a loaded model; None if its values stand in the tensor."""
    for entry in tensor.external_data:
        if entry.key == WEIGHT_KEY:
            return entry.value
    return None


def refer_to_weight(tensor: TensorProto, name: str) -> None:
    """Replace whatever values ``tensor`` has by a reference to the weight ``name``."""
    for field in ("external_data", "raw_data", "string_data", *_TYPED_FIELDS):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key=WEIGHT_KEY, value=name)


def add_payload(
    weights: WeightStore, name: str, tensor: TensorProto, payload: Payload, limits: Limits, what: str
) -> None:
    """Add the tensor's values to ``weights``, as a view where the storage allows, else decoded when read.

    ``tensor`` gives element type and shape. Raises ``ModelError`` unless the payload is exactly that large.
    """
    element = element_of(tensor, what)
    shape = tuple(tensor.dims)
    count = element_count(shape, what, limits)
    _check_size(element, shape, count, payload, what)
    if element.bits < 8 or payload.field not in _FIXED_FIELDS:
        weights.add_lazy(name, element.dtype, shape, partial(_decode, element, shape, count, payload))
        return
    weights.add_region(name, element.dtype, shape, payload.buffer, payload.offset, payload.length)


def inline_array(tensor: TensorProto, limits: Limits, what: str) -> Array:
    """The values that stand in the tensor itself; read-only if they are a view of ``raw_data``.

    Strings give an array of ``str`` objects (bytes that are not UTF-8 are a ``ModelError``).
    """
    shape = tuple(tensor.dims)
    count = element_count(shape, what, limits)
    if tensor.data_type == TensorProto.STRING:
        return _strings(tensor, shape, count, what)
    element = element_of(tensor, what)
    used = [field for field in ("raw_data", *sorted(_TYPED_FIELDS)) if len(getattr(tensor, field))]
    if not used:
        if count:
            raise ModelError(f"{what}: no data for {count} elements")
        return np.zeros(shape, element.dtype)
    if len(used) > 1:
        raise ModelError(f"{what}: data in both {used[0]} and {used[1]}")
    if used[0] == "raw_data":
        raw = tensor.raw_data
        payload = Payload("raw_data", raw, 0, len(raw))
        _check_size(element, shape, count, payload, what)
        return _decode(element, shape, count, payload)
    values = np.array(getattr(tensor, used[0]))
    _check_field(element, used[0], what)
    _check_count(element, shape, count, len(values), what)
    if used[0] in _FIXED_FIELDS:
        stored = values.astype(np.float32 if used[0] == "float_data" else np.float64)
        return stored.view(element.dtype).reshape(shape)
    return _narrow(element, shape, count, values)


def _strings(tensor: TensorProto, shape: Shape, count: int, what: str) -> Array:
    if len(tensor.string_data) != count:
        raise ModelError(f"{what}: {len(tensor.string_data)} strings for {count} elements")
    values = np.empty(count, object)
    try:
        values[:] = [value.decode() for value in tensor.string_data]
    except UnicodeDecodeError:
        raise ModelError(f"{what}: a string is not UTF-8") from None
    return values.reshape(shape)


def _check_size(element: Element, shape: Shape, count: int, payload: Payload, what: str) -> None:
    if payload.field == "raw_data":
        if payload.length != element.raw_bytes(count):
            raise ModelError(
                f"{what}: {payload.length} bytes of raw data, {element.raw_bytes(count)} needed "
                f"for {element.name} {list(shape)}"
            )
        if element.name == "BOOL" and any(int(chunk.max()) > 1 for chunk in _chunks(payload)):
            raise ModelError(f"{what}: booleans other than 0 and 1")
        return
    _check_field(element, payload.field, what)
    if payload.field not in _FIXED_FIELDS:
        _check_count(element, shape, count, _count_varints(payload, what), what)
        return
    stored, odd = divmod(payload.length, 4 if payload.field == "float_data" else 8)
    if odd:
        raise ModelError(f"{what}: {payload.field} ends within a number")
    _check_count(element, shape, count, stored, what)


def _count_varints(payload: Payload, what: str) -> int:
    """How many varints a typed field holds; each must be complete and of at most ten bytes."""
    count = 0
    last = -1
    for index, chunk in enumerate(_chunks(payload)):
        ends = np.flatnonzero(chunk < 0x80) + index * _CHUNK
        if int(np.diff(ends, prepend=last, append=min(payload.length, (index + 1) * _CHUNK)).max()) > 10:
            raise ModelError(f"{what}: {payload.field} has a number of more than 10 bytes")
        count += len(ends)
        last = int(ends[-1])
    if last != payload.length - 1:
        raise ModelError(f"{what}: {payload.field} ends within a number")
    return count


def _check_field(element: Element, field: str, what: str) -> None:
    if field != element.field:
        raise ModelError(f"{what}: {element.name} values belong in raw_data or {element.field}, not {field}")


def _check_count(element: Element, shape: Shape, count: int, stored: int, what: str) -> None:
    """Compare the numbers in a typed field with the shape: complex take two, 4-bit elements a half."""
    if element.name.startswith("COMPLEX"):
        needed = 2 * count
    else:
        needed = -(-count // _per_number(element))
    if stored != needed:
        raise ModelError(f"{what}: {stored} values stored, {needed} needed for {element.name} {list(shape)}")


def _per_number(element: Element) -> int:
    """Elements in one number of ``int32_data``: 4-bit and 2-bit elements share a byte, 6-bit ones don't."""
    return 8 // element.bits if element.bits in (2, 4) else 1


def _chunks(payload: Payload) -> Iterator[Array]:
    """The bytes of a payload, a few megabytes at a time."""
    data = np.frombuffer(payload.data, np.uint8)
    return (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK))


def _decode(element: Element, shape: Shape, count: int, payload: Payload) -> Array:
    data = np.frombuffer(payload.data, np.uint8)
    if element.bits < 8 and payload.field == "raw_data":
        return unpack_bits(data, element.bits, count).view(element.dtype).reshape(shape)
    if payload.field in _FIXED_FIELDS:
        return data.view(element.dtype).reshape(shape)
    numbers = -(-count // _per_number(element))
    return _narrow(element, shape, count, decode_varints(data, numbers))


def _narrow(element: Element, shape: Shape, count: int, values: Array) -> Array:
    """Numbers of a typed field as elements: floats are stored by their bits, small integers share numbers."""
    width = element.dtype.itemsize
    if _per_number(element) > 1:
        values = unpack_bits(values.astype(np.uint8), element.bits, count)
    if element.name == "BOOL":
        return (values != 0).reshape(shape)
    return values.astype(f"u{width}").view(element.dtype).reshape(shape)


def unpack_bits(packed: Array, bits: int, count: int) -> Array:
    """``count`` elements of ``bits`` bits, packed from the low bits on, as one uint8 each."""
    group_bits = math.lcm(bits, 8)
    per_group, group_bytes = group_bits // bits, group_bits // 8
    groups = -(-count // per_group)
    padded = np.zeros((groups, group_bytes), np.uint8)
    padded.reshape(-1)[: len(packed)] = packed
    out = np.empty((groups, per_group), np.uint8)
    mask = (1 << bits) - 1
    for index in range(per_group):
        byte, shift = divmod(index * bits, 8)
        value = padded[:, byte] >> shift
        if shift + bits > 8:
            value |= padded[:, byte + 1] << (8 - shift)
        out[:, index] = value & mask
    return out.reshape(-1)[:count]


def decode_varints(data: Array, count: int) -> Array:
    """The ``count`` complete varints of at most ten bytes that make up ``data`` (uint8), as int64."""
    out = np.empty(count, np.uint64)
    at = done = 0
    while at < len(data):
        ends = np.flatnonzero(data[at : at + _CHUNK] < 0x80)
        out[done : done + len(ends)] = _varint_values(data[at : at + _CHUNK], ends)
        done += len(ends)
        at += int(ends[-1]) + 1
    return out.view(np.int64)


def _varint_values(data: Array, ends: Array) -> Array:
    """Varints that end at ``ends``: their 7-bit digits, least significant first, summed column by column."""
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    values = (data[starts] & 0x7F).astype(np.uint64)
    for index in range(1, int(lengths.max())):
        rows = np.flatnonzero(lengths > index)
        digits = (data[starts[rows] + index] & 0x7F).astype(np.uint64)
        values[rows] |= digits << np.uint64(7 * index)
    return values


@dataclass(frozen=True)
class Sparse:
    """A checked sparse tensor: ``values[NNZ]`` at the flat positions ``at[NNZ]`` of an array of zeros."""

    shape: Shape
    values: Array
    at: Array

    def dense(self) -> Array:
        """The whole array."""
        array = np.zeros(math.prod(self.shape), self.values.dtype)
        array[self.at] = self.values
        return array.reshape(self.shape)


def read_sparse(sparse: onnx.SparseTensorProto, limits: Limits, what: str) -> Sparse:
    """Check and read a sparse tensor, whose indices are flat ``[NNZ]`` or coordinates ``[NNZ, rank]``.

    Raises ``ModelError`` for indices of another form, out of range or given twice, and if the dense array
    would be too large.
    """
    shape = tuple(sparse.dims)
    count = element_count(shape, what, limits)
    values = inline_array(sparse.values, limits, what)
    limits.check("dense_bytes", count * values.dtype.itemsize, f"{what}: bytes when dense")
    indices = inline_array(sparse.indices, limits, f"{what}: indices")
    forms = (values.shape, (values.size, len(shape)))
    if values.ndim != 1 or indices.dtype != np.int64 or indices.shape not in forms or not shape:
        raise ModelError(f"{what}: indices {list(indices.shape)} for values {list(values.shape)}")
    coordinates = indices.ndim == 2
    bounds = np.array(shape if coordinates else (count,), np.int64)
    table = indices.reshape(values.size, len(bounds))
    if ((table < 0) | (table >= bounds)).any():
        raise ModelError(f"{what}: an index lies outside {list(shape)}")
    at = table @ _row_major(shape) if coordinates else indices
    if len(np.unique(at)) != len(at):
        raise ModelError(f"{what}: an index is given twice")
    return Sparse(shape, values, at)


def _row_major(shape: Shape) -> Array:
    """Elements from one index to the next, per dim."""
    return np.array([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], np.int64)
