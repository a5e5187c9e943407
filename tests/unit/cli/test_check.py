"""`mlc check`: all findings in one go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from mlc.cli.main import main
from mlc.testing.onnx_models import perceptron

Capture = pytest.CaptureFixture[str]


def written(folder: Path, model: ModelProto) -> str:
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def model_of(nodes: Sequence[NodeProto], outputs: Sequence[str]) -> ModelProto:
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4]),
        helper.make_tensor_value_info("n", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("t", TensorProto.STRING, [2]),
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("custom", 1)]
    graph = helper.make_graph(list(nodes), "g", inputs, results)
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def broken() -> ModelProto:
    """One node of each kind of finding, one that is fine, and one that can't be told."""
    nodes = [
        helper.make_node("Relu", ["x"], ["fine"], "fine"),
        helper.make_node("Mystery", ["fine"], ["m"], "unknown", domain="custom"),
        helper.make_node("Exp", ["m"], ["after"], "after"),
        helper.make_node("Transpose", ["x"], ["moved"], "wrong", perm=[0, 5]),
        helper.make_node("ConstantOfShape", ["n"], ["sized"], "sized"),
        helper.make_node("StringNormalizer", ["t"], ["lower"], "words", case_change_action="LOWER"),
    ]
    return model_of(nodes, ["fine", "after", "moved", "sized", "lower"])


def test_all_findings_at_once(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", written(tmp_path, broken()), "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    found = {finding["where"]: finding for finding in report["findings"]}
    assert found["unknown (custom::Mystery)"]["kind"] == "unsupported"
    assert found["wrong (Transpose)"]["kind"] == "invalid"
    assert found["sized (ConstantOfShape)"]["kind"] == "per call"
    assert found["words (StringNormalizer)"]["kind"] == "host"
    assert "STRING" in found["input 't'"]["reason"]
    assert len(report["findings"]) == 5
    assert report["unchecked"] == ["after (Exp)"]
    assert report["assumed"] == {"batch": 1}
    assert report["nodes"] == 6


def test_the_text_names_nodes_and_reasons(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", written(tmp_path, broken()), "--dim", "batch=3"]) == 4
    out = capsys.readouterr().out
    assert "unsupported  unknown (custom::Mystery): the operator has no equivalent in hlt" in out
    assert "not checked, for they depend on these: after (Exp)" in out
    assert "taken to be 1" not in out
    assert "5 findings" in out


def test_nothing_to_list(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", written(tmp_path, perceptron())]) == 0
    assert "nothing stands in the way" in capsys.readouterr().out


def test_wrong_shapes_are_usage_errors(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", written(tmp_path, perceptron("n")), "--dim", "m=2"]) == 2
    assert "no dim 'm'" in capsys.readouterr().err


def test_types_that_an_operator_refuses_are_listed_with_those_that_it_takes(tmp_path: Path, capsys: Capture) -> None:
    nodes = [
        helper.make_node("And", ["x", "x"], ["both"], "both"),
        helper.make_node("Sin", ["n"], ["sine"], "sine"),
        helper.make_node("Add", ["x", "n"], ["sum"], "mixed"),
    ]
    assert main(["check", written(tmp_path, model_of(nodes, ["both", "sine", "sum"])), "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    reasons = {finding["where"]: finding["reason"] for finding in report["findings"] if finding["kind"] == "invalid"}
    floats = "tensor(bfloat16), tensor(double), tensor(float), tensor(float16)"
    assert reasons == {
        "both (And)": "input 0 is tensor(float) (valid: tensor(bool))",
        "sine (Sin)": f"input 0 is tensor(int64) (valid: {floats})",
        "mixed (Add)": "input 1 is tensor(int64), but an input before it is tensor(float)",
    }


def test_dims_that_nothing_binds_are_named(tmp_path: Path, capsys: Capture) -> None:
    main(["check", written(tmp_path, model_of([helper.make_node("Relu", ["x"], ["y"], "only")], ["y"]))])
    assert "taken to be 1: batch (bind them with --dim or --shapes)" in capsys.readouterr().out
