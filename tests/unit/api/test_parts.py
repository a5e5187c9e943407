"""Models with sequences, optionals and strings: compiled parts, and what runs on the host between them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

import mlc
from mlc.cli.main import main
from mlc.frontends.onnx.load import load_model
from mlc.frontends.onnx.parts import is_plain, split
from mlc.parts import HostCallWarning, PartedModel
from mlc.testing.onnx_models import perceptron

X = np.arange(6, dtype=np.float32).reshape(2, 3)
FLOATS = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
TEXTS = helper.make_tensor_type_proto(TensorProto.STRING, [None])
SEQUENCE = helper.make_sequence_type_proto(FLOATS)
OPTIONAL = helper.make_optional_type_proto(FLOATS)


def value(name: str, kind: Any) -> ValueInfoProto:
    return helper.make_value_info(name, kind)


def made(nodes: Sequence[NodeProto], inputs: Sequence[Any], outputs: Sequence[Any]) -> ModelProto:
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 4)]
    graph = helper.make_graph(list(nodes), "parts", list(inputs), list(outputs))
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def compiled(model: ModelProto) -> mlc.CompiledModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HostCallWarning)
        return mlc.compile(model, threads=1, cache=False)


def labels() -> ModelProto:
    """Strings to numbers on the host, arithmetic as native code, numbers to strings on the host."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["text"],
            ["number"],
            "encode",
            domain="ai.onnx.ml",
            keys_strings=["a", "b"],
            values_floats=[1.0, 2.0],
        ),
        helper.make_node("Mul", ["number", "number"], ["square"], "square"),
        helper.make_node("Exp", ["x"], ["e"], "alone"),
        helper.make_node(
            "LabelEncoder",
            ["square"],
            ["name"],
            "decode",
            domain="ai.onnx.ml",
            keys_floats=[1.0, 4.0],
            values_strings=["one", "four"],
        ),
    ]
    outputs = [value("name", TEXTS), value("square", FLOATS), value("e", FLOATS)]
    return made(nodes, [value("text", TEXTS), value("x", FLOATS)], outputs)


def test_sequences_of_any_length() -> None:
    nodes = [
        helper.make_node("SequenceInsert", ["s", "x"], ["longer"]),
        helper.make_node("SequenceLength", ["longer"], ["count"]),
        helper.make_node("ConcatFromSequence", ["longer"], ["joined"], axis=0),
    ]
    count = value("count", helper.make_tensor_type_proto(TensorProto.INT64, []))
    model = made(
        nodes, [value("s", SEQUENCE), value("x", FLOATS)], [value("longer", SEQUENCE), count, value("joined", FLOATS)]
    )
    net = compiled(model)
    assert net.host_calls == ()
    for given in ([], [X], [X, X + 1, X + 2]):
        longer, length, joined = net(given, -X)
        assert length == len(given) + 1
        for result, wanted in zip(longer, [*given, -X], strict=True):
            np.testing.assert_array_equal(result, wanted)
        np.testing.assert_array_equal(joined, np.concatenate([*given, -X]))


def test_optionals_that_hold_nothing() -> None:
    nodes = [helper.make_node("OptionalHasElement", ["o"], ["there"]), helper.make_node("Identity", ["o"], ["same"])]
    flag = value("there", helper.make_tensor_type_proto(TensorProto.BOOL, []))
    net = compiled(made(nodes, [value("o", OPTIONAL)], [flag, value("same", OPTIONAL)]))
    there, same = net(None)
    assert not there
    assert same is None
    there, same = net(X)
    assert there
    np.testing.assert_array_equal(same, X)


def test_host_calls_stand_between_compiled_parts() -> None:
    model = labels()
    with pytest.warns(HostCallWarning, match=r"these nodes run on the host.*encode.*decode"):
        net = mlc.compile(model, threads=1, cache=False)
    assert net.host_calls == ("encode (ai.onnx.ml::LabelEncoder)", "decode (ai.onnx.ml::LabelEncoder)")
    for text in (["a", "b"], ["b", "b", "a"]):
        name, square, e = net(np.array(text, object), X)
        assert list(name) == [{"a": "one", "b": "four"}[c] for c in text]
        np.testing.assert_array_equal(square, [{"a": 1, "b": 4}[c] for c in text])
        np.testing.assert_allclose(e, np.exp(X), rtol=1e-6)
    parts = split(load_model(model))
    assert [(part.hosted, [node.name for node in part.nodes]) for part in parts] == [
        (False, ["alone"]),
        (True, ["encode"]),
        (False, ["square"]),
        (True, ["decode"]),
    ]


def test_plain_models_are_one_piece() -> None:
    assert is_plain(load_model(perceptron()))
    assert not isinstance(compiled(perceptron()), PartedModel)


def test_ahead_of_time_the_nodes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(labels().SerializeToString())
    assert main(["compile", str(file), "-o", str(tmp_path / "m.so")]) == 4
    error = capsys.readouterr().err
    assert "encode (ai.onnx.ml::LabelEncoder), decode (ai.onnx.ml::LabelEncoder) run on the host" in error
    with pytest.raises(mlc.UnsupportedError, match="encode"):
        compiled(labels()).save(tmp_path / "m.so")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X, "'s' is a sequence, but a ndarray is given"),
        (None, "None is given for 's'"),
        ([X, 1], "item 1 of 's' is a int"),
        ([X.astype(np.float64)], "dtype float64"),
    ],
)
def test_wrong_values(given: Any, message: str) -> None:
    net = compiled(made([helper.make_node("Identity", ["s"], ["t"])], [value("s", SEQUENCE)], [value("t", SEQUENCE)]))
    with pytest.raises(mlc.UsageError, match=message):
        net(given)


def test_what_the_host_refuses_names_the_node() -> None:
    node = helper.make_node("StringNormalizer", ["t"], ["u"], "broken", case_change_action="SIDEWAYS")
    with pytest.raises(mlc.MlcError, match="broken"):
        compiled(made([node], [value("t", TEXTS)], [value("u", TEXTS)]))(np.array(["a"], object))
