"""Hostile and damaged models: each gives a ``ModelError`` of one line, soon, and nothing else."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mlc.errors import MlcError, ModelError
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.load import load_model

RELU = helper.make_node("Relu", ["x"], ["y"])


def tag(number: int, wire: int = 2) -> bytes:
    return varint(number << 3 | wire)


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number) + varint(len(payload)) + payload


@cache
def rich_model() -> bytes:
    """A model with a bit of everything that the loader reads."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    big = numpy_helper.from_array(np.arange(600, dtype=np.float32).reshape(200, 3), "big")
    varints = TensorProto(name="ints", data_type=TensorProto.INT64, dims=[500], int64_data=range(-250, 250))
    half = helper.make_tensor("half", TensorProto.FLOAT16, [2], [1.0, 2.0])
    nibbles = TensorProto(name="nibbles", data_type=TensorProto.INT4, dims=[3], raw_data=b"\x12\x03")
    values, indices = numpy_helper.from_array(np.ones(1, np.float32), "sparse"), numpy_helper.from_array(np.array([4]))
    inner = [helper.make_node("Clip", ["x"], ["c"], min=0.0)]
    body = helper.make_graph(inner, "body", [], [helper.make_empty_tensor_value_info("c")])
    nodes = [
        helper.make_node("Constant", [], ["cond"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["cond"], ["i"], then_branch=body, else_branch=body),
        helper.make_node("f", ["i"], ["j"], domain="d", to=[1, 2]),
        helper.make_node("Softmax", ["j"], ["y"], axis=0),
    ]
    sparse = [helper.make_sparse_tensor(values, indices, [2, 3])]
    graph = helper.make_graph(nodes, "g", [x], [y], [big, varints, half, nibbles], sparse_initializer=sparse)
    opsets = [helper.make_opsetid("", 9), helper.make_opsetid("d", 1)]
    function = helper.make_function("d", "f", ["a"], ["b"], [helper.make_node("Abs", ["a"], ["b"])], opsets[:1], ["to"])
    return helper.make_model(graph, opset_imports=opsets, functions=[function]).SerializeToString()


def check(data: bytes) -> None:
    """Loading and reading all of ``data`` works or raises an error meant for users, on one line and soon."""
    start = time.monotonic()
    error = error_of(data)
    assert error is None or (error.exit_code in (1, 4) and "\n" not in str(error))
    assert time.monotonic() - start < 5


def error_of(data: bytes) -> MlcError | None:
    """What loading and reading everything raises."""
    try:
        loaded = load_model(data)
        for name in loaded.weights:
            assert loaded.weights.array(name).shape == loaded.weights.shape(name)
        for tensor in loaded.proto.graph.initializer:
            loaded.array(tensor)
        loaded.proto.SerializeToString()
    except MlcError as error:
        return error
    return None


def test_the_rich_model_itself_is_fine() -> None:
    loaded = load_model(rich_model())
    assert set(loaded.weights.names()) == {"big", "ints", "half", "nibbles", "sparse"}
    np.testing.assert_array_equal(loaded.weights.array("nibbles").astype(int), [2, 1, 3])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_bits(data: st.DataObject) -> None:
    raw = bytearray(rich_model())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check(bytes(raw))


def test_each_byte_of_the_structure_changed() -> None:
    """Every byte outside the large payload, replaced by values that mean trouble in varints and tags."""
    raw = rich_model()
    payload = raw.index(np.arange(600, dtype=np.float32).tobytes())
    places = [index for index in range(len(raw)) if not payload + 8 <= index < payload + 2392]
    for index in places[:: max(1, len(places) // 400)]:
        for byte in (0x00, 0x7F, 0x80, 0xFF):
            check(raw[:index] + bytes([byte]) + raw[index + 1 :])


def test_truncated_at_each_place() -> None:
    raw = rich_model()
    for length in range(1, len(raw), 7):
        check(raw[:length])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    check(data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pieces_cut_out_or_repeated(data: st.DataObject) -> None:
    raw = rich_model()
    begin = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(begin, min(begin + 400, len(raw))))
    middle = raw[begin:end] * data.draw(st.sampled_from([0, 2]))
    check(raw[:begin] + middle + raw[end:])


def graphs_in_graphs(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = field(1, field(4, b"If") + field(5, field(1, b"a") + field(6, graph)))
    return field(7, graph)


def types_in_types(depth: int) -> bytes:
    kind = b""
    for _ in range(depth):
        kind = field(4, field(1, kind))
    return field(7, field(11, field(1, b"x") + field(2, kind)))


MANY = 1_000_000
TOO_MUCH: dict[str, tuple[bytes, Limits]] = {
    "nodes": (field(7, field(1, b"") * MANY), Limits(nodes=1000, fields=100_000)),
    "nodes, unscanned": (field(7, field(1, field(5, b"") * 500) * 9000), Limits(fields=100_000)),
    "values": (field(7, field(11, b"") * MANY), Limits(fields=100_000)),
    "dims": (field(7, field(5, field(8, b"w") + (tag(1, 0) + b"\1") * MANY)), Limits(fields=100_000)),
    "graphs": (graphs_in_graphs(500), Limits()),
    "graphs, far": (graphs_in_graphs(3000), Limits()),
    "types": (types_in_types(500), Limits()),
    "names": (field(7, field(2, bytes(1 << 20))), Limits(structure_bytes=1 << 20)),
    "models": (field(7, b"") * MANY, Limits(fields=100_000)),
}


@pytest.mark.parametrize("case", TOO_MUCH)
def test_models_that_would_take_much_memory(case: str) -> None:
    data, limits = TOO_MUCH[case]
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"raise Limits|not an ONNX model"):
        load_model(data, limits=limits)
    assert time.monotonic() - start < 5


WIRE: dict[str, tuple[bytes, str]] = {
    "group": (b"\x0b" * 2000, "bad protobuf wire type 3 at byte 0"),
    "field zero": (b"\x02\x00" * 1000, "bad protobuf field number 0"),
    "long varint": (b"\x08" + b"\xff" * 2000, "a varint of more than 10 bytes"),
    "varint at the end": (field(2, bytes(2000)) + b"\x08\xff", "a varint runs over the end"),
    "length": (field(2, bytes(2000)) + tag(7) + varint(1 << 62), "truncated or not an ONNX model"),
    "fixed": (field(2, bytes(2000)) + tag(7, 1) + bytes(7), "8 bytes wanted"),
    "no graph": (field(2, b"producer"), "it has no graph"),
    "nothing": (b"", "no bytes"),
    "text": (b"hello, world", "not an ONNX model"),
    "names": (field(7, field(1, field(1, b"\xff") + field(4, b"Relu"))) + field(8, varint(16) + b"\x17"), "not UTF-8"),
}


@pytest.mark.parametrize("case", WIRE)
def test_bytes_that_are_no_protobuf(case: str) -> None:
    data, message = WIRE[case]
    with pytest.raises(ModelError, match=message):
        load_model(data)


FOREIGN = {
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    "zip": (b"PK\x03\x04" + bytes(100), "zip archive"),
    "pickle": (b"\x80\x02}q\x00" + bytes(100), "pickle"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
    "gguf": (b"GGUF" + bytes(100), "GGUF"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_files_of_other_formats_are_named(case: str, tmp_path: Path) -> None:
    data, hint = FOREIGN[case]
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=hint) as caught:
        load_model(tmp_path / "m.onnx")
    assert "m.onnx" in str(caught.value)


def test_paths_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "short.onnx").write_bytes(b"\x08")
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    cases = {
        "missing.onnx": "can't open the model .*: No such file",
        "": "is a folder .name the .onnx file in it",
        "empty.onnx": "is empty",
        "short.onnx": "truncated or not an ONNX model",
        "pipe.onnx": "no regular file",
        "loop.onnx": "Too many levels of symbolic links",
        "empty.onnx/x": "Not a directory",
        "nul\0.onnx": "null byte",
    }
    for name, message in cases.items():
        with pytest.raises(ModelError, match=message) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_unreadable_models(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(rich_model())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads every file")
    with pytest.raises(ModelError, match="Permission denied"):
        load_model(path)


@pytest.mark.parametrize(
    ("imports", "message"),
    [
        ([("", 0)], "imports version 0 of domain ai.onnx"),
        ([("", -3)], "imports version -3"),
        ([("", 9), ("ai.onnx", 10)], "imports version 10 of domain ai.onnx, and also version 9"),
        ([("d", 1), ("d", 2)], "imports version 2 of domain d, and also version 1"),
    ],
)
def test_bad_opset_imports(imports: list[tuple[str, int]], message: str) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]), helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([RELU], "g", [value[0]], [value[1]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*each) for each in imports])
    with pytest.raises(ModelError, match=message):
        load_model(model)


def test_what_is_linear_stays_so() -> None:
    """A long chain of calls, a long list of nodes in reverse, many branches: all in seconds."""
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("d", 1)]
    calls = [helper.make_node(f"f{i + 1}", ["a"], ["b"], domain="d") for i in range(2000)]
    functions = [helper.make_function("d", f"f{i}", ["a"], ["b"], [call], opsets) for i, call in enumerate(calls)]
    ends = [helper.make_empty_tensor_value_info(name) for name in ("v0", "v10000", "r")]
    body = helper.make_graph([helper.make_node("Relu", ["v0"], ["r"])], "b", [], ends[2:])
    nodes = [helper.make_node("If", ["v0"], [f"i{i}"], then_branch=body, else_branch=body) for i in range(1000)]
    nodes += [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(10_000)]
    graph = helper.make_graph(nodes[::-1], "g", ends[:1], ends[1:2])
    model = helper.make_model(graph, opset_imports=opsets, functions=functions)
    start = time.monotonic()
    loaded = load_model(model.SerializeToString())
    assert time.monotonic() - start < 10
    chain = [node.output[0] for node in loaded.proto.graph.node if node.op_type == "Relu"]
    assert chain == [f"v{i + 1}" for i in range(10_000)]


def test_an_input_that_is_not_declared() -> None:
    model = ModelProto(ir_version=onnx.IR_VERSION)
    model.graph.node.append(RELU)
    with pytest.raises(ModelError, match="input 'x' is not defined"):
        load_model(model)
