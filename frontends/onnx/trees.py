"""Tree ensembles as tables: one entry per node, walked by all rows and all trees at once.

A leaf's children are the leaf itself, so that after as many steps as the deepest tree has levels every walk stands on
a leaf.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.value import Array, Value

PREDICATES = {"LEQ": "le", "LT": "lt", "GTE": "ge", "GT": "gt", "EQ": "eq", "NEQ": "ne"}
MODES = (*PREDICATES, "MEMBER")
"""How a node compares a feature with its split; the position is the number in ONNX's TreeEnsemble."""

AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
MAX_LEVELS = 512
"""The most levels of a tree: each takes a few operations."""


@dataclass(frozen=True)
class Forest:
    """Trees over ``n`` nodes.

    - ``roots``: [trees]; ``features``, ``splits``, ``modes`` (places in `MODES`), ``on_true``, ``on_false`` and
      ``missing`` (whether NaN takes the true branch): [n]; -1 stands for the mode of a leaf.
    - ``members``: [n, most], padded with NaN: the sets of nodes of mode MEMBER.
    - ``weights``: [n, targets], NaN where a leaf says nothing of a target.
    """

    roots: Array
    features: Array
    splits: Array
    modes: Array
    on_true: Array
    on_false: Array
    missing: Array
    members: Array
    weights: Array

    def levels(self) -> int:
        """Steps from a root to its deepest leaf; ValueError for nodes out of range, cycles and depth beyond reason."""
        count = len(self.modes)
        for name, places in (("root", self.roots), ("child", self.on_true), ("child", self.on_false)):
            if places.size and (places.min() < 0 or places.max() >= count):
                raise ValueError(f"a {name} is no node of the {count} there are")
        here, levels = np.unique(self.roots), 0
        while True:
            inner = here[self.modes[here] >= 0]
            if not inner.size:
                return levels
            here = np.unique(np.concatenate([self.on_true[inner], self.on_false[inner]]))
            levels += 1
            if levels > MAX_LEVELS:
                raise ValueError(f"a tree has a cycle or more than {MAX_LEVELS} levels")


def walk(b: Builder, forest: Forest, x: Value) -> Value:
    """The leaf that each row of ``x`` [rows, features] reaches in each tree: [rows, trees], i32."""
    levels = forest.levels()
    if forest.features.size and (forest.features.min() < 0 or forest.features.max() >= x.shape[1]):
        raise ValueError(f"a node asks for a feature beyond the {x.shape[1]} there are")
    at = b.broadcast_to(_table(b, forest.roots, np.int32), (x.shape[0], len(forest.roots)))
    for _ in range(levels):
        at = _step(b, forest, x, at)
    return at


def _step(b: Builder, forest: Forest, x: Value, at: Value) -> Value:
    """One level down; walks that stand on a leaf stay there."""
    feature = b.op(hlt.GatherElementsOp, x, _entry(b, forest.features, np.int32, at), axis=1)
    right = _goes_true(b, forest, feature, at)
    if forest.missing.any():
        missing = b.elementwise(hlt.AndOp, b.op(hlt.IsNanOp, feature), _entry(b, forest.missing, np.bool_, at))
        right = b.elementwise(hlt.OrOp, right, missing)
    return b.select(right, _entry(b, forest.on_true, np.int32, at), _entry(b, forest.on_false, np.int32, at))


def _goes_true(b: Builder, forest: Forest, feature: Value, at: Value) -> Value:
    """Whether the comparison at each node holds; where all nodes compare alike, in one comparison."""
    split = _entry(b, forest.splits, feature.dtype, at)
    present = [int(mode) for mode in np.unique(forest.modes[forest.modes >= 0])]
    results = {mode: _holds(b, forest, mode, feature, split, at) for mode in present}
    if len(present) == 1:
        return results[present[0]]
    number = _entry(b, forest.modes, np.int32, at)
    right = results[present[0]]
    for mode in present[1:]:
        right = b.select(b.compare("eq", number, mode), results[mode], right)
    return right


def _holds(b: Builder, forest: Forest, mode: int, feature: Value, split: Value, at: Value) -> Value:
    name = MODES[mode]
    if name in PREDICATES:
        return b.compare(PREDICATES[name], feature, split)
    members = b.op(hlt.GatherOp, _table(b, forest.members, feature.dtype), at, axis=0)
    hits = b.compare("eq", b.broadcast_to(feature, members.shape, (0, 1)), members)
    return b.reduce("any", hits, (2,))


def _table(b: Builder, array: Array, dtype: np.dtype[np.generic] | type) -> Value:
    return b.constant(np.ascontiguousarray(array.astype(dtype)))


def _entry(b: Builder, array: Array, dtype: np.dtype[np.generic] | type, at: Value) -> Value:
    """The entries of a table at the nodes ``at``."""
    return b.op(hlt.GatherOp, _table(b, array, dtype), at, axis=0)


def scores(b: Builder, forest: Forest, x: Value, aggregate: str) -> Value:
    """What the leaves say of each target: [rows, targets] in the type of ``x``; 0 where none says anything."""
    empty = {"MIN": np.inf, "MAX": -np.inf}.get(aggregate, 0.0)
    weights = np.where(np.isnan(forest.weights), empty, forest.weights)
    found = _entry(b, weights, x.dtype, walk(b, forest, x))
    kind = {"MIN": "min", "MAX": "max"}.get(aggregate, "sum")
    result = b.reduce(kind, found, (1,))
    if aggregate == "AVERAGE":
        return b.div(result, len(forest.roots))
    return result if empty == 0 else b.select(b.compare("eq", result, empty), 0, result)
