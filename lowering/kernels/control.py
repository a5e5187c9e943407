"""Control flow of a grouped graph as control flow around kernel calls.

What a branch yields is written to the memory of its results. What the iterations of a loop hand on lies in two
places in turn, so that nothing is copied between iterations; slices of operands and of stacked results are views that
move with the loop's counter.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import Block, SSAValue

from mlc.dialects import hlt
from mlc.dialects.loop import COUNTER, BufferOp, IfOp, RepeatOp, ViewOp
from mlc.lowering.kernels.builder import memref_type
from mlc.lowering.loops.levels import element_bytes

if TYPE_CHECKING:
    from mlc.lowering.kernels.program import ProgramBuilder


def lower_if(builder: ProgramBuilder, op: hlt.IfOp) -> None:
    """Both branches write the results' memory."""
    places = [builder.memory(result) for result in op.results]
    made = IfOp.make(builder.memrefs[op.condition], Block(), Block())
    builder.block.add_op(made)
    for source, target in zip(op.regions, made.regions, strict=True):
        with builder.inside(target.block):
            builder.run(source.block, hlt.yield_of(source.block).values, places)


def lower_loop(builder: ProgramBuilder, op: hlt.LoopOp) -> None:
    """A loop whose carried values take turns between two places each."""
    stacks = [builder.memory(result) for result in op.results[len(op.inits) :]]
    if op.may_end_early:
        for result in op.results[len(op.inits) :]:
            builder.clear(result)
    keep = _private(builder, op.keep) if op.keep is not None else None
    places: list[SSAValue] = []
    for init in op.inits:
        places += [_private(builder, init), builder.buffer(init)]
    body = Block(arg_types=[COUNTER, *(place.type for place in places)])
    made = RepeatOp.make(
        body,
        limit=op.limit,
        trips=None if op.trips is None else builder.memrefs[op.trips],
        keep=keep,
        places=places,
    )
    builder.block.add_op(made)
    builder.memrefs.update(zip(op.results, made.res))
    with builder.inside(body):
        _fill_body(builder, op, made, keep, stacks)


def _fill_body(
    builder: ProgramBuilder, op: hlt.LoopOp, made: RepeatOp, keep: SSAValue | None, stacks: list[SSAValue]
) -> None:
    """The body's calls: they read the places of this iteration and write those of the next."""
    arguments = made.body.block.args
    builder.memrefs[op.index] = made.counter
    builder.memrefs.update(zip(op.states, arguments[1::2]))
    for part, whole in zip(op.parts, op.slices, strict=True):
        builder.memrefs[part] = _slice(builder, builder.memrefs[whole], part, made.counter)
    moving = [_slice(builder, stack, part, made.counter) for stack, part in zip(stacks, op.next_parts, strict=True)]
    first = [] if keep is None else [keep]
    builder.run(op.body.block, hlt.yield_of(op.body.block).values, [*first, *arguments[2::2], *moving])


def _slice(builder: ProgramBuilder, whole: SSAValue, part: SSAValue, counter: SSAValue) -> SSAValue:
    """Slice number ``counter`` of ``whole`` along its first dim."""
    type_ = memref_type(part.type)
    step = prod(type_.get_shape()) * element_bytes(type_.element_type)
    made = ViewOp(
        operands=[whole, [counter]],
        result_types=[type_],
        properties={"offset": IntegerAttr(0, i64), "step": IntegerAttr(step, i64)},
    )
    builder.block.add_op(made)
    return made.result


def _private(builder: ProgramBuilder, init: SSAValue) -> SSAValue:
    """Memory that holds a value at first and may be overwritten: the value's own if nothing else uses that."""
    found = builder.memory(init) if isinstance(init.owner, hlt.FusionOp) else None
    if found is not None and init.has_one_use() and isinstance(found.owner, BufferOp):
        return found
    place = builder.buffer(init)
    builder.copy(init, place)
    return place
