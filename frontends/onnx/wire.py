"""Taking tensor payloads out of a serialised model without parsing it.

An ONNX file is a protobuf message whose bulk is the payloads of its tensors. Parsing it copies all of them.
Instead the wire format (https://protobuf.dev/programming-guides/encoding) is scanned over the mapped file:
each large payload is left where it is and noted as an offset and a length, and everything else is joined to a
small model, which protobuf may parse. In that model a tensor without payload carries a *mark*: an entry of
``external_data`` whose key is a secret of this scan, and whose value is the number of the payload.

Nothing here trusts the bytes: every read is bounded, groups (deprecated) are refused, and nesting and the
number of fields are capped. Any violation is a ``ModelError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mlc.dialects.weights import Buffer
from mlc.errors import ModelError
from mlc.frontends.onnx.limits import Limits

INLINE_BYTES: Final = 1024
"""Payloads up to this size stay in the model."""

CHEAP_STRUCTURE: Final = 1 << 22
"""A stripped model up to this size is parsed without counting its fields: they can't be too many."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}

_INSIDE: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
_DROPPED: Final = {("model", 20)}
"""Training graphs: mlc compiles inference only."""

_PAYLOADS: Final = {
    **{4: "float_data", 5: "int32_data", 7: "int64_data"},
    **{9: "raw_data", 10: "double_data", 11: "uint64_data"},
}
_NOT_EMBEDDED: Final = {3, 6, 13, 14}
"""TensorProto's segment, string_data, external_data and data_location."""


class Field(NamedTuple):
    """One field of a message: its number, wire type, where its tag begins, and where its value lies."""

    number: int
    wire: int
    tag: int
    begin: int
    end: int


@dataclass(frozen=True)
class Payload:
    """The bytes of one payload field of a tensor, where they are."""

    field: str
    buffer: Buffer
    offset: int
    length: int

    @property
    def data(self) -> memoryview:
        """The bytes, not copied."""
        return memoryview(self.buffer)[self.offset : self.offset + self.length]


def strip(buffer: Buffer, mark: str, limits: Limits, payloads: list[Payload], message: str = "model") -> bytes:
    """A serialised ``model`` (or ``tensor``) without its large payloads, which are appended to ``payloads``.

    ``mark`` is the key under which a tensor names the index of its payload in that list.
    """
    scan = _Scan(buffer, mark, limits, payloads)
    end = len(scan.view)
    data = scan.tensor(0, end) if message == "tensor" else scan.message(message, 0, end, 0)
    return scan.join([scan.view]) if data is None else data


class _Scan:
    """One pass over a message tree; ``message`` and ``tensor`` give the new bytes, or None if unchanged."""

    def __init__(self, buffer: Buffer, mark: str, limits: Limits, payloads: list[Payload]) -> None:
        self.buffer = buffer
        self.view = memoryview(buffer)
        self.mark = mark.encode()
        self.limits = limits
        self.payloads = payloads
        self.fields = 0

    def message(self, kind: str, begin: int, end: int, depth: int) -> bytes | None:
        if end - begin <= INLINE_BYTES:
            return None
        self.limits.check("nesting", depth // 3, "graphs in graphs: nesting")
        inside = _INSIDE[kind]
        pieces: list[bytes | memoryview] = []
        kept = begin
        for field in self.read(begin, end):
            child = inside.get(field.number)
            if (kind, field.number) in _DROPPED:
                replacement = b""
            elif child is None or field.wire != _BYTES:
                continue
            else:
                inner = self.child(child, field, depth)
                if inner is None:
                    continue
                replacement = _tag(field.number, _BYTES) + _varint(len(inner)) + inner
            pieces += (self.view[kept : field.tag], replacement)
            kept = field.end
        if not pieces:
            return None
        pieces.append(self.view[kept:end])
        return self.join(pieces)

    def join(self, pieces: list[bytes | memoryview]) -> bytes:
        self.limits.check("structure_bytes", sum(map(len, pieces)), "model without its tensors: bytes")
        return b"".join(pieces)

    def child(self, kind: str, field: Field, depth: int) -> bytes | None:
        if kind == "tensor":
            return self.tensor(field.begin, field.end)
        return self.message(kind, field.begin, field.end, depth + 1)

    def tensor(self, begin: int, end: int) -> bytes | None:
        """Strip a tensor that has exactly one payload, packed and in one piece, as every writer makes it."""
        if end - begin <= INLINE_BYTES:
            return None
        found: list[Field] = []
        for field in self.read(begin, end):
            if field.number in _NOT_EMBEDDED:
                return None
            if field.number in _PAYLOADS:
                found.append(field)
        if len(found) != 1 or found[0].wire != _BYTES or found[0].end - found[0].begin <= INLINE_BYTES:
            return None
        payload = found[0]
        number = str(len(self.payloads)).encode()
        self.payloads.append(
            Payload(_PAYLOADS[payload.number], self.buffer, payload.begin, payload.end - payload.begin)
        )
        entry = _bytes_field(1, self.mark) + _bytes_field(2, number)
        external = _bytes_field(13, entry) + _tag(14, _VARINT) + b"\x01"
        return self.join([self.view[begin : payload.tag], self.view[payload.end : end], external])

    def read(self, begin: int, end: int) -> Iterator[Field]:
        for field in read_fields(self.view, begin, end):
            self.fields += 1
            if self.fields > self.limits.fields:
                self.limits.check("fields", self.fields, "model: protobuf fields")
            yield field


def read_fields(view: memoryview, begin: int, end: int) -> Iterator[Field]:
    """The fields of the message in ``view[begin:end]``, in order."""
    at = begin
    while at < end:
        tag_at = at
        key, at = read_varint(view, at, end)
        wire = key & 7
        if wire == _BYTES:
            length, at = read_varint(view, at, end)
        elif wire == _VARINT:
            _, stop = read_varint(view, at, end)
            length = stop - at
        elif wire in _FIXED_BYTES:
            length = _FIXED_BYTES[wire]
        else:
            raise ModelError(f"not an ONNX model: bad protobuf wire type {wire} at byte {tag_at}")
        if not 0 < key >> 3 < 1 << 29:
            raise ModelError(f"not an ONNX model: bad protobuf field number {key >> 3} at byte {tag_at}")
        if length > end - at:
            raise ModelError(f"truncated or not an ONNX model: {length} bytes wanted at byte {at}, {end - at} left")
        yield Field(key >> 3, wire, tag_at, at, at + length)
        at += length


def read_varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """The unsigned varint at ``at`` and the place after it."""
    value = shift = 0
    while at < end:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift >= 70:
            raise ModelError(f"not an ONNX model: a varint of more than 10 bytes before byte {at}")
    raise ModelError(f"truncated or not an ONNX model: a varint runs over the end at byte {end}")


def count_fields(data: bytes, descriptor: Any, limits: Limits) -> None:
    """Refuse a message that has too many fields or too deep a nesting to be parsed in reasonable memory.

    ``descriptor`` is protobuf's description of the message. An empty submessage takes two bytes in a file and
    hundreds once parsed; hence the count.
    """
    if len(data) <= CHEAP_STRUCTURE:
        return
    children: dict[Any, dict[int, Any]] = {}
    view = memoryview(data)
    count = 0
    pending: list[tuple[Any, int, int, int]] = [(descriptor, 0, len(data), 0)]
    while pending:
        kind, begin, end, depth = pending.pop()
        limits.check("nesting", depth // 3, "model: nesting")
        if kind not in children:
            children[kind] = {f.number: f.message_type for f in kind.fields if f.message_type is not None}
        inside = children[kind]
        for field in read_fields(view, begin, end):
            count += 1
            if count > limits.fields:
                limits.check("fields", count, "model: protobuf fields")
            if field.wire == _BYTES and field.number in inside:
                pending.append((inside[field.number], field.begin, field.end, depth + 1))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(value)) + value
