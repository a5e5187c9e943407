"""A weight store in a file: the safetensors format (https://github.com/huggingface/safetensors).

Eight bytes of header length, a JSON header, then the raw row-major data of all tensors without gaps. What
the format can't say stands in its metadata under the key ``mlc``: the digest of each weight, element types it
has no name for (kept as bytes), and splats (kept as one element). Any safetensors file can be loaded; only
files written here carry digests.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from mlc.dialects.weights import DTYPES, Array, Buffer, WeightStore
from mlc.errors import ModelError, UsageError

METADATA: Final = "__metadata__"
HEADER_BYTES: Final = 100_000_000
"""The format's own bound on its header."""

_ALIGN: Final = 64
_CODES: Final = {
    **{"bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64"},
    **{"uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64"},
    **{"float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16", "complex64": "C64"},
    **{"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0"},
}
_NAMES: Final = {code: name for name, code in _CODES.items()}


def save(weights: WeightStore, path: str | os.PathLike[str], names: Sequence[str]) -> None:
    """Write the named weights to ``path``, replacing it atomically.

    Wide elements come first, so that all tensors are aligned without gaps.
    """
    if METADATA in names:
        raise UsageError(f"a weight can't be called {METADATA!r} in a safetensors file")
    ordered = sorted(names, key=lambda name: -weights.dtype(name).itemsize)
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=target.absolute().parent, prefix=target.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_header(weights, ordered))
            for name in ordered:
                file.write(np.ascontiguousarray(_stored(weights, name)).reshape(-1).view(np.uint8).data)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _stored(weights: WeightStore, name: str) -> Array:
    return weights.splat_value(name) if weights.is_splat(name) else weights.array(name)


def _header(weights: WeightStore, names: Sequence[str]) -> bytes:
    tensors: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    offset = 0
    for name in names:
        dtype, shape, splat = weights.dtype(name), list(weights.shape(name)), weights.is_splat(name)
        size = dtype.itemsize if splat else weights.nbytes(name)
        code = _CODES.get(dtype.name)
        stored = [] if splat and code else shape if code else [size]
        tensors[name] = {"dtype": code or "U8", "shape": stored, "data_offsets": [offset, offset + size]}
        notes[name] = {"dtype": dtype.name, "shape": shape, "splat": splat, "sha256": weights.digest(name)}
        offset += size
    text = json.dumps({METADATA: {"mlc": json.dumps(notes)}, **tensors}).encode()
    text += b" " * (-(len(text) + 8) % _ALIGN)
    return struct.pack("<Q", len(text)) + text


def load(path: str | os.PathLike[str]) -> WeightStore:
    """Map the file and check it: every offset, length and recorded digest. Raises ``ModelError``."""
    try:
        with open(path, "rb") as file:
            data: Buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ModelError(f"{os.fspath(path)}: can't map the weights: {error}") from None
    try:
        return _read(data)
    except ModelError as error:
        raise ModelError(f"{os.fspath(path)}: {error.message}", hint=error.hint) from None


def _read(data: Buffer) -> WeightStore:
    header, base = _parse_header(data)
    metadata = _object(header.pop(METADATA, {}), "the metadata")
    notes = _parse_json(metadata.get("mlc", "{}"))
    weights = WeightStore()
    for name, value in header.items():
        record = _object(value, f"weight {name!r}")
        code = record.get("dtype")
        if not isinstance(code, str) or code not in _NAMES:
            raise ModelError(f"weight {name!r}: unknown dtype {code!r}")
        shape = _naturals(record.get("shape"), f"weight {name!r}: shape")
        begin, length = _extent(name, record)
        if name in notes:
            note = _object(notes[name], f"metadata of weight {name!r}")
            _add_noted(weights, name, note, data, base + begin, length)
        else:
            weights.add_region(name, _NAMES[code], shape, data, base + begin, length)
    return weights


def _add_noted(weights: WeightStore, name: str, note: dict[str, Any], data: Buffer, offset: int, length: int) -> None:
    """Add a weight of which the metadata gives dtype, shape, splat and digest; compare the digest."""
    dtype = DTYPES.get(str(note.get("dtype")))
    if dtype is None:
        raise ModelError(f"weight {name!r}: unknown dtype {note.get('dtype')!r} in the metadata")
    shape = _naturals(note.get("shape"), f"weight {name!r}: shape in the metadata")
    if not note.get("splat"):
        weights.add_region(name, dtype, shape, data, offset, length)
    elif length == dtype.itemsize and offset + length <= len(data):
        weights.add_splat(name, dtype, shape, np.frombuffer(data, np.uint8, length, offset).view(dtype)[0])
    else:
        raise ModelError(f"weight {name!r}: {length} bytes stored for a splat of {dtype}")
    if weights.digest(name) != note.get("sha256"):
        raise ModelError(f"weight {name!r}: the digest differs", hint="the file is damaged or was changed")


def _parse_header(data: Buffer) -> tuple[dict[str, Any], int]:
    if len(data) < 8:
        raise ModelError("too short for a safetensors file")
    length = int.from_bytes(data[:8], "little")
    if length > min(HEADER_BYTES, len(data) - 8):
        raise ModelError(f"a header of {length} bytes does not fit the file")
    return _parse_json(bytes(data[8 : 8 + length])), 8 + length


def _parse_json(text: object) -> dict[str, Any]:
    try:
        return _object(json.loads(text), "the header")  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"the header is no JSON: {error}") from None


def _extent(name: str, record: dict[str, Any]) -> tuple[int, int]:
    offsets = _naturals(record.get("data_offsets"), f"weight {name!r}: data_offsets")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelError(f"weight {name!r}: bad data_offsets {offsets}")
    return offsets[0], offsets[1] - offsets[0]


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f"{what} is no JSON object")
    return cast("dict[str, Any]", value)


def _naturals(value: object, what: str) -> list[int]:
    items = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(type(item) is int and item >= 0 for item in items):
        raise ModelError(f"{what}: not a list of non-negative integers")
    return cast("list[int]", items)
