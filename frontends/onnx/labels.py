"""Classifiers whose labels are strings: numbered labels, and a `Gather` of the strings behind the classifier.

The classifier is then one of numbers, compiled like others; only the `Gather` runs on the host.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto, NodeProto, TensorProto, helper

from mlc.dialects.weights import WeightStore
from mlc.frontends.onnx.opset_edit import Facts
from mlc.frontends.onnx.registry import MACHINE_LEARNING

TEXTS = "classlabels_strings"
NUMBERS = {
    "LinearClassifier": "classlabels_ints",
    "SVMClassifier": "classlabels_ints",
    "TreeEnsembleClassifier": "classlabels_int64s",
}
"""Classifiers, and the attribute that holds labels which are numbers."""


def number_labels(model: ModelProto, weights: WeightStore) -> None:
    """Rewrites, in place, classifiers with strings for labels in the main graph, whose names are checked."""
    graph = model.graph
    if not any(_texts(node) for node in graph.node):
        return
    facts = Facts.of(model, weights)
    nodes = [new for node in graph.node for new in _numbered(node, model, facts)]
    del graph.node[:]
    graph.node.extend(nodes)


def _texts(node: NodeProto) -> tuple[bytes, ...]:
    """The labels of a classifier that has strings for labels alone, else none."""
    own = NUMBERS.get(node.op_type) if node.domain == MACHINE_LEARNING else None
    lists = {attribute.name: attribute for attribute in node.attribute}
    if own is None or (own in lists and lists[own].ints) or TEXTS not in lists:
        return ()
    return tuple(lists[TEXTS].strings)


def _numbered(node: NodeProto, model: ModelProto, facts: Facts) -> Iterator[NodeProto]:
    texts, label = _texts(node), node.output[0]
    if not texts:
        yield node
        return
    numbered = NodeProto()
    numbered.CopyFrom(node)
    own = NUMBERS[node.op_type]
    kept = [attribute for attribute in node.attribute if attribute.name not in (TEXTS, own)]
    del numbered.attribute[:]
    numbered.attribute.extend([*kept, helper.make_attribute(own, range(len(texts)))])
    if label:
        numbered.output[0] = facts.fresh(label)
    yield numbered
    if label:
        table = TensorProto(
            name=facts.fresh(f"{label}.texts"), data_type=TensorProto.STRING, dims=[len(texts)], string_data=texts
        )
        model.graph.initializer.append(table)
        yield helper.make_node("Gather", [table.name, numbered.output[0]], [label], f"{node.name or label}/labels")
