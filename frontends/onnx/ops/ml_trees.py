"""ai.onnx.ml's tree ensembles: the form of opset 5 and the older ones of classifiers and regressors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.ml_linear import POST_TRANSFORMS, as_float, class_labels, post_transform
from mlc.frontends.onnx.registry import MACHINE_LEARNING, onnx_op
from mlc.frontends.onnx.trees import AGGREGATES, MODES, Forest, scores
from mlc.frontends.onnx.value import Array, Value


def _rows(node: Node) -> Value:
    x = node.input(0)
    if x.rank != 2:
        raise node.invalid(f"the input must be [rows, features], not {list(x.shape)}")
    return x


def _scores(b: Builder, node: Node, forest: Forest, x: Value, aggregate: str) -> Value:
    try:
        return scores(b, forest, x, aggregate)
    except ValueError as error:
        raise node.invalid(str(error)) from error


@onnx_op("TreeEnsemble", domain=MACHINE_LEARNING)
def tree_ensemble(b: Builder, node: Node) -> Value:
    """Inner nodes first, then leaves, in one table."""
    x = _rows(node)
    aggregate = AGGREGATES[_choice(node, "aggregate_function", 1, len(AGGREGATES))]
    result = _scores(b, node, _forest(node), x, aggregate)
    return post_transform(b, result, POST_TRANSFORMS[_choice(node, "post_transform", 0, len(POST_TRANSFORMS))])


def _choice(node: Node, name: str, default: int, count: int) -> int:
    value = node.int(name, default)
    if not 0 <= value < count:
        raise node.invalid(f"attribute {name} is {value}, not 0 to {count - 1}")
    return value


def _forest(node: Node) -> Forest:
    modes = _known(node, "nodes_modes").astype(np.int64)
    weights = _known(node, "leaf_weights")
    inner, leaves = len(modes), len(weights)
    lists = {n: np.array(node.ints(n), np.int64) for n in ("nodes_featureids", "nodes_truenodeids", "nodes_trueleafs")}
    lists |= {n: np.array(node.ints(n), np.int64) for n in ("nodes_falsenodeids", "nodes_falseleafs")}
    targets = np.array(node.ints("leaf_targetids"), np.int64)
    count = node.int("n_targets")
    _same_length(node, inner, lists)
    _same_length(node, leaves, {"leaf_targetids": targets})
    if modes.size and not 0 <= modes.min() <= modes.max() < len(MODES):
        raise node.invalid("attribute nodes_modes has an unknown mode")
    if targets.size and not 0 <= targets.min() <= targets.max() < count:
        raise node.invalid(f"attribute leaf_targetids names targets beyond {count}")
    own = np.arange(inner, inner + leaves)
    true = lists["nodes_truenodeids"] + inner * (lists["nodes_trueleafs"] != 0)
    false = lists["nodes_falsenodeids"] + inner * (lists["nodes_falseleafs"] != 0)
    table = np.full((inner + leaves, count), np.nan, weights.dtype)
    table[own, targets] = weights
    missing = np.array(node.ints("nodes_missing_value_tracks_true", (0,) * inner), bool)
    return Forest(
        np.array(node.ints("tree_roots"), np.int64),
        np.pad(lists["nodes_featureids"], (0, leaves)),
        np.pad(_known(node, "nodes_splits"), (0, leaves)),
        np.pad(modes, (0, leaves), constant_values=-1),
        np.concatenate([true, own]),
        np.concatenate([false, own]),
        np.pad(missing, (0, leaves)),
        _members(node, modes, inner + leaves),
        table,
    )


def _known(node: Node, name: str) -> Array:
    value: Value = node.tensor(name)
    return node.contents(value, f"attribute {name}").ravel()


def _same_length(node: Node, length: int, lists: dict[str, Array]) -> None:
    for name, values in lists.items():
        if len(values) != length:
            raise node.invalid(f"attribute {name} has {len(values)} entries instead of {length}")


def _members(node: Node, modes: Array, count: int) -> Array:
    """The sets of the nodes of mode MEMBER, which the attribute lists in order, each closed by a NaN."""
    given: Value | None = node.tensor("membership_values", None)
    places = np.flatnonzero(modes == MODES.index("MEMBER"))
    if given is None:
        if places.size:
            raise node.invalid("attribute membership_values is missing")
        return np.zeros((count, 0))
    values = node.contents(given, "attribute membership_values").ravel()
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) != len(places):
        raise node.invalid(f"{len(ends)} sets of members for {len(places)} nodes")
    sets = [part[~np.isnan(part)] for part in np.split(values, ends + 1)][: len(ends)]
    table = np.full((count, max((len(s) for s in sets), default=0)), np.nan)
    for place, members in zip(places, sets):
        table[place, : len(members)] = members
    return table


# The older forms


def _older_forest(node: Node, kind: str, targets: int) -> Forest:
    """Nodes are named by tree and number; ``kind`` (class or target) begins the names of attributes of weights."""
    trees, numbers = (np.array(node.ints(f"nodes_{n}"), np.int64) for n in ("treeids", "nodeids"))
    place = {key: index for index, key in enumerate(zip(trees.tolist(), numbers.tolist()))}
    names: tuple[str, ...] = node.strings("nodes_modes")
    lists = {
        n: np.array(node.ints(n), np.int64) for n in ("nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids")
    }
    splits = _floats(node, "nodes_values")
    _same_length(node, len(place), {**lists, "nodes_values": splits, "nodes_nodeids": numbers})
    modes = np.array([_mode(node, name) for name in names], np.int64)
    _same_length(node, len(place), {"nodes_modes": modes})
    leaf = modes < 0
    true, false = (
        _children(node, place, trees, lists[name], leaf) for name in ("nodes_truenodeids", "nodes_falsenodeids")
    )
    missing = np.array(node.ints("nodes_missing_value_tracks_true", ()) or (0,) * len(place), bool)
    features = np.where(leaf, 0, lists["nodes_featureids"])
    members = np.zeros((len(place), 0))
    weights = _leaf_weights(node, kind, place, targets)
    roots = _roots(trees, {*true[~leaf].tolist(), *false[~leaf].tolist()})
    return Forest(roots, features, splits, modes, true, false, missing, members, weights)


def _leaf_weights(node: Node, kind: str, place: dict[tuple[int, int], int], targets: int) -> Array:
    """[nodes, targets]: what nodes say of targets, several weights for the same added up."""
    ids: tuple[int, ...] = node.ints(f"{kind}_ids")
    if ids and not 0 <= min(ids) <= max(ids) < targets:
        raise node.invalid(f"attribute {kind}_ids names one beyond the {targets} there are")
    weights = _floats(node, f"{kind}_weights")
    trees, numbers = node.ints(f"{kind}_treeids"), node.ints(f"{kind}_nodeids")
    table = np.full((len(place), targets), np.nan, weights.dtype)
    for tree, number, target, weight in zip(trees, numbers, ids, weights, strict=True):
        if (tree, number) not in place:
            raise node.invalid(f"attribute {kind}_nodeids: node {number} of tree {tree} does not exist")
        row = table[place[tree, number]]
        row[target] = weight if np.isnan(row[target]) else row[target] + weight
    return table


def _roots(trees: Array, children: set[int]) -> Array:
    """The node of each tree that is no node's child; in a tree that has none, its first node."""
    found: dict[int, int] = {}
    for index, tree in enumerate(trees.tolist()):
        if found.setdefault(tree, index) in children and index not in children:
            found[tree] = index
    return np.array([found[tree] for tree in sorted(found)], np.int64)


def _mode(node: Node, name: str) -> int:
    if name == "LEAF":
        return -1
    short = name.removeprefix("BRANCH_")
    if short not in MODES:
        raise node.invalid(f"attribute nodes_modes has the unknown mode {name!r}")
    return MODES.index(short)


def _children(node: Node, place: dict[tuple[int, int], int], trees: Array, numbers: Array, leaf: Array) -> Array:
    """The places of children; a leaf's is its own."""
    found = np.arange(len(numbers))
    for index, (tree, number) in enumerate(zip(trees.tolist(), numbers.tolist())):
        if not leaf[index]:
            if (tree, number) not in place:
                raise node.invalid(f"node {number} of tree {tree} does not exist")
            found[index] = place[tree, number]
    return found


def _floats(node: Node, name: str) -> Array:
    """A list attribute of floats, or the same as a tensor of doubles."""
    given: Value | None = node.tensor(f"{name}_as_tensor", None)
    if given is not None:
        return node.contents(given, f"attribute {name}_as_tensor").ravel()
    return np.array(node.floats(name, ()), np.float32)


@onnx_op("TreeEnsembleRegressor", domain=MACHINE_LEARNING)
def tree_ensemble_regressor(b: Builder, node: Node) -> Value:
    x, targets = as_float(b, _rows(node)), node.int("n_targets", 1)
    aggregate = node.string("aggregate_function", "SUM", choices=AGGREGATES)
    result = _scores(b, node, _older_forest(node, "target", targets), x, aggregate)
    result = _plus_base(b, node, result, _floats(node, "base_values"))
    return b.cast(post_transform(b, result, node.string("post_transform", "NONE", choices=POST_TRANSFORMS)), np.float32)


def _plus_base(b: Builder, node: Node, x: Value, base: Array) -> Value:
    if not base.size:
        return x
    if len(base) not in (1, x.shape[1]):
        raise node.invalid(f"{len(base)} base values for {x.shape[1]} targets")
    return b.add(x, b.constant(base.astype(x.dtype)))


@onnx_op("TreeEnsembleClassifier", domain=MACHINE_LEARNING)
def tree_ensemble_classifier(b: Builder, node: Node) -> tuple[Value, Value]:
    """Labels [rows] and scores [rows, classes]; two classes may share one score."""
    x, labels = as_float(b, _rows(node)), node.ints("classlabels_int64s", ())
    if not labels:
        raise node.unsupported("class labels that are strings")
    ids: Sequence[int] = node.ints("class_ids")
    forest = _older_forest(node, "class", max(len(labels), 1 + max(ids, default=0)))
    base, result = _floats(node, "base_values"), _scores(b, node, forest, x, "SUM")
    transform = node.string("post_transform", "NONE", choices=POST_TRANSFORMS)
    if len(labels) == 2 and len(set(ids)) == 1:
        score = b.slice_axis(result, 1, ids[0], 1)
        score = b.add(score, float(base[-1])) if base.size else score
        return _two_classes(b, node, b.cast(score, np.float32), labels, transform)
    result = b.cast(_plus_base(b, node, result, base), np.float32)
    return class_labels(b, result, labels), post_transform(b, result, transform)


def _two_classes(b: Builder, node: Node, score: Value, labels: Sequence[int], transform: str) -> tuple[Value, Value]:
    """One score decides: a probability if no weight is negative, else a distance from the border."""
    positive = bool((_floats(node, "class_weights") >= 0).all())
    second = b.compare("gt", score, 0.5 if positive else 0)
    pair = b.concat([b.sub(1 if positive else 0, score), score], 1)
    if transform == "LOGISTIC" and not positive:
        pair = post_transform(b, pair, transform)
    rows = (score.shape[0],)
    return b.select(b.reshape(second, rows), b.full(rows, labels[1], np.int64), labels[0]), pair
