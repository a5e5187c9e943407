"""The weights file of an artefact: a header page that says what it is, then the payload.

The payload is what the kernels address: their packed constants at the offsets of ``BufferRef("weights")``.
The header (``mlc.codegen.runtime.context``) carries the payload's length and SHA-256; NAME_init compares it
with what the code was compiled for, and ``WeightsImage.open`` also compares the payload itself.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlc.codegen.image import Chunk, write_atomic
from mlc.codegen.runtime.context import ABI_VERSION, WEIGHTS_HEADER, WEIGHTS_MAGIC, WEIGHTS_PAYLOAD
from mlc.errors import ModelError, UsageError

HUGE_PAGE = 2 << 20


@dataclass
class Region:
    """Zeroed memory of this process, aligned to 64 bytes; to a huge page when that large."""

    mapping: mmap.mmap
    offset: int
    size: int
    address: int

    @classmethod
    def allocate(cls, size: int) -> Region:
        """Anonymous memory; the kernel is asked for huge pages where one fits."""
        huge = size >= HUGE_PAGE
        length = max(size, 1) + (HUGE_PAGE if huge else 0)
        # Python's default is memory that forked children share, which also gets no huge pages.
        mapping = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        start = _address_of(mapping)
        offset = -start % HUGE_PAGE if huge else 0
        if huge:
            mapping.madvise(mmap.MADV_HUGEPAGE)
        return cls(mapping, offset, size, start + offset)

    @property
    def view(self) -> memoryview:
        """The memory as writable bytes."""
        return memoryview(self.mapping)[self.offset : self.offset + self.size]


def _address_of(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


def weights_header(payload_bytes: int, sha256: str) -> bytes:
    """The header page for a payload."""
    fields = WEIGHTS_MAGIC, ABI_VERSION, WEIGHTS_PAYLOAD, payload_bytes, bytes.fromhex(sha256)
    return WEIGHTS_HEADER.pack(*fields).ljust(WEIGHTS_PAYLOAD, b"\0")


def digest(chunks: Iterable[bytes | bytearray | memoryview]) -> str:
    """The SHA-256 of a payload given in pieces, in hexadecimal."""
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.hexdigest()


def write_weights(path: Path, payload_bytes: int, sha256: str, payload: Iterable[Chunk]) -> None:
    """Write a weights file atomically; raises UsageError when the path can't be written."""
    write_atomic(path, [weights_header(payload_bytes, sha256), *payload])


@dataclass
class WeightsImage:
    """A weights file in memory: mapped from disk, or built in place.

    ``address`` and ``size`` cover header and payload and are what NAME_init takes.
    """

    region: Region
    sha256: str

    @property
    def address(self) -> int:
        """Where the image lies in this process."""
        return self.region.address

    @property
    def size(self) -> int:
        """Bytes of the image."""
        return self.region.size

    @property
    def payload(self) -> memoryview:
        """The payload's bytes, writable when built in place."""
        return self.region.view[WEIGHTS_PAYLOAD:]

    @classmethod
    def allocate(cls, payload_bytes: int) -> WeightsImage:
        """An empty image to pack weights into; ``seal`` it before use."""
        return cls(Region.allocate(WEIGHTS_PAYLOAD + payload_bytes), "")

    @classmethod
    def create(cls, path: Path, payload_bytes: int) -> WeightsImage:
        """As ``allocate``, in a new file: what is packed goes to the file's pages, not to this process's own memory.

        Raises UsageError when the file can't be made or the disk is full.
        """
        size = WEIGHTS_PAYLOAD + payload_bytes
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)  # a write to a mapping can't report that the disk is full
                mapping = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UsageError(f"can't write {path}: {error.strerror}") from error
        return cls(Region(mapping, 0, size, _address_of(mapping)), "")

    def seal(self, sha256: str | None = None) -> str:
        """Write the header; returns the digest. In-process use may pass any 64 digits instead of hashing."""
        self.sha256 = sha256 or digest([self.payload])
        self.region.view[:WEIGHTS_PAYLOAD] = weights_header(len(self.payload), self.sha256)
        return self.sha256

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> WeightsImage:
        """Map a weights file read-only. Raises ModelError when it is not one, is cut short or was altered."""
        try:
            with path.open("rb") as file:
                mapping = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)  # copy on write: gives an address
        except (OSError, ValueError) as error:
            raise ModelError(f"can't map weights file {path}: {error}") from error
        region = Region(mapping, 0, len(mapping), _address_of(mapping))
        if len(mapping) < WEIGHTS_PAYLOAD:
            raise ModelError(f"{path} is no weights file: too short")
        magic, abi, payload_at, size, sha256 = WEIGHTS_HEADER.unpack_from(mapping)
        if magic != WEIGHTS_MAGIC or abi != ABI_VERSION or payload_at != WEIGHTS_PAYLOAD:
            raise ModelError(f"{path} is no weights file of ABI {ABI_VERSION}")
        if len(mapping) != WEIGHTS_PAYLOAD + size:
            raise ModelError(f"{path} has {len(mapping)} bytes, its header says {WEIGHTS_PAYLOAD + size}")
        image = cls(region, sha256.hex())
        if verify and digest([image.payload]) != image.sha256:
            raise ModelError(f"{path} was altered: its SHA-256 differs from its header's")
        return image
