"""Images and atomic writing; weights files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.codegen.image import Chunk, FileSlice, Image, write_atomic
from mlc.codegen.weights import Region, WeightsImage, digest, weights_header, write_weights
from mlc.errors import ModelError, UsageError


@given(pieces=st.lists(st.tuples(st.booleans(), st.binary(max_size=40), st.integers(0, 5)), max_size=6))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_what_is_joined(
    pieces: list[tuple[bool, bytes, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("image")
    chunks: list[Chunk] = []
    for index, (from_file, content, skip) in enumerate(pieces):
        source = folder / str(index)
        source.write_bytes(bytes(skip) + content + b"tail")
        chunks.append(FileSlice(source, skip, len(content)) if from_file else content)
    expected = b"".join(content for _, content, _ in pieces)
    write_atomic(folder / "out", chunks)
    assert (folder / "out").read_bytes() == expected == Image(tuple(chunks)).to_bytes()
    assert Image(tuple(chunks)).size == len(expected)


def test_copies_across_file_systems_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError("not on this file system")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "in").write_bytes(b"0123456789")
    write_atomic(tmp_path / "out", [FileSlice(tmp_path / "in", 2, 5)])
    assert (tmp_path / "out").read_bytes() == b"23456"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def chunks() -> Iterator[Chunk]:
        yield b"new"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_atomic(path, chunks())
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(EOFError):
        write_atomic(path, [FileSlice(tmp_path / "short", 0, 4)])
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["out", "short"]


def test_unwritable_places_are_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "missing" / "out", tmp_path / "file" / "out", Path("/proc/out"), tmp_path):
        with pytest.raises(UsageError, match="can't write") as caught:
            write_atomic(path, [b"x"])
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "out", [b"x"], mode=0o755)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


def test_weights_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "model.weights"
    payload = os.urandom(10_000)
    write_weights(path, len(payload), digest([payload[:77], payload[77:]]), [payload])
    image = WeightsImage.open(path)
    assert bytes(image.payload) == payload
    built = WeightsImage.allocate(len(payload))
    built.payload[:] = payload
    assert built.seal() == image.sha256
    assert bytes(built.region.view) == path.read_bytes()
    assert built.address % 64 == image.address % 64 == 0


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.weights"
    payload = b"w" * 5000
    good = weights_header(len(payload), digest([payload])) + payload
    damaged = {
        "altered": good[:-1] + b"x",
        "bytes, its header says": good[:-1],
        "no weights file of ABI": b"x" + good[1:],
        "too short": good[:100],
        "can't map": b"",
    }
    for message, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            WeightsImage.open(path)
    path.write_bytes(damaged["altered"])
    assert WeightsImage.open(path, verify=False).size == len(good)
    path.unlink()
    with pytest.raises(ModelError, match="can't map"):
        WeightsImage.open(path)


@pytest.mark.parametrize("size", [0, 1, 4097, 5 << 20])
def test_regions_are_zero_and_aligned(size: int) -> None:
    region = Region.allocate(size)
    assert region.address % (2 << 20 if size >= 2 << 20 else 64) == 0
    assert len(region.view) == size
    assert not any(region.view[:4096])
