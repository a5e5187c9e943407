"""Opset conversion: the table of steps is complete, and converted nodes mean what the old ones meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, defs, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.load import LoadedModel, load_model
from mlc.frontends.onnx.opset import INTERNAL_OPSET
from mlc.frontends.onnx.opset_steps import STEPS

Array = NDArray[Any]
FLOAT = TensorProto.FLOAT

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))

COMPATIBLE = {
    ("Clip", 6): "the new defaults of min and max are the extremes of float32",
    ("GRU", 3): "the old default of direction was a misspelling of the same",
    ("MaxPool", 8): "a second output may be asked for",
    ("LpPool", 18): "ceil_mode and dilations are new, off by default",
}
"""Changes of form that keep the meaning of all older nodes."""


def schemas() -> Iterator[tuple[defs.OpSchema, defs.OpSchema]]:
    """Each operator of the default domain, before and after each of its changes."""
    history: dict[str, dict[int, defs.OpSchema]] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, {})[schema.since_version] = schema
    for versions in history.values():
        ordered = sorted(versions)
        yield from ((versions[a], versions[b]) for a, b in pairwise(ordered))


def breaks(old: defs.OpSchema, new: defs.OpSchema) -> list[str]:
    """What keeps a node of the old form from being one of the new form, with the same meaning."""
    optional = defs.OpSchema.FormalParameterOption.Single
    reasons = [f"input {p.name} is gone" for p in old.inputs[len(new.inputs) :]]
    reasons += [f"input {p.name} is needed" for p in new.inputs[len(old.inputs) :] if p.option == optional]
    reasons += [
        f"input {p.name} changed"
        for p, q in zip(old.inputs, new.inputs)
        if p.option != q.option and q.option == optional
    ]
    if len(old.outputs) > len(new.outputs):
        reasons.append("outputs are gone")
    for name, attribute in old.attributes.items():
        other = new.attributes.get(name)
        if name == "consumed_inputs":
            continue
        if other is None:
            reasons.append(f"attribute {name} is gone")
        elif other.type != attribute.type or (other.required and not attribute.required):
            reasons.append(f"attribute {name} changed")
        elif other.default_value != attribute.default_value:
            reasons.append(f"default of {name} changed")
    reasons += [f"attribute {n} is needed" for n, a in new.attributes.items() if a.required and n not in old.attributes]
    if new.deprecated:
        reasons.append("deprecated")
    return reasons


def test_each_incompatible_change_of_onnx_has_a_step() -> None:
    missing = {
        f"{new.name} {new.since_version}": why
        for old, new in schemas()
        if (why := breaks(old, new)) and (new.name, new.since_version) not in {**STEPS, **COMPATIBLE}
    }
    assert missing == {}


def test_nothing_incompatible_happened_after_the_internal_opset() -> None:
    later = [new for _, new in schemas() if new.since_version > INTERNAL_OPSET]
    assert all(not breaks(old, new) for old, new in schemas() if new in later)
    assert all(version <= INTERNAL_OPSET for _, version in STEPS)


def test_each_step_belongs_to_a_version_of_its_operator() -> None:
    known = {(s.name, s.since_version) for s in defs.get_all_schemas_with_history() if s.domain == ""}
    known |= {("Scan", 9)}
    assert set(STEPS) <= known


def build(
    opset: int,
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array] | None = None,
    ranks: bool = True,
) -> onnx.ModelProto:
    """A model of some nodes whose output is ``y``.

    Without ``ranks`` nothing says what ranks its values have.
    """

    def value(name: str, array: Array) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, kind, array.shape if ranks else None)

    graph = helper.make_graph(
        nodes,
        "g",
        [value(name, array) for name, array in inputs.items()],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def check_nodes(loaded: LoadedModel) -> None:
    """Check each node of the main graph against the schema of its operator."""
    context = onnx.checker.DEFAULT_CONTEXT
    context.opset_imports = loaded.opset
    for each in loaded.proto.graph.node:
        if not each.domain:
            onnx.checker.check_node(each, context)


def run(loaded: LoadedModel, inputs: Mapping[str, Array], output: str = "y") -> Array:
    """Evaluate a converted model by onnx's reference."""
    assert loaded.opset[""] >= INTERNAL_OPSET
    evaluator = cast("Any", ReferenceEvaluator(loaded.proto))
    return np.asarray(evaluator.run([output], dict(inputs))[0])


def node(op: str, *inputs: str, outputs: tuple[str, ...] = ("y",), **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), list(outputs), **attributes)


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
V3 = np.array([1, 2, 3], np.float32)
I4 = np.eye(4, dtype=np.float32)


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


CASES: dict[str, tuple[int, onnx.NodeProto, dict[str, Array], dict[str, Array], Array]] = {
    "relu": (1, node("Relu", "x", consumed_inputs=[0]), {"x": X}, {}, np.maximum(X, 0)),
    "add_axis": (6, node("Add", "x", "b", broadcast=1, axis=1), {"x": X}, {"b": V3}, X + V3[:, None, None]),
    "add_axis_negative": (6, node("Mul", "x", "b", broadcast=1, axis=-3), {"x": X}, {"b": V3}, X * V3[:, None, None]),
    "add_suffix": (6, node("Sub", "x", "b", broadcast=1), {"x": X}, {"b": X[0, 0]}, X - X[0, 0]),
    "prelu": (6, node("PRelu", "x", "b"), {"x": X}, {"b": V3}, np.where(X < 0, X * V3[:, None, None], X)),
    "softmax_middle": (9, node("Softmax", "x", axis=2), {"x": X}, {}, softmax(X, (2, 3))),
    "softmax_default": (11, node("Softmax", "x"), {"x": X}, {}, softmax(X, (1, 2, 3))),
    "softmax_last": (9, node("Softmax", "x", axis=3), {"x": X}, {}, softmax(X, (3,))),
    "log_softmax": (12, node("LogSoftmax", "x", axis=1), {"x": X}, {}, np.log(softmax(X, (1, 2, 3)))),
    "clip": (6, node("Clip", "x", min=-0.5, max=0.25), {"x": X}, {}, X.clip(-0.5, 0.25)),
    "clip_max": (10, node("Clip", "x", max=0.25), {"x": X}, {}, np.minimum(X, np.float32(0.25))),
    "clip_f64": (6, node("Clip", "x", min=0.0), {"x": X.astype(np.float64)}, {}, np.maximum(X, 0).astype(np.float64)),
    "concat": (1, node("Concat", "x", "x"), {"x": X}, {}, np.concatenate([X, X], 1)),
    "cast": (1, node("Cast", "x", to="INT32"), {"x": X}, {}, X.astype(np.int32)),
    "cast_int": (6, node("Cast", "x", to=7), {"x": X}, {}, X.astype(np.int64)),
    "dropout": (6, node("Dropout", "x", outputs=("y", "mask"), is_test=1, ratio=0.3), {"x": X}, {}, X),
    "dropout_10": (10, node("Dropout", "x", ratio=0.3), {"x": X}, {}, X),
    "gemm": (
        6,
        node("Gemm", "x", "w", "c", broadcast=1),
        {"x": X[0, 0]},
        {"w": np.eye(5, dtype=np.float32), "c": X[0, 0, 0]},
        X[0, 0] + X[0, 0, 0],
    ),
    "pad_1": (
        1,
        node("Pad", "x", paddings=[0, 1, 0, 2], value=2.0),
        {"x": I4},
        {},
        np.pad(I4, ((0, 0), (1, 2)), constant_values=2),
    ),
    "pad_2": (9, node("Pad", "x", pads=[1, 0, 0, 1]), {"x": I4}, {}, np.pad(I4, ((1, 0), (0, 1)))),
    "reshape": (1, node("Reshape", "x", shape=[6, -1]), {"x": X}, {}, X.reshape(6, -1)),
    "reduce_mean": (11, node("ReduceMean", "x", axes=[1, 2], keepdims=0), {"x": X}, {}, X.mean((1, 2))),
    "reduce_max_all": (12, node("ReduceMax", "x"), {"x": X}, {}, X.max(keepdims=True)),
    "reduce_sum": (11, node("ReduceSum", "x", axes=[-1]), {"x": X}, {}, X.sum(-1, keepdims=True)),
    "selu": (1, node("Selu", "x"), {"x": X}, {}, 1.0507 * np.where(X > 0, X, 1.6732 * (np.exp(X) - 1))),
    "slice": (9, node("Slice", "x", starts=[1, 0], ends=[3, 9], axes=[1, 3]), {"x": X}, {}, X[:, 1:3]),
    "slice_no_axes": (1, node("Slice", "x", starts=[1], ends=[2]), {"x": X}, {}, X[1:2]),
    "split": (11, node("Split", "x", outputs=("y", "z"), axis=2, split=[1, 3]), {"x": X}, {}, X[:, :, :1]),
    "split_even": (13, node("Split", "x", outputs=("y", "z"), axis=2), {"x": X}, {}, X[:, :, :2]),
    "split_input": (
        1,
        node("Split", "x", "s", outputs=("y", "z"), axis=3),
        {"x": X},
        {"s": np.array([2, 3])},
        X[..., :2],
    ),
    "squeeze": (11, node("Squeeze", "x", axes=[0]), {"x": X[:1]}, {}, X[0]),
    "squeeze_all": (1, node("Squeeze", "x"), {"x": X[:1, :1]}, {}, X[0, 0]),
    "unsqueeze": (9, node("Unsqueeze", "x", axes=[0, 2]), {"x": V3}, {}, V3[None, :, None]),
    "tile": (1, node("Tile", "x", "t", "a"), {"x": X}, {"t": f32(2), "a": f32(1)}, np.tile(X, (1, 2, 1, 1))),
    "topk": (1, node("TopK", "x", outputs=("y", "i"), k=2), {"x": X}, {}, -np.sort(-X, -1)[..., :2]),
    "upsample_1": (
        1,
        node("Upsample", "x", height_scale=3.0, width_scale=2.0, mode="nearest"),
        {"x": X},
        {},
        X.repeat(3, 2).repeat(2, 3),
    ),
    "upsample_7": (7, node("Upsample", "x", scales=[1.0, 1.0, 3.0, 2.0]), {"x": X}, {}, X.repeat(3, 2).repeat(2, 3)),
    "upsample_9": (9, node("Upsample", "x", "s"), {"x": X}, {"s": f32(1, 1, 3, 2)}, X.repeat(3, 2).repeat(2, 3)),
    "upsample_10": (10, node("Upsample", "x", "s"), {"x": X}, {"s": f32(1, 1, 3, 2)}, X.repeat(3, 2).repeat(2, 3)),
    "resize_down": (
        10,
        node("Resize", "x", "s"),
        {"x": np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)},
        {"s": f32(1, 1, 0.6, 0.6)},
        np.array([[[[1, 3]]]], np.float32),
    ),
    "resize_linear": (
        10,
        node("Resize", "x", "s", mode="linear"),
        {"x": np.array([[[[1, 3]]]], np.float32)},
        {"s": f32(1, 1, 1, 2)},
        np.array([[[[1, 2, 3, 3]]]], np.float32),
    ),
    "resize_sizes": (
        11,
        node("Resize", "x", "r", "r", "s"),
        {"x": X},
        {"r": np.zeros(0, np.float32), "s": np.array([2, 3, 8, 5])},
        X.repeat(2, 2),
    ),
    "scatter": (9, node("Scatter", "x", "i", "u", axis=0), {"x": V3}, {"i": np.array([1]), "u": f32(9)}, f32(1, 9, 3)),
    "scatter_11": (
        11,
        node("Scatter", "x", "i", "u", axis=0),
        {"x": V3},
        {"i": np.array([1]), "u": f32(9)},
        f32(1, 9, 3),
    ),
    "dft": (
        17,
        node("DFT", "x"),
        {"x": X[..., :1]},
        {},
        np.stack([np.fft.fft(X[..., 0], axis=1).real, np.fft.fft(X[..., 0], axis=1).imag], -1),
    ),
}

STATS = {name: np.abs(RNG.standard_normal(3)).astype(np.float32) for name in ("scale", "bias", "mean", "var")}
NORMAL = (X - STATS["mean"][:, None, None]) / np.sqrt(STATS["var"][:, None, None] + np.float32(1e-5))
AFFINE = NORMAL * STATS["scale"][:, None, None] + STATS["bias"][:, None, None]
for version, attributes in {
    1: {"consumed_inputs": [0, 0, 0, 1, 1], "is_test": 1},
    6: {"is_test": 1},
    7: {},
    9: {},
}.items():
    outputs = ("y",) if version > 6 else ("y", "m", "v", "sm", "sv")
    bn = node("BatchNormalization", "x", *STATS, outputs=outputs, **attributes)
    CASES[f"batch_norm_{version}"] = (version, bn, {"x": X}, STATS, AFFINE)
FULL = {name: np.abs(RNG.standard_normal((3, 4, 5))).astype(np.float32) for name in STATS}
CASES["batch_norm_per_activation"] = (
    7,
    node("BatchNormalization", "x", *FULL, spatial=0, epsilon=1e-3),
    {"x": X},
    FULL,
    (X - FULL["mean"]) / np.sqrt(FULL["var"] + np.float32(1e-3)) * FULL["scale"] + FULL["bias"],
)


@pytest.mark.parametrize("ranks", [True, False], ids=["ranked", "unranked"])
@pytest.mark.parametrize("case", sorted(CASES))
def test_converted_nodes_mean_the_same(case: str, ranks: bool) -> None:
    opset, old, inputs, constants, expected = CASES[case]
    loaded = load_model(build(opset, [old], inputs, constants, ranks))
    check_nodes(loaded)
    result = run(loaded, inputs)
    assert result.dtype == expected.dtype or case == "selu"
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=1e-6)


def test_group_norm_per_group() -> None:
    x = X.repeat(2, 1)
    scale, bias = np.array([1, 2], np.float32), np.array([3, -1], np.float32)
    old = node("GroupNormalization", "x", "s", "b", num_groups=2)
    loaded = load_model(build(18, [old], {"x": x}, {"s": scale, "b": bias}))
    grouped = x.reshape(2, 2, -1)
    normal = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    expected = (normal * scale[:, None] + bias[:, None]).reshape(x.shape)
    np.testing.assert_allclose(run(loaded, {"x": x}), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("opset", "old", "attribute", "value"),
    [
        (10, node("RoiAlign", "x", "r", "i"), "coordinate_transformation_mode", b"output_half_pixel"),
        (16, node("GridSample", "x", "r", mode="bicubic"), "mode", b"cubic"),
        (16, node("GridSample", "x", "r"), "mode", b"linear"),
        (1, node("LpPool", "x", kernel_shape=[2, 2], p=3.0), "p", 3),
        (1, node("GlobalLpPool", "x"), "p", 2),
    ],
)
def test_attributes_are_translated(opset: int, old: onnx.NodeProto, attribute: str, value: object) -> None:
    inputs = {"x": X, "r": X[0, 0, :, :4], "i": np.zeros(4, np.int64)}
    loaded = load_model(build(opset, [old], inputs))
    check_nodes(loaded)
    (new,) = loaded.proto.graph.node
    assert {a.name: helper.get_attribute_value(a) for a in new.attribute}[attribute] == value


def test_recurrent_cells_lose_output_sequence() -> None:
    w, r = np.zeros((1, 4, 5), np.float32), np.zeros((1, 4, 4), np.float32)
    old = node("RNN", "x", "w", "r", hidden_size=4, output_sequence=1)
    loaded = load_model(build(1, [old], {"x": X[0]}, {"w": w, "r": r}))
    check_nodes(loaded)
    assert [a.name for a in loaded.proto.graph.node[0].attribute] == ["hidden_size"]


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_the_classic_models_convert(path: Path) -> None:
    loaded = load_model(path)
    assert loaded.opset == {"": INTERNAL_OPSET}
    assert loaded.name == path.stem
    check_nodes(loaded)
    inferred = onnx.shape_inference.infer_shapes(loaded.proto, check_type=True, strict_mode=True)
    assert inferred.graph.output[0].type == ModelProto.FromString(path.read_bytes()).graph.output[0].type


def test_inner_graphs_and_functions_convert() -> None:
    body = helper.make_graph(
        [node("ReduceSum", "x", outputs=("s",), axes=[0], keepdims=0)],
        "body",
        [],
        [helper.make_empty_tensor_value_info("s")],
    )
    calls = [
        node("If", "c", then_branch=body, else_branch=body),
        node("twice", "y", outputs=("z",), domain="f", to=[0]),
    ]
    model = build(11, calls, {"x": X, "c": np.array(True)})
    squeeze = node("Unsqueeze", "a", outputs=("b",))
    squeeze.attribute.add(name="axes", ref_attr_name="to", type=onnx.AttributeProto.INTS)
    opsets = [helper.make_opsetid("", 11)]
    model.functions.append(helper.make_function("f", "twice", ["a"], ["b"], [squeeze], opsets, ["to"]))
    model.opset_import.append(helper.make_opsetid("f", 1))
    model.graph.output[0].name = "z"
    loaded = load_model(model)
    result = run(loaded, {"x": X, "c": np.array(True)}, "z")
    np.testing.assert_allclose(result, X.sum(0)[None], rtol=1e-6)
    assert loaded.opset == {"": INTERNAL_OPSET, "f": 1}


def test_newer_models_keep_their_opset() -> None:
    newest = defs.onnx_opset_version()
    loaded = load_model(build(newest, [node("Relu", "x")], {"x": X}))
    assert loaded.opset == {"": newest}
    with pytest.raises(UnsupportedError, match=f"opset {newest + 1}; the installed onnx package knows {newest}"):
        load_model(build(newest + 1, [node("Relu", "x")], {"x": X}))


def test_models_from_before_opsets_are_of_opset_1() -> None:
    model = build(1, [node("Concat", "x", "x")], {"x": X})
    del model.opset_import[:]
    with pytest.raises(ModelError, match="does not say which opset"):
        load_model(model)
    model.ir_version = 2
    assert run(load_model(model), {"x": X}).shape == (2, 6, 4, 5)


def test_attributes_without_types() -> None:
    model = build(1, [node("Pad", "x", paddings=[0, 1, 0, 2], value=2.0)], {"x": I4})
    for attribute in model.graph.node[0].attribute:
        attribute.ClearField("type")
    result = run(load_model(model), {"x": I4})
    np.testing.assert_array_equal(result, np.pad(I4, ((0, 0), (1, 2)), constant_values=2))


def test_the_two_spellings_of_the_default_domain() -> None:
    model = build(11, [helper.make_node("Softmax", ["x"], ["y"], domain="ai.onnx")], {"x": X})
    model.opset_import[0].domain = "ai.onnx"
    np.testing.assert_allclose(run(load_model(model), {"x": X}), softmax(X, (1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("opset", "old", "error", "message"),
    [
        (9, node("Round", "x"), ModelError, "opset 9 has no such operator; it came with opset 11"),
        (8, node("Scan", "x", "x", num_scan_inputs=1), UnsupportedError, "sequence lengths of Scan"),
        (1, node("Split", "x"), ModelError, "'axis' is missing"),
        (1, node("Upsample", "x"), ModelError, "height_scale or width_scale is missing"),
        (1, node("Cast", "x", to="FLOTA"), ModelError, "no element type"),
        (1, node("Cast", "x", to=1), ModelError, "attribute 'to' is no string"),
        (6, node("Softmax", "x", axis=[1]), ModelError, "attribute 'axis' is no integer"),
        (6, node("Squeeze", "x", axes="1"), ModelError, "attribute 'axes' is neither a number nor"),
        (1, node("GlobalLpPool", "x", p=2.5), UnsupportedError, "no integer"),
        (18, node("GroupNormalization", "x", "x", "x"), ModelError, "num_groups is missing"),
    ],
)
def test_what_can_t_be_converted(opset: int, old: onnx.NodeProto, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_model(build(opset, [old], {"x": X}))


def test_training_outputs_that_are_used_are_refused() -> None:
    dropout = node("Dropout", "x", outputs=("d", "mask"))
    model = build(7, [dropout, node("Add", "d", "mask")], {"x": X})
    with pytest.raises(UnsupportedError, match="the mask 'mask' is used"):
        load_model(model)


def test_resizing_up_and_down_at_once_is_refused() -> None:
    scales = np.array([1, 1, 2, 0.5], np.float32)
    with pytest.raises(UnsupportedError, match="enlarges one dim and shrinks another"):
        load_model(build(10, [node("Resize", "x", "s")], {"x": X}, {"s": scales}))


BACKEND = Path(onnx.__file__).parent / "backend/test/data"
EXPORTED = sorted([*BACKEND.glob("pytorch-converted/*/model.onnx"), *BACKEND.glob("pytorch-operator/*/model.onnx")])


def stored_tensors(folder: Path, kind: str) -> list[Array]:
    paths = (folder / f"{kind}_{index}.pb" for index in range(len(list(folder.glob(f"{kind}_*.pb")))))
    return [numpy_helper.to_array(TensorProto.FromString(path.read_bytes())) for path in paths]


@pytest.mark.parametrize("path", EXPORTED, ids=lambda path: path.parent.name)
def test_models_exported_with_opset_6_compute_what_they_did(path: Path) -> None:
    """PyTorch's exports of 2018, with the inputs and outputs that onnx ships."""
    loaded = load_model(path)
    check_nodes(loaded)
    for tensor in loaded.proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(np.array(loaded.array(tensor)), tensor.name))
    data = path.parent / "test_data_set_0"
    constants = {tensor.name for tensor in loaded.proto.graph.initializer}
    names = [value.name for value in loaded.proto.graph.input if value.name not in constants]
    inputs = dict(zip(names, stored_tensors(data, "input"), strict=True))
    for value, expected in zip(loaded.proto.graph.output, stored_tensors(data, "output"), strict=True):
        np.testing.assert_allclose(run(loaded, inputs, value.name), expected, rtol=1e-3, atol=1e-4)


def test_the_exported_models_are_there() -> None:
    assert len(EXPORTED) > 100
