"""loop.merge to LLVM IR: kept axes of accumulators are folded pair by pair, lanes by halves."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute

from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.region import Argument, Constant, Program, Ref, program_of
from mlc.codegen.emit.scalar import emit_op
from mlc.codegen.emit.tile import Registers, register_axes
from mlc.codegen.emit.writer import Writer, spelling
from mlc.dialects.loop import MergeOp, tile_type


def emit_merge(ctx: Lanes, op: MergeOp, sources: Sequence[Registers]) -> list[Registers]:
    """Fold kept axes, then lanes, of all accumulators at once; returns the registers of each result."""
    program = program_of(op.body.block)
    names = register_axes(op.sources[0])
    folded = {a.name for a in op.axes.data if a.kind != "l"}
    kept = [i for i, n in enumerate(names) if n not in folded]
    groups: dict[tuple[int, ...], list[list[str]]] = {}
    for key in sources[0]:
        groups.setdefault(tuple(key[i] for i in kept), []).append([s[key] for s in sources])
    results: list[Registers] = [{} for _ in sources]
    lanes = any(a.kind == "l" for a in op.axes.data)
    for key, members in groups.items():
        while len(members) > 1:
            members = [
                _combine(ctx, program, members[i], members[i + 1]) if i + 1 < len(members) else members[i]
                for i in range(0, len(members), 2)
            ]
        values = _fold_lanes(ctx, program, members[0], op) if lanes else members[0]
        for registers, value in zip(results, values):
            registers[key] = value
    return results


def _combine(ctx: Lanes, program: Program, left: list[str], right: list[str]) -> list[str]:
    temps: list[str] = []
    args = [*left, *right]

    def value(ref: Ref) -> str:
        if isinstance(ref, Constant):
            return ref.spell(ctx)
        return args[ref.number] if isinstance(ref, Argument) else temps[ref.number]

    for op, refs in program.steps:
        temps.append(emit_op(ctx, op, [value(r) for r in refs]))
    return [value(r) for r in program.results]


def _fold_lanes(ctx: Lanes, program: Program, values: list[str], op: MergeOp) -> list[str]:
    elements = [tile_type(v).element for v in op.sources]
    width = ctx.width
    while width > 1:
        half = width // 2
        narrow = Lanes(ctx.out, ctx.target, half)
        low = [_part(ctx.out, v, e, width, 0, half) for v, e in zip(values, elements)]
        high = [_part(ctx.out, v, e, width, half, half) for v, e in zip(values, elements)]
        values = _combine(narrow, program, low, high)
        width = half
    return values


def _part(out: Writer, value: str, element: Attribute, width: int, start: int, count: int) -> str:
    """``count`` lanes from lane ``start`` on."""
    scalar = spelling(element)[0]
    if count == 1:
        return out.value(f"extractelement <{width} x {scalar}> {value}, i64 {start}")
    mask = ", ".join(f"i32 {start + i}" for i in range(count))
    type_ = f"<{width} x {scalar}>"
    return out.value(f"shufflevector {type_} {value}, {type_} poison, <{count} x i32> <{mask}>")
