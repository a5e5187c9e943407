"""What stands behind an operator's name: an importer, a local function, or ONNX's own function body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import onnx
from onnx import FunctionProto, ModelProto, NodeProto, TypeProto

from mlc.errors import UnsupportedError
from mlc.frontends.onnx.check import all_nodes
from mlc.frontends.onnx.node import canonical, label_of
from mlc.frontends.onnx.registry import MICROSOFT, Importer, custom_operators, importers
from mlc.frontends.onnx.schema import Schema, Signature, find_schema, find_signature

FunctionKey: TypeAlias = tuple[str, str, str]

PUBLIC_DOMAINS = ("ai.onnx", MICROSOFT)
"""How the domains begin of operators that mlc may know by itself."""


@dataclass(frozen=True)
class Functions:
    """The model's local functions by domain, name and overload, and the opset version of each domain."""

    local: Mapping[FunctionKey, FunctionProto]
    versions: Mapping[str, int]

    @staticmethod
    def of(model: ModelProto) -> Functions:
        local = {(canonical(f.domain), f.name, f.overload): f for f in model.functions}
        return Functions(local, _versions(model.opset_import))

    def within(self, function: FunctionProto) -> Functions:
        """The same functions, seen from the body of one: it names its own opset versions."""
        return replace(self, versions={**self.versions, **_versions(function.opset_import)})

    def find(self, node: NodeProto) -> FunctionProto | None:
        """The local function that ``node`` calls, if any."""
        return self.local.get((canonical(node.domain), node.op_type, node.overload))

    def importer(self, node: NodeProto) -> Importer | None:
        return importers().get((canonical(node.domain), node.op_type))

    def schema(self, node: NodeProto) -> Schema | None:
        """ONNX's own definition of the operator at the version in use."""
        domain = canonical(node.domain)
        version = self.versions.get(domain)
        if version is None:
            return None
        return find_schema(node.op_type, version, domain)

    def signature(self, node: NodeProto) -> Signature | None:
        """What ONNX says that the operator takes at the version in use."""
        domain = canonical(node.domain)
        version = self.versions.get(domain)
        return None if version is None else find_signature(node.op_type, version, domain)

    def supports(self, node: NodeProto) -> bool:
        """Whether ``node`` can be imported, as far as its operator tells."""
        if self.find(node) is not None or self.importer(node) is not None:
            return True
        schema = self.schema(node)
        if schema is None:
            return False
        if schema.has_function:
            return all(self.supports(inner) for inner in self._static_body(schema).node)
        return schema.has_context_dependent_function

    def body(self, node: NodeProto, types: Sequence[TypeProto]) -> FunctionProto | None:
        """ONNX's function body for ``node`` with inputs of these ``types``; None if there is none.

        ``node`` must not refer to attributes of a function around it.
        """
        schema = self.schema(node)
        if schema is None:
            return None
        if schema.has_function:
            return self._static_body(schema)
        if not schema.has_context_dependent_function:
            return None
        version = self._newest(schema, schema.context_dependent_function_opset_versions)
        arguments = node.SerializeToString(), [kind.SerializeToString() for kind in types]
        built = schema.get_context_dependent_function_with_opset_version(version, *arguments)
        return FunctionProto.FromString(built) if built else None

    def _static_body(self, schema: Schema) -> FunctionProto:
        version = self._newest(schema, schema.function_opset_versions)
        built = schema.get_function_with_opset_version(version)
        return FunctionProto.FromString(built) if built else schema.function_body

    def _newest(self, schema: Schema, versions: Iterable[int]) -> int:
        """The newest of a body's ``versions`` that is not newer than the opset in use, else the oldest."""
        known = sorted(versions)
        usable = [v for v in known if v <= self.versions[canonical(schema.domain)]]
        return usable[-1] if usable else known[0]


def _versions(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {canonical(entry.domain): entry.version for entry in imports}


@dataclass(frozen=True)
class Live:
    """The nodes of a graph that its outputs depend on, in order, and every name that something uses."""

    nodes: Sequence[NodeProto]
    names: frozenset[str]


def live(nodes: Sequence[NodeProto], outputs: Iterable[str]) -> Live:
    """What ``outputs`` need of ``nodes``, which are in topological order."""
    names = set(outputs)
    needed: list[NodeProto] = []
    for node in reversed(nodes):
        if not names.isdisjoint(node.output):
            needed.append(node)
            names.update(used_names(node))
    needed.reverse()
    return Live(needed, frozenset(names))


def used_names(node: NodeProto) -> Iterable[str]:
    """Names that ``node`` or graphs inside it refer to."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from used_names(inner)


def used_operators(model: ModelProto) -> list[list[str]]:
    """The custom operators in a model, as `custom_operators` has them."""
    bodies = (model.graph.node, *(function.node for function in model.functions))
    used = {(canonical(node.domain), node.op_type) for body in bodies for node in all_nodes(body)}
    return [entry for entry in custom_operators() if (entry[0], entry[1]) in used]


def reject_unsupported(nodes: Iterable[NodeProto], functions: Functions, *, owner: str | None = None) -> None:
    """Raises UnsupportedError that lists every operator without an importer and the nodes that use it.

    Looks into local functions; branches are looked at when one is taken. ``owner`` is the node that the
    operators stand for, if any.
    """
    missing: dict[str, list[str]] = {}
    _collect_unsupported(nodes, functions, missing, set())
    if not missing:
        return
    listing = "; ".join(f"{operator} in {_some(names)}" for operator, names in sorted(missing.items()))
    custom = any("::" in operator and not operator.startswith(PUBLIC_DOMAINS) for operator in missing)
    hint = "register custom operators with onnx_op or mlc.register_c_op (--plugin)" if custom else None
    raise UnsupportedError(f"operators without an equivalent in hlt: {listing}", node=owner, hint=hint)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _collect_unsupported(
    nodes: Iterable[NodeProto], functions: Functions, missing: dict[str, list[str]], seen: set[int]
) -> None:
    for node in nodes:
        function = functions.find(node)
        if function is None and not functions.supports(node):
            domain = canonical(node.domain)
            operator = f"{domain}::{node.op_type}" if domain else node.op_type
            missing.setdefault(operator, []).append(label_of(node))
        elif function is not None and id(function) not in seen:
            seen.add(id(function))
            body = live(function.node, function.output).nodes
            _collect_unsupported(body, functions.within(function), missing, seen)
