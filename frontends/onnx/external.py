"""External data: tensor payloads in files beside the model.

A model names such a file, so the name is not to be trusted. It is opened only beneath the model's own
folder, one path component after the other from an open folder, never through a link: no ``..``, no absolute
path, no symbolic link, no hard link to a file from elsewhere. A folder that the user names
(``external_root``) is trusted more: links are followed as long as they end beneath it. Files are mapped,
not read.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from onnx import TensorProto

from mlc.dialects.weights import Buffer
from mlc.errors import ModelError
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.wire import Payload
from mlc.host import file_identity

READ_BYTES: Final = 1 << 16
"""Files up to this size are read rather than mapped: each mapping keeps a file descriptor."""

_KEYS: Final = frozenset({"location", "offset", "length", "checksum", "basepath"})
_TRUSTED_HINT: Final = "if the file is meant to be used, name its folder with --external-root"


@dataclass
class ExternalFiles:
    """The external files of one model, each opened once.

    ``folder`` is that of the model (None if the model is no file); ``root`` is the folder that the user
    trusts.
    """

    folder: str | None
    root: str | None
    limits: Limits
    identities: list[str] = field(default_factory=list)
    _open: dict[str, Buffer] = field(default_factory=dict)

    def payload(self, tensor: TensorProto, needed: int, what: str) -> Payload:
        """Where the tensor's ``needed`` bytes lie. Raises ``ModelError`` if they can't be had safely."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if len(entries) != len(tensor.external_data) or not entries.keys() <= _KEYS:
            raise ModelError(f"{what}: unknown or repeated keys of external data: {sorted(entries)}")
        location = entries.get("location", "")
        offset = _number(entries.get("offset", "0"), f"{what}: offset")
        length = _number(entries.get("length", str(needed)), f"{what}: length")
        if length != needed:
            raise ModelError(f"{what}: {length} bytes of external data, {needed} needed")
        data = self._file(location, what)
        if offset + length > len(data):
            raise ModelError(f"{what}: bytes {offset}..{offset + length} lie outside {location!r} of {len(data)} bytes")
        return Payload("raw_data", data, offset, length)

    def _file(self, location: str, what: str) -> Buffer:
        if location not in self._open:
            self.limits.check("external_files", len(self._open) + 1, f"{what}: external files")
            try:
                descriptor = self._open_file(location, what)
            except (OSError, ValueError) as error:
                raise _refusal(error, location, what) from None
            try:
                self._open[location] = self._map(descriptor, location, what)
            finally:
                os.close(descriptor)
        return self._open[location]

    def _open_file(self, location: str, what: str) -> int:
        parts = _components(location, what)
        if self.folder is None and self.root is None:
            raise ModelError(
                f"{what}: external data {location!r}, but the model is no file",
                hint="name the folder of the data with external_root",
            )
        if self.root is not None:
            trusted = _beneath(self.root, [base for base in (self.folder, self.root) if base], parts)
            if trusted is not None:
                return _walk(os.path.realpath(self.root), trusted)
        if self.folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        descriptor = _walk(self.folder, parts)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            os.close(descriptor)
            raise ModelError(f"{what}: {location!r} has several hard links", hint=_TRUSTED_HINT)
        return descriptor

    def _map(self, descriptor: int, location: str, what: str) -> Buffer:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{what}: {location!r} is no regular file")
        self.identities.append(f"{location}:{file_identity(status)}")
        return map_file(descriptor, status.st_size)


def map_file(descriptor: int, size: int) -> Buffer:
    """The file's contents: mapped read-only, or read if it is small."""
    if size <= READ_BYTES:
        return os.pread(descriptor, size, 0)
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)


def _components(location: str, what: str) -> tuple[str, ...]:
    path = PurePosixPath(location)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in location:
        raise ModelError(f"{what}: external data at {location!r}, which is no path beneath the model's folder")
    return path.parts


def _beneath(root: str, bases: list[str], parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path below ``root`` of the first file ``base/parts`` that exists and, links followed, lies there."""
    top = os.path.realpath(root)
    for base in bases:
        real = os.path.realpath(os.path.join(base, *parts))
        if os.path.lexists(real) and os.path.commonpath([top, real]) == top and real != top:
            return PurePosixPath(os.path.relpath(real, top)).parts
    return None


def _walk(folder: str, parts: tuple[str, ...]) -> int:
    """Open ``folder/parts`` for reading, one component after the other, refusing symbolic links."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    last = len(parts) - 1
    try:
        for index, part in enumerate(parts):
            kind = os.O_NONBLOCK if index == last else os.O_DIRECTORY
            there = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=here)
            os.close(here)
            here = there
    except BaseException:
        os.close(here)
        raise
    return here


def _refusal(error: OSError | ValueError, location: str, what: str) -> ModelError:
    link = isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
    if link:
        return ModelError(f"{what}: {location!r} is or passes a symbolic link", hint=_TRUSTED_HINT)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ModelError(f"{what}: can't open external data {location!r}: {reason}")


def _number(text: str, what: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    raise ModelError(f"{what}: {text[:40]!r} is no count of bytes")
