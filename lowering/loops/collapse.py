"""collapse: neighbouring dims that all operands walk as one become one dim; dims of extent 1 go away.

    dims <"d2=56 d3=56 d1=64"> maps ["d1, d2, d3"] on memref<64x56x56xf32>
 -> dims <"d2=3136 d1=64">     maps ["d1, d2//56, d2%56"]

Longer dims give schedules more room: fewer short tiles, longer vectors. The index stays one per buffer dim; the
address simplifies when it is made linear. Scratch buffers indexed by both dims take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.passes import ModulePass

from mlc.dialects.loop import ComputeOp, Dim, DimsAttr, IndexOp, KernelOp, MapAttr, buffer_type
from mlc.dialects.loop.affine import Expr, constant, dim, floordiv, mod
from mlc.lowering.loops.draft import compose
from mlc.lowering.loops.split import address


def collapse_kernel(kernel: KernelOp) -> None:
    """Collapse dims alike in all computes of a kernel that have them, so that they can still share loops."""
    computes = [c for c in kernel.computes() if c.maps is not None and c.schedule is None]
    for compute in computes:
        _drop_units(compute)
    if any(isinstance(o, IndexOp) for c in computes for o in c.walk()):
        return
    merged = True
    while merged:
        merged = any(_merge(computes, a, b) for a, b in _pairs(computes))


def _drop_units(op: ComputeOp) -> None:
    """Remove parallel dims of extent 1 (and reduction dims, while one stays)."""
    kept: list[Dim] = [d for d in op.dims.data if d.extent != 1]
    if op.has_reduction and not any(d.kind == "r" for d in kept):
        kept.append(next(d for d in op.dims.data if d.kind == "r"))
    gone = {d.name for d in op.dims.data} - {d.name for d in kept}
    used = {o.dim.data for o in op.walk() if isinstance(o, IndexOp)}
    gone -= used
    if gone:
        kept = [d for d in op.dims.data if d.name not in gone]
        _rewrite(op, kept, {name: constant(0) for name in gone})


def _rewrite(op: ComputeOp, dims: Sequence[Dim], values: dict[str, Expr]) -> None:
    assert op.maps is not None
    ranges = {d.name: d.extent for d in dims}
    op.properties["dims"] = DimsAttr(tuple(dims))
    op.properties["maps"] = ArrayAttr([MapAttr(compose(m.data, values, ranges)) for m in op.maps])


def _pairs(computes: Sequence[ComputeOp]) -> list[tuple[str, str]]:
    """Candidates: dims of one kind that neighbour in some operand's address."""
    found: dict[tuple[str, str], None] = {}
    for op in computes:
        assert op.maps is not None
        for value, mapping in zip(op.operands, op.maps):
            coefficients = {
                a: c for a, c in address(mapping, buffer_type(value), op.dims.extents).terms if isinstance(a, str)
            }
            by_size = sorted(coefficients, key=lambda n: coefficients[n])
            for inner, outer in pairwise(by_size):
                if coefficients[outer] == coefficients[inner] * op.dims.extents[inner]:
                    found[outer, inner] = None
    return list(found)


def _merge(computes: Sequence[ComputeOp], outer: str, inner: str) -> bool:
    """Merge two dims everywhere, if every address stays linear in the merged dim."""
    plans: list[tuple[ComputeOp, list[Dim], dict[str, Expr]]] = []
    for op in computes:
        names = op.dims.extents
        if outer not in names and inner not in names:
            continue
        if outer not in names or inner not in names or op.dims.kinds[outer] != op.dims.kinds[inner]:
            return False
        if op.dims.kinds[outer] == "s":
            return False
        extent = names[inner]
        joined = Dim(outer, names[outer] * extent, op.dims.kinds[outer])
        dims = [joined if d.name == outer else d for d in op.dims.data if d.name != inner]
        ranges = {d.name: d.extent for d in dims}
        values = {outer: floordiv(dim(outer), extent, ranges), inner: mod(dim(outer), extent, ranges)}
        if not _stays_linear(op, dims, values):
            return False
        plans.append((op, dims, values))
    for op, dims, values in plans:
        _rewrite(op, dims, values)
    return bool(plans)


def _stays_linear(op: ComputeOp, dims: Sequence[Dim], values: dict[str, Expr]) -> bool:
    assert op.maps is not None
    ranges = {d.name: d.extent for d in dims}
    before = op.dims.extents
    for value, mapping in zip(op.operands, op.maps):
        moved = MapAttr(compose(mapping.data, values, ranges))
        old = address(mapping, buffer_type(value), before)
        new = address(moved, buffer_type(value), ranges)
        if sum(not isinstance(a, str) for a, _ in new.terms) > sum(not isinstance(a, str) for a, _ in old.terms):
            return False
    return True


@dataclass(frozen=True)
class CollapsePass(ModulePass):
    """Neighbouring dims that all operands walk as one become one dim."""

    name = "collapse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            collapse_kernel(kernel)
