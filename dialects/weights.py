"""The weight store: the constants of a model, kept outside the IR.

The IR names a weight and its digest (``#mlc.weight<"name", "sha256", type>``); the numbers stay here. An
entry is one of three things, and reading any of them gives a read-only NumPy array:

- a *buffer*: an array, or a region of a memory-mapped file. Reading it copies nothing.
- a *splat*: one value and a shape. Reading it gives a broadcast view with zero strides.
- *lazy*: a function that computes the array when asked. Its result lives for as long as somebody holds it
  (small results are kept), so chains of transformed weights don't pile up in memory.

The digest depends on dtype, shape and values alone, never on how the entry is held: equal splats, buffers and
lazy entries have equal digests. ``mlc.dialects.safetensors`` keeps a store in a file.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlc.errors import InternalError, ModelError, UsageError, nearest

Array: TypeAlias = NDArray[Any]
Buffer: TypeAlias = bytes | bytearray | memoryview | mmap.mmap
Shape: TypeAlias = tuple[int, ...]

KEEP_BYTES: Final = 1 << 16
"""Results of lazy entries up to this size are kept."""

MAX_RANK: Final = 32
MAX_ELEMENTS: Final = 1 << 59
"""NumPy counts the bytes of an array, of at most 16 per element, in 64 signed bits."""

_CHUNK: Final = 1 << 20
_SAMPLES: Final = 16

_NATIVE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64", "complex64", "complex128")
_SMALL = (
    *("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "int4", "uint4", "int2", "uint2"),
)

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    **{name: np.dtype(name) for name in (*_NATIVE, *_FLOATS)},
    **{name: np.dtype(getattr(ml_dtypes, name)) for name in _SMALL},
}
"""Every dtype a weight may have, by NumPy name. Sub-byte types take one byte per element in memory."""


@dataclass
class _Entry:
    """One weight: how to read it, and what was found out about it so far."""

    dtype: np.dtype[Any]
    shape: Shape
    read: Callable[[], Array]
    held: int = 0
    splat: bool | None = None
    digest: str | None = None

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape)


class WeightStore:
    """Named constant tensors of one model, in the order in which they were added.

    Adding a name twice is an ``InternalError``; reading an unknown one is a ``UsageError``.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def add_array(self, name: str, array: Array) -> None:
        """Hold ``array`` without a copy; the caller must not write to it afterwards."""
        dtype = weight_dtype(array.dtype)
        held = array.view() if array.dtype == dtype else array.astype(dtype)
        held.flags.writeable = False
        stored = math.prod(extent for extent, stride in zip(held.shape, held.strides) if stride)
        self._add(name, _Entry(dtype, held.shape, lambda: held, stored * dtype.itemsize))

    def add_region(
        self, name: str, dtype: DTypeLike, shape: Iterable[int], buffer: Buffer, offset: int, length: int
    ) -> None:
        """Hold ``length`` bytes at ``offset`` of ``buffer``: row-major, little-endian, any alignment.

        Raises ``ModelError`` when the region leaves the buffer or its length is not that of the shape.
        """
        kind, dims = weight_dtype(dtype), _checked(name, shape)
        expected = kind.itemsize * math.prod(dims)
        if length != expected:
            raise ModelError(f"weight {name!r}: {length} bytes stored, {expected} needed for {kind}{list(dims)}")
        if offset < 0 or offset + length > len(buffer):
            raise ModelError(f"weight {name!r}: bytes {offset}..{offset + length} lie outside the file")
        if not length:
            self.add_array(name, np.zeros(dims, kind))
            return
        view = np.frombuffer(buffer, np.uint8, length, offset).view(kind).reshape(dims)
        view.flags.writeable = False
        self._add(name, _Entry(kind, dims, lambda: view, length))

    def add_splat(self, name: str, dtype: DTypeLike, shape: Iterable[int], value: object) -> None:
        """Hold a tensor of which every element is ``value``; its size costs nothing."""
        kind, dims = weight_dtype(dtype), _checked(name, shape)
        scalar = np.array(value, dtype=kind)
        if scalar.ndim:
            raise UsageError(f"weight {name!r}: the value of a splat is a scalar, not shape {scalar.shape}")
        view = np.broadcast_to(scalar, dims)
        self._add(name, _Entry(kind, dims, lambda: view, splat=view.size > 0))

    def add_lazy(self, name: str, dtype: DTypeLike, shape: Iterable[int], compute: Callable[[], Array]) -> None:
        """Hold a tensor that ``compute`` makes when it is read.

        ``compute`` must give the same values each time, of the declared dtype and shape (``InternalError``
        otherwise). Results above ``KEEP_BYTES`` are forgotten once nobody holds them.
        """
        kind, dims = weight_dtype(dtype), _checked(name, shape)
        self._add(name, _Entry(kind, dims, _Lazy(name, kind, dims, compute)))

    def array(self, name: str) -> Array:
        """The tensor, read-only. May be unaligned (regions) or have zero strides (splats)."""
        return self._entry(name).read()

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type."""
        return self._entry(name).dtype

    def shape(self, name: str) -> Shape:
        """The shape."""
        return self._entry(name).shape

    def nbytes(self, name: str) -> int:
        """Bytes of the dense tensor, whatever it takes here."""
        return self._entry(name).nbytes

    @property
    def held_bytes(self) -> int:
        """Bytes of the arrays and regions of files: what the model brings, beside what is made of it."""
        return sum(entry.held for entry in self._entries.values())

    def is_splat(self, name: str) -> bool:
        """Whether all elements have the same bits; false for empty tensors. Found out at most once."""
        entry = self._entry(name)
        if entry.splat is None:
            entry.splat = is_uniform(entry.read())
        return entry.splat

    def splat_value(self, name: str) -> Array:
        """The one value of a splat, as a rank-0 array."""
        if not self.is_splat(name):
            raise UsageError(f"weight {name!r} is not a splat")
        array = self.array(name)
        return array[(0,) * array.ndim].reshape(())

    def digest(self, name: str) -> str:
        """SHA-256 of dtype, shape and values, as 64 hexadecimal digits. Computed at most once."""
        entry = self._entry(name)
        if entry.digest is None:
            array = entry.read()
            if entry.splat is None:
                entry.splat = is_uniform(array)
            entry.digest = _digest(array, entry.splat)
        return entry.digest

    def names(self) -> tuple[str, ...]:
        """All names, in the order in which they were added."""
        return tuple(self._entries)

    def unique_name(self, base: str) -> str:
        """``base``, or the first of ``base.1``, ``base.2``, ... that is not taken."""
        if base not in self._entries:
            return base
        number = 1
        while (name := f"{base}.{number}") in self._entries:
            number += 1
        return name

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def save_safetensors(self, path: str | os.PathLike[str], names: Iterable[str] | None = None) -> None:
        """Write the named weights (all by default) to a safetensors file, replacing it atomically."""
        from mlc.dialects.safetensors import save

        save(self, path, self.names() if names is None else tuple(names))

    @staticmethod
    def load_safetensors(path: str | os.PathLike[str]) -> WeightStore:
        """Map a safetensors file; lengths, offsets and recorded digests are checked (``ModelError``)."""
        from mlc.dialects.safetensors import load

        return load(path)

    def _add(self, name: str, entry: _Entry) -> None:
        if name in self._entries:
            raise InternalError(f"weight {name!r} is added twice", hint="use unique_name()")
        self._entries[name] = entry

    def _entry(self, name: str) -> _Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise UsageError(f"no weight {name!r}", hint=nearest(name, self._entries)) from None


class _Lazy:
    """Reads a lazy entry: computes, checks, and remembers the result while somebody holds it."""

    def __init__(self, name: str, dtype: np.dtype[Any], shape: Shape, compute: Callable[[], Array]) -> None:
        self._name, self._dtype, self._shape = name, dtype, shape
        self._compute = compute
        self._kept: Array | None = None
        self._seen: weakref.ref[Array] | None = None

    def __call__(self) -> Array:
        if self._kept is not None:
            return self._kept
        if self._seen is not None and (alive := self._seen()) is not None:
            return alive
        result = self._compute().view()
        if result.dtype != self._dtype or result.shape != self._shape:
            raise InternalError(
                f"weight {self._name!r}: computed {result.dtype}{list(result.shape)}, "
                f"declared {self._dtype}{list(self._shape)}"
            )
        result.flags.writeable = False
        self._seen = weakref.ref(result)
        if result.nbytes <= KEEP_BYTES:
            self._kept = result
        return result


def weight_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The little-endian dtype of that name; ``UsageError`` unless it is in ``DTYPES``."""
    name = np.dtype(dtype).name
    if name not in DTYPES:
        raise UsageError(f"weights can't have dtype {name}", hint=nearest(name, DTYPES))
    return DTYPES[name]


def _checked(name: str, shape: Iterable[int]) -> Shape:
    """The shape, if NumPy can have an array of it."""
    dims = tuple(shape)
    if len(dims) > MAX_RANK or min(dims, default=0) < 0 or math.prod(d for d in dims if d) > MAX_ELEMENTS:
        raise ModelError(f"weight {name!r}: no array can have the shape {list(dims)}")
    return dims


def is_uniform(array: Array) -> bool:
    """Whether a non-empty array holds one bit pattern only.

    A few samples spread over the array decide nearly always; only if they agree is all of it read, in chunks.
    """
    if not array.size:
        return False
    if array.size == 1 or not any(array.strides):
        return True
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    words = _words(array)
    first = words[0]
    step = max(1, len(words) // _SAMPLES)
    if not np.array_equal(words[::step], np.broadcast_to(first, words[::step].shape)):
        return False
    return all(bool((words[at : at + _CHUNK] == first).all()) for at in range(0, len(words), _CHUNK))


def _words(array: Array) -> Array:
    """The bits of a contiguous array as unsigned integers, ``[size, words per element]``."""
    word = min(array.dtype.itemsize, 8)
    flat = array.reshape(-1).view(np.dtype(f"u{word}"))
    return flat.reshape(array.size, array.dtype.itemsize // word)


def _digest(array: Array, splat: bool) -> str:
    hasher = hashlib.sha256(f"{array.dtype.name}{list(array.shape)}{'splat' if splat else 'dense'}:".encode())
    if splat:
        hasher.update(array[(0,) * array.ndim].tobytes())
    elif array.size:
        hasher.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()
