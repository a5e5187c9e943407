"""The weight store: what goes in comes out, without copies, and bad files are refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlc.dialects.weights import DTYPES, KEEP_BYTES, WeightStore, is_uniform
from mlc.errors import InternalError, ModelError, UsageError

BIG = (KEEP_BYTES // 4 + 1,)


def sample(dtype: str, shape: tuple[int, ...] = (3, 5)) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    return (np.arange(count) % 2).reshape(shape).astype(DTYPES[dtype])


def test_arrays_are_held_without_a_copy_and_read_only() -> None:
    source = np.arange(6, dtype=np.float32)
    weights = WeightStore()
    weights.add_array("w", source)
    held = weights.array("w")
    assert np.shares_memory(held, source)
    assert source.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 1


def test_regions_are_views_at_any_alignment() -> None:
    data = b"x" + np.arange(4, dtype=np.float32).tobytes() + b"yz"
    weights = WeightStore()
    weights.add_region("w", np.float32, (2, 2), data, 1, 16)
    array = weights.array("w")
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))
    np.testing.assert_array_equal(array, np.arange(4, dtype=np.float32).reshape(2, 2))


@pytest.mark.parametrize(
    ("shape", "offset", "length", "message"),
    [
        ((2, 2), 0, 15, "15 bytes stored, 16 needed"),
        ((2, 2), 8, 16, "outside the file"),
        ((2, 2), -4, 16, "outside the file"),
        ((-2, 2), 0, 16, "no array can have the shape"),
        ((2**62, 2**62), 0, 16, "no array can have the shape"),
        ((0, 2**62, 2**62), 0, 0, "no array can have the shape"),
    ],
)
def test_bad_regions_are_refused(shape: tuple[int, ...], offset: int, length: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        WeightStore().add_region("w", np.float32, shape, bytes(20), offset, length)


def test_splats_cost_nothing() -> None:
    weights = WeightStore()
    weights.add_splat("w", np.float32, (1 << 20, 1 << 20), 0.5)
    assert weights.is_splat("w")
    assert weights.splat_value("w") == np.float32(0.5)
    assert weights.nbytes("w") == 4 << 40
    assert weights.array("w")[-1, -1] == 0.5
    assert len(weights.digest("w")) == 64


def test_digests_don_t_depend_on_how_a_weight_is_held() -> None:
    array = np.full((4, 8), 3, np.int8)
    weights = WeightStore()
    weights.add_array("array", array)
    weights.add_region("region", np.int8, (4, 8), array.tobytes(), 0, 32)
    weights.add_splat("splat", np.int8, (4, 8), 3)
    weights.add_lazy("lazy", np.int8, (4, 8), lambda: array.T.copy().T)
    weights.add_array("transposed", array.reshape(8, 4))
    weights.add_array("other", array + 1)
    digests = [weights.digest(name) for name in weights]
    assert len(set(digests[:4])) == 1
    assert len(set(digests)) == 3


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_uniformity_is_bitwise_for_each_dtype(dtype: str) -> None:
    ones = np.ones((4, 40), DTYPES[dtype])
    assert is_uniform(ones)
    assert is_uniform(ones[:, ::2])
    ones[3, 38] = 0
    assert not is_uniform(ones)
    assert not is_uniform(ones[:0])


def test_positive_and_negative_zero_are_no_splat() -> None:
    assert not is_uniform(np.array([0.0, -0.0], np.float32))
    assert is_uniform(np.array([np.nan, np.nan], np.float32))


def test_lazy_results_are_shared_while_held_and_forgotten_after() -> None:
    calls: list[int] = []

    def compute() -> np.ndarray[Any, Any]:
        calls.append(1)
        return np.zeros(BIG, np.float32)

    weights = WeightStore()
    weights.add_lazy("w", np.float32, BIG, compute)
    first = weights.array("w")
    assert weights.array("w") is first
    assert len(calls) == 1
    del first
    weights.array("w")
    assert len(calls) == 2


def test_small_lazy_results_are_kept() -> None:
    calls: list[int] = []
    weights = WeightStore()
    weights.add_lazy("w", np.float32, (2,), lambda: calls.append(1) or np.zeros(2, np.float32))
    weights.array("w")
    weights.array("w")
    assert len(calls) == 1


def test_lazy_results_must_be_as_declared() -> None:
    weights = WeightStore()
    weights.add_lazy("w", np.float32, (2,), lambda: np.zeros(2, np.float64))
    with pytest.raises(InternalError, match="declared float32"):
        weights.array("w")


def test_names() -> None:
    weights = WeightStore()
    weights.add_splat("w", np.int8, (), 1)
    weights.add_splat("w.1", np.int8, (), 1)
    assert weights.unique_name("w") == "w.2"
    assert weights.unique_name("v") == "v"
    assert ("w" in weights, "v" in weights, len(weights)) == (True, False, 2)
    with pytest.raises(InternalError, match="twice"):
        weights.add_splat("w", np.int8, (), 1)
    with pytest.raises(UsageError, match="did you mean 'w"):
        weights.array("ww")


def test_no_weight_of_strings() -> None:
    with pytest.raises(UsageError, match="can't have dtype"):
        WeightStore().add_array("w", np.array(["a"]))


def filled(dtypes: list[str]) -> WeightStore:
    weights = WeightStore()
    for dtype in dtypes:
        weights.add_array(dtype, sample(dtype))
    weights.add_splat("splat", np.float32, (1000, 1000), 7)
    weights.add_array("empty", np.zeros((0, 3), np.float32))
    weights.add_array("scalar", np.array(2, np.int64))
    return weights


def test_safetensors_round_trip_of_each_dtype(tmp_path: Path) -> None:
    weights = filled(sorted(DTYPES))
    path = tmp_path / "w.safetensors"
    weights.save_safetensors(path)
    assert path.stat().st_size < 32_000
    assert list(tmp_path.iterdir()) == [path]
    loaded = WeightStore.load_safetensors(path)
    assert set(loaded.names()) == set(weights.names())
    for name in weights:
        assert loaded.digest(name) == weights.digest(name)
        assert loaded.dtype(name) == weights.dtype(name)
        assert loaded.shape(name) == weights.shape(name)
        assert loaded.array(name).tobytes() == weights.array(name).tobytes()


def test_safetensors_saves_the_names_asked_for(tmp_path: Path) -> None:
    filled(["int8"]).save_safetensors(tmp_path / "w", ["scalar"])
    assert WeightStore.load_safetensors(tmp_path / "w").names() == ("scalar",)


def test_safetensors_notices_each_changed_byte(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    weights = WeightStore()
    weights.add_array("w", np.arange(9, dtype=np.uint8))
    weights.save_safetensors(path)
    good = path.read_bytes()
    for index in range(len(good) - 9, len(good)):
        path.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        with pytest.raises(ModelError, match="digest differs"):
            WeightStore.load_safetensors(path)


def test_foreign_safetensors_load_without_digests(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "w"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert WeightStore.load_safetensors(path).dtype("w") == DTYPES["bfloat16"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_safetensors_raise_model_errors_only(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "w"
    filled(["int8", "int4"]).save_safetensors(path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        loaded = WeightStore.load_safetensors(path)
    except ModelError:
        return
    for name in loaded:
        assert loaded.array(name).shape == loaded.shape(name)


@pytest.mark.parametrize("record", [1, {"dtype": "F9"}, {"dtype": "F32", "shape": [-1]}, {"dtype": "F32"}])
def test_bad_safetensors_headers(tmp_path: Path, record: object) -> None:
    header = json.dumps({"w": record}).encode()
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match="weight 'w'"):
        WeightStore.load_safetensors(tmp_path / "w")


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.int8, np.float32, np.int64]),
        hnp.array_shapes(max_side=5),
        elements=st.integers(0, 1),
    )
)
def test_arrays_come_back(array: np.ndarray[Any, Any]) -> None:
    weights = WeightStore()
    weights.add_array("w", array.T)
    assert weights.is_splat("w") == bool((array == array.flat[0]).all())
    np.testing.assert_array_equal(weights.array("w"), array.T)
