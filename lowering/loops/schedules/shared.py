"""Loops around several computes of one kernel: computes that hand each other rows, and steps that run in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import prod

from xdsl.ir import SSAValue

from mlc.codegen.targets import Target
from mlc.dialects.loop import ComputeOp, Level, Plan
from mlc.dialects.loop.affine import Expr, dims_of, subscripts_of
from mlc.lowering.loops.facts import Facts
from mlc.lowering.loops.schedules.gpu import gpu_rows
from mlc.lowering.loops.schedules.space import MANY_REGISTERS

ROWS_BYTES = 16 << 10
"""Bytes of rows that shared loops hold at a time: half of a small first-level cache."""

ROWS = (4, 2)
"""Rows at a time, with many registers and with few."""


def depends(computes: list[ComputeOp]) -> bool:
    """Whether some compute reads what another of the kernel writes."""
    written = [v for c in computes for v in (*c.outs, *c.elems)]
    return any(v is w for c in computes for v in (*c.ins, *c.subscripts) for w in written)


def scatters(computes: list[ComputeOp]) -> bool:
    """Whether some compute uses subscripts on what the kernel writes, so that rows aren't independent."""
    written = {v for c in computes for v in (*c.outs, *c.elems)}
    for compute in computes:
        assert compute.maps is not None
        for value, mapping in zip(compute.operands, compute.maps):
            if value in written and any(map(subscripts_of, mapping.data)):
                return True
    return False


def sequence_plan(computes: list[ComputeOp]) -> Plan:
    """Loops around computes that take steps together: the dims of kind ``s`` that several have."""
    count = Counter(d.name for c in computes for d in c.dims.data if d.kind == "s" and d.extent > 1)
    return Plan(tuple(Level(name, "/", 1) for name, times in count.items() if times > 1))


def shared_plan(computes: list[ComputeOp], target: Target) -> Plan:
    """Loops around dependent computes: over the parallel dims that all of them have, a few rows at a time."""
    common = [n for n in computes[0].dims.extents if _alike(computes, n)]
    if not common:
        return Plan(())
    facts = [Facts(c) for c in computes]
    order = sorted(common, key=lambda n: -abs(facts[0].operands[0].stride(n)))
    if target.kind == "gpu":
        return gpu_rows(facts[0].extents, order)
    levels = [Level(name, "/", 1) for name in order[:-1]]
    last = order[-1]
    extent = facts[0].extents[last]
    blocks = sorted({b for f in facts for b in f.blocks.get(last, [])}, reverse=True)
    rows = min(ROWS[0 if target.registers >= MANY_REGISTERS else 1], _fitting(facts, common), extent)
    while any(b % rows for b in blocks):
        rows -= 1
    levels += [Level(last, "/", b) for b in blocks if rows < b < extent]
    packed = any(o.packable and o.depends(last) for f in facts for o in f.operands)
    return Plan((*levels, Level(last, "/", rows, balanced=not blocks and not packed)))


def _alike(computes: list[ComputeOp], name: str) -> bool:
    """Whether ``name`` is one parallel dim of all computes, by which they index alike what they hand each other."""
    if len({(c.dims.kinds.get(name), c.dims.extents.get(name)) for c in computes}) > 1:
        return False
    written = {v for c in computes for v in (*c.outs, *c.elems)}
    places: dict[SSAValue, set[tuple[Expr | None, ...]]] = defaultdict(set)
    for compute in computes:
        assert compute.maps is not None
        for value, mapping in zip(compute.operands, compute.maps):
            if value in written:
                places[value].add(tuple(e if name in dims_of(e) else None for e in mapping.data))
    return computes[0].dims.kinds[name] == "p" and all(len(found) == 1 for found in places.values())


def _fitting(facts: list[Facts], common: list[str]) -> int:
    """Rows that fit into the first-level cache together."""
    row = max(
        prod(f.extents[n] for n in f.extents if n not in common and o.depends(n)) * o.bytes
        for f in facts
        for o in f.operands
    )
    return max(1, ROWS_BYTES // max(1, row))
