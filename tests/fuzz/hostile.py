"""The hostile corpus: models that ask for too much, contradict themselves, or reach for files that are not theirs.

Each case is a function that writes a model, with whatever lies beside it, into a folder and returns the model's path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, parser

Case = Callable[[Path], Path]

CASES: dict[str, Case] = {}
"""Every case by name."""

ALLOWED = {
    "gather-out-of-range",
    "lstm-of-no-hidden-state",
    "tile-to-nothing",
    "folded-splat-bomb",
    "loop-of-2^62-trips",
    "deep-chain",
    "loop-that-never-ends",
    "nan-attributes",
    "kernel-of-the-whole-image",
}
"""Cases that may compile: nothing is wrong with them but their looks. All others must be refused."""

HEADER = '<ir_version: 10, opset_import: ["" : 21, "f" : 1]>'


def _save(folder: Path, model: ModelProto | bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def case(name: str) -> Callable[[Case], Case]:
    """Add a function to the corpus."""

    def add(function: Case) -> Case:
        CASES[name] = function
        return function

    return add


def _text(name: str, text: str) -> None:
    """Add a model in ONNX's textual form, without its header."""
    CASES[name] = lambda folder: _save(folder, parser.parse_model(HEADER + text))


# --- attributes and shapes that contradict themselves

_CONV = "(float[1,4,8,8] x, float[4,4,3,3] w) => (float[1,4,6,6] y)"
_POOL = "(float[1,4,8,8] x) => (float[1,4,4,4] y)"
_SAME = "(float[4,6] x) => (float[4,6] y)"

for _name, _body in {
    "conv-of-no-groups": f"g {_CONV} {{ y = Conv<group=0>(x, w) }}",
    "conv-of-negative-groups": f"g {_CONV} {{ y = Conv<group=-4>(x, w) }}",
    "conv-of-groups-that-do-not-divide": f"g {_CONV} {{ y = Conv<group=3>(x, w) }}",
    "conv-of-stride-0": f"g {_CONV} {{ y = Conv<strides=[0,1]>(x, w) }}",
    "conv-of-negative-stride": f"g {_CONV} {{ y = Conv<strides=[-1,1]>(x, w) }}",
    "conv-of-dilation-0": f"g {_CONV} {{ y = Conv<dilations=[0,1]>(x, w) }}",
    "conv-of-huge-dilation": f"g {_CONV} {{ y = Conv<dilations=[4611686018427387904,1]>(x, w) }}",
    "conv-of-negative-pads": f"g {_CONV} {{ y = Conv<pads=[-9,-9,-9,-9]>(x, w) }}",
    "conv-of-huge-pads": f"g {_CONV} {{ y = Conv<pads=[1099511627776,0,1099511627776,0]>(x, w) }}",
    "conv-of-too-few-pads": f"g {_CONV} {{ y = Conv<pads=[1]>(x, w) }}",
    "conv-of-another-kernel-shape": f"g {_CONV} {{ y = Conv<kernel_shape=[5,5]>(x, w) }}",
    "conv-of-unknown-padding": f'g {_CONV} {{ y = Conv<auto_pad="MAYBE">(x, w) }}',
    "strings-for-an-operator-without-inputs": "g (string[4] x) => (float[4] y) { y = RandomUniform<shape=[4]>(x) }",
    "conv-of-one-operand": f"g {_CONV} {{ y = Conv(x) }}",
    "pool-of-kernel-0": f"g {_POOL} {{ y = MaxPool<kernel_shape=[0,2]>(x) }}",
    "pool-of-negative-kernel": f"g {_POOL} {{ y = AveragePool<kernel_shape=[-2,2]>(x) }}",
    "pool-of-stride-0": f"g {_POOL} {{ y = MaxPool<kernel_shape=[2,2], strides=[0,0]>(x) }}",
    "pool-of-huge-kernel": f"g {_POOL} {{ y = MaxPool<kernel_shape=[1099511627776,1099511627776]>(x) }}",
    "kernel-of-the-whole-image": "g (float[1,1,200,200] x, float[1,1,200,200] w) => (float[1,1,1,1] y)"
    " { y = Conv(x, w) }",
    "transpose-of-a-repeated-axis": f"g {_SAME} {{ y = Transpose<perm=[0,0]>(x) }}",
    "transpose-of-an-axis-that-is-not": f"g {_SAME} {{ y = Transpose<perm=[0,7]>(x) }}",
    "softmax-along-no-axis": f"g {_SAME} {{ y = Softmax<axis=9>(x) }}",
    "concat-of-other-shapes": "g (float[4,6] x, float[5,5] z) => (float[9,6] y) { y = Concat<axis=0>(x, z) }",
    "concat-of-nothing": f"g {_SAME} {{ y = Concat<axis=0>() }}",
    "matmul-of-other-shapes": "g (float[4,6] x, float[5,3] z) => (float[4,3] y) { y = MatMul(x, z) }",
    "add-of-other-shapes": "g (float[4,6] x, float[4,5] z) => (float[4,6] y) { y = Add(x, z) }",
    "add-of-other-types": "g (float[4] x, int64[4] z) => (float[4] y) { y = Add(x, z) }",
    "reshape-of-two-unknowns": f"g {_SAME} <int64[2] s = {{-1, -1}}> {{ y = Reshape(x, s) }}",
    "reshape-to-another-size": f"g {_SAME} <int64[2] s = {{5, 5}}> {{ y = Reshape(x, s) }}",
    "reshape-to-a-negative-size": f"g {_SAME} <int64[2] s = {{-4, -6}}> {{ y = Reshape(x, s) }}",
    "slice-of-step-0": f"g {_SAME} <int64[1] a = {{0}}, int64[1] b = {{4}}, int64[1] c = {{0}}>"
    " { y = Slice(x, a, b, a, c) }",
    "split-of-other-sizes": f"g {_SAME} <int64[2] s = {{9, -5}}> {{ y, z = Split<axis=0>(x, s) }}",
    "gather-out-of-range": f"g {_SAME} <int64[4] i = {{0, 1, 4, 9223372036854775807}}> {{ y = Gather<axis=0>(x, i) }}",
    "gather-of-a-constant-out-of-range": "g (float[1] x) => (float[1] y) <float[3] t = {1.,2.,3.}, int64[1] i = {77}>"
    " { z = Gather(t, i) y = Add(x, z) }",
    "top-k-of-too-many": f"g {_SAME} <int64[1] k = {{7}}> {{ y, i = TopK(x, k) }}",
    "top-k-of-far-too-many": "g (float[4294967296] x) => (float[2] y, int64[2] i) <int64[1] k = {2}>"
    " { y, i = TopK(x, k) }",
    "top-k-of-a-negative-number": f"g {_SAME} <int64[1] k = {{-1}}> {{ y, i = TopK(x, k) }}",
    "batch-norm-of-other-channels": "g (float[1,4,2,2] x, float[3] s) => (float[1,4,2,2] y)"
    " { y = BatchNormalization(x, s, s, s, s) }",
    "lstm-of-no-hidden-state": "g (float[3,1,2] x, float[1,0,2] w, float[1,0,0] r) => (float[3,1,1,0] y)"
    " { y = LSTM<hidden_size=0>(x, w, r) }",
    "lstm-of-other-weights": "g (float[3,1,2] x, float[1,8,3] w, float[1,8,2] r) => (float[3,1,1,2] y)"
    " { y = LSTM<hidden_size=2>(x, w, r) }",
    "einsum-that-is-no-equation": f'g {_SAME} {{ y = Einsum<equation="ij,->->k">(x) }}',
    "einsum-of-unknown-letters": f'g {_SAME} {{ y = Einsum<equation="ij->kl">(x) }}',
    "einsum-of-a-long-equation": f'g {_SAME} {{ y = Einsum<equation="{"i" * 100_000}->i">(x) }}',
    "cast-to-no-type": f"g {_SAME} {{ y = Cast<to=99>(x) }}",
    "cast-to-undefined": f"g {_SAME} {{ y = Cast<to=0>(x) }}",
    "nan-attributes": "g (float[1,4,2,2] x, float[4] s) => (float[1,4,2,2] y)"
    " { y = BatchNormalization<epsilon=nan>(x, s, s, s, s) }",
    "unknown-operator": f"g {_SAME} {{ y = Florble(x) }}",
    "unknown-domain": f"g {_SAME} {{ y = f.Florble(x) }}",
    "result-that-nobody-makes": f"g {_SAME} {{ z = Relu(x) }}",
    "value-that-nobody-makes": f"g {_SAME} {{ y = Relu(q) }}",
    "value-made-twice": f"g {_SAME} {{ y = Relu(x) y = Abs(x) }}",
    "cycle": f"g {_SAME} {{ a = Add(x, b) b = Relu(a) y = Abs(b) }}",
    "node-that-needs-itself": f"g {_SAME} {{ y = Add(x, y) }}",
    # --- much from little
    "input-of-2^80-elements": "g (float[1099511627776,1099511627776] x) => (float[1099511627776,1099511627776] y)"
    " { y = Relu(x) }",
    "input-of-4-terabytes": "g (float[1048576,1048576] x) => (float[1048576,1048576] y) { a = Relu(x) y = Exp(a) }",
    "constant-of-shape-bomb": "g (float[1] x) => (float[n] y) <int64[3] s = {100000, 100000, 10}>"
    " { c = ConstantOfShape(s) y = Add(x, c) }",
    "constant-of-negative-shape": "g (float[1] x) => (float[n] y) <int64[2] s = {-5, 3}>"
    " { c = ConstantOfShape(s) y = Add(x, c) }",
    "constant-result-bomb": "g (float[1] x) => (float[n,m] y) <int64[2] s = {100000, 100000}>"
    " { c = ConstantOfShape(s) y = Identity(c) }",
    "folded-constant-bomb": "g (float[1] x) => (float[1] y) <int64[2] s = {1000000, 100000}>"
    " { c = ConstantOfShape(s) d = Exp(c) e = ReduceSum<keepdims=0>(d) y = Add(x, e) }",
    "folded-splat-bomb": "g (float[1] x) => (float[1] y) <int64[2] s = {1, 2147483648}>"
    " { c = ConstantOfShape(s) d = Exp(c) e = ReduceSum<keepdims=0>(d) y = Add(x, e) }",
    "expand-bomb": "g (float[1] x) => (float[n,m] y) <int64[2] s = {1000000, 1000000}> { y = Expand(x, s) }",
    "range-bomb": "g (float[1] x) => (float[n] y) <float a = {0.}, float b = {1000000000000.}, float d = {1.}>"
    " { r = Range(a, b, d) y = Add(x, r) }",
    "range-of-step-0": "g (float[1] x) => (float[n] y) <float a = {0.}, float b = {1.}, float d = {0.}>"
    " { r = Range(a, b, d) y = Add(x, r) }",
    "range-of-nan": "g (float[1] x) => (float[n] y) <float a = {0.}, float b = {nan}, float d = {1.}>"
    " { r = Range(a, b, d) y = Add(x, r) }",
    "pad-bomb": f"g {_SAME} <int64[4] p = {{100000000000, 0, 100000000000, 0}}> {{ y = Pad(x, p) }}",
    "pad-away-everything": f"g {_SAME} <int64[4] p = {{-9, 0, -9, 0}}> {{ y = Pad(x, p) }}",
    "tile-bomb": f"g {_SAME} <int64[2] r = {{1000000000, 1000000000}}> {{ y = Tile(x, r) }}",
    "tile-a-negative-number-of-times": f"g {_SAME} <int64[2] r = {{-1, 1}}> {{ y = Tile(x, r) }}",
    "tile-to-nothing": f"g {_SAME} <int64[2] r = {{1000000000, 0}}> {{ y = Tile(x, r) }}",
    "one-hot-bomb": "g (int64[1000] x) => (float[n,m] y) <int64 d = {4000000000}, float[2] v = {0., 1.}>"
    " { y = OneHot(x, d, v) }",
    "resize-bomb": "g (float[1,1,8,8] x) => (float[a,b,c,d] y) <float[4] s = {1., 1., 1000000., 1000000.}>"
    ' { y = Resize<mode="nearest">(x, , s) }',
    "resize-to-nothing": "g (float[1,1,8,8] x) => (float[a,b,c,d] y) <float[4] s = {1., 1., -1., 0.}>"
    ' { y = Resize<mode="nearest">(x, , s) }',
    "upsampled-window-bomb": "g (float[1,1,8,8] x, float[1,1,3,3] w) => (float[a,b,c,d] y)"
    " { y = ConvTranspose<strides=[10000000,10000000]>(x, w) }",
    "einsum-bomb": "g (float[64,64,64,64] x, float[64,64,64,64] z) => (float[a,b,c,d,e,f,g,h] y)"
    ' { y = Einsum<equation="abcd,efgh->abcdefgh">(x, z) }',
    "outer-product-bomb": "g (float[1000000,1] x, float[1,1000000] z) => (float[n,m] y) { y = Mul(x, z) }",
    "eye-bomb": "g (float[1] x) => (float[n,m] y) <int64[2] s = {1000000, 1000000}>"
    " { c = ConstantOfShape(s) y = EyeLike(c) }",
    "loop-of-2^62-trips": "g (float[4] x) => (float[4] y) <int64 n = {4611686018427387904}, bool c = {1}>"
    " { y = Loop(n, c, x) <body = b (int64 i, bool k, float[4] s) => (bool l, float[4] t)"
    " { l = Identity(k) t = Add(s, s) }> }",
    "loop-that-never-ends": "g (float[4] x) => (float[4] y) <bool c = {1}>"
    " { y = Loop(, c, x) <body = b (int64 i, bool k, float[4] s) => (bool l, float[4] t)"
    " { l = Identity(k) t = Add(s, s) }> }",
    "loop-that-stacks-2^62-rows": "g (float[4] x) => (float[n,4] y) <int64 n = {4611686018427387904}, bool c = {1}>"
    " { z, y = Loop(n, c, x) <body = b (int64 i, bool k, float[4] s) => (bool l, float[4] t, float[4] u)"
    " { l = Identity(k) t = Add(s, s) u = Abs(s) }> }",
}.items():
    _text(_name, _body)


# --- graphs and functions


def _model(nodes: list[NodeProto], **options: object) -> ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **options)  # type: ignore[arg-type]


def _function(name: str, nodes: list[NodeProto]) -> onnx.FunctionProto:
    return helper.make_function(
        "f", name, ["a"], ["b"], nodes, [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    )


def _call(name: str, source: str, result: str) -> NodeProto:
    return helper.make_node(name, [source], [result], domain="f")


@case("functions-that-call-each-other")
def _mutual(folder: Path) -> Path:
    functions = [_function("p", [_call("q", "a", "b")]), _function("q", [_call("p", "a", "b")])]
    return _save(folder, _model([_call("p", "x", "y")], functions=functions))


@case("functions-that-double-40-times")
def _doubling(folder: Path) -> Path:
    functions = [_function("f0", [helper.make_node("Relu", ["a"], ["b"])])]
    functions += [
        _function(f"f{k}", [_call(f"f{k - 1}", "a", "c"), _call(f"f{k - 1}", "c", "b")]) for k in range(1, 41)
    ]
    return _save(folder, _model([_call("f40", "x", "y")], functions=functions))


@case("if-nested-200-deep")
def _nested(folder: Path) -> Path:
    out = helper.make_empty_tensor_value_info
    body = helper.make_graph([helper.make_node("Relu", ["x"], ["v"])], "leaf", [], [out("v")])
    for _ in range(200):
        node = helper.make_node("If", ["c"], ["v"], then_branch=body, else_branch=body)
        body = helper.make_graph([node], "level", [], [out("v")])
        if body.ByteSize() > 1 << 20:
            break
    condition = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    narrow = helper.make_graph([helper.make_node("Relu", ["x"], ["v"])], "leaf", [], [out("v")]).SerializeToString()
    for _ in range(200):
        narrow = _if_around(narrow)
    graph = _model([condition]).graph.SerializeToString() + narrow
    return _save(folder, b"\x08\x0a" + _field(7, graph) + _field(8, helper.make_opsetid("", 21).SerializeToString()))


def _field(number: int, payload: bytes) -> bytes:
    size, out = len(payload), b""
    while size > 0x7F:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + out + bytes([size]) + payload


def _if_around(graph: bytes) -> bytes:
    """The graph with one node, an If whose branches are ``graph``; written as bytes, for protobuf's own limit."""
    attributes = b""
    for name in (b"then_branch", b"else_branch"):
        attributes += _field(5, _field(1, name) + _field(6, graph if name[0] == 116 else b"") + b"\xa0\x01\x05")
    node = _field(1, b"c") + _field(2, b"v") + _field(4, b"If") + attributes
    return _field(1, node) + _field(12, _field(1, b"v"))


@case("name-that-steers-the-terminal")
def _steering(folder: Path) -> Path:
    return _save(folder, _model([helper.make_node("Florble", ["x"], ["y"], name="a\n\x1b[2Jb" + 5000 * "c")]))


@case("deep-chain")
def _chain(folder: Path) -> Path:
    names = ["x", *(f"t{k}" for k in range(3000)), "y"]
    return _save(folder, _model([helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)]))


@case("opset-of-the-far-future")
def _future(folder: Path) -> Path:
    model = _model([helper.make_node("Relu", ["x"], ["y"])])
    model.opset_import[0].version = 1 << 40
    return _save(folder, model)


@case("no-opset")
def _no_opset(folder: Path) -> Path:
    model = _model([helper.make_node("Relu", ["x"], ["y"])])
    del model.opset_import[:]
    return _save(folder, model)


@case("no-graph")
def _no_graph(folder: Path) -> Path:
    model = _model([])
    model.ClearField("graph")
    return _save(folder, model)


@case("concatenations-that-double-60-times")
def _concatenations(folder: Path) -> Path:
    names = ["x", *(f"t{k}" for k in range(59)), "y"]
    return _save(folder, _model([helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]))


# --- tensors


def _with_weight(tensor: TensorProto) -> ModelProto:
    tensor.name = "w"
    model = _model([helper.make_node("Add", ["x", "w"], ["y"])])
    model.graph.initializer.append(tensor)
    return model


for _name, _tensor in {
    "weight-of-2^80-elements": TensorProto(data_type=1, dims=[1 << 40, 1 << 40], raw_data=b"\0" * 16),
    "weight-of-negative-dims": TensorProto(data_type=1, dims=[-4], raw_data=b"\0" * 16),
    "weight-too-short": TensorProto(data_type=1, dims=[4], raw_data=b"\0" * 15),
    "weight-too-long": TensorProto(data_type=1, dims=[4], raw_data=b"\0" * 64),
    "weight-of-too-few-floats": TensorProto(data_type=1, dims=[4], float_data=[1.0]),
    "weight-in-the-wrong-field": TensorProto(data_type=1, dims=[4], int32_data=[1, 2, 3, 4]),
    "weight-of-no-type": TensorProto(data_type=0, dims=[4], raw_data=b"\0" * 16),
    "weight-of-an-unknown-type": TensorProto(data_type=1000, dims=[4], raw_data=b"\0" * 16),
    "strings-of-negative-dims": TensorProto(data_type=8, dims=[0, 2, -1]),
    "strings-of-empty-dims-too-large": TensorProto(data_type=8, dims=[0, 1 << 31, 1 << 31]),
    "strings-too-few": TensorProto(data_type=8, dims=[4], string_data=[b"a"]),
    "weight-of-rank-1000": TensorProto(data_type=1, dims=[1] * 1000, raw_data=b"\0" * 4),
}.items():
    CASES[_name] = lambda folder, tensor=_tensor: _save(folder, _with_weight(tensor))


# --- files that are none of the model's business


def _external(location: str, *, offset: int = 0, length: int = 16) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": str(offset), "length": str(length)}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _secret(folder: Path) -> Path:
    outside = folder.parent / f"{folder.name}-secret.bin"
    outside.write_bytes(b"secret" * 100)
    return outside


def _external_cases() -> Iterator[tuple[str, Callable[[Path], str]]]:
    def linked(make: Callable[[Path, Path], None]) -> Callable[[Path], str]:
        def prepare(folder: Path) -> str:
            make(_secret(folder), folder / "w.bin")
            return "w.bin"

        return prepare

    yield "parent", lambda folder: f"../{_secret(folder).name}"
    yield "parent-inside", lambda folder: f"sub/../../{_secret(folder).name}"
    yield "absolute", lambda folder: str(_secret(folder))
    yield "device", lambda folder: "/dev/zero"
    yield "symlink", linked(lambda secret, link: link.symlink_to(secret))
    yield "hardlink", linked(lambda secret, link: os.link(secret, link))
    yield "null-byte", lambda folder: "w.bin\0"
    yield "missing", lambda folder: "nowhere.bin"
    yield "folder", lambda folder: "."


def _attribute(tensor: TensorProto) -> ModelProto:
    return _model([helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("Add", ["x", "w"], ["y"])])


def _sparse(tensor: TensorProto) -> ModelProto:
    model = _model([helper.make_node("Add", ["x", "w"], ["y"])])
    indices = numpy_helper.from_array(np.arange(4), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [4]))
    return model


def _add_external_cases() -> None:
    places = {"initializer": _with_weight, "attribute": _attribute, "sparse": _sparse}
    for kind, prepare in _external_cases():
        for place, build in places.items():
            CASES[f"external-{kind}-in-{place}"] = lambda folder, p=prepare, b=build: _save(
                folder, b(_external(p(folder)))
            )
    for name, offset, length in (("past-the-end", 96, 16), ("negative-offset", -16, 16), ("long", 0, 1 << 50)):

        def write(folder: Path, offset: int = offset, length: int = length) -> Path:
            (folder / "w.bin").write_bytes(bytes(100))
            return _save(folder, _with_weight(_external("w.bin", offset=offset, length=length)))

        CASES[f"external-{name}"] = write


_add_external_cases()
