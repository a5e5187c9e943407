"""Everything about a model that keeps it from being compiled, found in one go.

Nodes are imported one by one; one that fails is noted, and what depends on it is left unchecked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnx import NodeProto

from mlc.errors import MlcError, ModelError, UnsupportedError
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.functions import Functions, Live, live, used_names
from mlc.frontends.onnx.import_ import enter
from mlc.frontends.onnx.node import DataDependentError, label_of
from mlc.frontends.onnx.parts import hosted_nodes, is_numeric
from mlc.frontends.onnx.scope import Scope, initializers_of
from mlc.frontends.onnx.shapes import TensorInfo, bind_shapes, tensor_info

if TYPE_CHECKING:
    from mlc.frontends.onnx.load import LoadedModel

INVALID, UNSUPPORTED, PER_CALL, HOST = "invalid", "unsupported", "per call", "host"
"""Kinds of findings: broken; not compiled; compiled only for the values of a call; run on the host, in Python."""


@dataclass(frozen=True)
class Finding:
    """One thing that keeps a model from being compiled ahead of time: what kind, where (a node, an input) and why."""

    kind: str
    where: str
    reason: str


@dataclass
class Survey:
    """What was found: ``unchecked`` are nodes that depend on others that fail, ``assumed`` the extents made up."""

    findings: list[Finding] = field(default_factory=list[Finding])
    unchecked: list[str] = field(default_factory=list[str])
    assumed: dict[str, int] = field(default_factory=dict[str, int])
    nodes: int = 0

    def add(self, error: MlcError, where: str) -> None:
        """Note an error; its own node says more exactly where."""
        kinds = ((DataDependentError, PER_CALL), (ModelError, INVALID))
        kind = next((kind for cls, kind in kinds if isinstance(error, cls)), UNSUPPORTED)
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        self.findings.append(Finding(kind, error.node or where, reason))


def survey_model(
    loaded: LoadedModel, shapes: Mapping[str, Sequence[int | str]], dims: Mapping[str, int | str]
) -> Survey:
    """All findings about a loaded model. Dims that nothing binds are taken to be 1. Raises UsageError for shapes that
    contradict the model."""
    graph = loaded.proto.graph
    body = live(graph.node, [output.name for output in graph.output])
    survey = Survey(nodes=len(body.nodes))
    inputs = list(_tensors(loaded, shapes, survey))
    given = {name: shape for name, shape in shapes.items() if name in {info.name for info in inputs}}
    concrete = bind_shapes(inputs, given, {**_made_up(inputs, given, dims, survey), **dims})
    lost = {value.name for value in graph.input} - {info.name for info in inputs} - set(initializers_of(graph))
    builder, arguments = enter(loaded, inputs, concrete, {})
    scope = Scope(loaded, Functions.of(loaded.proto), arguments, initializers_of(graph))
    for node, hosted in zip(body.nodes, hosted_nodes(loaded)):
        if not _check(scope, builder, node, body.names, survey, lost, hosted=hosted):
            lost.update(filter(None, node.output))
    return survey


def _tensors(loaded: LoadedModel, shapes: Mapping[str, Sequence[int | str]], survey: Survey) -> Iterable[TensorInfo]:
    """The inputs that are tensors of numbers of known rank; others become findings, as do such outputs."""
    graph = loaded.proto.graph
    constants = initializers_of(graph)
    for role, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            if role == "output" and not value.type.tensor_type.elem_type and is_numeric(value.type):
                continue
            try:
                info = tensor_info(value, role)
            except UnsupportedError as error:
                survey.findings.append(Finding(PER_CALL, f"{role} {value.name!r}", f"{error.message}: in Python alone"))
                continue
            if role == "output" or value.name in constants:
                continue
            if info.shape is None and info.name not in shapes:
                survey.findings.append(Finding(PER_CALL, f"input {info.name!r}", "its rank is open: pass --shapes"))
                continue
            yield info


def _made_up(
    inputs: Sequence[TensorInfo],
    shapes: Mapping[str, Sequence[int | str]],
    dims: Mapping[str, int | str],
    survey: Survey,
) -> dict[str, int]:
    """An extent for each symbol that nothing binds."""
    bound = {dim for info in inputs if info.name in shapes for dim in info.shape or ()} | dims.keys()
    free = (dim for info in inputs for dim in info.shape or () if isinstance(dim, str) and dim not in bound)
    survey.assumed = dict.fromkeys(free, 1)
    return survey.assumed


def _check(
    scope: Scope,
    builder: Builder,
    node: NodeProto,
    used: frozenset[str],
    survey: Survey,
    lost: set[str],
    *,
    hosted: bool,
) -> bool:
    """Import one node; whether its outputs can be used."""
    label = label_of(node)
    if hosted:
        survey.findings.append(Finding(HOST, label, "strings, images and maps are not compiled"))
        return False
    if not lost.isdisjoint(used_names(node)):
        survey.unchecked.append(label)
        return False
    try:
        scope.run(builder, Live([node], used))
    except MlcError as error:
        survey.add(error, label)
        return False
    return True
