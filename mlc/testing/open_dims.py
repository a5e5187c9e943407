"""Random ONNX models whose dims ``n`` and ``m`` are open, for tests of bounded dims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[Any]]

SAMPLES = ({"n": 3, "m": 5}, {"n": 7, "m": 11})
"""Values of the dims that tell which shapes are equal: those that are so for both."""

Shapes = tuple[tuple[int, ...], ...]
"""The shape of a tensor for each of `SAMPLES`."""

UNARY = ("Relu", "Exp", "Sigmoid", "Neg", "Tanh", "Cos")
REDUCTIONS = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")


@dataclass
class _Graph:
    draw: st.DrawFn
    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    constants: list[TensorProto] = field(default_factory=list[TensorProto])
    shapes: dict[str, Shapes] = field(default_factory=dict[str, Shapes])

    def node(self, kind: str, inputs: Sequence[str], shapes: Shapes, **attributes: Any) -> str:
        """A node with one output of these shapes."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        self.shapes[name] = shapes
        return name

    def constant(self, values: Any, dtype: type[np.generic] = np.int64) -> str:
        """An initializer."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def step(self) -> None:
        """One more operation on a random tensor, if the one that is drawn fits."""
        kinds = (self._unary, self._binary, self._transpose, self._matmul, self._softmax, self._reduce, self._concat)
        more = (self._slice, self._merge, self._gather, self._scan, self._pad, self._expand, self._arg, self._top)
        kind = self.draw(st.sampled_from((*kinds, *more)))
        x = self.draw(st.sampled_from([name for name, shapes in self.shapes.items() if shapes[0]]))
        kind(x, self.shapes[x], self.draw(st.integers(0, len(self.shapes[x][0]) - 1)))

    def _unary(self, x: str, shapes: Shapes, axis: int) -> None:
        self.node(self.draw(st.sampled_from(UNARY)), [x], shapes)

    def _binary(self, x: str, shapes: Shapes, axis: int) -> None:
        y = self.draw(st.sampled_from([name for name, other in self.shapes.items() if other == shapes]))
        self.node(self.draw(st.sampled_from(("Add", "Mul", "Sub", "Max"))), [x, y], shapes)

    def _transpose(self, x: str, shapes: Shapes, axis: int) -> None:
        order = self.draw(st.permutations(range(len(shapes[0]))))
        self.node("Transpose", [x], _each(shapes, lambda s: [s[i] for i in order]), perm=order)

    def _matmul(self, x: str, shapes: Shapes, axis: int) -> None:
        fitting = [n for n, o in self.shapes.items() if len(o[0]) == 2 and [s[0] for s in o] == [s[-1] for s in shapes]]
        if fitting and len(shapes[0]) >= 2:
            y = self.draw(st.sampled_from(fitting))
            columns = [s[1] for s in self.shapes[y]]
            self.node("MatMul", [x, y], tuple((*s[:-1], c) for s, c in zip(shapes, columns)))

    def _softmax(self, x: str, shapes: Shapes, axis: int) -> None:
        self.node(self.draw(st.sampled_from(("Softmax", "LogSoftmax"))), [x], shapes, axis=axis)

    def _reduce(self, x: str, shapes: Shapes, axis: int) -> None:
        keep = self.draw(st.booleans())
        kind = self.draw(st.sampled_from(REDUCTIONS))
        inputs = [x, self.constant([axis])] if kind == "ReduceSum" else [x]
        attributes = {} if kind == "ReduceSum" else {"axes": [axis]}
        self.node(kind, inputs, _replaced(shapes, axis, [1] if keep else []), keepdims=int(keep), **attributes)

    def _arg(self, x: str, shapes: Shapes, axis: int) -> None:
        place = self.node("ArgMax", [x], _replaced(shapes, axis, [1]), axis=axis)
        self.node("Cast", [place], self.shapes[place], to=TensorProto.FLOAT)
        del self.shapes[place]

    def _top(self, x: str, shapes: Shapes, axis: int) -> None:
        name = self.node("TopK", [x, self.constant([1])], _replaced(shapes, axis, [1]), axis=axis)
        self.nodes[-1].output.append(f"{name}.indices")

    def _concat(self, x: str, shapes: Shapes, axis: int) -> None:
        def rest(shapes: Shapes) -> Shapes:
            return _replaced(shapes, axis, [])

        same = [n for n, o in self.shapes.items() if len(o[0]) == len(shapes[0]) and rest(o) == rest(shapes)]
        y = self.draw(st.sampled_from(same))
        joined = tuple((*s[:axis], s[axis] + o[axis], *s[axis + 1 :]) for s, o in zip(shapes, self.shapes[y]))
        self.node("Concat", [x, y], joined, axis=axis)

    def _slice(self, x: str, shapes: Shapes, axis: int) -> None:
        far = np.iinfo(np.int64).max
        start, end, step = self.draw(st.sampled_from(((0, 1, 1), (-1, far, 1), (0, far, 2), (-1, -far, -1))))
        inputs = [x, *(self.constant([value]) for value in (start, end, axis, step))]
        taken = tuple((*s[:axis], len(range(s[axis])[start:end:step]), *s[axis + 1 :]) for s in shapes)
        self.node("Slice", inputs, taken)

    def _merge(self, x: str, shapes: Shapes, axis: int) -> None:
        """Two dims become one, by arithmetic on the shape; and maybe two again."""
        if axis + 1 == len(shapes[0]):
            return
        merged = tuple((*s[:axis], s[axis] * s[axis + 1], *s[axis + 2 :]) for s in shapes)
        self.node("Reshape", [x, self.constant([0] * axis + [-1] + list(shapes[0][axis + 2 :]))], merged)
        if any(s[axis + 2 :] != shapes[0][axis + 2 :] for s in shapes):
            self.nodes.pop()
            del self.shapes[f"t{len(self.nodes)}"]

    def _gather(self, x: str, shapes: Shapes, axis: int) -> None:
        self.node("Gather", [x, self.constant([0, -1])], _replaced(shapes, axis, [2]), axis=axis)

    def _scan(self, x: str, shapes: Shapes, axis: int) -> None:
        reverse, exclusive = (int(self.draw(st.booleans())) for _ in range(2))
        self.node("CumSum", [x, self.constant(axis)], shapes, reverse=reverse, exclusive=exclusive)

    def _pad(self, x: str, shapes: Shapes, axis: int) -> None:
        low, high = self.draw(st.integers(0, 2)), self.draw(st.integers(0, 2))
        amounts = [0] * 2 * len(shapes[0])
        amounts[axis], amounts[axis + len(shapes[0])] = low, high
        padded = tuple((*s[:axis], s[axis] + low + high, *s[axis + 1 :]) for s in shapes)
        self.node(
            "Pad", [x, self.constant(amounts), self.constant(self.draw(st.sampled_from((0, 2))), np.float32)], padded
        )

    def _expand(self, x: str, shapes: Shapes, axis: int) -> None:
        """A slice of one, repeated to the whole shape again."""
        first = self.node("Slice", [x, *map(self.constant, ([0], [1], [axis]))], _replaced(shapes, axis, [1]))
        shape = self.node("Shape", [x], tuple((len(s),) for s in shapes))
        del self.shapes[shape]
        self.node("Expand", [first, shape], shapes)


def _each(shapes: Shapes, change: Callable[[tuple[int, ...]], Sequence[int]]) -> Shapes:
    return tuple(tuple(change(shape)) for shape in shapes)


def _replaced(shapes: Shapes, axis: int, extents: Sequence[int]) -> Shapes:
    return _each(shapes, lambda s: (*s[:axis], *extents, *s[axis + 1 :]))


INPUTS: Mapping[str, tuple[int | str, ...]] = {"x": ("n", 4), "y": ("m", 4), "z": (2, "n", "m")}


@st.composite
def bounded_models(draw: st.DrawFn, max_nodes: int = 6) -> ModelProto:
    """A model of `INPUTS` and one output, opset 17."""
    graph = _Graph(draw)
    for name, shape in INPUTS.items():
        graph.shapes[name] = tuple(_concrete(shape, sample) for sample in SAMPLES)
    while not graph.nodes:
        graph.step()
    for _ in range(draw(st.integers(0, max_nodes - 1))):
        graph.step()
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in INPUTS.items()]
    output = helper.make_tensor_value_info(graph.nodes[-1].output[0], TensorProto.FLOAT, None)
    proto = helper.make_graph(graph.nodes, "bounded", inputs, [output], graph.constants)
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _concrete(shape: Sequence[int | str], values: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(values[d] if isinstance(d, str) else d for d in shape)


def inputs_for(values: Mapping[str, int], seed: int = 0) -> dict[str, Array]:
    """Random arrays for `INPUTS` at these values of the dims."""
    random = np.random.default_rng(seed)
    shapes = {name: _concrete(shape, values) for name, shape in INPUTS.items()}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
