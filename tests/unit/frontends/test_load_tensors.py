"""How ONNX stores tensors: every element type, in every field, small and large, comes back as written."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.load import LoadedModel, load_model
from mlc.frontends.onnx.tensors import ELEMENTS, decode_varints, unpack_bits

Array = NDArray[Any]
SIZES = (0, 1, 7, 4099)
"""Nothing, one, a number of elements that fills no byte, and more than stays inline."""


def load_tensor(tensor: TensorProto, as_bytes: bool = True) -> LoadedModel:
    """A model whose only initializer is ``tensor``."""
    graph = helper.make_graph([], "g", [], [], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    return load_model(model.SerializeToString() if as_bytes else model)


def random_bits(kind: int, count: int) -> Array:
    """Elements of any bits the type has."""
    element = ELEMENTS[kind]
    rng = np.random.default_rng(kind)
    if element.name == "BOOL":
        return rng.integers(0, 2, count).astype(bool)
    if element.bits < 8:
        return rng.integers(0, 1 << element.bits, count).astype(np.uint8).view(element.dtype)
    return rng.integers(0, 256, count * element.dtype.itemsize, np.uint8).view(element.dtype)


def canonical(array: Array) -> bytes:
    """The bits, without those above the width of sub-byte integers and quiet bits of NaNs."""
    if array.dtype.kind in "fc":
        return np.where(np.isnan(array), np.zeros((), array.dtype), array).tobytes()
    return array.astype(np.float32).tobytes() if array.dtype.itemsize == 1 else array.tobytes()


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("kind", ELEMENTS, ids=lambda kind: ELEMENTS[kind].name)
def test_each_element_type(kind: int, raw: bool, count: int) -> None:
    values = random_bits(kind, count)
    if raw:
        tensor = numpy_helper.from_array(values, "w")
    else:
        tensor = helper.make_tensor("w", kind, [count], values, raw=False)
    assert tensor.data_type == kind
    for as_bytes in (True, False):
        loaded = load_tensor(tensor, as_bytes)
        array = loaded.weights.array("w")
        assert (array.dtype, array.shape) == (ELEMENTS[kind].dtype, (count,))
        assert canonical(array) == canonical(numpy_helper.to_array(tensor))
        assert canonical(array) == canonical(values) or not raw


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=300), st.booleans())
def test_integers_of_any_size(values: list[int], repeat: bool) -> None:
    values = values * (40 if repeat else 1)
    tensor = TensorProto(name="w", data_type=TensorProto.INT64, dims=[len(values)], int64_data=values)
    np.testing.assert_array_equal(load_tensor(tensor).weights.array("w"), np.array(values, np.int64))


def test_varints_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlc.frontends.onnx.tensors._CHUNK", 13)
    values = [(-1) ** i * 3**i for i in range(39)] * 10
    tensor = TensorProto(name="w", data_type=TensorProto.INT64, dims=[len(values)], int64_data=values)
    np.testing.assert_array_equal(load_tensor(tensor).weights.array("w"), np.array(values, np.int64))


def test_varints_by_hand() -> None:
    data = np.array([1, 0xAC, 0x02, *[0xFF] * 9, 0x01], np.uint8)
    np.testing.assert_array_equal(decode_varints(data, 3), [1, 300, -1])


@given(st.sampled_from([2, 4, 6]), st.lists(st.integers(0, 63), max_size=40))
def test_unpacking_bits(bits: int, values: list[int]) -> None:
    values = [value & ((1 << bits) - 1) for value in values]
    stream = sum(value << (index * bits) for index, value in enumerate(values))
    packed = stream.to_bytes((len(values) * bits + 7) // 8, "little")
    np.testing.assert_array_equal(unpack_bits(np.frombuffer(packed, np.uint8), bits, len(values)), values)


def large(**fields: Any) -> TensorProto:
    return TensorProto(name="w", **fields)


BAD: dict[str, tuple[TensorProto, str]] = {
    "wrong field": (
        large(data_type=TensorProto.FLOAT, dims=[900], int32_data=[1000] * 900),
        "FLOAT values belong in raw_data or float_data, not int32_data",
    ),
    "wrong field, small": (large(data_type=TensorProto.INT8, dims=[1], float_data=[1]), "not float_data"),
    "too few": (large(data_type=TensorProto.FLOAT, dims=[901], float_data=[1] * 900), "900 values stored, 901 needed"),
    "too many": (large(data_type=TensorProto.INT32, dims=[2], int32_data=[1] * 3), "3 values stored, 2 needed"),
    "halves": (large(data_type=TensorProto.INT4, dims=[5], int32_data=[1] * 5), "5 values stored, 3 needed"),
    "complex": (large(data_type=TensorProto.COMPLEX64, dims=[3], float_data=[1] * 3), "3 values stored, 6 needed"),
    "none": (large(data_type=TensorProto.FLOAT, dims=[2]), "no data for 2 elements"),
    "both": (
        large(data_type=TensorProto.FLOAT, dims=[1], raw_data=bytes(4), float_data=[1]),
        "data in both raw_data and float_data",
    ),
    "both, large": (
        large(data_type=TensorProto.FLOAT, dims=[900], raw_data=bytes(3600), float_data=[1] * 900),
        "data in both raw_data and float_data",
    ),
    "bool": (
        large(data_type=TensorProto.BOOL, dims=[2000], raw_data=bytes(1999) + b"\2"),
        "booleans other than 0 and 1",
    ),
    "segment": (
        large(data_type=TensorProto.FLOAT, dims=[1], raw_data=bytes(4), segment=TensorProto.Segment(begin=0, end=1)),
        "segmented",
    ),
    "strings": (large(data_type=TensorProto.STRING, dims=[1], string_data=[b"\xff"]), "not UTF-8"),
    "string count": (large(data_type=TensorProto.STRING, dims=[2], string_data=[b"a"]), "1 strings for 2 elements"),
}


def read_tensor(tensor: TensorProto, as_bytes: bool) -> Array:
    """Load the tensor as an initializer, and read it."""
    loaded = load_tensor(tensor, as_bytes)
    return loaded.array(loaded.proto.graph.initializer[0])


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "proto"])
def test_bad_tensors(case: str, as_bytes: bool) -> None:
    tensor, message = BAD[case]
    with pytest.raises(ModelError, match=rf"'w'.*{message}"):
        read_tensor(tensor, as_bytes)


@pytest.mark.parametrize(("kind", "name"), [(0, "UNDEFINED"), (99, "99")])
def test_unknown_element_types(kind: int, name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"'w': element type {name} is not known"):
        load_tensor(large(data_type=kind, dims=[1], raw_data=bytes(4)))


def sparse(values: Array, indices: Array, dims: list[int]) -> onnx.ModelProto:
    graph = helper.make_graph([], "g", [], [])
    tensors = numpy_helper.from_array(values, "w"), numpy_helper.from_array(indices)
    graph.sparse_initializer.append(helper.make_sparse_tensor(*tensors, dims))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])


ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("values", "indices", "dims", "message"),
    [
        (ONE, np.array([6]), [2, 3], "an index lies outside"),
        (ONE, np.array([-1]), [2, 3], "an index lies outside"),
        (ONE, np.array([[0, 3]]), [2, 3], "an index lies outside"),
        (ONE, np.array([0, 1]), [2, 3], r"indices \[2\] for values \[1\]"),
        (ONE, np.array([[0]]), [2, 3], "indices"),
        (ONE, np.array([0], np.int32), [2, 3], "indices"),
        (ONE[None], np.array([[0]]), [2, 3], "indices"),
        (np.ones(2, np.float32), np.array([1, 1]), [2, 3], "an index is given twice"),
        (ONE, np.array([0]), [1 << 15, 1 << 15], "raise Limits.dense_bytes"),
        (ONE, np.array([0]), [1 << 40, 1 << 40], "raise Limits.elements"),
        (ONE, np.array([0]), [2, -3], "negative dimension"),
    ],
)
def test_bad_sparse_tensors(values: Array, indices: Array, dims: list[int], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(sparse(values, indices, dims))


def test_an_empty_sparse_tensor() -> None:
    empty = np.zeros(0, np.float32), np.zeros((0, 2), np.int64)
    assert load_model(sparse(*empty, [0, 3])).weights.array("w").shape == (0, 3)
    np.testing.assert_array_equal(load_model(sparse(*empty, [2, 3])).weights.array("w"), np.zeros((2, 3)))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_models_load_to_the_same_arrays(data: st.DataObject) -> None:
    kinds = [kind for kind in ELEMENTS if ELEMENTS[kind].bits >= 8]
    shape = st.lists(st.sampled_from([1, 2, 3, 17, 33]), max_size=3)
    tensors: list[TensorProto] = []
    for index in range(data.draw(st.integers(1, 5))):
        kind, dims = data.draw(st.sampled_from(kinds)), data.draw(shape)
        array = random_bits(kind, int(np.prod(dims, dtype=int))).reshape(dims)
        raw = data.draw(st.booleans())
        tensor = helper.make_tensor(f"w{index}", kind, dims, array.tobytes() if raw else array.reshape(-1), raw=raw)
        tensors.append(tensor)
    graph = helper.make_graph([], "g", [], [], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    for loaded in (load_model(model), load_model(model.SerializeToString(), limits=Limits(nodes=1))):
        assert loaded.weights.names() == tuple(tensor.name for tensor in tensors)
        for tensor in tensors:
            assert canonical(loaded.weights.array(tensor.name)) == canonical(numpy_helper.to_array(tensor))
            assert loaded.weights.shape(tensor.name) == tuple(tensor.dims)
