"""collapse: neighbouring dims that all operands walk as one become one dim; dims of extent 1 go away.

    dims <"d2=56 d3=56 d1=64"> maps ["d1, d2, d3"] on memref<64x56x56xf32>
 -> dims <"d2=3136 d1=64">     maps ["d1, d2//56, d2%56"]

Longer dims give schedules more room: fewer short tiles, longer vectors. The index stays one per buffer dim; the
address simplifies when it is made linear. Scratch buffers indexed by both dims take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.passes import ModulePass

from mlc.dialects.loop import ComputeOp, Dim, DimsAttr, IndexOp, KernelOp, MapAttr, buffer_type
from mlc.dialects.loop.affine import Expr, constant, dim, floordiv, mod, quotient_dims
from mlc.lowering.loops.draft import compose
from mlc.lowering.loops.mark_bounded import bounded_dims
from mlc.lowering.loops.split import address


def collapse_kernel(kernel: KernelOp) -> None:
    """Collapse dims alike in all computes of a kernel that have them, so that they can still share loops."""
    computes = [c for c in kernel.computes() if c.maps is not None and c.schedule is None]
    for compute in computes:
        _drop_units(compute)
    if any(isinstance(o, IndexOp) for c in computes for o in c.walk()):
        return
    addresses = {op: _addresses(op) for op in computes}
    merged = True
    while merged:
        merged = any(_merge(addresses, a, b) for a, b in _pairs(addresses))


def _addresses(op: ComputeOp) -> list[Expr]:
    """The byte address of every operand."""
    assert op.maps is not None
    return [address(m, buffer_type(v), op.dims.extents) for v, m in zip(op.operands, op.maps)]


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


def _pairs(addresses: Mapping[ComputeOp, Sequence[Expr]]) -> list[tuple[str, str]]:
    """Candidates: dims of one kind that neighbour in some operand's address."""
    found: dict[tuple[str, str], None] = {}
    for op, exprs in addresses.items():
        extents = op.dims.extents
        for expr in exprs:
            steps = sorted((c, a) for a, c in expr.terms if isinstance(a, str))
            for (low, inner), (high, outer) in pairwise(steps):
                if high == low * extents[inner]:
                    found[outer, inner] = None
    return list(found)


def _merge(addresses: dict[ComputeOp, list[Expr]], outer: str, inner: str) -> bool:
    """Merge two dims everywhere, if every operand walks them as one."""
    having = [op for op in addresses if outer in op.dims.extents or inner in op.dims.extents]
    if not all(_walks_as_one(op, exprs, outer, inner) for op, exprs in addresses.items() if op in having):
        return False
    for op in having:
        extents, kinds = op.dims.extents, op.dims.kinds
        joined = Dim(outer, extents[outer] * extents[inner], kinds[outer])
        dims = [joined if d.name == outer else d for d in op.dims.data if d.name != inner]
        ranges = {d.name: d.extent for d in dims}
        whole = dim(outer)
        values = {outer: floordiv(whole, extents[inner], ranges), inner: mod(whole, extents[inner], ranges)}
        _rewrite(op, dims, values)
        addresses[op] = _addresses(op)
    return bool(having)


def _walks_as_one(op: ComputeOp, exprs: Sequence[Expr], outer: str, inner: str) -> bool:
    """Whether a step of ``outer`` is as far as all of ``inner``, in every address."""
    extents, kinds = op.dims.extents, op.dims.kinds
    if outer not in extents or inner not in extents or kinds[outer] != kinds[inner] or kinds[outer] == "s":
        return False
    if inner in bounded_dims(op):
        return False
    for expr in exprs:
        if {outer, inner} & quotient_dims(expr):
            return False
        steps = {a: c for a, c in expr.terms if isinstance(a, str)}
        if steps.get(outer, 0) != steps.get(inner, 0) * extents[inner]:
            return False
    return True


@dataclass(frozen=True)
class CollapsePass(ModulePass):
    """Neighbouring dims that all operands walk as one become one dim."""

    name = "collapse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            collapse_kernel(kernel)
