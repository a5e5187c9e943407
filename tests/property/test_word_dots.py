"""Integer products in words: the same numbers as the reference, whatever instructions there are for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from xdsl.dialects.builtin import ModuleOp, i32

import mlc
from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.dialects.interpreters import run_function
from mlc.dialects.parts import PARTS, UI8
from mlc.frontends.onnx.import_ import ImportedModel, import_model
from mlc.frontends.onnx.load import load_model
from mlc.lowering.graph.word_dots import WordDotsPass, kinds_of
from mlc.registry import make_context
from mlc.testing.kernels import TARGETS, program, run_kernels

Array = np.ndarray[Any, np.dtype[Any]]

MACHINES = (*TARGETS, "x86-64-v4")
BYTES = (np.uint8, np.int8)
DEPTHS = st.sampled_from((1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33))
COLUMNS = st.sampled_from((1, 3, 4, 8, 15, 16, 17, 32, 33))


def numbers(random: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Bytes of all sizes, the extremes among them often."""
    info = np.iinfo(dtype)
    drawn = random.integers(info.min, info.max + 1, shape)
    ends = random.choice([info.min, info.max], shape)
    return np.where(random.random(shape) < 0.3, ends, drawn).astype(dtype)


def model(kind: str, x: Array, w: Array, zeros: dict[str, Array], given: set[str], **attributes: Any) -> ModelProto:
    """``kind`` of an input and a constant; zero points are constants, or inputs where ``given``."""
    element = helper.np_dtype_to_tensor_dtype
    names = [name if name in zeros else "" for name in ("a", "b")]
    inputs = {"x": x, **{name: zeros[name] for name in given}}
    constants = {"w": w, **{name: zero for name, zero in zeros.items() if name not in given}}
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "w", *names], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info(n, element(v.dtype), v.shape) for n, v in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8)


@st.composite
def products(draw: st.DrawFn) -> tuple[ModelProto, dict[str, Array]]:
    """A MatMulInteger or ConvInteger, and inputs for it."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    left, right = draw(st.sampled_from(BYTES)), draw(st.sampled_from(BYTES))
    depth, columns = draw(DEPTHS), draw(COLUMNS)
    zeros: dict[str, Array] = {}
    if draw(st.booleans()):
        zeros["a"] = np.array(numbers(random, (), left))
    if "a" in zeros and draw(st.booleans()):
        zeros["b"] = np.array({np.uint8: 128, np.int8: 0}[right] if draw(st.booleans()) else numbers(random, (), right))
        zeros["b"] = zeros["b"].astype(right)
    runtime = {"a"} & zeros.keys() if draw(st.booleans()) else set[str]()
    attributes: dict[str, Any] = {}
    if draw(st.booleans()):
        kind, shape = "MatMulInteger", (*draw(st.sampled_from([(), (2,)])), draw(st.integers(1, 9)), depth)
        weights = numbers(random, (depth, columns), right)
    else:
        rank = draw(st.integers(1, 2))
        kind, shape = "ConvInteger", (draw(st.integers(1, 2)), depth, *random.integers(5, 10, rank))
        window = random.integers(1, 4, rank)
        weights = numbers(random, (columns, depth, *window), right)
        attributes = {
            "pads": random.integers(0, 2, 2 * rank).tolist(),
            "strides": random.integers(1, 3, rank).tolist(),
            "dilations": random.integers(1, 3, rank).tolist(),
        }
    x = numbers(random, tuple(map(int, shape)), left)
    feeds: dict[str, Array] = {"x": x, **{name: zeros[name] for name in runtime}}
    return model(kind, x, weights, zeros, runtime, **attributes), feeds


def reference(found: ImportedModel, feeds: dict[str, Array]) -> Array:
    arrays = [feeds[info.name] for info in found.inputs]
    return run_function(found.module, arrays, weights=lambda ref, _: found.weights.array(ref.key.data))[0]


def members(module: ModuleOp) -> set[str]:
    return {op.name for op in module.walk()}


@given(products())
@settings(max_examples=40, deadline=None)
def test_the_pass_keeps_the_meaning(case: tuple[ModelProto, dict[str, Array]]) -> None:
    made, feeds = case
    expected = reference(import_model(load_model(made.SerializeToString())), feeds)
    for target in ("x86-64:cascadelake", "aarch64::+dotprod", "x86-64-v3"):
        found = import_model(load_model(made.SerializeToString()))
        WordDotsPass(target=target).apply(make_context(weights=found.weights), found.module)
        found.module.verify()
        np.testing.assert_array_equal(reference(found, feeds), expected)


@given(products())
@settings(max_examples=12, deadline=None)
def test_compiled_products_are_exact(case: tuple[ModelProto, dict[str, Array]]) -> None:
    made, feeds = case
    expected = reference(import_model(load_model(made.SerializeToString())), feeds)
    for target in MACHINES:
        net = mlc.compile(made, target=target, threads=1, cache=False)
        np.testing.assert_array_equal(net.run(feeds)["y"], expected)


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("parts", PARTS)
def test_words_on_every_machine(parts: str, target: str) -> None:
    """Also those of parts that the target has no instruction for."""
    random = np.random.default_rng(3)

    def words(*shape: int) -> Array:
        return numbers(random, (*shape[:-1], 4 * shape[-1]), np.uint8).view(np.int32)

    types = [tensor_type((5, 9), i32), tensor_type((9, 21), i32), tensor_type((1, 7, 8, 3), i32)]
    types.append(tensor_type((2, 3, 3, 10), i32))
    strides = {"strides": (1, 2), "dilations": (2, 1)}
    module = program(
        types,
        lambda b, v: [
            b(hlt.DotWordsOp(v[0], v[1], parts=parts)),
            b(hlt.ConvWordsOp(v[2], v[3], **strides, parts=parts)),
        ],
    )
    arrays = [words(*t.get_shape()) for t in types]
    for result, right in zip(run_kernels(module, arrays, target=target), run_function(module, arrays), strict=True):
        np.testing.assert_array_equal(result, right)


def test_which_words_targets_take() -> None:
    assert kinds_of(find_target("x86-64:cascadelake")) == ["u8i8", "i16i16"]
    assert kinds_of(find_target("x86-64-v1")) == ["i16i16"]
    assert kinds_of(find_target("aarch64")) == []
    assert kinds_of(find_target("aarch64:cortex-a76")) == ["i8i8"]
    assert kinds_of(find_target("aarch64::+i8mm,+dotprod")) == ["u8i8", "i8i8"]


@pytest.mark.parametrize(("weights", "zero", "taken"), [(200, 128, True), (200, 3, False), (100, 3, True)])
def test_weights_that_leave_their_type_less_the_zero_point(weights: int, zero: int, taken: bool) -> None:
    """Unsigned weights fit words of signed ones if what is left of them does."""
    w = np.full((8, 4), weights, np.uint8)
    x = np.ones((2, 8), np.uint8)
    made = model("MatMulInteger", x, w, {"a": np.array(1, np.uint8), "b": np.array(zero, np.uint8)}, set())
    found = import_model(load_model(made.SerializeToString()))
    WordDotsPass(target="x86-64-v4::+avx512vnni").apply(make_context(weights=found.weights), found.module)
    kinds = {op.parts for op in found.module.walk() if isinstance(op, hlt.DotWordsOp)}
    assert kinds == ({"u8i8"} if taken else {"i16i16"})


@pytest.mark.parametrize("target", ["x86-64:cascadelake", "aarch64::+dotprod", "x86-64-v3"])
@pytest.mark.parametrize(("zero", "less"), [(300, 0), (-70000, 5), (7, 40000), (2**31 - 1, -3), (-128, 255)])
def test_zero_points_are_any_numbers(zero: int, less: int, target: str) -> None:
    random = np.random.default_rng(5)
    kernel = numbers(random, (2, 2, 3), np.int8)

    def build(b: Any, v: Any) -> Any:
        wide = b(hlt.CastOp(v[0], dtype=i32))
        x = b(hlt.SubOp(wide, b(hlt.ConstantOp(np.full((1, 2, 5), zero, np.int32)))))
        w = b(hlt.CastOp(b(hlt.ConstantOp(kernel)), dtype=i32))
        w = b(hlt.SubOp(w, b(hlt.ConstantOp(np.full((2, 2, 3), less, np.int32)))))
        return b(hlt.ConvOp(x, w, pads_low=[1], pads_high=[1]))

    module = program([tensor_type((1, 2, 5), UI8)], build)
    x = numbers(random, (1, 2, 5), np.uint8)
    before = run_function(module, [x])
    WordDotsPass(target=target).apply(make_context(), module)
    module.verify()
    np.testing.assert_array_equal(run_function(module, [x])[0], before[0])
