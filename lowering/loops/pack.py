"""pack: operands named by ``pack(i)`` are stored in the order in which the nest reads them.

   schedule <"n/32 m/7 k/4 k* m* n* n@16 pack(1)">
-> %p = loop.pack %b ... : memref<768x768xf32> -> memref<24x192x4x2x16xf32>
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, MemRefType, ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop import ComputeOp, DimsAttr, PackOp, Plan, Reach, ReachAttr, ScheduleAttr, buffer_type
from mlc.lowering.loops.levels import Span, element_bytes, row_major, spans
from mlc.lowering.loops.split import shared_levels


def packed_spans(reach: Reach, levels: list[Span]) -> list[Span]:
    """The levels that index the packed operand: all levels of the dims on which it depends."""
    dims = {s.level.dim for s in levels if reach.coefficient(s.key)}
    return [s for s in levels if s.level.dim in dims]


def pack_operand(op: ComputeOp, index: int) -> PackOp:
    """Insert the pack of one operand before the compute and rewire the operand to it."""
    assert op.reach is not None and op.schedule is not None
    plan = op.schedule.data
    levels = spans(op.dims.data, plan._replace(levels=(*shared_levels(op), *plan.levels)))
    reaches = list(op.reach)
    source = op.operands[index]
    if reaches[index].data.subscripts:
        raise VerifyException("[pack_constant] an operand addressed by subscripts can't be packed")
    inner = packed_spans(reaches[index].data, levels)
    shape = tuple(s.count for s in inner)
    element = buffer_type(source).element_type
    size = element_bytes(element)
    packed = Reach(0, tuple((s.key, stride * size) for s, stride in zip(inner, row_major(shape))), True)
    _check_balanced(index, packed, inner)
    pack = PackOp.create(
        operands=[source],
        result_types=[MemRefType(element, shape)],
        properties={
            "reach": reaches[index],
            "dims": DimsAttr(tuple(d for d in op.dims.data if any(s.level.dim == d.name for s in inner))),
            "schedule": ScheduleAttr(Plan(tuple(s.level for s in inner))),
        },
    )
    block = op.parent_block()
    assert block is not None
    block.insert_op_before(pack, op)
    op.operands[index] = pack.result
    reaches[index] = ReachAttr(packed)
    op.properties["reach"] = ArrayAttr(reaches)
    return pack


def _check_balanced(index: int, packed: Reach, inner: list[Span]) -> None:
    """Tiles of varying size can only be stored where one stride reaches all elements of their dim."""
    for name in {s.level.dim for s in inner if s.level.balanced}:
        strides = {Fraction(packed.coefficient(s.key), s.step) for s in inner if s.level.dim == name}
        if len(strides) > 1:
            raise VerifyException(f"[pack_balanced] dim {name!r} of operand {index} is packed: its steps can't vary")


def pack_array(pack: PackOp, source: NDArray[Any]) -> NDArray[Any]:
    """The packed form of a weight: the host's execution of `PackOp`.

    ``source`` has the element type and size of the pack's operand; the result is dense, with the result's shape.
    """
    levels = spans(pack.dims.data, pack.schedule.data)
    reach = pack.reach.data
    shape = tuple(s.count for s in levels)
    strides = tuple(reach.coefficient(s.key) for s in levels)
    flat = np.ascontiguousarray(source).reshape(-1)
    size = flat.dtype.itemsize
    boxes = _boxes(pack, levels)
    whole = all(stop == s.count for box in boxes for (_, stop), s in zip(box, levels))
    out = np.empty(shape, flat.dtype) if len(boxes) == 1 and whole else np.zeros(shape, flat.dtype)
    for box in boxes:
        offset = reach.const + sum(start * stride for (start, _), stride in zip(box, strides))
        counts = [stop - start for start, stop in box]
        view = np.lib.stride_tricks.as_strided(flat[offset // size :], counts, strides, writeable=False)
        out[tuple(slice(start, stop) for start, stop in box)] = view
    return out


def _boxes(pack: PackOp, levels: list[Span]) -> list[list[tuple[int, int]]]:
    """The index boxes whose elements exist in the source: all of it, or full tiles and remainders per dim."""
    boxes: list[dict[int, tuple[int, int]]] = [{}]
    extents = pack.dims.extents
    for name in dict.fromkeys(s.level.dim for s in levels):
        mine = sorted(((i, s) for i, s in enumerate(levels) if s.level.dim == name), key=lambda found: _depth(found[1]))
        parts = _dim_boxes(extents[name], mine)
        boxes = [{**box, **part} for box in boxes for part in parts]
    return [[box[i] for i in range(len(levels))] for box in boxes]


def _depth(span: Span) -> tuple[int, int]:
    """Where a level stands among those of its dim: loops, the larger ones outside, then registers, then lanes."""
    return {"/": 0, "*": 1, "+": 1}.get(span.level.kind, 2), -span.step


def _dim_boxes(extent: int, levels: list[tuple[int, Span]]) -> list[dict[int, tuple[int, int]]]:
    """Boxes of one dim's levels that together hold exactly the elements below ``extent``."""
    if extent <= 0:
        return []
    if not levels:
        return [{}]
    (index, span), rest = levels[0], levels[1:]
    step = span.step
    full, left = divmod(extent, step)
    full, left = min(full, span.count), left if full < span.count else 0
    boxes = [{index: (0, full), **b} for b in _dim_boxes(min(step, extent), rest)] if full else []
    if left:
        boxes += [{index: (full, full + 1), **b} for b in _dim_boxes(left, rest)]
    return boxes


@dataclass(frozen=True)
class PackPass(ModulePass):
    """Operands named by ``pack(i)`` are stored in the order in which the nest reads them."""

    name = "pack"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in [o for o in op.walk() if isinstance(o, ComputeOp) and o.reach is not None]:
            if compute.schedule is None or not compute.schedule.data.pack:
                continue
            plan = compute.schedule.data
            for index in plan.pack:
                if not isinstance(compute.operands[index].owner, PackOp):
                    pack_operand(compute, index)
