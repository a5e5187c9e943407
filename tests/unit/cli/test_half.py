"""`--dtype=f16` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from mlc.cli.main import main
from mlc.testing.onnx_models import small_model

Capture = pytest.CaptureFixture[str]


def product(scale: float) -> ModelProto:
    """``relu(x @ w) @ w`` with a weight of 32 x 32 times ``scale``."""
    nodes = [
        helper.make_node("MatMul", ["x", "square"], ["y"], name="one"),
        helper.make_node("Relu", ["y"], ["p"], name="positive"),
        helper.make_node("MatMul", ["p", "square"], ["z"], name="two"),
    ]
    model = small_model(nodes, {"x": (8, 32)}, {"z": (8, 32)})
    values = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32) * np.float32(scale)
    model.graph.initializer.append(numpy_helper.from_array(values, "square"))
    return model


def save(model: ModelProto, folder: Path) -> str:
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_verify_measures_by_what_is_rounded(tmp_path: Path, capsys: Capture) -> None:
    """The error is far beyond that of f32, and still no more than rounding explains."""
    model = save(product(0.2), tmp_path)
    assert main(["verify", model, "--dtype=f16", "--json"]) == 0
    (tensor,) = json.loads(capsys.readouterr().out)["tensors"]
    assert 1e-5 < tensor["error"] / tensor["magnitude"] < 1e-2


def test_verify_all_tensors(tmp_path: Path) -> None:
    assert main(["verify", save(product(0.2), tmp_path), "--dtype=f16", "--all-tensors"]) == 0


def test_compile_names_weights_that_stay(tmp_path: Path, capsys: Capture) -> None:
    model, library = save(product(1e6), tmp_path), str(tmp_path / "m.so")
    assert main(["compile", model, "--dtype=f16", "-o", library]) == 0
    assert "weight square stays f32: f16 does not hold it" in capsys.readouterr().out
    several = [
        "compile",
        model,
        "--dtype=f16",
        "--target=x86-64",
        "--multiversion=v1,v3",
        "--time-passes",
        "-o",
        library,
    ]
    assert main(several) == 0
    told = capsys.readouterr()
    assert told.out.count("weight square stays f32: f16 does not hold it") == 2
    assert told.err.count("store-half") == 2
    assert main(["inspect", library, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["extra"]["kept_f32"] == ["square"]


def test_sums_in_f16_need_a_processor_for_them(tmp_path: Path, capsys: Capture) -> None:
    flags = ["--dtype=f16", "--accumulate=f16", "--target=aarch64", "--threads=1", "-o", str(tmp_path / "m.o")]
    model = save(product(0.2), tmp_path)
    assert main(["compile", model, *flags]) == 2
    assert "does not compute in f16" in capsys.readouterr().err
    assert main(["compile", model, *flags, "--mcpu=cortex-a76"]) == 0
