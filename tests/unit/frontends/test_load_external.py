"""External data: read from beneath the model's folder or a folder the user names, and from nowhere else."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mlc.errors import ModelError
from mlc.frontends.onnx.external import READ_BYTES
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.load import load_model

VALUES = np.arange(2048, dtype=np.float32)
DATA = VALUES.tobytes()


def model_of(*locations: str, **keys: str) -> onnx.ModelProto:
    """One initializer per location, each of ``VALUES``' shape."""
    tensors: list[TensorProto] = []
    for index, location in enumerate(locations):
        tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[2048])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **keys}.items():
            tensor.external_data.add(key=key, value=value)
        tensors.append(tensor)
    graph = helper.make_graph([], "g", [], [], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])


def save(folder: Path, *locations: str, **keys: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "m.onnx"
    path.write_bytes(model_of(*locations, **keys).SerializeToString())
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The model's folder, holding good data; a secret lies beside it."""
    folder = tmp_path / "home"
    (folder / "sub").mkdir(parents=True)
    (folder / "w.bin").write_bytes(DATA)
    (folder / "sub" / "w.bin").write_bytes(DATA)
    (tmp_path / "secret").write_bytes(DATA)
    return folder


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin", "sub//./w.bin"])
def test_files_beneath_the_model(home: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(home, location)
    np.testing.assert_array_equal(load_model(path).weights.array("w0"), VALUES)
    monkeypatch.chdir(home)
    np.testing.assert_array_equal(load_model("m.onnx").weights.array("w0"), VALUES)


def test_onnx_s_own_writer(tmp_path: Path) -> None:
    model = model_of()
    for name in ("a", "b"):
        model.graph.initializer.append(onnx.numpy_helper.from_array(VALUES * 2, name))
    cast("Any", onnx).save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    weights = load_model(tmp_path / "m.onnx").weights
    np.testing.assert_array_equal(weights.array("b"), VALUES * 2)
    assert weights.names() == ("a", "b")


def test_large_files_are_mapped(home: Path) -> None:
    data = np.arange(READ_BYTES, dtype=np.float32)
    (home / "w.bin").write_bytes(data.tobytes())
    weights = load_model(save(home, "w.bin", offset="4096")).weights
    np.testing.assert_array_equal(weights.array("w0"), data[1024 : 1024 + 2048])


def test_many_small_files_don_t_exhaust_descriptors(home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    names = [f"w{index}" for index in range(200)]
    for name in names:
        (home / name).write_bytes(DATA)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 128), hard))
    try:
        assert len(load_model(save(home, *names)).weights) == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_identity_covers_external_files(home: Path) -> None:
    path = save(home, "w.bin")
    before = load_model(path).identity
    os.utime(home / "w.bin", ns=(5, 5))
    assert load_model(path).identity != before


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"offset": "1"}, r"bytes 1..8193 lie outside 'w.bin' of 8192 bytes"),
        ({"offset": "99999999999999999999999"}, "no count of bytes"),
        ({"offset": "-4"}, "no count of bytes"),
        ({"offset": "1e3"}, "no count of bytes"),
        ({"length": "8191"}, "8191 bytes of external data, 8192 needed"),
        ({"length": "9223372036854775807"}, "8192 needed"),
        ({"surprise": "1"}, "unknown or repeated keys"),
    ],
)
def test_offsets_and_lengths_are_checked(home: Path, keys: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=f"initializer 'w0': .*{message}"):
        load_model(save(home, "w.bin", **keys))


OUTSIDE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "parent": ("../secret", lambda home: None, "no path beneath the model's folder"),
    "parent inside": ("sub/../../secret", lambda home: None, "no path beneath"),
    "absolute": ("/etc/passwd", lambda home: None, "no path beneath"),
    "empty": ("", lambda home: None, "no path beneath"),
    "nul": ("w.bin\0", lambda home: None, "no path beneath"),
    "link": ("l", lambda home: (home / "l").symlink_to("../secret"), "symbolic link.*--external-root"),
    "link inside": ("l", lambda home: (home / "l").symlink_to("w.bin"), "symbolic link"),
    "linked folder": ("l/secret", lambda home: (home / "l").symlink_to(".."), "symbolic link"),
    "hard link": ("l", lambda home: os.link(home.parent / "secret", home / "l"), "hard links.*--external-root"),
    "folder": ("sub", lambda home: None, "no regular file"),
    "pipe": ("p", lambda home: os.mkfifo(home / "p"), "no regular file"),
    "missing": ("q.bin", lambda home: None, "can't open external data 'q.bin': No such file"),
    "through a file": ("w.bin/w", lambda home: None, "symbolic link|Not a directory"),
    "long": ("a" * 5000, lambda home: None, "File name too long"),
    "empty file": ("e", lambda home: (home / "e").touch(), "lie outside 'e' of 0 bytes"),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_nothing_else_is_opened(home: Path, case: str) -> None:
    location, prepare, message = OUTSIDE[case]
    prepare(home)
    with pytest.raises(ModelError, match=f"initializer 'w0': .*{message}"):
        load_model(save(home, location))


def test_unreadable_files(home: Path) -> None:
    (home / "w.bin").chmod(0)
    if os.access(home / "w.bin", os.R_OK):
        pytest.skip("this user reads every file")
    with pytest.raises(ModelError, match="Permission denied"):
        load_model(save(home, "w.bin"))


def test_models_that_are_no_files_have_no_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    model = model_of("w.bin")
    for source in (model, model.SerializeToString()):
        with pytest.raises(ModelError, match="the model is no file"):
            load_model(source)
        np.testing.assert_array_equal(load_model(source, external_root=home).weights.array("w0"), VALUES)
        with pytest.raises(ModelError, match=r"can't open external data 'w\.bin'"):
            load_model(source, external_root=home.parent)


def test_a_model_hub_s_cache(tmp_path: Path) -> None:
    """Snapshots hold links to files in a folder of blobs, for the model and for its data."""
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1").write_bytes(model_of("w.bin").SerializeToString())
    (blobs / "2").write_bytes(DATA)
    (snapshot / "m.onnx").symlink_to("../../blobs/1")
    (snapshot / "w.bin").symlink_to("../../blobs/2")
    with pytest.raises(ModelError, match="symbolic link"):
        load_model(snapshot / "m.onnx")
    for root in (tmp_path, blobs, str(tmp_path / "snapshots" / "..")):
        np.testing.assert_array_equal(load_model(snapshot / "m.onnx", external_root=root).weights.array("w0"), VALUES)
    with pytest.raises(ModelError, match="symbolic link"):
        load_model(snapshot / "m.onnx", external_root=snapshot)


def test_links_may_not_leave_the_trusted_folder(home: Path) -> None:
    (home / "l").symlink_to("../secret")
    with pytest.raises(ModelError, match="symbolic link"):
        load_model(save(home, "l"), external_root=home)
    with pytest.raises(ModelError, match="no path beneath"):
        load_model(save(home, "../secret"), external_root=home.parent)


def test_hard_links_in_the_trusted_folder(home: Path) -> None:
    os.link(home.parent / "secret", home / "l")
    np.testing.assert_array_equal(load_model(save(home, "l"), external_root=home).weights.array("w0"), VALUES)


def test_the_number_of_files_is_limited(home: Path) -> None:
    (home / "v.bin").write_bytes(DATA)
    path = save(home, "w.bin", "v.bin", "w.bin")
    assert len(load_model(path, limits=Limits(external_files=2)).weights) == 3
    with pytest.raises(ModelError, match=r"raise Limits.external_files"):
        load_model(path, limits=Limits(external_files=1))


def test_the_key_of_weights_can_t_be_forged(home: Path) -> None:
    """A tensor that claims to be in the store is not believed."""
    model = model_of("w.bin")
    forged = model.graph.initializer.add(name="f", data_type=TensorProto.FLOAT, dims=[1], float_data=[3])
    forged.external_data.add(key="mlc.weight", value="w0")
    (home / "m.onnx").write_bytes(model.SerializeToString())
    loaded = load_model(home / "m.onnx")
    assert loaded.array(loaded.proto.graph.initializer[1]) == np.float32(3)
    forged.data_location = TensorProto.EXTERNAL
    (home / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="unknown or repeated keys"):
        load_model(home / "m.onnx")
