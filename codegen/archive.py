"""Static archives: the ``ar`` format with a symbol index, as GNU ar writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack

from mlc.codegen.image import Chunk, Image
from mlc.errors import UnsupportedError

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_NAME_BYTES = 15
_SIZE_DIGITS = 10


@dataclass(frozen=True)
class Member:
    """One object of an archive and the global symbols it defines."""

    name: str
    content: Image
    symbols: tuple[str, ...]


def archive(members: Sequence[Member]) -> Image:
    """An archive of objects with the index that linkers search. The same input gives the same bytes.

    Raises UnsupportedError for members beyond what the format's decimal sizes and 32-bit index can say.
    """
    long_names = b"".join(f"{member.name}/\n".encode() for member in members if len(member.name) > _NAME_BYTES)
    names = b"".join(symbol.encode() + b"\0" for member in members for symbol in member.symbols)
    index_bytes = 4 + 4 * sum(len(member.symbols) for member in members) + len(names)
    position = len(_MAGIC) + _span(index_bytes) + (_span(len(long_names)) if long_names else 0)
    offsets: list[int] = []
    for member in members:
        offsets += [position] * len(member.symbols)
        position += _span(member.content.size)
    if offsets and offsets[-1] >> 32:
        raise UnsupportedError(
            "the archive is larger than its index can say (4 GiB)", hint="keep the weights in a file"
        )
    index = pack(f">{1 + len(offsets)}I", len(offsets), *offsets) + names
    chunks: list[Chunk] = [_MAGIC, *_entry("/", Image((index,)))]
    if long_names:
        chunks += _entry("//", Image((long_names,)))
    at = 0
    for member in members:
        if len(member.name) > _NAME_BYTES:
            chunks += _entry(f"/{at}", member.content)
            at += len(member.name) + 2
        else:
            chunks += _entry(f"{member.name}/", member.content)
    return Image(tuple(chunks))


def _span(size: int) -> int:
    """Bytes of an entry: header, content, padding to even."""
    return _HEADER_BYTES + size + size % 2


def _entry(name: str, content: Image) -> list[Chunk]:
    size = content.size
    if len(str(size)) > _SIZE_DIGITS:
        raise UnsupportedError(f"{name} is too large for an archive", hint="keep the weights in a file")
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'644':<8}{size:<10}`\n".encode()
    return [header, *content.chunks, b"\n" * (size % 2)]
