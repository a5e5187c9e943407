"""Gathers at constant places."""

from __future__ import annotations

import numpy as np
from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.match import constant
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()


@RULES.on(hlt.GatherOp)
def gather_of_run(op: hlt.GatherOp) -> Value | None:
    """Constant indices that rise in equal steps are a slice; falling ones, a reversed slice."""
    indices = constant(op.indices)
    shape, axis = hlt.shape_of(op.x), op.axis
    if indices is None or indices.size == 0:
        return None
    places = indices.reshape(-1).astype(np.int64)
    places = np.where(places < 0, places + shape[axis], places)
    if places.min() < 0 or places.max() >= shape[axis]:
        return None
    steps = np.diff(places)
    step = int(steps[0]) if steps.size else 1
    if step == 0 or not bool((steps == step).all()):
        return None
    starts, sizes, strides = [0] * len(shape), [*shape], [1] * len(shape)
    starts[axis], sizes[axis], strides[axis] = int(places.min()), len(places), abs(step)
    picked: Value = hlt.SliceOp(op.x, starts=starts, sizes=sizes, strides=strides)
    if step < 0:
        picked = hlt.ReverseOp(picked, axes=(axis,))
    return hlt.ReshapeOp(picked, shape=hlt.shape_of(op.result))
