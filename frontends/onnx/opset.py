"""Bringing the operators of a model to one opset.

The importers know one version of each operator. It is that of ``INTERNAL_OPSET`` = 23: the newest that
every supported release of the onnx package has (1.18 brought it), and exporters still write older ones.
Older nodes are converted in place by the table in ``opset_steps``; only nodes whose operator changed are
touched, and no weight is read but the scales of a ``Resize``. Newer models keep their opset: so far, all
changes after 23 leave the meaning of older nodes alone (a test checks that), so an importer that knows the
newer form is enough.

``onnx.version_converter`` is not used. It is native code that would have to be kept from untrusted input in
a process of its own, needs weights in the proto, and converts fewer operators than the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, defs

from mlc.dialects.weights import WeightStore
from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.check import FunctionKey, all_nodes, function_key, node_label, subgraphs
from mlc.frontends.onnx.opset_edit import Edit, Facts
from mlc.frontends.onnx.opset_steps import STEPS

INTERNAL_OPSET: Final = 23

_IR_WITH_OPSETS: Final = 3
_WITHOUT_MEANING: Final = "consumed_inputs"
"""An attribute of many operators up to opset 5: a hint to reuse memory."""


def convert(model: ModelProto, weights: WeightStore) -> dict[str, int]:
    """Convert the default-domain nodes of ``model`` in place; returns the version of each domain after that.

    Raises ``ModelError`` for operators that their opset does not have and for missing attributes, and
    ``UnsupportedError`` for opsets newer than the onnx package and for the few nodes with no newer form.
    """
    functions = {function_key(function) for function in model.functions}
    converter = _Converter(Facts.of(model, weights), functions)
    declared = _model_version(model)
    converter.graph(model.graph, declared)
    _set_version(model.opset_import, declared)
    for function in model.functions:
        version = _version(f"function {function.name}", function.opset_import) or declared
        converter.graph(function, version)
        _set_version(function.opset_import, version)
    return {entry.domain: entry.version for entry in model.opset_import}


def _model_version(model: ModelProto) -> int:
    """The declared version; 1 for models from before there were versions."""
    version = _version("the model", model.opset_import)
    if version is not None:
        return version
    if model.ir_version < _IR_WITH_OPSETS:
        return 1
    if any(not node.domain for node in all_nodes(model.graph.node)):
        raise ModelError("the model does not say which opset of ai.onnx it uses")
    return INTERNAL_OPSET


def _version(what: str, imports: Sequence[OperatorSetIdProto]) -> int | None:
    version = next((entry.version for entry in imports if not entry.domain), None)
    newest = defs.onnx_opset_version()
    if version is not None and version > newest:
        raise UnsupportedError(
            f"{what} uses opset {version}; the installed onnx package knows {newest}", hint="upgrade onnx"
        )
    return version


def _set_version(imports: RepeatedCompositeFieldContainer[OperatorSetIdProto], declared: int) -> None:
    others = [entry for entry in imports if entry.domain]
    default = OperatorSetIdProto(domain="", version=max(declared, INTERNAL_OPSET))
    held = ModelProto(opset_import=[default, *others])
    del imports[:]
    imports.extend(held.opset_import)


class _Converter:
    """Converts graph after graph; ``functions`` are not operators even if they are called like one."""

    def __init__(self, facts: Facts, functions: set[FunctionKey]) -> None:
        self.facts = facts
        self.functions = functions

    def graph(self, graph: GraphProto | FunctionProto, version: int) -> None:
        """Convert the nodes of a graph, and of those within it, from ``version`` on."""
        if version >= INTERNAL_OPSET:
            return
        result: list[NodeProto] = []
        for node in graph.node:
            for inner in subgraphs(node):
                self.graph(inner, version)
            result += self.node(node, version)
        held = GraphProto(node=result)
        graph.ClearField("node")
        graph.node.extend(held.node)

    def node(self, node: NodeProto, version: int) -> Sequence[NodeProto]:
        """What takes the place of a node: mostly the node."""
        if node.domain or function_key(node) in self.functions:
            return (node,)
        at = _since(node, version)
        if at is None:
            return (node,)
        edit = Edit(node, self.facts)
        edit.take(_WITHOUT_MEANING)
        while (following := _next_step(node.op_type, at)) is not None:
            STEPS[node.op_type, following](edit)
            at = following
        return edit.nodes


def _next_step(op: str, version: int) -> int | None:
    return min((step for step in _VERSIONS.get(op, ()) if step > version), default=None)


_VERSIONS: Final = {op: [step for name, step in STEPS if name == op] for op, _ in STEPS}


def _since(node: NodeProto, version: int) -> int | None:
    """The version of the node's operator in an opset; None for one that ONNX never had.

    A deprecated operator counts as its last form before that.
    """
    first, since = _schema_versions(node.op_type, version)
    if first is not None and since is None:
        raise ModelError(f"opset {version} has no such operator; it came with opset {first}", node=node_label(node))
    return since


@lru_cache(maxsize=4096)
def _schema_versions(op: str, version: int) -> tuple[int | None, int | None]:
    """The first version of an operator, and the one in force in an opset."""
    if not defs.has(op):
        return None, None
    if not defs.has(op, version):
        return _first_version(op), None
    schema = defs.get_schema(op, version, "")
    return 1, schema.since_version - schema.deprecated


def _first_version(op: str) -> int:
    newest = defs.onnx_opset_version()
    return next((version for version in range(1, newest + 1) if defs.has(op, version)), newest)
