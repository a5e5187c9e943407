"""Inputs with bounded dims are cleared as far as anything reads them, and what lies beyond counts nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mlc
from mlc.cli.main import main
from mlc.cli.opt import Chunk, parse_module
from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import Symbol, dim
from mlc.errors import ModelError
from mlc.lowering.loops.elide_copies import storage_of
from mlc.lowering.loops.needed import noted_needs
from mlc.lowering.loops.plan_memory import main_of
from mlc.registry import make_context

Array = np.ndarray[Any, np.dtype[Any]]
LONGEST = 70
EXTENTS = (1, 2, 15, 16, 17, 33, 63, 64, 69, LONGEST)


def model() -> ModelProto:
    """x [n, 6], y [m, n], i [n, 3] of i64, b [n, 3] of bool to sums, products, extrema and places along n and m."""
    nodes = [
        helper.make_node("ReduceSum", ["x", "axis0"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["y", "x"], ["product"]),
        helper.make_node("Softmax", ["y"], ["weights"], axis=1),
        helper.make_node("ReduceMax", ["y"], ["peak"], axes=[0], keepdims=0),
        helper.make_node("ArgMax", ["x"], ["place"], axis=0),
        helper.make_node("CumSum", ["i", "zero"], ["running"]),
        helper.make_node("ReduceSum", ["i", "axis0"], ["total"], keepdims=0),
        helper.make_node("Div", ["seven", "i"], ["quotient"]),
        helper.make_node("Where", ["b", "i", "seven"], ["chosen"]),
        helper.make_node("ReduceProd", ["chosen"], ["folded"], axes=[0], keepdims=0),
        helper.make_node("Transpose", ["x"], ["turned"]),
        helper.make_node("Gather", ["table", "i"], ["found"]),
    ]
    constants = {"axis0": np.array([0]), "zero": np.array(0), "seven": np.array(7)}
    constants["table"] = np.arange(20, dtype=np.float32)
    kinds = {"x": (TensorProto.FLOAT, ("n", 6)), "y": (TensorProto.FLOAT, ("m", "n"))}
    kinds |= {"i": (TensorProto.INT64, ("n", 3)), "b": (TensorProto.BOOL, ("n", 3))}
    integers = {"place", "running", "total", "quotient", "chosen", "folded"}
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name in integers else TensorProto.FLOAT, None)
        for name in (node.output[0] for node in nodes)
    ]
    graph = helper.make_graph(
        nodes,
        "borders",
        [helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in kinds.items()],
        outputs,
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def feeds(n: int, m: int) -> dict[str, Array]:
    random = np.random.default_rng(n * 100 + m)
    x, y = (random.standard_normal(shape).astype(np.float32) for shape in ((n, 6), (m, n)))
    return {"x": x, "y": y, "i": random.integers(1, 20, (n, 3)), "b": random.random((n, 3)) < 0.5}


def poison() -> dict[str, Array]:
    """A call of the greatest extents that leaves what would spoil any result."""
    x, y = (np.full(shape, np.nan, np.float32) for shape in ((LONGEST, 6), (LONGEST, LONGEST)))
    return {"x": x, "y": y, "i": np.full((LONGEST, 3), 19), "b": np.ones((LONGEST, 3), np.bool_)}


def compare(net: Any, proto: ModelProto, arrays: Mapping[str, Array]) -> None:
    evaluator: Any = ReferenceEvaluator(proto)
    for result, right in zip(net.run(arrays).values(), evaluator.run(None, dict(arrays)), strict=True):
        assert result.shape == right.shape
        np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-4)


DIMS = {"n": f"1..{LONGEST}", "m": f"1..{LONGEST}"}


@pytest.mark.parametrize("threads", [1, 2])
def test_what_longer_calls_leave_counts_nowhere(threads: int) -> None:
    proto = model()
    net = mlc.compile(proto, dims=DIMS, threads=threads, cache=False)
    for number, n in enumerate(EXTENTS):
        net.run(poison())
        compare(net, proto, feeds(n, EXTENTS[-1 - number]))


@pytest.mark.parametrize("stage", ["kernels", "scheduled"])
def test_text_says_how_far_inputs_are_read(stage: str, tmp_path: Path) -> None:
    """What goes on from it clears as much, and is right in a library, too."""
    proto, path, flags = model(), tmp_path / "m.onnx", ["--threads=1", "--name=net"]
    path.write_bytes(proto.SerializeToString())
    dims = [f"--dim={name}={bounds}" for name, bounds in DIMS.items()]
    assert main(["-q", "compile", str(path), f"--emit={stage},llvm", "-o", str(tmp_path / "n"), *flags, *dims]) == 0
    (text,) = tmp_path.glob("n.*.mlir")
    assert main(["-q", "compile", str(text), "--emit=llvm,lib", "-o", str(tmp_path / "r"), *flags]) == 0
    frames = [re.findall(r"define i32 @net_run_frame.*?\n}", (tmp_path / f"{n}.ll").read_text(), re.S) for n in "nr"]
    assert frames[0] == frames[1] != []
    if stage == "scheduled":
        assert 'loop.needed = #loop.limits<"0 < n | n=1..70 m=1..70">' in text.read_text()
    net = mlc.load(tmp_path / "r.so")
    for n, m in ((1, 17), (16, 1), (17, 64)):
        net.run(poison())
        compare(net, proto, feeds(n, m))


@pytest.mark.parametrize("note", ["1 : i64", "5 : i64", "-1 : i64", "0 : i64", '"x"'])
def test_no_result_lies_where_no_such_input_does(note: str) -> None:
    text = f"func.func @main(%x: memref<9xf32>, %y: memref<9x4xf32> {{loop.storage = {note}}}) {{ func.return }}"
    main_ = main_of(parse_module(Chunk("main", text), make_context()))
    assert main_ is not None
    assert storage_of(main_, 0) == 0
    with pytest.raises(ModelError, match="names no input of its type"):
        storage_of(main_, 1)


@pytest.mark.parametrize(
    ("note", "complaint"),
    [
        ('#loop.limits<"0 < m | m=1..9">', "no limits of the program's dims"),
        ("1 : i64", "no limits of the program's dims"),
        ('#loop.limits<"2 < n | n=1..9">', "no dim 2"),
    ],
)
def test_notes_of_other_programs_are_refused(note: str, complaint: str) -> None:
    text = f"func.func @main(%x: memref<9x4xf32> {{loop.needed = {note}}}) {{ func.return }}"
    main_ = main_of(parse_module(Chunk("main", text), make_context()))
    assert main_ is not None
    n = Symbol("n", 1, 9)
    with pytest.raises(ModelError, match=complaint):
        noted_needs(main_, 0, Bounds((n,), (), ((dim(n), 4),), ()))
