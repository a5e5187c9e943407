"""Loading models: sources, weights without copies, order of nodes, limits."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mlc.errors import ModelError
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.load import load_model
from mlc.frontends.onnx.tensors import weight_name
from mlc.frontends.onnx.wire import INLINE_BYTES

Array = NDArray[Any]
BIG = np.arange(INLINE_BYTES, dtype=np.float32).reshape(-1, 32)


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def model_of(
    nodes: list[NodeProto],
    constants: dict[str, Array] | None = None,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 23,
) -> ModelProto:
    """A model with input ``x``."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "net", [value("x")], [value("y")], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"{op}_{outputs.split()[0]}", **attributes)


def matmul_model() -> ModelProto:
    return model_of([node("MatMul", "x w", "m"), node("Add", "m b", "y")], {"w": BIG, "b": np.ones(32, np.float32)})


def save(model: ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


Source = Callable[[ModelProto, Path], Any]
SOURCES: dict[str, Source] = {
    "path": save,
    "str": lambda model, folder: str(save(model, folder)),
    "bytes": lambda model, _: model.SerializeToString(),
    "proto": lambda model, _: model,
}
each_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


@each_source
def test_weights_leave_the_proto_and_come_back(source: Source, tmp_path: Path) -> None:
    loaded = load_model(source(matmul_model(), tmp_path))
    assert loaded.weights.names() == ("w", "b")
    np.testing.assert_array_equal(loaded.weights.array("w"), BIG)
    big, small = loaded.proto.graph.initializer
    assert (big.name, list(big.dims), big.data_type, big.raw_data) == ("w", [32, 32], TensorProto.FLOAT, b"")
    assert (weight_name(big), weight_name(small)) == ("w", None)
    for tensor in (big, small):
        np.testing.assert_array_equal(loaded.array(tensor), loaded.weights.array(tensor.name))
    assert [each.op_type for each in loaded.proto.graph.node] == ["MatMul", "Add"]
    assert len(loaded.proto.SerializeToString()) < INLINE_BYTES


def test_bytes_and_files_are_not_copied(tmp_path: Path) -> None:
    data = matmul_model().SerializeToString()
    assert np.shares_memory(load_model(data).weights.array("w"), np.frombuffer(data, np.uint8))
    array = load_model(save(matmul_model(), tmp_path)).weights.array("w")
    assert not array.flags.writeable
    assert not array.flags.owndata


def test_a_proto_is_not_changed_and_may_change_later() -> None:
    model = matmul_model()
    before = model.SerializeToString()
    loaded = load_model(model)
    assert model.SerializeToString() == before
    model.graph.initializer[0].raw_data = bytes(BIG.nbytes)
    np.testing.assert_array_equal(loaded.weights.array("w"), BIG)


def test_names(tmp_path: Path) -> None:
    assert load_model(save(matmul_model(), tmp_path, "resnet.v1.onnx")).name == "resnet.v1"
    assert load_model(matmul_model()).name == "net"
    assert load_model(matmul_model()).opset == {"": 23}


def test_identities_tell_models_apart(tmp_path: Path) -> None:
    model, other = matmul_model(), matmul_model()
    other.graph.initializer[0].raw_data = bytes(BIG.nbytes)
    data = model.SerializeToString()
    assert load_model(data).identity == load_model(bytes(bytearray(data))).identity
    assert load_model(data).identity != load_model(other.SerializeToString()).identity
    assert load_model(model).identity == load_model(matmul_model()).identity != load_model(other).identity
    path = save(model, tmp_path)
    (tmp_path / "link.onnx").symlink_to(path)
    first = load_model(path).identity
    assert load_model(tmp_path / "link.onnx").identity == first
    os.utime(path, ns=(1, 1))
    assert load_model(path).identity != first


def test_large_constants_become_initializers() -> None:
    loaded = load_model(
        model_of(
            [
                node("Constant", "", "w", value=numpy_helper.from_array(BIG)),
                node("Constant", "", "s", value=numpy_helper.from_array(np.array(2, np.float32))),
                node("Mul", "w s", "y"),
            ]
        )
    )
    assert [each.op_type for each in loaded.proto.graph.node] == ["Constant", "Mul"]
    assert loaded.weights.names() == ("w",)
    np.testing.assert_array_equal(loaded.weights.array("w"), BIG)


def test_large_tensors_in_functions_are_weights_too() -> None:
    body = [node("Constant", "", "w", value=numpy_helper.from_array(BIG)), node("Add", "a w", "b")]
    opsets = [helper.make_opsetid("", 23)]
    model = model_of([helper.make_node("f", ["x"], ["y"], domain="d")])
    model.opset_import.append(helper.make_opsetid("d", 1))
    model.functions.append(helper.make_function("d", "f", ["a"], ["b"], body, opsets))
    for source in (model, model.SerializeToString()):
        loaded = load_model(source)
        tensor = loaded.proto.functions[0].node[0].attribute[0].t
        np.testing.assert_array_equal(loaded.array(tensor), BIG)


def branches(*arrays: Array) -> ModelProto:
    """``If`` with one branch per array, each with an initializer called ``w``."""
    graphs = [
        helper.make_graph(
            [node("Add", "x w", f"o{i}")], f"b{i}", [], [value(f"o{i}")], [numpy_helper.from_array(a, "w")]
        )
        for i, a in enumerate(arrays)
    ]
    return model_of([node("If", "c", "y", then_branch=graphs[0], else_branch=graphs[1])], {"c": np.array(True)})


@each_source
def test_equal_names_in_different_branches(source: Source, tmp_path: Path) -> None:
    loaded = load_model(source(branches(BIG, BIG + 1), tmp_path))
    assert loaded.weights.names() == ("c", "w", "w.1")
    then, other = (attribute.g.initializer[0] for attribute in loaded.proto.graph.node[0].attribute)
    if weight_name(then) != "w":
        then, other = other, then
    assert {tuple(loaded.array(then)[0, :2]), tuple(loaded.array(other)[0, :2])} == {(0, 1), (1, 2)}
    assert (then.name, other.name) == ("w", "w")


def test_sparse_initializers_become_dense() -> None:
    dense = np.zeros((30, 40), np.float32)
    dense[3, 4], dense[29, 39] = 5, 6
    values = numpy_helper.from_array(np.array([5, 6], np.float32), "w")
    flat = numpy_helper.from_array(np.array([3 * 40 + 4, 29 * 40 + 39]))
    pairs = numpy_helper.from_array(np.array([[3, 4], [29, 39]]))
    for indices in (flat, pairs):
        model = model_of([node("Add", "x w", "y")])
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [30, 40]))
        loaded = load_model(model)
        np.testing.assert_array_equal(loaded.weights.array("w"), dense)
        assert not loaded.proto.graph.sparse_initializer
        sparse = helper.make_sparse_tensor(values, indices, [30, 40])
        loaded = load_model(model_of([node("Constant", "", "w", sparse_value=sparse), node("Add", "x w", "y")]))
        np.testing.assert_array_equal(loaded.weights.array("w"), dense)


def test_strings_stay_in_the_proto() -> None:
    words = np.array([["a", "ä"]], object)
    loaded = load_model(model_of([node("Identity", "w", "y")], {"w": words}))
    assert loaded.weights.names() == ()
    np.testing.assert_array_equal(loaded.array(loaded.proto.graph.initializer[0]), words)


def test_training_graphs_are_dropped() -> None:
    model = matmul_model()
    model.training_info.add().algorithm.CopyFrom(model.graph)
    for source in (model, model.SerializeToString()):
        assert not load_model(source).proto.training_info


def test_unsorted_nodes_are_sorted() -> None:
    body = helper.make_graph([node("Identity", "b", "i")], "body", [], [value("i")])
    nodes = [
        node("If", "c", "y", then_branch=body, else_branch=body),
        node("Relu", "a", "b"),
        node("Relu", "x", "a"),
        node("Relu", "x", "z"),
    ]
    loaded = load_model(model_of(nodes, {"c": np.array(True)}))
    assert [each.output[0] for each in loaded.proto.graph.node] == ["a", "b", "y", "z"]


def graph_with(change: Callable[[GraphProto], object]) -> ModelProto:
    model = model_of([node("Relu", "x", "a"), node("Add", "a w", "y")], {"w": np.ones(1, np.float32)})
    change(model.graph)
    return model


BAD_NAMES: dict[str, tuple[ModelProto, str]] = {
    "undefined": (model_of([node("Relu", "q", "y")]), r"Relu_y \(Relu\): input 'q' is not defined"),
    "output": (model_of([node("Relu", "x", "z")]), "output 'y' of graph 'net' is not defined"),
    "cycle": (
        model_of([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "a", "y")]),
        r"cycle: Add_a \(Add\) -> Relu_b \(Relu\) -> Add_a \(Add\)",
    ),
    "self": (model_of([node("Add", "x y", "y")]), r"cycle: Add_y \(Add\) -> Add_y \(Add\)"),
    "twice": (model_of([node("Relu", "x", "y"), node("Abs", "x", "y")]), "Abs_y .*'y' is already defined"),
    "input again": (model_of([node("Relu", "x", "x")]), "'x' is already defined"),
    "initializer twice": (
        graph_with(lambda graph: graph.initializer.append(graph.initializer[0])),
        "initializer 'w' is defined twice",
    ),
    "input twice": (graph_with(lambda graph: graph.input.append(graph.input[0])), "input 'x' is defined twice"),
    "no name": (graph_with(lambda graph: graph.initializer.add(dims=[0])), "initializer without a name"),
    "no op": (graph_with(lambda graph: graph.node.add(input=["x"], output=["u"])), "without op_type"),
    "attribute twice": (
        graph_with(lambda graph: graph.node[0].attribute.extend([helper.make_attribute("a", 1)] * 2)),
        "attribute is given twice",
    ),
    "branch": (
        model_of(
            [node("If", "x", "y", then_branch=helper.make_graph([node("Relu", "q", "r")], "then", [], [value("r")]))]
        ),
        "input 'q' is not defined",
    ),
    "shadow": (
        model_of(
            [node("If", "x", "y", then_branch=helper.make_graph([node("Relu", "x", "x")], "then", [], [value("x")]))]
        ),
        "cycle",
    ),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_names_are_defined_once_and_before_use(case: str) -> None:
    model, message = BAD_NAMES[case]
    with pytest.raises(ModelError, match=message):
        load_model(model)


def functions(calls: dict[str, list[str]], nodes: list[str]) -> ModelProto:
    """Functions that call each other in a chain of nodes."""
    model = model_of([])
    model.opset_import.append(helper.make_opsetid("d", 1))
    chain = {**calls, "": nodes}
    for name, callees in chain.items():
        body = [
            helper.make_node(callee, [f"v{i}"], [f"v{i + 1}"], domain="d" if callee in calls else "")
            for i, callee in enumerate(callees)
        ]
        if name:
            opsets = [helper.make_opsetid("", 23), helper.make_opsetid("d", 1)]
            model.functions.append(helper.make_function("d", name, ["v0"], [f"v{len(body)}"], body, opsets))
        else:
            model.graph.node.extend(body)
            model.graph.input[0].name, model.graph.output[0].name = "v0", f"v{len(body)}"
    return model


def test_functions_don_t_call_themselves() -> None:
    with pytest.raises(ModelError, match=r"functions call themselves: .* -> .* -> "):
        load_model(functions({"f": ["g"], "g": ["h"], "h": ["g"]}, ["f"]))
    with pytest.raises(ModelError, match="functions call themselves: f -> f"):
        load_model(functions({"f": ["f"]}, ["Relu"]))


def test_functions_expand_to_a_bounded_number_of_nodes() -> None:
    doubling = {f"f{i}": [f"f{i + 1}"] * 2 for i in range(200)}
    with pytest.raises(ModelError, match=r"exceeds the limit of 1000000.*Limits.expanded_nodes"):
        load_model(functions({**doubling, "f200": ["Relu"]}, ["f0"]))
    fine = {f"f{i}": [f"f{i + 1}"] * 2 for i in range(8)}
    assert len(load_model(functions({**fine, "f8": ["Relu"]}, ["f0"])).proto.functions) == 9


def test_a_function_is_defined_once() -> None:
    model = functions({"f": ["Relu"]}, ["f"])
    model.functions.append(model.functions[0])
    with pytest.raises(ModelError, match="function 'f' is defined twice"):
        load_model(model)


def nested(depth: int) -> ModelProto:
    graph = helper.make_graph([node("Relu", "x", "r")], "leaf", [], [value("r")])
    for level in range(depth):
        inner = node("If", "x", f"i{level}", then_branch=graph)
        graph = helper.make_graph([inner], f"level{level}", [], [value(f"i{level}")])
    return model_of([node("If", "x", "y", then_branch=graph)])


LIMITED: dict[str, tuple[int, ModelProto]] = {
    "nodes": (2, model_of([node("Relu", "x", f"y{i}" if i else "y") for i in range(3)])),
    "nesting": (4, nested(4)),
    "rank": (3, model_of([node("Add", "x w", "y")], {"w": np.ones((1, 1, 1, 1), np.float32)})),
    "elements": (8, model_of([node("Add", "x w", "y")], {"w": np.ones((3, 3), np.float32)})),
    "attribute_values": (3, model_of([node("Tile", "x x", "y", odd=[1, 2, 3, 4])])),
    "weight_bytes": (BIG.nbytes, matmul_model()),
}


@pytest.mark.parametrize("name", LIMITED)
def test_limits(name: str) -> None:
    bound, model = LIMITED[name]
    for source in (model, model.SerializeToString()):
        load_model(source)
        with pytest.raises(ModelError, match=f"exceeds the limit of {bound} .raise Limits.{name}"):
            load_model(source, limits=replace(Limits(), **{name: bound}))


def test_limits_of_the_file(tmp_path: Path) -> None:
    path = save(matmul_model(), tmp_path)
    size = path.stat().st_size
    load_model(path, limits=Limits(file_bytes=size))
    for source in (path, path.read_bytes()):
        with pytest.raises(ModelError, match=r"raise Limits.file_bytes"):
            load_model(source, limits=Limits(file_bytes=size - 1))
    for limits in (Limits(fields=3), Limits(structure_bytes=100)):
        with pytest.raises(ModelError, match=r"raise Limits.(fields|structure_bytes)"):
            load_model(path, limits=limits)


def test_the_default_nesting_stops_before_the_parser_does() -> None:
    load_model(nested(Limits().nesting - 2).SerializeToString())
    for source in (nested(Limits().nesting), nested(Limits().nesting).SerializeToString()):
        with pytest.raises(ModelError, match="nesting"):
            load_model(source)


@pytest.mark.parametrize(
    ("dims", "message"),
    [([2, -1], "negative dimension -1"), ([33], "4096 bytes of raw data, 132 needed for FLOAT"), ([], "4 needed")],
)
def test_payloads_have_the_size_of_the_shape(dims: list[int], message: str) -> None:
    model = matmul_model()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    for source in (model, model.SerializeToString()):
        with pytest.raises(ModelError, match=f"initializer 'w': .*{message}"):
            load_model(source)


def test_loading_takes_no_memory_for_weights(tmp_path: Path) -> None:
    """A 200 MB model, loaded in a process of its own: anonymous memory hardly grows."""
    path = tmp_path / "big.onnx"
    model = model_of([node("MatMul", "x w", "y")])
    tensor = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[50, 1024, 1024])
    tensor.raw_data = bytes(200 << 20)
    path.write_bytes(model.SerializeToString())
    child = """
        import sys
        from mlc.frontends.onnx.load import load_model
        def anonymous():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
        before = anonymous()
        model = load_model(sys.argv[1])
        assert model.weights.array("w").shape == (50, 1024, 1024)
        assert model.weights.is_splat("w")
        print(anonymous() - before)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(child), str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(result.stdout) < 20_000
