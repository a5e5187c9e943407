"""Gathers at constant places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.derive import constant_op, readable, reader
from mlc.lowering.graph.rewrite import Rules

MAX_INDICES = 1 << 16
"""Index tensors of more elements than this are not looked at."""

Array = np.ndarray[Any, Any]


def rules(store: WeightStore | None) -> Rules:
    """The rules, for indices that stand in the IR or in ``store``."""
    found, table = _Gathers(store), Rules()
    table.on(hlt.GatherOp)(found.gather_of_run)
    table.on(hlt.GatherNdOp)(found.gather_nd_of_run)
    return table


@dataclass(frozen=True)
class _Gathers:
    store: WeightStore | None

    def gather_of_run(self, op: hlt.GatherOp) -> Value | None:
        """Indices in equal steps: a slice of ``x`` along the axis, reversed if they fall."""
        indices = self._indices(op.indices)
        run = None if indices is None else _run(indices, hlt.shape_of(op.x)[op.axis])
        return run and hlt.ReshapeOp(run.take(op.x, op.axis), shape=hlt.shape_of(op.result))

    def gather_nd_of_run(self, op: hlt.GatherNdOp) -> Value | None:
        """Addresses in equal steps over the leading dims of ``x``, which then count as one."""
        indices = self._indices(op.indices)
        if indices is None or op.batch_dims or not hlt.shape_of(op.indices)[-1]:
            return None
        shape, depth = hlt.shape_of(op.x), hlt.shape_of(op.indices)[-1]
        leading = shape[:depth]
        rows = indices.reshape(-1, depth).astype(np.int64)
        rows = np.where(rows < 0, rows + np.array(leading), rows)
        if not rows.size or bool(((rows < 0) | (rows >= np.array(leading))).any()):
            return None
        flat = np.asarray(np.ravel_multi_index(tuple(rows.T), leading))
        run = _run(flat, math.prod(leading))
        merged = hlt.ReshapeOp(op.x, shape=(math.prod(leading), *shape[depth:]))
        return run and hlt.ReshapeOp(run.take(SSAValue.get(merged), 0), shape=hlt.shape_of(op.result))

    def _indices(self, value: SSAValue) -> Array | None:
        source = constant_op(value)
        if source is None or math.prod(hlt.shape_of(value)) > MAX_INDICES or not readable(value, self.store):
            return None
        return reader(source, self.store)()


@dataclass(frozen=True)
class _Run:
    """``count`` places from ``first`` upwards in steps of ``step``, or the same downwards."""

    first: int
    count: int
    step: int
    falling: bool

    def take(self, x: SSAValue, axis: int) -> Value:
        """The slices of ``x`` at these places along ``axis``."""
        shape = hlt.shape_of(x)
        picked: Value = hlt.SliceOp(
            x,
            starts=_at(axis, self.first, (0,) * len(shape)),
            sizes=_at(axis, self.count, shape),
            strides=_at(axis, self.step, (1,) * len(shape)),
        )
        return hlt.ReverseOp(picked, axes=(axis,)) if self.falling else picked


def _at(axis: int, value: int, values: Sequence[int]) -> tuple[int, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


def _run(indices: Array, extent: int) -> _Run | None:
    """The run that ``indices`` are, if they all lie in an axis of ``extent``."""
    places = indices.reshape(-1).astype(np.int64)
    places = np.where(places < 0, places + extent, places)
    if not places.size or places.min() < 0 or places.max() >= extent:
        return None
    steps = np.diff(places)
    step = int(steps[0]) if steps.size else 1
    if step == 0 or not bool((steps == step).all()):
        return None
    return _Run(int(places.min()), len(places), abs(step), step < 0)
