"""Files in the making: byte strings and slices of other files, streamed out in one atomic step.

Weights may be larger than memory, so what holds them is never joined: an image names the slice of the file
they lie in, and the kernel copies it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlc.errors import UsageError

_COPY_BYTES = 1 << 30


@dataclass(frozen=True)
class FileSlice:
    """``size`` bytes of a file, from ``offset`` on."""

    path: Path
    offset: int
    size: int

    @classmethod
    def whole(cls, path: Path) -> FileSlice:
        """The slice that covers a file of the present size."""
        return cls(path, 0, path.stat().st_size)

    def read(self) -> bytes:
        """The bytes themselves; raises EOFError when the file has become shorter."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise EOFError(f"{self.path} ended early")
        return data

    def copy_to(self, descriptor: int) -> None:
        """Append the bytes to an open file without passing them through this process."""
        with self.path.open("rb") as file:
            offset, end = self.offset, self.offset + self.size
            while offset < end:
                copied = _copy(file.fileno(), descriptor, min(end - offset, _COPY_BYTES), offset)
                if not copied:
                    raise EOFError(f"{self.path} ended early")
                offset += copied


Chunk = bytes | bytearray | memoryview | FileSlice


def chunk_size(chunk: Chunk) -> int:
    """Bytes in a chunk."""
    return chunk.size if isinstance(chunk, FileSlice) else len(chunk)


def _copy(source: int, sink: int, count: int, offset: int) -> int:
    """Copy within the kernel: sharing blocks where the file systems can, else through the page cache."""
    try:
        return os.copy_file_range(source, sink, count, offset)
    except OSError:
        return os.sendfile(sink, source, offset, count)


@dataclass(frozen=True)
class Image:
    """The content of a file as chunks in order."""

    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """Bytes in total."""
        return sum(map(chunk_size, self.chunks))

    def to_bytes(self) -> bytes:
        """The whole content in memory."""
        return b"".join(chunk.read() if isinstance(chunk, FileSlice) else chunk for chunk in self.chunks)

    def copy_to(self, descriptor: int) -> None:
        """Append the content to an open file."""
        for chunk in self.chunks:
            if isinstance(chunk, FileSlice):
                chunk.copy_to(descriptor)
                continue
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]


def write_atomic(path: Path, chunks: Iterable[Chunk], *, mode: int = 0o644) -> None:
    """Write a file under a temporary name beside ``path``, then rename it into place.

    ``path`` either keeps what it held or gets the whole content. Permissions are ``mode`` less the umask.
    Raises UsageError when the folder is missing or can't be written, or the disk is full.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            Image(tuple(chunks)).copy_to(descriptor)
            os.fchmod(descriptor, mode & ~_umask())
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}", hint="choose another output with -o") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    """The process's umask; reading it needs setting it where /proc does not tell."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
