"""Importing whole graphs: signatures, names, functions, branches, errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, parser
from xdsl.dialects.func import FuncOp

from mlc.dialects import hlt
from mlc.errors import ModelError, UnsupportedError, UsageError
from mlc.frontends.onnx.import_ import import_model, specialize
from mlc.frontends.onnx.load import load_model
from mlc.frontends.onnx.node import DataDependentError
from mlc.frontends.onnx.shapes import TensorInfo, bind_shapes, declared_inputs

Build = Callable[..., Any]

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def test_main_carries_the_models_names(build: Build) -> None:
    program = build(
        """
        g (float[batch, 3] x, int64[2] i) => (float[batch, 3] y, float z) {
            y = Relu (x)
            z = ReduceSum <keepdims = 0> (x)
        }""",
        dims={"batch": 4},
    )
    main = program.model.module.body.block.first_op
    assert isinstance(main, FuncOp)
    for attributes, names in ((main.arg_attrs, ["x", "i"]), (main.res_attrs, ["y", "z"])):
        assert attributes is not None
        assert [str(entry.data["hlt.name"]) for entry in attributes] == [f'"{name}"' for name in names]
    assert [hlt.tensor(argument).shape for argument in main.body.block.args] == [(4, 3), (2,)]
    assert program.model.inputs == (TensorInfo("x", F32, ("batch", 3)), TensorInfo("i", I64, (2,)))
    assert program.model.outputs == (TensorInfo("y", F32, ("batch", 3)), TensorInfo("z", F32, ()))


def test_initializers_are_no_inputs() -> None:
    value = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "w", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", declared[:2], declared[2:], [value])
    loaded = load_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
    assert [info.name for info in declared_inputs(loaded)] == ["x"]
    assert [info.name for info in import_model(loaded).inputs] == ["x"]


X = TensorInfo("x", F32, ("batch", 3, "seq"))
Y = TensorInfo("y", F32, ("seq", "y.1"))
ANY = TensorInfo("z", F32, None)


def test_whole_shapes_bind_the_symbols_of_all_inputs() -> None:
    bound = bind_shapes([X, Y], {"x": (2, 3, 7)}, {"y.1": 5})
    assert bound == {"x": (2, 3, 7), "y": (7, 5)}
    assert bind_shapes([ANY], {"z": (4,)}, {}) == {"z": (4,)}


@pytest.mark.parametrize(
    ("shapes", "dims", "message"),
    [
        ({}, {"batch": 1}, r"no extent given for 'seq' of input 'x', 'y.1' of input 'y'.*--dim seq=1 --dim y.1=1"),
        ({"x": (2, 3)}, {}, r"input 'x' has 3 dims, but shape \[2, 3\]"),
        ({"x": (2, 4, 7)}, {}, r"extent 4 of axis 1 contradicts: the model declares 3"),
        ({"x": (2, 3, 7), "y": (8, 1)}, {}, r"extent 8 of axis 0 contradicts: dim 'seq' is 7"),
        ({"x": (2, 3, 7)}, {"seq": 8, "y.1": 1}, r"contradicts: dim 'seq' is 8"),
        ({"x": (2, 3, -7)}, {}, r"'x': extent -7 is not a whole number"),
        ({}, {"seq": True}, r"extent True is not a whole number"),
        ({"w": (2,)}, {}, r"the model has no input 'w'.*valid: x, y"),
        ({}, {"sequ": 2}, r"the model has no dim 'sequ'.*did you mean 'seq'"),
    ],
)
def test_shapes_that_do_not_fit(shapes: Mapping[str, tuple[int, ...]], dims: Mapping[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bind_shapes([X, Y], shapes, dims)


def test_an_open_rank_wants_a_shape() -> None:
    with pytest.raises(UsageError, match=r"the shape of input 'z'.*--shapes z:"):
        bind_shapes([ANY], {}, {})


def test_values_must_have_the_declared_type(build: Build) -> None:
    with pytest.raises(UsageError, match="input 's' has element type int64, but int32"):
        build(
            "g (float[6] x, int64[1] s) => (float[] y) { y = Reshape (x, s) }",
            values={"s": np.array([6], np.int32)},
        )


# Nodes


def test_operations_name_their_node(build: Build) -> None:
    program = build("g (float[2] x) => (float[2] y) { [act] t = HardSwish (x)\n y = Neg (t) }")
    labels = [hlt.node_name(op) for op in program]
    assert set(labels[:-1]) == {"act (HardSwish)"}
    assert labels[-1] == "y (Neg)"


def test_nodes_that_nothing_needs_are_not_imported(build: Build) -> None:
    program = build("g (float[2] x) => (float[2] y) { u = ImageDecoder (x)\n e = Exp (x)\n y = Neg (x) }")
    assert program.names == ["neg"]


def test_unused_outputs_need_no_equivalent(build: Build) -> None:
    layer = "com.microsoft.SkipLayerNormalization (x, x, w)"
    program = build(f"g (float[2, 4] x, float[4] w) => (float[] y, float[] s) {{ y, m, v, s = {layer} }}")
    assert program.names == ["add", "layer_norm"]
    with pytest.raises(UnsupportedError, match=r"output 1 \('m'\) has no equivalent"):
        build(f"g (float[2, 4] x, float[4] w) => (float[] y, float[] m) {{ y, m, v, s = {layer} }}")


def test_all_unsupported_operators_are_reported_at_once(build: Build) -> None:
    with pytest.raises(UnsupportedError) as caught:
        build(
            """
            g (float[2] x) => (float[] y, float[] z) {
                [a] y = RegexFullMatch (x)
                t = local.twice (x)
                [d] z = RegexFullMatch (t)
            }
            <domain: "local", opset_import: ["": 23]>
            twice (x) => (y) { [b] t = ImageDecoder (x)
                y = Add (t, t) }"""
        )
    assert "ImageDecoder in b (ImageDecoder); RegexFullMatch in a (RegexFullMatch), d (RegexFullMatch)" in str(
        caught.value
    )


def test_equal_constants_become_one(build: Build) -> None:
    program = build("g (float[2] x) => (float[2] y) { a = Relu (x)\n b = Neg (a)\n y = Relu (b) }")
    main = program.model.module.body.block.first_op
    assert sum(op.name == "hlt.constant" for op in main.body.block.ops) == 1


def test_importing_again_adds_no_weights() -> None:
    indices = helper.make_tensor("i", TensorProto.INT64, [40], range(40))
    info = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in ("x", "y")]
    nodes = [helper.make_node("Add", ["i", "i"], ["j"]), helper.make_node("Gather", ["x", "j"], ["y"])]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], [indices])
    loaded = load_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
    import_model(loaded, dims={"n": 80})
    names = loaded.weights.names()
    assert len(names) == 2
    import_model(loaded, dims={"n": 90})
    assert loaded.weights.names() == names


# Functions and branches


def test_local_functions_are_inlined_with_their_attributes(build: Build) -> None:
    program = build(
        """
        g (float[2] x) => (float[2] y, float[2] z) {
            [one] y = local.act <slope = 0.5> (x)
            [two] z = local.act (x)
        }
        <domain: "local", opset_import: ["": 23]>
        act <slope: float = 2.0> (x, unused) => (y) { [leaky] y = LeakyRelu <alpha: float = @slope> (x) }"""
    )
    assert {hlt.node_name(op) for op in program} == {"one/leaky (LeakyRelu)", "two/leaky (LeakyRelu)"}
    np.testing.assert_array_equal(program(np.array([-2, 2], np.float32)), np.array([-1, 2], np.float32))


def test_operators_without_an_importer_use_onnxs_function_bodies(build: Build) -> None:
    program = build("g (float[2, 3] x, int64[2] t) => (float l) { [loss] l = SoftmaxCrossEntropyLoss (x, t) }")
    assert {hlt.node_name(op) for op in program} == {"loss (SoftmaxCrossEntropyLoss)"}
    x, target = np.array([[1, 2, 3], [4, 5, 9]], np.float32), np.array([2, 0])
    log = x - np.log(np.exp(x.astype(np.float64)).sum(1, keepdims=True))
    np.testing.assert_allclose(program(x, target), -log[[0, 1], target].mean(), rtol=1e-6)


BRANCHES = """<
    then_branch = a () => (float[2] q) { q = Relu (x) },
    else_branch = b () => (float[2] q) { u = ImageDecoder (x)\n q = Neg (u) }
>"""


def test_a_known_condition_selects_a_branch(build: Build) -> None:
    """The other branch may hold anything."""
    program = build(
        f"""
        g (float[2] x) => (float[2] y) {{
            s = Shape (x)
            two = Constant <value_ints = [2]> ()
            same = Equal (s, two)
            y = If (same) {BRANCHES}
        }}"""
    )
    assert program.names == ["maximum"]


def test_the_selected_branch_must_be_supported(build: Build) -> None:
    with pytest.raises(UnsupportedError, match=r"ImageDecoder in u \(ImageDecoder\)"):
        build(f"g (float[2] x) => (float[2] y) <bool c = {{0}}> {{ y = If (c) {BRANCHES} }}")


def test_branches_that_may_run_must_be_supported(build: Build) -> None:
    words = r"i \(If\): whether what is not supported runs \(operators without .*: ImageDecoder in u .*\) depends on"
    with pytest.raises(DataDependentError, match=words):
        build(f"g (float[2] x, bool c) => (float[2] y) {{ [i] y = If (c) {BRANCHES} }}")


# Errors


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ('Gelu <approximate = "sigmoid"> (x)', "approximate is 'sigmoid'.*valid: none, tanh"),
        ("Cast <to = 8> (x)", "no tensors of element type STRING"),
        ("Cast <to = 14> (x)", "no tensors of element type COMPLEX64"),
        ("LeakyRelu <alpha = 1> (x)", "alpha is of kind INT, not FLOAT"),
        ("Softmax <axis = 3> (x)", "axis 3 is out of range for rank 1"),
        ("Add (x, three)", "shape mismatch"),
        ("And (x, x)", "input 0 is tensor.*valid: tensor.bool"),
        ("Gather (x, wrong)", "index"),
        ("Gather (three, wrong)", "index"),
        ("OneHot <axis = 7> (wrong, wrong, x)", "axis 7 is out of range"),
        ("TopK (x, wrong)", "K = 5 is not within"),
        ("Range (wrong, wrong, zero)", "delta is zero"),
        ("Constant ()", "exactly one attribute"),
        ('Constant <value_string = "s"> ()', "not numeric"),
    ],
)
def test_bad_nodes_are_named(build: Build, node: str, message: str) -> None:
    text = f"""
        g (float[2] x) => (float[] y)
        <float[3] three = {{1, 2, 3}}, int64[1] wrong = {{5}}, int64[1] zero = {{0}}> {{ [bad] y = {node} }}"""
    with pytest.raises((ModelError, UnsupportedError), match=message) as caught:
        build(text)(np.ones(2, np.float32))
    assert (caught.value.node or "").startswith("bad (")


def test_strings_are_refused_by_name(build: Build) -> None:
    with pytest.raises(UnsupportedError, match="input 'x' has element type STRING"):
        build("g (string[2] x) => (string[2] y) { y = Identity (x) }")


def test_outputs_have_the_declared_type(build: Build) -> None:
    """Callers allocate what the model declares."""
    with pytest.raises(ModelError, match="output 'y' is declared float16, but computed in float32"):
        build("g (float[2] x) => (float16[2] y) { y = Abs (x) }")(np.ones(2, np.float32))


def test_undefined_outputs_are_refused() -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([], "g", info[:1], info[1:]))
    with pytest.raises(ModelError, match="y"):
        import_model(load_model(model))


# Small models that ask for a lot


@pytest.mark.parametrize(
    "body",
    [
        "c = ConstantOfShape (big)\n n = NonZero (c)\n y = Cast <to = 1> (n)",
        "y = ConstantOfShape (big)",
        "r = Range (zero, million, one)\n r2 = Mul (r, r)\n y = Cast <to = 1> (r2)",
        "t = Expand (x, big)\n y = ReduceSum (t)",
        "y = Split <num_outputs = 1000000000> (x)",
        "i = Cast <to = 6> (x)\n y, p = MaxPool <kernel_shape = [100000], pads = [99999, 0]> (z)\n",
    ],
)
def test_import_stays_small(build: Build, body: str) -> None:
    """Either it is refused, or nothing of that size is made."""
    text = f"""
        g (float[1] x, float[1, 1, 1] z) => (float[] y)
        <int64[4] big = {{1048576, 1048576, 1024, 1}}, int64 zero = {{0}}, int64 million = {{1000000000000}},
         int64 one = {{1}}> {{ {body} }}"""
    try:
        build(text)
    except (ModelError, UnsupportedError):
        return


# Specialisation


def test_specialize_fixes_only_what_shapes_depend_on() -> None:
    """``n`` decides a shape through arithmetic, ``x`` and ``z`` do not."""
    text = """<ir_version: 10, opset_import: ["": 21]>
        g (float[a, b] x, int64[1] n, float[b] z) => (float[] y) <int64[1] rest = {-1}> {
            t = Add (n, n)
            s = Concat <axis = 0> (rest, t)
            r = Reshape (x, s)
            y = ReduceSum (r)
        }"""
    loaded = load_model(parser.parse_model(text))
    inputs = {"x": np.ones((4, 3), np.float32), "n": np.array([2]), "z": np.ones(3, np.float32)}
    model = specialize(loaded, inputs)
    assert model.fixed == ("n",)
    with pytest.raises(ModelError, match="can't infer -1"):
        specialize(loaded, {**inputs, "n": np.array([5])})


def test_specialize_gives_up_on_shapes_from_computed_data() -> None:
    text = """<ir_version: 10, opset_import: ["": 21]>
        g (float[a] x) => (float[] y) { e = Exp (x)\n i = Cast <to = 7> (e)\n [r] y = Expand (x, i) }"""
    with pytest.raises(DataDependentError, match=r"r \(Expand\)"):
        specialize(load_model(parser.parse_model(text)), {"x": np.ones(1, np.float32)})


def test_specialize_wants_every_input() -> None:
    text = '<ir_version: 10, opset_import: ["": 21]> g (float[2] x, float[2] z) => (float[2] y) { y = Add (x, z) }'
    with pytest.raises(UsageError, match="no array is given for input 'z'"):
        specialize(load_model(parser.parse_model(text)), {"x": np.ones(2, np.float32)})
