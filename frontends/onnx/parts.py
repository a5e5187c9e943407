"""Cutting a model into parts that are compiled and parts that run on the host.

ONNX's non-numeric tail (strings, tokenising, image decoding, maps) is not compiled. `split` finds the nodes that
touch it and groups the others, so that as few parts as possible follow each other. `subgraph` makes a part a graph
of its own, with tensors alone for inputs: a sequence is built from its tensors, an optional is there or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper

from mlc.errors import UsageError
from mlc.frontends.onnx.functions import Functions, live, reject_unsupported, used_names
from mlc.frontends.onnx.node import canonical, label_of
from mlc.frontends.onnx.registry import MACHINE_LEARNING, importers
from mlc.frontends.onnx.schema import Formal
from mlc.frontends.onnx.value import Array

if TYPE_CHECKING:
    from mlc.frontends.onnx.load import LoadedModel

HOST_OPERATORS = frozenset(
    {
        *(("", name) for name in ("ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit")),
        ("", "TfIdfVectorizer"),
        *((MACHINE_LEARNING, name) for name in ("CastMap", "CategoryMapper", "DictVectorizer", "ZipMap")),
    }
)
"""Operators that are never compiled; with strings for operands, no operator is."""

PASSING = frozenset(
    {
        *("SequenceAt", "SequenceConstruct", "SequenceErase", "SequenceInsert", "ConcatFromSequence"),
        *("SplitToSequence", "Optional", "OptionalGetElement"),
    }
)
"""Operators whose results are strings when an operand is, though its type goes by another name."""


@dataclass(frozen=True)
class Part:
    """Nodes that run together: ``hosted`` by onnx's reference, or compiled.

    ``inputs`` come from other parts and from outside, ``outputs`` are needed there.
    """

    hosted: bool
    nodes: tuple[NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """How messages call its nodes."""
        return tuple(map(label_of, self.nodes))


def is_plain(loaded: LoadedModel) -> bool:
    """Whether the model takes and yields tensors of numbers alone, and nothing in it runs on the host."""
    graph = loaded.proto.graph
    if not all(is_numeric(value.type) for value in (*graph.input, *graph.output)):
        return False
    return not any(hosted_nodes(loaded))


def split(loaded: LoadedModel) -> list[Part]:
    """The parts in an order in which they can run.

    Raises UnsupportedError for operators that are neither compiled nor known to run on the host.
    """
    graph = loaded.proto.graph
    wanted = [output.name for output in graph.output]
    nodes = live(graph.node, wanted).nodes
    hosted = hosted_nodes(loaded)
    reject_unsupported([n for n, host in zip(nodes, hosted) if not host], Functions.of(loaded.proto))
    groups: dict[tuple[int, bool], list[NodeProto]] = {}
    places: dict[str, tuple[int, bool]] = {}
    for node, host in zip(nodes, hosted):
        before = [places[name] for name in used_names(node) if name in places]
        level = max((at + (other != host) for at, other in before), default=0)
        groups.setdefault((level, host), []).append(node)
        places.update(dict.fromkeys(filter(None, node.output), (level, host)))
    constants = {tensor.name for tensor in graph.initializer}
    return [_part(key[1], groups, key, wanted, constants) for key in sorted(groups)]


def refusal(loaded: LoadedModel) -> str:
    """Why a model that is not plain can't become an artefact."""
    graph = loaded.proto.graph
    hosted = [label for part in split(loaded) if part.hosted for label in part.labels]
    if hosted:
        return f"can't be compiled ahead of time: {', '.join(hosted)} run on the host, in Python alone"
    nested = [value.name for value in (*graph.input, *graph.output) if not is_numeric(value.type)]
    return f"can't be compiled ahead of time: {', '.join(nested)} are sequences or optionals, not tensors"


def _part(
    hosted: bool,
    groups: Mapping[tuple[int, bool], Sequence[NodeProto]],
    key: tuple[int, bool],
    wanted: Iterable[str],
    constants: set[str],
) -> Part:
    nodes = groups[key]
    made = {name: None for node in nodes for name in node.output if name}
    needed = {name: None for node in nodes for name in _free_names(node)}
    elsewhere = {name for other, group in groups.items() if other != key for node in group for name in used_names(node)}
    inputs = tuple(name for name in needed if name not in made and name not in constants)
    return Part(hosted, tuple(nodes), inputs, tuple(n for n in made if n in elsewhere or n in set(wanted)))


def _free_names(node: NodeProto) -> Iterable[str]:
    """Names that the node takes from around it, those of inner graphs included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            free = (name for inner in graph.node for name in _free_names(inner))
            yield from (name for name in (*free, *(output.name for output in graph.output)) if name not in own)


# Which nodes touch strings


def hosted_nodes(loaded: LoadedModel) -> list[bool]:
    """For each node that the outputs need, whether it runs on the host."""
    graph = loaded.proto.graph
    functions = Functions.of(loaded.proto)
    strings = {value.name for value in graph.input if _is_text(value.type)}
    strings |= {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.STRING}
    nodes = live(graph.node, [output.name for output in graph.output]).nodes
    return [_is_hosted(node, functions, strings) for node in nodes]


def _is_hosted(node: NodeProto, functions: Functions, strings: set[str]) -> bool:
    """Whether ``node`` runs on the host; its outputs of strings are added to ``strings``."""
    key = canonical(node.domain), node.op_type
    made = [name for name in _string_outputs(node, functions, strings) if name]
    taken = any(name in strings for name in node.input)
    inner = _has_hosted_bodies(node, functions, strings)
    strings.update(node.output if inner else made)
    return (key in HOST_OPERATORS and key not in importers()) or taken or bool(made) or inner


def _has_hosted_bodies(node: NodeProto, functions: Functions, strings: set[str]) -> bool:
    """Whether a graph inside the node, or the function that it calls, holds something for the host."""
    bodies = [graph.node for a in node.attribute for graph in (a.g, *a.graphs)]
    function = functions.find(node)
    if function is not None:
        bodies.append(function.node)
    known = set(strings)
    found = [_is_hosted(each, functions, known) for body in bodies for each in body]
    return any(found)


def _string_outputs(node: NodeProto, functions: Functions, strings: set[str]) -> Iterable[str]:
    """The outputs that hold strings."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type in ("Cast", "Constant", "ConstantOfShape") and not canonical(node.domain):
        made = any(map(_makes_strings, attributes.values()))
        return node.output if made else ()
    if node.op_type in PASSING and any(name in strings for name in node.input):
        return node.output
    if any(_names_strings(attribute) for attribute in node.attribute):
        return node.output[:1]
    schema = functions.schema(node)
    if schema is None or not strings.intersection(node.input):
        return ()
    taken = [kind for name, kind in zip(node.input, _types(schema.inputs, len(node.input))) if name in strings]
    kinds = {*taken, "tensor(string)"}
    return [name for name, kind in zip(node.output, _types(schema.outputs, len(node.output))) if kind in kinds]


def _types(formals: Sequence[Formal], count: int) -> list[str]:
    """The type names of ``count`` inputs or outputs; the last formal one may stand for many, none for none."""
    return [formals[min(i, len(formals) - 1)].type_str for i in range(count)] if formals else []


def _names_strings(attribute: AttributeProto) -> bool:
    """Whether the attribute holds the strings that a node of ai.onnx.ml yields."""
    texts = attribute.strings or attribute.t.data_type == TensorProto.STRING
    return attribute.name.startswith(("values_", "classlabels_")) and bool(texts)


def _makes_strings(attribute: AttributeProto) -> bool:
    to_strings = attribute.name == "to" and attribute.i == TensorProto.STRING
    return to_strings or attribute.name.startswith("value_string") or attribute.t.data_type == TensorProto.STRING


def is_numeric(kind: TypeProto) -> bool:
    """Whether the type is open, or tensors of numbers."""
    return kind.WhichOneof("value") in (None, "tensor_type") and not _is_text(kind)


def _is_text(kind: TypeProto) -> bool:
    """Whether values of the type hold strings, or are maps."""
    match kind.WhichOneof("value"):
        case "tensor_type":
            return kind.tensor_type.elem_type == TensorProto.STRING
        case "sequence_type":
            return _is_text(kind.sequence_type.elem_type)
        case "optional_type":
            return _is_text(kind.optional_type.elem_type)
        case "map_type":
            return True
        case _:
            return False


# Parts as models


def compiled_model(loaded: LoadedModel, part: Part, values: Mapping[str, Any]) -> tuple[LoadedModel, dict[str, Array]]:
    """A compiled part as a model that takes tensors, and these tensors by name, for inputs of the given ``values``:
    arrays, lists of arrays for sequences, None for optionals that hold nothing."""
    graph = loaded.proto.graph
    taken = {*used_constants(loaded, part), *part.inputs, *(n for node in part.nodes for n in node.output)}
    arrays: dict[str, Array] = {}
    built: list[NodeProto] = []
    for name in part.inputs:
        flat = flatten(name, values[name])
        if isinstance(values[name], np.ndarray):
            arrays[name] = values[name]
            continue
        operands = [_fresh(key, taken) for key in flat]
        arrays.update(zip(operands, flat.values()))
        kind = "Optional" if values[name] is None else "SequenceConstruct" if operands else "SequenceEmpty"
        built.append(helper.make_node(kind, operands, [name], name=name))
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
        for name, array in arrays.items()
    ]
    declared = {value.name: value for value in graph.output}
    outputs = [declared.get(name) or helper.make_empty_tensor_value_info(name) for name in part.outputs]
    own = GraphProto(name=graph.name, input=infos, output=outputs, node=[*built, *part.nodes])
    own.initializer.extend(used_constants(loaded, part).values())
    return replace(loaded, proto=_around(loaded.proto, own)), arrays


def hosted_model(loaded: LoadedModel, part: Part) -> ModelProto:
    """A part for onnx's reference, its constants in place."""
    constants = [
        t if t.data_type == TensorProto.STRING else numpy_helper.from_array(np.asarray(loaded.array(t)), name)
        for name, t in used_constants(loaded, part).items()
    ]
    own = GraphProto(name="host", node=part.nodes, initializer=constants)
    own.input.extend(map(helper.make_empty_tensor_value_info, part.inputs))
    own.output.extend(map(helper.make_empty_tensor_value_info, part.outputs))
    return _around(loaded.proto, own)


def used_constants(loaded: LoadedModel, part: Part) -> dict[str, TensorProto]:
    """The model's constants that the part uses, by name."""
    used = {name for node in part.nodes for name in _free_names(node)}
    return {tensor.name: tensor for tensor in loaded.proto.graph.initializer if tensor.name in used}


def _around(model: ModelProto, graph: GraphProto) -> ModelProto:
    return ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions, graph=graph
    )


def flatten(name: str, value: Any) -> dict[str, Array]:
    """The arrays of an input's value by name; UsageError for what is no tensor, sequence of tensors or optional."""
    if value is None:
        return {}
    if isinstance(value, np.ndarray):
        return {name: cast(Array, value)}
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        for index, item in enumerate(items):
            if not isinstance(item, np.ndarray):
                raise UsageError(f"item {index} of {name!r} is a {type(item).__name__}, not an array")
        return {f"{name}[{index}]": item for index, item in enumerate(items)}
    raise UsageError(f"{name!r} is a {type(value).__name__}, not an array, a list of arrays or None")


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
