"""Branches: decided while importing where the condition is known, else compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from xdsl.ir import Block

from mlc.dialects import hlt
from mlc.errors import UnsupportedError
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.iteration import scalar
from mlc.frontends.onnx.node import DataDependentError, Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Entry, TensorList, Value, like, same_value, tensors_of


@onnx_op("If")
def if_(b: Builder, node: Node) -> Sequence[Entry | None]:
    """The branch that a known condition selects, in place of the node; else both."""
    condition = scalar(b, node, node.input(0), "the condition")
    if condition.known is None:
        return _both(b, node, condition)
    return _branch(b, node, "then_branch" if condition.known else "else_branch")


def _branch(b: Builder, node: Node, name: str) -> list[Entry | None]:
    """What a branch makes of the outputs that something uses."""
    graph = node.graph(name)
    if len(graph.output) != len(node.used):
        raise node.invalid(f"{name} has {len(graph.output)} outputs for the node's {len(node.used)}")
    return node.scope.import_subgraph(b, graph, (), node.used)


def _both(b: Builder, node: Node, condition: Value) -> list[Entry | None]:
    """Both branches as regions; what they agree on without computing anything needs none."""
    blocks = Block(), Block()
    with b.nested(blocks[0]) as on_true, b.nested(blocks[1]) as on_false:
        ways = _tried(on_true, node, "then_branch", condition), _tried(on_false, node, "else_branch", condition)
        for number, (left, right) in enumerate(zip(*ways, strict=True)):
            _check_alike(node, condition, number, left, right)
        entries = zip(*ways, strict=True)
        pairs = [pair for both in entries for pair in zip(*map(tensors_of, both), strict=True)]
        differing = [pair for pair in pairs if not same_value(*pair)]
        for inner, side in ((on_true, 0), (on_false, 1)):
            inner.append(hlt.YieldOp(*(inner.ssa(pair[side]) for pair in differing)))
    if not differing:
        for block in blocks:
            block.drop_all_references()
        return ways[0]
    op = hlt.IfOp(b.ssa(condition), *blocks)
    b.append(op)
    made = iter(op.results)
    merged = iter([left if same_value(left, right) else like(left, next(made)) for left, right in pairs])
    return [_rebuilt(entry, merged) for entry in ways[0]]


def _tried(b: Builder, node: Node, name: str, condition: Value) -> list[Entry | None]:
    """A branch that may run. Where it can't be compiled, knowing the condition may help."""
    try:
        return _branch(b, node, name)
    except DataDependentError:
        raise
    except UnsupportedError as error:
        raise node.depends_on_data(f"whether what is not supported runs ({error.describe()})", condition) from error


def _check_alike(node: Node, condition: Value, number: int, left: Entry | None, right: Entry | None) -> None:
    """Both branches make the same of an output, but for its contents."""
    shapes = [[(value.shape, value.dtype) for value in tensors_of(entry)] for entry in (left, right)]
    if type(left) is not type(right) or shapes[0] != shapes[1]:
        raise node.depends_on_data(f"the shape of output {number}, which differs between the branches,", condition)


def _rebuilt(entry: Entry | None, tensors: Iterator[Value]) -> Entry | None:
    """An entry like ``entry`` of the next of ``tensors``."""
    if isinstance(entry, TensorList):
        return replace(entry, items=tuple(next(tensors) for _ in entry.items))
    return next(tensors) if isinstance(entry, Value) else entry
