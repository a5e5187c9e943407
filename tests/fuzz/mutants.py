"""Damaged models: small models of many kinds of node, with parts of them changed, taken out or put elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, defs, helper, parser

T = TypeVar("T")

HEADER = '<ir_version: 10, opset_import: ["" : 21]>'

_TEXTS = {
    "conv": "g (float[1,4,8,8] x, float[4,4,3,3] w, float[4] b) => (float[1,4,4,4] y)"
    " { c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) }",
    "attention": "g (float[2,8,16] x, float[16,48] w) => (float[2,8,8] y) <int64[3] s = {16, 16, 16}>"
    " { p = MatMul(x, w) q, k, v = Split<axis=-1>(p, s) t = Transpose<perm=[0,2,1]>(k) m = MatMul(q, t)"
    " y = Softmax<axis=-1>(m) }",
    "norm": "g (float[4,32] x, float[32] s, float[32] b) => (float[4,32] y)"
    " { n = LayerNormalization<axis=-1, epsilon=0.00001>(x, s, b) g = Gelu(n) y = Add(g, x) }",
    "shapes": "g (float[n,6] x) => (float[6,n] y) <int64[2] i = {1, 0}> { s = Shape(x) t = Gather(s, i)"
    " z = Transpose(x) y = Reshape(z, t) }",
    "lstm": "g (float[3,1,2] x, float[1,8,2] w, float[1,8,2] r, float[1,16] b) => (float[3,1,1,2] y)"
    " { y = LSTM<hidden_size=2>(x, w, r, b) }",
    "reduce": "g (float[3,5,7] x) => (float[3,1,7] y, int64[3,7] j) <int64[1] a = {1}>"
    " { y = ReduceMean<keepdims=1>(x, a) j = ArgMax<axis=1, keepdims=0>(x) }",
    "resize": "g (float[1,2,4,4] x) => (float[1,2,8,8] y) <float[4] s = {1., 1., 2., 2.}>"
    ' { y = Resize<mode="linear">(x, , s) }',
    "quantized": "g (uint8[2,8] x, float s, uint8 z) => (float[2,8] y) { y = DequantizeLinear(x, s, z) }",
    "loop": "g (float[4] x, int64 n) => (float[4] y) <bool c = {1}> { y = Loop(n, c, x) <body = b"
    " (int64 i, bool k, float[4] s) => (bool l, float[4] t) { l = Identity(k) t = Add(s, s) }> }",
    "if": "g (float[4] x, bool c) => (float[4] y) { y = If(c) <then_branch = t () => (float[4] u) { u = Abs(x) },"
    " else_branch = e () => (float[4] v) { v = Neg(x) }> }",
    "indices": "g (float[8,4] x, int64[3] i, float[3,4] u) => (float[8,4] y)"
    " { g = Gather(x, i) z = Add(g, u) k = Cast<to=7>(z) y = ScatterElements<axis=0>(x, k, z) }",
    "pooling": "g (float[1,2,9,9] x) => (float[1,2,5,5] y)"
    " { y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x) }",
    "signal": "g (float[1,12,1] x) => (float[1,7,2] y, float[4,3] m)"
    " <int64 n = {12}, int64 h = {3}, int64 r = {16}, float l = {0.}, float t = {8.}>"
    " { y = DFT<onesided=1>(x, n) w = HannWindow(n) p = MelWeightMatrix(h, n, r, l, t) m = Relu(p) }",
    "order": "g (float[3,8] x) => (float[3,2] y, int64[3,2] i, float[u] z) <int64[1] k = {2}>"
    " { y, i = TopK<axis=1>(x, k) z = Unique<sorted=1>(x) }",
    "boxes": "g (float[1,6,4] x, float[1,2,6] s) => (int64[n,3] y) <int64 m = {3}, float t = {0.5}, float b = {0.1}>"
    " { y = NonMaxSuppression(x, s, m, t, b) }",
    "sequence": "g (float[4,6] x) => (float[4,6] y) <int64 i = {1}, int64[4] l = {1, 2, 3, 4}>"
    " { s = SplitToSequence<axis=0>(x) e = SequenceAt(s, i) r = ReverseSequence<batch_axis=0, time_axis=1>(x, l)"
    " y = Add(r, e) }",
    "windows": "g (float[1,4,4,4] x, float[4,2,3,3] w) => (float[1,4,9,9] y) { y = ConvTranspose"
    "<strides=[2,2], group=2, output_padding=[0,0]>(x, w) }",
    "random": "g (float[2,3] x) => (float[2,3] y) { n = RandomNormalLike<seed=1.>(x) b = Bernoulli(n) y = Add(n, b) }",
    "matmul": "g (uint8[2,3] a, uint8[3,4] b, uint8 z) => (int32[2,4] y) { y = MatMulInteger(a, b, z, z) }",
    "einsum": 'g (float[2,3,4] a, float[2,4,5] b) => (float[2,5,3] y) { y = Einsum<equation="bij,bjk->bki">(a, b) }',
}

SEEDS: dict[str, ModelProto] = {name: parser.parse_model(HEADER + text) for name, text in _TEXTS.items()}
"""Small models by name."""


INTERESTING = (0, 1, -1, 2, 3, 7, 64, -(1 << 31), 1 << 31, 1 << 40, -(1 << 63), (1 << 63) - 1)
"""Integers to put where integers are."""

FLOATS = (0.0, -1.0, 1e-45, 3e38, float("inf"), float("nan"))


def mutants(count: int) -> Iterator[bytes]:
    """``count`` damaged models, the same ones every time."""
    generator = np.random.default_rng(20)
    originals = [model.SerializeToString() for model in SEEDS.values()]
    for number in range(count):
        yield mutate(originals[number % len(originals)], generator)


def mutate(data: bytes, generator: np.random.Generator) -> bytes:
    """One to four changes: of the model's structure mostly, of its bytes now and then or where it has none."""
    for _ in range(int(generator.integers(1, 5))):
        model = ModelProto()
        try:
            model.ParseFromString(data)
        except DecodeError:
            return _damaged(data, generator)
        if not model.graph.node or generator.random() < 0.1:
            return _damaged(data, generator)
        try:
            CHANGES[int(generator.integers(0, len(CHANGES)))](model, generator)
        except UnicodeError:  # an earlier change left a name that is no text
            return _damaged(data, generator)
        data = model.SerializeToString()
    return data


def _pick(items: Sequence[T], generator: np.random.Generator) -> T | None:
    return items[int(generator.integers(0, len(items)))] if items else None


def _integer(generator: np.random.Generator) -> int:
    return INTERESTING[int(generator.integers(0, len(INTERESTING)))]


def _change_attribute(model: ModelProto, generator: np.random.Generator) -> None:
    node = _pick([n for n in model.graph.node if n.attribute], generator)
    attribute = _pick(node.attribute, generator) if node else None
    if attribute is None:
        return
    if attribute.ints:
        attribute.ints[int(generator.integers(0, len(attribute.ints)))] = _integer(generator)
        if generator.random() < 0.3:
            attribute.ints.append(_integer(generator))
    elif attribute.type == AttributeProto.INT:
        attribute.i = _integer(generator)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = FLOATS[int(generator.integers(0, len(FLOATS)))]
    else:
        attribute.s = bytes(generator.integers(97, 123, 5, dtype=np.uint8))


def _add_attribute(model: ModelProto, generator: np.random.Generator) -> None:
    node = _pick(model.graph.node, generator)
    names = ("axis", "axes", "keepdims", "group", "pads", "strides", "to", "perm", "mode", "epsilon", "dilations")
    name = names[int(generator.integers(0, len(names)))]
    values = ([_integer(generator)], _integer(generator), 0.5, "abc")
    if node is not None and all(a.name != name for a in node.attribute):
        node.attribute.append(helper.make_attribute(name, values[int(generator.integers(0, 4))]))


def _change_dims(model: ModelProto, generator: np.random.Generator) -> None:
    value = _pick([*model.graph.input, *model.graph.output], generator)
    dims = value.type.tensor_type.shape.dim if value else None
    if not dims:
        return
    kind = generator.integers(0, 3)
    if kind == 0:
        dims.add().dim_value = _integer(generator)
    elif kind == 1:
        del dims[int(generator.integers(0, len(dims)))]
    else:
        dims[int(generator.integers(0, len(dims)))].dim_value = _integer(generator)


def _change_type(model: ModelProto, generator: np.random.Generator) -> None:
    value = _pick([*model.graph.input, *model.graph.output], generator)
    if value is not None:
        value.type.tensor_type.elem_type = int(generator.integers(0, 27))


def _change_tensor(model: ModelProto, generator: np.random.Generator) -> None:
    tensor = _pick(model.graph.initializer, generator)
    if tensor is None:
        return
    if tensor.int64_data:
        tensor.int64_data[int(generator.integers(0, len(tensor.int64_data)))] = _integer(generator)
    elif generator.random() < 0.5:
        tensor.data_type = int(generator.integers(0, 27))
    else:
        tensor.dims.append(_integer(generator))


def _rewire(model: ModelProto, generator: np.random.Generator) -> None:
    node = _pick([n for n in model.graph.node if n.input], generator)
    names = [*(v.name for v in model.graph.input), *(o for n in model.graph.node for o in n.output), ""]
    if node is not None:
        node.input[int(generator.integers(0, len(node.input)))] = names[int(generator.integers(0, len(names)))]


def _add_or_drop_input(model: ModelProto, generator: np.random.Generator) -> None:
    node = _pick([n for n in model.graph.node if n.input], generator)
    if node is None:
        return
    if generator.random() < 0.5:
        node.input.append(node.input[0])
    else:
        del node.input[-1]


def _change_operator(model: ModelProto, generator: np.random.Generator) -> None:
    node = _pick(model.graph.node, generator)
    if node is not None:
        node.op_type = OPERATORS[int(generator.integers(0, len(OPERATORS)))]


def _drop_or_repeat_node(model: ModelProto, generator: np.random.Generator) -> None:
    at = int(generator.integers(0, len(model.graph.node)))
    if generator.random() < 0.5:
        del model.graph.node[at]
    else:
        copy = model.graph.node.add()
        copy.CopyFrom(model.graph.node[at])
        copy.output[:] = [f"{name}_again" for name in copy.output]


def _change_opset(model: ModelProto, generator: np.random.Generator) -> None:
    opset = _pick(model.opset_import, generator)
    if opset is not None:
        opset.version = int(generator.integers(0, 28))


CHANGES: tuple[Callable[[ModelProto, np.random.Generator], None], ...] = (
    *(_change_attribute, _add_attribute, _change_dims, _change_type, _change_tensor),
    *(_rewire, _add_or_drop_input, _change_operator, _drop_or_repeat_node, _change_opset),
)
"""Everything that `mutate` may do to a model."""

OPERATORS = sorted({s.name for s in defs.get_all_schemas() if s.domain == ""})
"""Names of ONNX's operators."""


def _damaged(data: bytes, generator: np.random.Generator) -> bytes:
    """One to four kinds of damage."""
    damaged = bytearray(data or b"\0")
    for _ in range(generator.integers(1, 5)):
        at = int(generator.integers(0, len(damaged)))
        kind = generator.integers(0, 5)
        if kind == 0:
            damaged[at] ^= 1 << int(generator.integers(0, 8))
        elif kind == 1:
            damaged[at] = int(generator.choice([0, 1, 2, 3, 0x7F, 0x80, 0xFF]))
        elif kind == 2:
            del damaged[at : at + int(generator.integers(1, 9))]
        elif kind == 3:
            damaged[at:at] = damaged[at : at + int(generator.integers(1, 33))]
        elif len(damaged) > 64:
            other = int(generator.integers(0, len(damaged)))
            damaged[at], damaged[other] = damaged[other], damaged[at]
        damaged = damaged or bytearray(1)
    return bytes(damaged) or b"\0"
