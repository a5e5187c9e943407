"""Control flow that is decided while importing."""

from __future__ import annotations

from collections.abc import Sequence

from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Entry


@onnx_op("If")
def if_(b: Builder, node: Node) -> Sequence[Entry]:
    """The branch that a known condition selects, in place of the node."""
    taken = "then_branch" if node.known_scalar(0, "the condition") else "else_branch"
    return node.scope.import_subgraph(b, node.graph(taken))
