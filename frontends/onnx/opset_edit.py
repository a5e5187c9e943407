"""The tools of opset conversion: what is known of a model's values, and editing one node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mlc.dialects.weights import Array, WeightStore
from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.check import all_nodes, node_label, subgraphs
from mlc.frontends.onnx.tensors import weight_name

_CONSTANT_KEYS = {
    AttributeProto.INT: "value_int",
    AttributeProto.INTS: "value_ints",
    AttributeProto.FLOAT: "value_float",
    AttributeProto.FLOATS: "value_floats",
}

_SCALARS = {AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.STRING}
_KIND_NAMES: dict[type, str] = {int: "integer", float: "float", bytes: "string"}

T = TypeVar("T", int, float, bytes)


@dataclass
class Facts:
    """What the proto says about values by name: rank, element type, constants, and which names are taken.

    Names that mean different things in different inner graphs have no rank or type here.
    """

    weights: WeightStore
    ranks: dict[str, int | None] = field(default_factory=dict)
    types: dict[str, int | None] = field(default_factory=dict)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    """Names that are made in several graphs: none of them counts as a constant."""

    @staticmethod
    def of(model: ModelProto, weights: WeightStore) -> Facts:
        """Gather the facts of a model."""
        facts = Facts(weights)
        for graph in all_graphs(model):
            facts._add_graph(graph)
        facts._add_nodes(all_nodes(model.graph.node))
        for tensor in model.graph.initializer:
            facts.constants[tensor.name] = tensor
        for function in model.functions:
            facts.used.update(function.output)
            facts.taken.update(function.input)
            facts._add_nodes(all_nodes(function.node))
        return facts

    def _make(self, names: Iterable[str]) -> None:
        """Note what a graph or a node makes."""
        for name in names:
            (self.repeated if name in self.made else self.made).add(name)

    def _add_graph(self, graph: GraphProto) -> None:
        self._make({value.name for value in graph.input} | {tensor.name for tensor in graph.initializer})
        self.used.update(value.name for value in graph.output)
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            self._add(value.name, len(tensor.shape.dim) if tensor.HasField("shape") else None, tensor.elem_type)
        for constant in graph.initializer:
            self._add(constant.name, len(constant.dims), constant.data_type)

    def _add_nodes(self, nodes: Iterator[NodeProto]) -> None:
        for node in nodes:
            self.used.update(node.input)
            self.taken.update(node.output)
            self._make(name for name in node.output if name)
            if node.op_type == "Constant" and not node.domain and node.attribute[:1]:
                self.constants[node.output[0]] = node.attribute[0].t

    def _add(self, name: str, rank: int | None, kind: int) -> None:
        self.taken.add(name)
        self.ranks[name] = rank if self.ranks.get(name, rank) == rank else None
        self.types[name] = kind if self.types.get(name, kind) == kind else None

    def fresh(self, base: str) -> str:
        """A name that nothing in the model has."""
        number = 0
        while (name := f"{base}.{number}") in self.taken:
            number += 1
        self.taken.add(name)
        return name


def all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    """The main graph and all those within nodes, of functions too."""
    yield model.graph
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in all_nodes(nodes):
            yield from subgraphs(node)


class Edit:
    """One node being brought to a newer version; ``nodes`` is what takes its place.

    New operators are of the internal opset already; ``node`` itself passes through the steps of its operator.
    """

    def __init__(self, node: NodeProto, facts: Facts) -> None:
        self.node = node
        self.facts = facts
        self.label = node_label(node)
        self._before: list[NodeProto] = []
        self._after: list[NodeProto] = []
        self._dropped = False

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes that replace the original one, in order."""
        return [*self._before, *(() if self._dropped else (self.node,)), *self._after]

    # Attributes

    def has(self, name: str) -> bool:
        """Whether the node has an attribute."""
        return any(attribute.name == name for attribute in self.node.attribute)

    def take(self, name: str) -> AttributeProto | None:
        """Remove an attribute and return it."""
        for index, attribute in enumerate(self.node.attribute):
            if attribute.name == name:
                taken = AttributeProto()
                taken.CopyFrom(attribute)
                del self.node.attribute[index]
                return taken
        return None

    def take_value(self, name: str, kind: type[T], default: T) -> T:
        """Remove an attribute and return its value, which must be of type ``kind``.

        Raises ``UnsupportedError`` for one that refers to an attribute of the function around the node.
        """
        attribute = self.take(name)
        if attribute is None:
            return default
        if attribute.ref_attr_name:
            raise self.unsupported(f"attribute {name!r} is set by the caller of a function")
        value = helper.get_attribute_value(attribute) if attribute.type in _SCALARS else None
        if not isinstance(value, kind):
            raise self.invalid(f"attribute {name!r} is no {_KIND_NAMES[kind]}")
        return value

    def put(self, name: str, value: Any) -> None:
        """Set an attribute."""
        self.take(name)
        self.node.attribute.append(helper.make_attribute(name, value))

    def put_default(self, name: str, value: Any) -> None:
        """Set an attribute unless it is there."""
        if not self.has(name):
            self.put(name, value)

    # Inputs and outputs

    def input(self, index: int) -> str:
        """The name of an input; empty if it is absent."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def set_input(self, index: int, name: str) -> None:
        """Set an input, with absent ones before it as needed."""
        self.node.input.extend([""] * (index + 1 - len(self.node.input)))
        self.node.input[index] = name

    def trim_outputs(self, count: int, what: str) -> None:
        """Remove the outputs from ``count`` on, which must not be used."""
        for name in self.node.output[count:]:
            if name in self.facts.used:
                raise self.unsupported(f"{what} {name!r} is used")
        del self.node.output[count:]

    # Knowledge

    def rank(self, name: str) -> int | None:
        """The rank of a value where the model states it."""
        return self.facts.ranks.get(name)

    def constant_value(self, name: str) -> Array | None:
        """The value of an input that is an initializer or a ``Constant``."""
        tensor = self.facts.constants.get(name)
        if tensor is None or not tensor.data_type or name in self.facts.repeated:
            return None
        weight = weight_name(tensor)
        return numpy_helper.to_array(tensor) if weight is None else self.facts.weights.array(weight)

    # New nodes

    def emit(self, op: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """A node before this one; returns the name of its result."""
        result = output or self._fresh(op)
        name = self.node.name or result
        self._before.append(helper.make_node(op, inputs, [result], name=name, **attributes))
        return result

    def constant(self, value: Array) -> str:
        """A ``Constant`` before this node."""
        return self.emit("Constant", [], value=numpy_helper.from_array(value))

    def int64s(self, *values: int) -> str:
        """A rank-1 constant."""
        return self.constant(np.array(values, np.int64))

    def constant_of(self, attribute: AttributeProto) -> str:
        """The value of an attribute as a constant: rank 0 or 1, int64 or float32.

        An attribute that stands for one of the function around the node stays a reference to that.
        """
        key = _CONSTANT_KEYS.get(attribute.type)
        if key is None:
            raise self.invalid(f"attribute {attribute.name!r} is neither a number nor a list of numbers")
        result = self._fresh(attribute.name)
        node = NodeProto(op_type="Constant", name=self.node.name or result, output=[result])
        node.attribute.add().CopyFrom(attribute)
        node.attribute[0].name = key
        self._before.append(node)
        return result

    def then(self, op: str, make_inputs: Callable[[str], Sequence[str]]) -> None:
        """A node after this one, which computes this node's first output from what this node made so far."""
        final = self.node.output[0]
        self.node.output[0] = self._fresh(op)
        inputs = make_inputs(self.node.output[0])
        self._after.append(helper.make_node(op, inputs, [final], name=self.node.name or final))

    def drop(self) -> None:
        """Remove the node: emitted ones do its work."""
        self._dropped = True

    def _fresh(self, base: str) -> str:
        return self.facts.fresh(f"{next(iter(self.node.output), '')}.{base}")

    # Errors

    def invalid(self, message: str) -> ModelError:
        """The error for a node that breaks ONNX's rules."""
        return ModelError(message, node=self.label)

    def unsupported(self, message: str, hint: str | None = None) -> UnsupportedError:
        """The error for a valid node that can't be converted."""
        return UnsupportedError(message, node=self.label, hint=hint)
