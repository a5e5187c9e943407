"""The zoo: architectures, determinism, and outputs that are worth comparing."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.zoo import build, inputs, names, parameter_count, registry, samples, sanity, seeds, shipped
from benchmarks.zoo.builder import Net

# Cheap to build and to evaluate with NumPy.
SMALL = ("mlp_tiny", "mlp", "lstm")
LIGHT = (*SMALL, "squeezenet1_1", "mobilenet_v2", "efficientnet_b0", "googlenet", "deit_tiny", "yolov8n_320")

checker: Any = onnx.checker

needs_onnxruntime = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="needs onnxruntime (extra `compare`)"
)


def digest(model: onnx.ModelProto) -> str:
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def stored(name: str) -> onnx.ModelProto:
    """The shipped graph as it lies in the repository, without weights."""
    return onnx.ModelProto.FromString((shipped.GRAPHS / f"{name}.onnx").read_bytes())


def signature(value: onnx.ValueInfoProto) -> tuple[int, list[int | str]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [d.dim_param or d.dim_value for d in tensor.shape.dim]


def fits(value: onnx.ValueInfoProto, array: samples.Array) -> bool:
    """Whether `array` has the type of `value`, symbolic dims taking any extent."""
    dtype, shape = signature(value)
    return (
        helper.tensor_dtype_to_np_dtype(dtype) == array.dtype
        and len(shape) == array.ndim
        and all(isinstance(d, str) or d == n for d, n in zip(shape, array.shape, strict=True))
    )


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large weights as inputs: the checker copies what it checks several times over."""
    graph = model.graph
    large = [w for w in graph.initializer if np.prod(w.dims) > 1000]
    weights = [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in large]
    kept = [w for w in graph.initializer if np.prod(w.dims) <= 1000]
    small = helper.make_graph(graph.node, graph.name, [*graph.input, *weights], graph.output, kept)
    return helper.make_model(small, opset_imports=model.opset_import, ir_version=model.ir_version)


@pytest.mark.parametrize("name", names())
def test_architecture(name: str) -> None:
    model = build(name)
    assert parameter_count(model) == registry.entry(name).parameters
    feeds = inputs(name)
    assert {v.name: fits(v, feeds[v.name]) for v in model.graph.input} == dict.fromkeys(feeds, True)
    for weight in model.graph.initializer:
        size = helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize
        assert len(weight.raw_data) == np.prod(weight.dims) * size or np.prod(weight.dims) <= 1000
    checker.check_model(without_weights(model), full_check=True)


@pytest.mark.parametrize("name", LIGHT)
def test_builds_are_deterministic(name: str) -> None:
    assert digest(build(name, seed=3)) == digest(build(name, seed=3)) != digest(build(name, seed=4))


@pytest.mark.parametrize("name", names())
def test_inputs_are_deterministic(name: str) -> None:
    first, again, other = inputs(name, 3), inputs(name, 3), inputs(name, 4)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert any(not np.array_equal(first[key], other[key]) for key in first)


def test_builder_infers_the_shapes_that_onnx_infers() -> None:
    """The intermediate shapes follow from the operators; the declared output shapes must agree."""
    for name in ("squeezenet1_1", "googlenet", "yolov8n_320", "unet", "lstm"):
        model = build(name)
        declared = {v.name: signature(v) for v in model.graph.output}
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        assert {v.name: signature(v) for v in inferred.graph.output} == declared


def test_batch_normalisation_stays_a_node_with_its_own_statistics() -> None:
    model = build("resnet50")
    nodes = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    assert len(nodes) == 53
    for node in nodes:
        _, scale, shift, mean, variance = node.input
        assert weights[variance].min() > 0
        assert all(weights[key].std() > 0.01 for key in (scale, shift, mean, variance))


@pytest.mark.parametrize("name", ["mlp_tiny", "mlp", "squeezenet1_1"])
def test_outputs_are_sane_by_the_reference(name: str) -> None:
    first, second = sanity.run_reference(build(name), inputs(name, 1), inputs(name, 2))
    assert [s.fault for s in sanity.spreads(first, second)] == [""]


@needs_onnxruntime
@pytest.mark.parametrize("name", LIGHT)
def test_outputs_are_sane(name: str) -> None:
    assert {s.output: s.fault for s in sanity.check(name) if s.fault} == {}


@needs_onnxruntime
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(names()) - set(LIGHT)))
def test_outputs_are_sane_slow(name: str) -> None:
    assert {s.output: s.fault for s in sanity.check(name) if s.fault} == {}


@needs_onnxruntime
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert_base", "gpt2_decode"])
def test_both_exporters_graphs_compute_the_same(name: str) -> None:
    feeds = inputs(name, 5)
    fixed, dynamic = (sanity.run(build(graph), feeds)[0] for graph in (name, f"{name}_dynamic"))
    assert list(fixed) == list(dynamic)
    for key, value in fixed.items():
        np.testing.assert_allclose(dynamic[key], value, atol=1e-4)


@pytest.mark.parametrize(
    ("output", "other", "fault"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "not finite"),
        (np.zeros(4), np.ones(4), "standard deviation 0 outside"),
        (np.arange(4.0), np.arange(4.0) + 1, "nearly the same for two inputs"),
        (np.arange(100.0), np.zeros(100), "standard deviation 28.9 outside"),
    ],
)
def test_faults_are_found(output: samples.Array, other: samples.Array, fault: str) -> None:
    (spread,) = sanity.spreads({"y": output}, {"y": other})
    assert spread.fault.startswith(fault)


def test_amplified_noise_is_a_fault() -> None:
    values = seeds.normal(0, "a", (100,))
    noisy = values + seeds.normal(0, "b", (100,), std=0.5)
    (spread,) = sanity.spreads({"y": values}, {"y": seeds.normal(0, "c", (100,))}, {"y": noisy})
    assert spread.fault.startswith("noise is amplified")


def test_graphs_of_one_network_share_their_weights() -> None:
    """Whatever the exporter called or transposed them."""
    fills = [
        {
            (fill.parameter, fill.shape, fill.mean, fill.std)
            for tensor in stored(name).graph.initializer
            if (fill := shipped.fill_of(tensor))
        }
        for name in ("gpt2_prefill", "gpt2_decode", "gpt2_decode_dynamic", "bert_base", "bert_base_dynamic")
    ]
    assert fills[0] == fills[1] == fills[2] != fills[3] == fills[4]


def test_shipped_graphs_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in shipped.GRAPHS.glob("*.onnx")}
    assert len(sizes) == 7
    assert max(sizes.values()) < 500_000


def test_dynamic_graph_keeps_its_symbols() -> None:
    model = stored("bert_base_dynamic")
    assert all(signature(v) == (TensorProto.INT64, ["batch", "seq"]) for v in model.graph.input)
    assert signature(model.graph.output[0]) == (TensorProto.FLOAT, ["batch", "seq", 768])


def test_a_growing_cache_has_open_dims() -> None:
    model = stored("gpt2_decode_dynamic")
    past, total = "past_sequence_length", "past_sequence_length + sequence_length"
    shapes = {v.name: signature(v)[1] for v in (*model.graph.input, *model.graph.output)}
    assert shapes["past_key_values.11.value"] == ["batch_size", 12, past, 64]
    assert shapes["present.11.value"] == ["batch_size", 12, total, 64]
    assert shapes["attention_mask"] == ["batch_size", total]


def test_transposed_fill() -> None:
    fill = shipped.Fill("w", (3, 5), 1.0, 0.5)
    turned = shipped.Fill("w", (3, 5), 1.0, 0.5, transposed=True)
    assert np.array_equal(turned.values(7), fill.values(7).T)
    tensor = onnx.numpy_helper.from_array(turned.values(0), "w")
    shipped.strip(tensor, turned)
    assert not tensor.raw_data
    assert shipped.fill_of(tensor) == turned


def test_seeded_values_are_the_same_everywhere() -> None:
    """Pinned bits: they may not depend on the platform nor on the version of NumPy."""
    values = seeds.normal(0, "conv1.weight", (100_000,), std=0.02)
    assert hashlib.sha256(values.tobytes()).hexdigest()[:16] == "21d625f57bc1ffc4"
    ids = seeds.integers(0, "input_ids", (1000,), low=5, high=30_522)
    assert hashlib.sha256(ids.tobytes()).hexdigest()[:16] == "8717dcab84cbf03e"


def test_seeded_values_have_their_moments() -> None:
    values = seeds.normal(1, "x", (400, 500), mean=3.0, std=0.5)
    assert values.mean() == pytest.approx(3.0, abs=0.005)
    assert values.std() == pytest.approx(0.5, rel=0.005)
    standard = (values.ravel() - 3.0) / 0.5
    assert np.mean(standard**3) == pytest.approx(0.0, abs=0.02)
    assert np.mean(standard**4) == pytest.approx(2.7, abs=0.03)  # Irwin-Hall of order 4
    ids = seeds.integers(1, "x", (100_000,), low=-3, high=4)
    assert np.array_equal(np.unique(ids), np.arange(-3, 4))


def test_seeded_values_depend_on_name_and_seed_but_not_on_their_number() -> None:
    base = seeds.normal(0, "a", (70_000,))
    assert np.array_equal(seeds.normal(0, "a", (40_000,)), base[:40_000])
    assert abs(np.corrcoef(base, seeds.normal(0, "b", (70_000,)))[0, 1]) < 0.02
    assert abs(np.corrcoef(base, seeds.normal(1, "a", (70_000,)))[0, 1]) < 0.02


def test_images_are_smooth_and_normalised() -> None:
    image = samples.natural_image(0, 3, 64)[0]
    assert image.mean(axis=(1, 2)) == pytest.approx(0.0, abs=1e-5)
    assert image.std(axis=(1, 2)) == pytest.approx(1.0, abs=1e-5)
    assert np.corrcoef(image[0, :, 1:].ravel(), image[0, :, :-1].ravel())[0, 1] > 0.7


@pytest.mark.parametrize("length", [8, 37, 128])
def test_sentence_pairs_are_well_formed(length: int) -> None:
    feeds = samples.sentence_pairs(5, 4, length)
    ids, mask, segments = (feeds[k] for k in ("input_ids", "attention_mask", "token_type_ids"))
    lengths = mask.sum(axis=1)
    assert np.array_equal(mask, np.arange(length) < lengths[:, None])
    assert (ids[mask == 0] == 0).all()
    assert (ids[:, 0] == 101).all()
    assert ((ids == 102).sum(axis=1) == 2).all()
    assert all(row[n - 1] == 102 for row, n in zip(ids, lengths, strict=True))
    assert (segments[mask == 0] == 0).all()
    assert (np.diff(segments, axis=1).clip(0).sum(axis=1) == 1).all()


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'resnet50'"):
        build("resnet-50")


def test_only_the_last_result_becomes_an_output() -> None:
    net = Net("n", 0)
    x = net.input("x", (1, 4))
    y = net.relu(x)
    net.relu(y)
    with pytest.raises(ValueError, match="'relu' is not the last"):
        net.output("y", y)


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.zoo"]
    model, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    subprocess.run([*command, "build", "mlp_tiny", "-o", model, "--seed", "2", "--inputs", data], check=True)
    assert digest(onnx.ModelProto.FromString(model.read_bytes())) == digest(build("mlp_tiny", seed=2))
    assert np.array_equal(np.load(data)["input"], inputs("mlp_tiny", 2)["input"])
    listed = subprocess.run([*command, "list"], check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == list(names())
    assert "25,557,032" in listed
    assert subprocess.run([*command, "build", "nothing", "-o", model], capture_output=True).returncode == 2
