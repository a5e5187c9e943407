"""Reference meaning of `loop.kernel` before it is scheduled: maps and regions over whole domains, in NumPy.

Meant for small domains: every operand is gathered at every point of the domain. Schedules play no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any, TypeAlias

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, MemRefType
from xdsl.ir import Block, Operation, SSAValue

from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.interpreters.numerics import lift, settle, to_double
from mlc.dialects.interpreters.scalar import SCALAR
from mlc.dialects.loop import ComputeOp, Dim, IndexOp, KernelOp, MapAttr, ScratchOp, YieldOp
from mlc.dialects.loop.affine import evaluate, subscripts_of
from mlc.errors import InternalError, ModelError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def run_kernel(kernel: KernelOp, arrays: Sequence[Array], *, widen: bool = False) -> None:
    """Run the computes of a kernel on one array per argument; what they write changes in place.

    Arrays have the arguments' shapes; their dtypes may be wider (float64 outputs keep what ``widen`` computes).
    Unsigned arrays stand for their bits. Raises ModelError for a subscript out of range, and InternalError for an
    index outside its buffer or an operation without a reference.
    """
    buffers = dict(zip(kernel.args, arrays, strict=True))
    for op in kernel.body.block.ops:
        if isinstance(op, ScratchOp):
            buffers[op.result] = _scratch(op, widen)
    computes = kernel.computes()
    steps = _shared_steps(computes)
    for walks, group in groupby(computes, lambda c: bool(steps.keys() & c.dims.extents.keys())):
        members = list(group)
        for values in product(*(range(n) for n in steps.values())) if walks else [()]:
            fixed = dict(zip(steps, values))
            for compute in members:
                _run_compute(compute, buffers, fixed, widen)


def _shared_steps(computes: Sequence[ComputeOp]) -> dict[str, int]:
    """The dims of kind ``s`` that several computes have: those take their steps together."""
    names = [d for c in computes for d in c.dims.data if d.kind == "s"]
    return {d.name: d.extent for d in names if sum(n.name == d.name for n in names) > 1}


def _scratch(op: ScratchOp, widen: bool) -> Array:
    assert isinstance(op.result.type, MemRefType)
    shape, element = op.result.type.get_shape(), op.result.type.element_type
    if op.table is not None:
        return np.array(op.table.data, numpy_dtype(element)).reshape(shape)
    return settle(np.zeros(shape, numpy_dtype(element)), element, widen=widen)


def _run_compute(op: ComputeOp, buffers: Mapping[SSAValue, Array], fixed: Mapping[str, int], widen: bool) -> None:
    """Run one compute: step by step along its sequential dims, at once along the others."""
    steps = [d for d in op.dims.data if d.kind == "s" and d.name not in fixed]
    for values in product(*(range(d.extent) for d in steps)):
        _Evaluation(op, buffers, {**fixed, **{d.name: v for d, v in zip(steps, values)}}, widen).run()


@dataclass
class _Evaluation:
    """One compute at given steps of its sequential dims.

    Arrays over the domain have one axis per parallel dim, then one per reduction dim.
    """

    op: ComputeOp
    buffers: Mapping[SSAValue, Array]
    fixed: Mapping[str, int]
    widen: bool

    def run(self) -> None:
        op = self.op
        parallel = [d for d in op.dims.data if d.kind == "p" or (d.kind == "s" and d.name not in self.fixed)]
        outer = _grid(parallel, self.fixed)
        accumulators: list[Array] = []
        if op.has_reduction:
            accumulators = self._reduce(parallel, outer)
        shape = tuple(d.extent for d in parallel)
        results = self._region(op.finish.block, outer, accumulators)
        for number, value in enumerate(results):
            self._store(len(op.ins) + number, outer, shape, value)

    def _reduce(self, parallel: list[Dim], outer: dict[str, Array]) -> list[Array]:
        """The accumulators over the parallel dims; trailing values of ``map`` are stored."""
        op = self.op
        reduced = [d for d in op.dims.data if d.kind == "r"]
        inner = _grid([*parallel, *reduced], self.fixed)
        shape = tuple(d.extent for d in (*parallel, *reduced))
        values = self._region(op.map.block, inner, ())
        for number, value in enumerate(values[op.accumulators :]):
            self._store(len(op.ins) + len(op.outs) + number, inner, shape, value)
        rows = shape[: len(parallel)]
        flat = [np.broadcast_to(v, shape).reshape(*rows, -1) for v in values[: op.accumulators]]
        init = [np.broadcast_to(v, rows) for v in self._region(op.init.block, outer, ())]
        return self._fold(init, [np.moveaxis(v, -1, 0) for v in flat])

    def _fold(self, init: list[Array], terms: list[Array]) -> list[Array]:
        """``init`` combined with the terms along the first axis, pairwise and in order."""
        block = self.op.combine.block
        terms = [np.concatenate([i[None], t]) for i, t in zip(init, terms, strict=True)]
        while (count := len(terms[0])) > 1:
            left, right = [t[0 : count - 1 : 2] for t in terms], [t[1:count:2] for t in terms]
            folded = self._code(block, dict(zip(block.args, [*left, *right], strict=True)), {})
            terms = [np.concatenate([f, t[count - count % 2 :]]) for f, t in zip(folded, terms)]
        return [t[0] for t in terms]

    def _region(self, block: Block, values: Mapping[str, Any], accumulators: Sequence[Array]) -> list[Array]:
        """What a region yields for the operands at the points of a grid."""
        env: dict[SSAValue, Array] = {}
        count = len(self.op.ins)
        for i, argument in enumerate(block.args):
            if i >= count:
                env[argument] = accumulators[i - count]
            elif argument.first_use is not None:
                env[argument] = self._load(i, values)
        return self._code(block, env, values)

    def _code(self, block: Block, env: dict[SSAValue, Array], values: Mapping[str, Any]) -> list[Array]:
        return _run_code(block, env, values, self.widen)

    # --- memory

    def _load(self, number: int, values: Mapping[str, Any]) -> Array:
        value = self.op.operands[number]
        assert isinstance(value.type, MemRefType)
        array = self.buffers[value][self._index(number, values)]
        if array.dtype.kind == "u":
            array = array.view(numpy_dtype(value.type.element_type))
        return settle(np.asarray(array), value.type.element_type, widen=self.widen)

    def _store(self, number: int, values: Mapping[str, Any], shape: tuple[int, ...], value: Array) -> None:
        target = self.buffers[self.op.operands[number]]
        index = tuple(np.broadcast_to(np.asarray(i), shape) for i in self._index(number, values))
        if target.dtype.kind == "u":
            target = target.view(f"i{target.itemsize}")
        target[index] = np.broadcast_to(value, shape).astype(target.dtype)

    def _index(self, number: int, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The index arrays of an operand at the points of a grid."""
        assert self.op.maps is not None
        mapping = self.op.maps.data[number]
        shape = self.buffers[self.op.operands[number]].shape
        index = tuple(evaluate(e, {**values, **self._subscripts(mapping, values)}) for e in mapping.data)
        for place, extent in zip(index, shape, strict=True):
            if np.min(place) < 0 or np.max(place) >= extent:
                raise InternalError(f"operand {number} leaves its buffer of shape {shape}: {mapping}")
        return index

    def _subscripts(self, mapping: MapAttr, values: Mapping[str, Any]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        first = len(self.op.operands) - len(self.op.subscripts)
        for s in {s for e in mapping.data for s in subscripts_of(e)}:
            given = self.buffers[self.op.subscripts[s.number]][self._index(first + s.number, values)].astype(np.int64)
            place = np.where(given < 0, given + s.extent, given)
            if np.any((place < 0) | (place >= s.extent)):
                raise ModelError(f"subscript {s} is out of range")
            found[f"@{s.number}"] = place
        return found


def _run_code(block: Block, env: dict[SSAValue, Array], values: Mapping[str, Any], widen: bool) -> list[Array]:
    """What a region's code yields for the block arguments in ``env`` and the dims' ``values``."""
    for op in block.ops:
        if isinstance(op, YieldOp):
            return [env[v] for v in op.values]
        env[op.results[0]] = settle(_evaluate(op, env, values), op.results[0].type, widen=widen)
    raise InternalError("a region has no yield")


def _evaluate(op: Operation, env: Mapping[SSAValue, Array], values: Mapping[str, Any]) -> Array:
    """The exact result of one scalar operation, before it is rounded to its type."""
    dtype = numpy_dtype(op.results[0].type)
    if isinstance(op, arith.ConstantOp):
        assert isinstance(op.value, FloatAttr | IntegerAttr)
        return np.asarray(op.value.value.data).astype(dtype)
    if isinstance(op, IndexOp):
        return np.asarray(values[op.dim.data])
    meaning = SCALAR.get(op.name)
    if meaning is None:
        raise InternalError("this operation has no reference meaning", node=op.name)
    with np.errstate(all="ignore"):
        value = meaning(op, *(lift(env[v]) for v in op.operands))
    return to_double(value) if value.dtype.kind in "iu" and dtype.kind not in "iub" else value


def evaluate_operation(op: Operation, operands: Sequence[Array]) -> Array:
    """What one scalar operation gives for these operands."""
    value = _evaluate(op, dict(zip(op.operands, operands, strict=True)), {})
    return settle(value, op.results[0].type, widen=False)


def evaluate_constants(block: Block, values: Mapping[SSAValue, Array]) -> list[Array] | None:
    """What a region yields when its arguments have these values; None where it depends on anything else."""
    known = set(values)
    for op in block.ops:
        if isinstance(op, IndexOp) or not known.issuperset(op.operands):
            return None
        known.update(op.results)
    return _run_code(block, dict(values), {}, False)


def _grid(dims: Sequence[Dim], fixed: Mapping[str, int]) -> dict[str, Any]:
    """Each dim's values along an axis of its own."""
    grid: dict[str, Any] = {n: np.int64(v) for n, v in fixed.items()}
    for axis, d in enumerate(dims):
        shape = [1] * len(dims)
        shape[axis] = d.extent
        grid[d.name] = np.arange(d.extent, dtype=np.int64).reshape(shape)
    return grid
