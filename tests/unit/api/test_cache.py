"""The cache: found again when nothing changed, not found otherwise, private, checked and bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, external_data_helper

import mlc
from mlc.cache import Cache
from mlc.testing.onnx_models import perceptron, unary

X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(perceptron().SerializeToString())
    return path


def entries(folder: Path, kind: str = "models") -> list[Path]:
    return sorted((folder / kind).iterdir())


def compile_elsewhere(model: Path) -> set[str]:
    """The heavy libraries that a fresh process needs to compile ``model``."""
    script = f"import sys, mlc; mlc.compile({str(model)!r}, threads=1); print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    return {"xdsl", "onnx", "llvmlite"} & set(modules)


def test_a_second_process_needs_no_compiler(model: Path, cache_folder: Path) -> None:
    assert compile_elsewhere(model) == {"xdsl", "onnx", "llvmlite"}
    assert compile_elsewhere(model) == set()
    assert len(entries(cache_folder)) == 1


def test_results_from_the_cache_are_the_same(model: Path) -> None:
    first, second = (mlc.compile(model, threads=1)(X) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_changed_file_is_another_model(model: Path, cache_folder: Path) -> None:
    mlc.compile(model, threads=1)
    model.write_bytes(unary("Neg").SerializeToString())
    np.testing.assert_array_equal(mlc.compile(model, threads=1)(X), -X)
    assert len(entries(cache_folder)) == 2


@pytest.mark.parametrize("options", [{"threads": 2}, {"opt_level": 1}, {"target": "x86-64-v3"}, {"name": "other"}])
def test_other_options_are_other_entries(model: Path, cache_folder: Path, options: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"threads": 1}
    mlc.compile(model, **usual)
    mlc.compile(model, **usual | options)
    assert len(entries(cache_folder)) == 2


def test_external_weights_count(tmp_path: Path, model: Path) -> None:
    proto = ModelProto.FromString(model.read_bytes())
    external_data_helper.convert_model_to_external_data(proto, location="w.bin", size_threshold=0)
    folder = tmp_path / "external"
    folder.mkdir()
    external_data_helper.write_external_data_tensors(proto, str(folder))
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    before = mlc.compile(path, threads=1)(X)[0]
    assert compile_elsewhere(path) == set()
    (folder / "w.bin").write_bytes(np.zeros((8, 4), np.float32).tobytes())
    after = mlc.compile(path, threads=1)(X)[0]
    assert np.abs(before).max() > 0
    assert np.abs(after).max() == 0


@pytest.mark.parametrize("name", ["model.so", "model.weights", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_entries_are_absent(model: Path, cache_folder: Path, name: str, damage: str) -> None:
    mlc.compile(model, threads=1)
    (entry,) = entries(cache_folder)
    file = entry / name
    data = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        data[len(data) // 2] ^= 0xFF
        file.write_bytes(data if damage == "flip" else data[:-10])
    np.testing.assert_array_equal(mlc.compile(model, threads=1)(X)[1], X + X)
    assert len(entries(cache_folder)) == 1
    assert compile_elsewhere(model) == set()


def test_kernels_are_kept_apart(model: Path, cache_folder: Path) -> None:
    mlc.compile(perceptron(), threads=1)
    kernels = entries(cache_folder, "kernels")
    assert kernels
    assert entries(cache_folder) == []
    for kernel in kernels:
        kernel.write_bytes(kernel.read_bytes()[:-1])
    np.testing.assert_array_equal(mlc.compile(perceptron(), threads=1)(X)[1], X + X)
    assert entries(cache_folder, "kernels") == kernels


def test_the_folder_is_private(model: Path, cache_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    mlc.compile(model, threads=1)
    assert cache_folder.stat().st_mode & 0o077 == 0
    cache_folder.chmod(0o755)
    assert Cache.open() is None
    assert "others may" in caplog.text
    np.testing.assert_array_equal(mlc.compile(model, threads=1)(X)[1], X + X)


def test_an_unusable_folder_is_no_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLC_CACHE_DIR", str(tmp_path / "file"))
    np.testing.assert_array_equal(mlc.compile(model, threads=1)(X)[1], X + X)
    assert "no cache" in caplog.text


def test_it_can_be_turned_off(model: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlc.compile(model, threads=1, cache=False)
    monkeypatch.setenv("MLC_NO_CACHE", "1")
    mlc.compile(model, threads=1)
    assert not cache_folder.exists()


def test_the_least_recently_used_goes_first(cache_folder: Path) -> None:
    cache = Cache.open()
    assert cache is not None
    for age, key in enumerate(("new", "middle", "old")):
        cache.keep_kernel(key, bytes(1000))
        stamp = 1_000_000 - age
        os.utime(cache_folder / "kernels" / key, (stamp, stamp))
    assert cache.kernel("old") == bytes(1000)
    Cache(cache.folder, 2100).trim()
    assert [path.name for path in entries(cache_folder, "kernels")] == ["new", "old"]


def test_unfinished_entries_don_t_pile_up(cache_folder: Path) -> None:
    cache = Cache.open()
    assert cache is not None
    with cache.draft() as draft:
        (draft / "half").write_text("")
    assert entries(cache_folder, "unfinished") == []
    left = cache_folder / "unfinished" / "left"
    left.mkdir()
    os.utime(left, (0, 0))
    cache.trim()
    assert entries(cache_folder, "unfinished") == []
