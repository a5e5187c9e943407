"""Names in scope while a graph is imported, and running its nodes one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto, TypeProto, helper
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.extents import Extent
from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.dtypes import element_name, numpy_dtype
from mlc.frontends.onnx.functions import Functions, Live, live, reject_unsupported
from mlc.frontends.onnx.node import Node, Repetitions, canonical, label_of
from mlc.frontends.onnx.schema import Signature, default_attributes
from mlc.frontends.onnx.tensors import weight_name
from mlc.frontends.onnx.value import Absent, Entry, TensorList, Value

if TYPE_CHECKING:
    from mlc.frontends.onnx.load import LoadedModel

MAX_DEPTH = 64
"""How deeply function bodies and branches may nest."""


@dataclass
class Scope:
    """The values of one graph or function body, on top of those of the graph around it (``parent``).

    ``values`` maps a name to None where a function's optional input is left out. ``attributes`` are those of
    the function call that nodes may refer to. Labels of nodes start with ``prefix``; in ONNX's own function
    bodies all nodes go by ``owner``, the label of the node that the body stands for.
    """

    loaded: LoadedModel
    functions: Functions
    values: dict[str, Entry | None]
    initializers: Mapping[str, TensorProto] = field(default_factory=dict[str, TensorProto])
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict[str, AttributeProto])
    parent: Scope | None = None
    depth: int = 0
    prefix: str = ""
    owner: str | None = None
    repetitions: Repetitions = field(default_factory=Repetitions)

    # Names

    def find(self, name: str) -> Entry | None:
        """The value called ``name`` here or around; KeyError when nothing defined it."""
        if name in self.values:
            return self.values[name]
        if name in self.initializers:
            self.values[name] = self.tensor(self.initializers[name], f"initializer {name!r}")
            return self.values[name]
        if self.parent is None:
            raise KeyError(name)
        return self.parent.find(name)

    def result(self, name: str) -> Entry:
        """What the graph's output ``name`` stands for."""
        try:
            value = self.find(name)
        except KeyError:
            value = None
        if value is None:
            raise ModelError(f"nothing computes output {name!r}", node=self.owner)
        return value

    def tensor(self, proto: TensorProto, owner: str) -> Value:
        """The contents of ``proto``; UnsupportedError for element types that hlt lacks."""
        if numpy_dtype(proto.data_type) is None:
            raise UnsupportedError(f"no tensors of element type {element_name(proto.data_type)}", node=owner)
        array = self.loaded.array(proto)
        return Value(array.shape, array.dtype, known=array, weight=weight_name(proto))

    # Nodes

    def run(self, builder: Builder, body: Live) -> None:
        """Imports the nodes of ``body`` in order and binds their outputs."""
        for proto in body.nodes:
            label = self.owner or self.prefix + label_of(proto)
            node = self._node(proto, label, body.names)
            with builder.labelled(label):
                try:
                    outputs = self._outputs(builder, node)
                except (VerifyException, ValueError, IndexError, OverflowError) as error:
                    raise ModelError(str(error), node=label) from error
                except UnsupportedError as error:
                    if error.node is not None:
                        raise
                    raise UnsupportedError(error.message, node=label, hint=error.hint) from error
            self._bind(node, outputs)

    def import_subgraph(
        self,
        builder: Builder,
        graph: GraphProto,
        inputs: Sequence[Entry] = (),
        wanted: Sequence[bool] | None = None,
    ) -> list[Entry | None]:
        """Imports ``graph`` in place, seeing the names around; returns its outputs, None for those not ``wanted``."""
        outputs = [
            name if take else None
            for name, take in zip(
                [output.name for output in graph.output], wanted or [True] * len(graph.output), strict=True
            )
        ]
        body = live(graph.node, [name for name in outputs if name is not None])
        reject_unsupported(body.nodes, self.functions, owner=self.owner)
        inner = Scope(
            self.loaded,
            self.functions,
            dict(zip([value.name for value in graph.input], inputs)),
            initializers_of(graph),
            self.attributes,
            parent=self,
            depth=self._deeper(),
            prefix=self.prefix,
            owner=self.owner,
            repetitions=self.repetitions,
        )
        inner.run(builder, body)
        return [None if name is None else inner.result(name) for name in outputs]

    def _node(self, proto: NodeProto, label: str, used: frozenset[str]) -> Node:
        domain = canonical(proto.domain)
        return Node(
            proto,
            label,
            self.functions.versions.get(domain, 1),
            inputs=[self._operand(name, label) for name in proto.input],
            attributes=self._attributes(proto),
            used=tuple(name in used for name in proto.output),
            scope=self,
        )

    def _operand(self, name: str, label: str) -> Entry | None:
        if not name:
            return None
        try:
            return self.find(name)
        except KeyError:
            raise ModelError(f"input {name!r} is not defined before its use", node=label) from None

    def _attributes(self, proto: NodeProto) -> dict[str, AttributeProto]:
        """The node's attributes, references to the function call's ones resolved (or left out with them)."""
        named: dict[str, AttributeProto] = {}
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                named[attribute.name] = attribute
            elif attribute.ref_attr_name in self.attributes:
                named[attribute.name] = self.attributes[attribute.ref_attr_name]
        return named

    def _outputs(self, builder: Builder, node: Node) -> Sequence[Entry | None]:
        function = self.functions.find(node.proto)
        if function is not None:
            prefix = f"{self.prefix}{node.proto.name or node.proto.op_type}/"
            return self._inline(builder, node, function, prefix=prefix, owner=self.owner)
        check_inputs(node, self.functions.signature(node.proto))
        importer = self.functions.importer(node.proto)
        if importer is not None:
            results = importer(builder, node)
            return [results] if isinstance(results, Value | TensorList | Absent) else results
        function = self.functions.body(_resolved(node), [_type_of(value) for value in node.inputs])
        if function is None:
            raise node.unsupported("the operator has no equivalent in hlt")
        body = live(function.node, function.output)
        reject_unsupported(body.nodes, self.functions.within(function), owner=node.label)
        return self._inline(builder, node, function, prefix=self.prefix, owner=node.label)

    def _inline(
        self, builder: Builder, node: Node, function: FunctionProto, *, prefix: str, owner: str | None
    ) -> list[Entry | None]:
        """The outputs of ``function`` called by ``node``; those that nothing uses are None."""
        if len(node.inputs) > len(function.input):
            raise node.invalid(f"{len(node.inputs)} inputs for a function of {len(function.input)}")
        given = [*node.inputs, *[None] * (len(function.input) - len(node.inputs))]
        defaults = default_attributes(self.functions.schema(node.proto))
        defaults.update((attribute.name, attribute) for attribute in function.attribute_proto)
        inner = Scope(
            self.loaded,
            self.functions.within(function),
            dict(zip(function.input, given)),
            attributes={**defaults, **node.attributes},
            depth=self._deeper(),
            prefix=prefix,
            owner=owner,
            repetitions=self.repetitions,
        )
        wanted = [name if used else None for name, used in zip(function.output, node.used)]
        inner.run(builder, live(function.node, [name for name in wanted if name is not None]))
        return [None if name is None else inner.result(name) for name in wanted]

    def _deeper(self) -> int:
        if self.depth >= MAX_DEPTH:
            raise ModelError(f"functions and branches nest more than {MAX_DEPTH} deep", node=self.owner)
        return self.depth + 1

    def _bind(self, node: Node, outputs: Sequence[Entry | None]) -> None:
        for index, (name, used) in enumerate(zip(node.proto.output, node.used)):
            value = outputs[index] if index < len(outputs) else None
            if name in self.values or name in self.initializers:
                raise node.invalid(f"value {name!r} is defined twice")
            if used and value is None:
                raise node.unsupported(f"output {index} ({name!r}) has no equivalent in hlt")
            if used:
                self.values[name] = value


def check_inputs(node: Node, signature: Signature | None) -> None:
    """ModelError if the node has more inputs than its operator takes, or of types that it does not."""
    if signature is None:
        return
    if len(node.inputs) > signature.most:
        raise node.invalid(f"{len(node.inputs)} inputs for an operator that takes {signature.most}")
    bound: dict[str, str] = {}
    for number, value in enumerate(node.inputs):
        if not isinstance(value, Value):
            continue
        variable, allowed = signature.formals[min(number, len(signature.formals) - 1)]
        tensors = sorted(kind for kind in allowed if kind.startswith("tensor"))
        found = f"tensor({element_name(helper.np_dtype_to_tensor_dtype(value.dtype)).lower()})"
        if tensors and found not in allowed:
            raise node.invalid(f"input {number} is {found}", hint=f"valid: {', '.join(tensors)}")
        if variable and bound.setdefault(variable, found) != found:
            raise node.invalid(f"input {number} is {found}, but an input before it is {bound[variable]}")


def initializers_of(graph: GraphProto) -> dict[str, TensorProto]:
    """The graph's constants by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def _resolved(node: Node) -> NodeProto:
    """The node with its attributes as they apply."""
    proto = NodeProto()
    proto.CopyFrom(node.proto)
    del proto.attribute[:]
    for name, attribute in node.attributes.items():
        proto.attribute.add().CopyFrom(attribute)
        proto.attribute[-1].name = name
    return proto


def _type_of(value: Entry | None) -> TypeProto:
    """The type of an input; nothing is said of those left out, and of what a sequence without items holds."""
    if isinstance(value, TensorList):
        element = _type_of(value.items[0]) if value.items else TypeProto()
        return TypeProto(sequence_type=TypeProto.Sequence(elem_type=element))
    if not isinstance(value, Value):
        return TypeProto()
    shape = [str(extent) if isinstance(extent, Extent) else extent for extent in value.shape]
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(value.dtype), shape)
