"""Saving a model and loading it again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import mlc
from mlc.testing.onnx_models import perceptron, unary

X = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> mlc.CompiledModel:
    return mlc.compile(perceptron(), threads=1, cache=False)


@pytest.mark.parametrize("weights", ["embed", "file"])
def test_a_saved_model_gives_the_same(net: mlc.CompiledModel, weights: str, tmp_path: Path) -> None:
    path = tmp_path / "small.so"
    net.save(path, weights=weights)
    files = {"small.so", "small.h", *(["small.weights"] if weights == "file" else [])}
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == files
    loaded = mlc.load(path)
    assert (loaded.name, loaded.inputs, loaded.outputs) == ("small", net.inputs, net.outputs)
    for a, b in zip(net(X), loaded(X), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(mlc.UsageError, match="copy its files"):
        loaded.save(tmp_path / "again.so")


def test_a_cached_model_can_be_saved(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(perceptron().SerializeToString())
    for number in range(2):
        mlc.compile(model, threads=1).save(tmp_path / f"n{number}.so", name="n")
    for number in range(2):
        np.testing.assert_array_equal(mlc.load(tmp_path / f"n{number}.so")(X)[1], X + X)


def test_names_become_identifiers(net: mlc.CompiledModel, tmp_path: Path) -> None:
    net.save(tmp_path / "3-net.v2.so")
    assert (tmp_path / "model_3_net_v2.h").exists()
    assert mlc.load(tmp_path / "3-net.v2.so").name == "model_3_net_v2"
    net.save(tmp_path / "libnet.a", name="other")
    assert (tmp_path / "other.h").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [("net", "does not say what to write"), ("net.dll", "valid|end it with"), ("nowhere/net.so", "no such folder")],
)
def test_bad_places(net: mlc.CompiledModel, name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(mlc.UsageError, match=words):
        net.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() == 0, reason="this user may write everywhere")
def test_read_only_folders(net: mlc.CompiledModel, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(mlc.UsageError, match="read-only"):
        net.save(tmp_path / "closed" / "net.so")


def test_loading_what_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("not ELF")
    with pytest.raises(mlc.UsageError, match="is no shared library"):
        mlc.load(tmp_path / "text.so")
    with pytest.raises(mlc.UsageError, match="can't open"):
        mlc.load(tmp_path / "nowhere.so")


def test_weights_must_be_the_model_s_own(net: mlc.CompiledModel, tmp_path: Path) -> None:
    net.save(tmp_path / "a.so", weights="file")
    data = bytearray((tmp_path / "a.weights").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a.weights").write_bytes(data)
    with pytest.raises(mlc.ModelError, match="altered"):
        mlc.load(tmp_path / "a.so")
    (tmp_path / "a.weights").unlink()
    with pytest.raises(mlc.ModelError, match="missing"):
        mlc.load(tmp_path / "a.so")


def test_a_model_without_weights_needs_no_file(tmp_path: Path) -> None:
    mlc.compile(unary("Abs"), threads=1, cache=False).save(tmp_path / "a.so", weights="file")
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == {"a.so", "a.h"}
    np.testing.assert_array_equal(mlc.load(tmp_path / "a.so")(X), np.abs(X))
