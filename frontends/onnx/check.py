"""What must hold of a model before anything relies on it: names, order, calls, sizes.

The rules are ONNX's (https://github.com/onnx/onnx/blob/main/docs/IR.md): every name is defined once and
before use, a graph sees the names around it, functions don't call themselves. Graphs whose nodes are merely
out of order are put in order; a cycle is an error that names the nodes in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TypeProto,
)

from mlc.errors import ModelError
from mlc.frontends.onnx.limits import Limits, element_count

FunctionKey: TypeAlias = tuple[str, str, str]
"""Domain, name and overload of a model-local function."""

Functions: TypeAlias = dict[FunctionKey, FunctionProto]

_NAMED_IN_A_CYCLE = 8

_SINGLE = {"f": AttributeProto.FLOAT, "i": AttributeProto.INT, "s": AttributeProto.STRING}
_LISTS = {"floats": AttributeProto.FLOATS, "ints": AttributeProto.INTS, "strings": AttributeProto.STRINGS}
_TYPE_BY_FIELD = {**_SINGLE, "t": AttributeProto.TENSOR, "g": AttributeProto.GRAPH, **_LISTS}
"""The first models did not state the types of attributes."""


def node_label(node: NodeProto) -> str:
    """How messages call a node: ``name (OpType)``, by its first output if it has no name."""
    name = node.name or next((output for output in node.output if output), "unnamed")
    return f"{name} ({node.op_type})"


def default_domain(domain: str) -> str:
    """The domain, with the two spellings of the default one made the same."""
    return "" if domain == "ai.onnx" else domain


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs in the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def check_model(model: ModelProto, limits: Limits) -> None:
    """Check a parsed model, and sort its nodes where they are out of order. Raises ``ModelError``."""
    if not model.HasField("graph"):
        raise ModelError("the model has no graph")
    _check_sizes(model, limits)
    _check_opsets("model", model.opset_import)
    _check_calls(model, limits)
    _check_graph(model.graph, None)
    for function in model.functions:
        _check_opsets(f"function {function.name}", function.opset_import)
        _check_function(function)


def _check_sizes(model: ModelProto, limits: Limits) -> None:
    """Count nodes and depth, and visit everything that later code reads."""
    pending = [(model.graph, 1)]
    nodes = 0
    for function in model.functions:
        nodes += len(function.node)
        for node in function.node:
            pending += ((graph, 1) for graph in _check_node(node, limits))
    while pending:
        graph, depth = pending.pop()
        limits.check("nesting", depth, f"graph {graph.name}: nesting")
        nodes += len(graph.node)
        limits.check("nodes", nodes, "model: nodes")
        for value in (*graph.input, *graph.output, *graph.value_info):
            _check_type(value.type, f"value {value.name!r}", limits)
        for node in graph.node:
            pending += ((inner, depth + 1) for inner in _check_node(node, limits))


def _check_node(node: NodeProto, limits: Limits) -> Iterator[GraphProto]:
    label = node_label(node)
    if not node.op_type:
        raise ModelError("a node without op_type", node=label)
    if not any(node.output):
        raise ModelError("a node without outputs", node=label)
    node.ClearField("doc_string")
    node.domain = default_domain(node.domain)
    names = [attribute.name for attribute in node.attribute]
    if len(set(names)) != len(names):
        raise ModelError("an attribute is given twice", node=label)
    for attribute in node.attribute:
        _check_attribute(attribute, label, limits)
    return subgraphs(node)


def _check_attribute(attribute: AttributeProto, label: str, limits: Limits) -> None:
    if not attribute.name:
        raise ModelError("an attribute without a name", node=label)
    attribute.ClearField("doc_string")
    if not attribute.type:
        kinds = (kind for name, kind in _TYPE_BY_FIELD.items() if _is_set(attribute, name))
        attribute.type = next(kinds, AttributeProto.UNDEFINED)
    values = (attribute.floats, attribute.ints, attribute.strings, attribute.tensors, attribute.graphs)
    limits.check("attribute_values", max(map(len, values)), f"{label}: attribute {attribute.name}: values")


def _is_set(attribute: AttributeProto, field: str) -> bool:
    return len(getattr(attribute, field)) > 0 if field in _LISTS else attribute.HasField(field)


def _check_type(kind: TypeProto, what: str, limits: Limits) -> None:
    for _ in range(limits.nesting):
        if kind.HasField("sequence_type"):
            kind = kind.sequence_type.elem_type
        elif kind.HasField("optional_type"):
            kind = kind.optional_type.elem_type
        else:
            break
    dims = kind.tensor_type.shape.dim
    limits.check("rank", len(dims), f"{what}: rank")
    element_count(tuple(dim.dim_value for dim in dims if not dim.dim_param), what, limits)


def _check_opsets(what: str, imports: Sequence[OperatorSetIdProto]) -> None:
    seen: dict[str, int] = {}
    for entry in imports:
        entry.domain = default_domain(entry.domain)
        named = f"{what}: imports version {entry.version} of domain {entry.domain or 'ai.onnx'}"
        if entry.version < 1:
            raise ModelError(named)
        if seen.setdefault(entry.domain, entry.version) != entry.version:
            raise ModelError(f"{named}, and also version {seen[entry.domain]}")


@dataclass(frozen=True)
class _Scope:
    """The names that a graph defines, and those around it."""

    names: set[str]
    outer: _Scope | None

    def __contains__(self, name: str) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return True
            scope = scope.outer
        return False


def _check_graph(graph: GraphProto, outer: _Scope | None) -> None:
    """Check the names of a graph and of those within it."""
    inputs = _distinct("input", [value.name for value in graph.input])
    constants = [tensor.name for tensor in graph.initializer]
    constants += [sparse.values.name for sparse in graph.sparse_initializer]
    given = inputs | _distinct("initializer", constants)
    _check_nodes(graph, _Scope(given, outer), [value.name for value in graph.output])


def _check_nodes(graph: GraphProto | FunctionProto, scope: _Scope, outputs: Sequence[str]) -> None:
    producer = _producers(graph, scope)
    _order(graph, producer, scope)
    inside = _Scope(scope.names | producer.keys(), scope.outer)
    for name in outputs:
        if name not in inside:
            raise ModelError(f"output {name!r} of graph {graph.name!r} is not defined")
    for node in graph.node:
        for inner in subgraphs(node):
            _check_graph(inner, inside)


def _distinct(kind: str, names: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if not name:
            raise ModelError(f"an {kind} without a name")
        if name in seen:
            raise ModelError(f"{kind} {name!r} is defined twice")
        seen.add(name)
    return seen


def _producers(graph: GraphProto | FunctionProto, scope: _Scope) -> dict[str, int]:
    """Which node makes which name; each name is made once in its graph, and may hide one of a graph around."""
    producer: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in node.output:
            if not name:
                continue
            if name in producer or name in scope.names:
                raise ModelError(f"output {name!r} is already defined", node=node_label(node))
            producer[name] = index
    return producer


def _order(graph: GraphProto | FunctionProto, producer: dict[str, int], scope: _Scope) -> None:
    """Leave sorted nodes alone; else sort them, keeping their order where it does not matter."""
    nodes = graph.node
    needs = [_needs(node, producer, scope) for node in nodes]
    if all(need < index for index, before in enumerate(needs) for need in before):
        return
    held = type(graph)()
    held.node.extend(nodes[index] for index in _sorted_order(nodes, needs))
    del nodes[:]
    nodes.extend(held.node)


def _needs(node: NodeProto, producer: dict[str, int], scope: _Scope) -> set[int]:
    """The nodes that must run before ``node``; an undefined input is an error."""
    needs: set[int] = set()
    for name in node.input:
        if name in producer:
            needs.add(producer[name])
        elif name and name not in scope:
            raise ModelError(f"input {name!r} is not defined", node=node_label(node))
    for graph in subgraphs(node):
        needs |= {producer[name] for name in free_names(graph) if name in producer}
    return needs


def free_names(graph: GraphProto) -> set[str]:
    """The names that a graph uses but does not define."""
    defined = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    defined |= {sparse.values.name for sparse in graph.sparse_initializer}
    used = {value.name for value in graph.output}
    for node in graph.node:
        defined.update(node.output)
        used.update(node.input)
        for inner in subgraphs(node):
            used |= free_names(inner)
    return used - defined


def _sorted_order(nodes: Sequence[NodeProto], needs: Sequence[set[int]]) -> list[int]:
    """Kahn's algorithm, taking the earliest node that is ready; a cycle is a ``ModelError``."""
    waiting = [len(before) for before in needs]
    users: list[list[int]] = [[] for _ in nodes]
    for index, before in enumerate(needs):
        for need in before:
            users[need].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for user in users[index]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise ModelError(f"the graph has a cycle: {_cycle(nodes, needs, set(order))}")
    return order


def _cycle(nodes: Sequence[NodeProto], needs: Sequence[set[int]], done: set[int]) -> str:
    """A cycle among the nodes that are not done: from any of them, step to something it waits for."""
    path: list[int] = []
    index = next(index for index in range(len(nodes)) if index not in done)
    while index not in path:
        path.append(index)
        index = min(need for need in needs[index] if need not in done)
    first, *rest = path[path.index(index) :]
    loop = [first, *reversed(rest)]
    labels = [node_label(nodes[member]) for member in loop[:_NAMED_IN_A_CYCLE]]
    more = [f"... {len(loop) - len(labels)} more"] if len(loop) > len(labels) else []
    return " -> ".join((*labels, *more, labels[0]))


def _check_function(function: FunctionProto) -> None:
    given = _distinct("input", list(function.input))
    _check_nodes(function, _Scope(given, None), list(function.output))


def function_key(item: NodeProto | FunctionProto) -> FunctionKey:
    """The key of a function, or that of the function which a node would call."""
    name = item.op_type if isinstance(item, NodeProto) else item.name
    return default_domain(item.domain), name, item.overload


def _check_calls(model: ModelProto, limits: Limits) -> None:
    """Functions are defined once, don't call themselves, and expand to a bounded number of nodes."""
    functions: Functions = {}
    for function in model.functions:
        if functions.setdefault(function_key(function), function) is not function:
            raise ModelError(f"function {function.name!r} is defined twice")
    sizes: dict[FunctionKey, int] = {}
    for key in functions:
        _expand(key, functions, sizes, limits)
    _check_expansion("the model", _expanded(model.graph.node, sizes), limits)


def _check_expansion(what: str, nodes: int, limits: Limits) -> None:
    limits.check("expanded_nodes", nodes, f"{what}: nodes once its calls of functions are expanded")


def _expand(root: FunctionKey, functions: Functions, sizes: dict[FunctionKey, int], limits: Limits) -> None:
    """Fill ``sizes`` for ``root`` and all that it calls, callees first, without recursion in Python."""
    path: dict[FunctionKey, None] = {}
    pending = [(root, False)]
    while pending:
        key, left = pending.pop()
        if left:
            del path[key]
            sizes[key] = _expanded(functions[key].node, sizes)
            _check_expansion(f"function {key[1]}", sizes[key], limits)
        elif key in path:
            loop = [*list(path)[list(path).index(key) :], key]
            raise ModelError(f"functions call themselves: {' -> '.join(name for _, name, _ in loop)}")
        elif key not in sizes:
            path[key] = None
            pending.append((key, True))
            callees = {function_key(node) for node in all_nodes(functions[key].node)}
            pending += ((callee, False) for callee in callees if callee in functions)


def _expanded(nodes: Sequence[NodeProto], sizes: dict[FunctionKey, int]) -> int:
    return sum(1 + sizes.get(function_key(node), 0) for node in all_nodes(nodes))


def all_nodes(nodes: Sequence[NodeProto]) -> Iterator[NodeProto]:
    """The nodes, and those of the graphs within them."""
    pending = list(reversed(nodes))
    while pending:
        node = pending.pop()
        yield node
        for graph in subgraphs(node):
            pending += reversed(graph.node)
