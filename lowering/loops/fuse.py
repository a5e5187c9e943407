"""fuse: computes of one kernel that hand values through a scratch buffer become one compute.

Two rewrites, repeated until neither applies:

- *into readers*: an element-wise producer moves into every compute that reads it;
- *into the reduction*: an element-wise reader moves into the ``finish`` of the reduction that it reads, when it
  reads every element exactly once (possibly permuted, reshaped, or at an offset of its output).

A scratch buffer written by several computes, or read by two reductions through another reduction, stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.loop import ComputeOp, IndexOp, KernelOp, ScratchOp, YieldOp, buffer_type
from mlc.dialects.loop.affine import Expr, constant, floordiv, linear, mod, renumber, simplify, subscripts_of
from mlc.lowering.loops.draft import Draft, Use, compose, inline
from mlc.lowering.loops.levels import row_major


def fuse_kernel(kernel: KernelOp) -> None:
    """Merge computes until nothing changes, then drop scratch buffers without use."""
    changed = True
    while changed:
        changed = any(_fuse_scratch(op) for op in list(kernel.body.block.ops) if isinstance(op, ScratchOp))
    for op in list(kernel.body.block.ops):
        if isinstance(op, ScratchOp) and op.result.first_use is None:
            op.detach()
            op.erase()


def _fuse_scratch(scratch: ScratchOp) -> bool:
    """Try to get rid of one scratch buffer."""
    if scratch.table is not None:
        return False
    users = list(dict.fromkeys(use.operation for use in scratch.result.uses))
    computes = [op for op in users if isinstance(op, ComputeOp)]
    writers = [op for op in computes if scratch.result in (*op.outs, *op.elems)]
    readers = [op for op in computes if scratch.result in op.ins]
    if len(writers) != 1 or not readers or writers[0] in readers:
        return False
    if any(scratch.result in op.subscripts for op in computes):
        return False
    producer = writers[0]
    if len(producer.outs) != 1 or producer.elems:
        return False
    if not producer.has_reduction:
        return _into_readers(scratch.result, producer, readers)
    return len(readers) == 1 and _into_reduction(scratch.result, producer, readers[0])


def _into_readers(buffer: SSAValue, producer: ComputeOp, readers: Sequence[ComputeOp]) -> bool:
    assert producer.maps is not None
    out = producer.maps.data[len(producer.ins)].data
    names = [e.as_dim for e in out]
    if any(name is None and not _is_zero(e) for name, e in zip(names, out)):
        return False
    if len(set(filter(None, names))) != len([d for d in producer.dims.data if d.extent != 1]):
        return False
    if any(d.kind == "s" for d in producer.dims.data):
        return False
    if _through_subscripts(buffer, readers) and (producer.subscripts or _uses_index(producer)):
        return False
    for reader in readers:
        _inline_producer(buffer, producer, reader, names)
    producer.detach()
    producer.erase()
    return True


def _through_subscripts(buffer: SSAValue, readers: Sequence[ComputeOp]) -> bool:
    """Whether some reader addresses the buffer by values from memory."""
    for op in readers:
        assert op.maps is not None
        if any(v is buffer and any(map(subscripts_of, m.data)) for v, m in zip(op.ins, op.maps)):
            return True
    return False


def _uses_index(op: ComputeOp) -> bool:
    return any(isinstance(inner, IndexOp) for inner in op.walk())


def _is_zero(expr: Expr) -> bool:
    return expr.is_constant and expr.const == 0


def _inline_producer(buffer: SSAValue, producer: ComputeOp, reader: ComputeOp, names: Sequence[str | None]) -> None:
    """Replace the reader's operand ``buffer`` by the producer's operands and code."""
    assert producer.maps is not None
    draft = Draft.of(reader)
    maps = [m.data for m in producer.maps.data[: len(producer.ins)]]
    subscripts = list(zip(producer.subscripts, producer.maps.data[len(producer.operands) - len(producer.subscripts) :]))
    while any(use.buffer is buffer for use in draft.ins):
        position = next(i for i, use in enumerate(draft.ins) if use.buffer is buffer)
        place = {n: e for n, e in zip(names, draft.ins[position].index) if n}
        for d in producer.dims.data:
            place.setdefault(d.name, constant(0))
        numbers = draft.append_subscripts([Use(v, compose(m.data, place, draft.ranges)) for v, m in subscripts])
        uses = [
            Use(v, compose([renumber(e, numbers) for e in m], place, draft.ranges)) for v, m in zip(producer.ins, maps)
        ]
        for block in draft.blocks():
            argument = block.args[position]
            extra = [block.insert_arg(a.type, position + 1 + i) for i, a in enumerate(producer.finish.block.args)]
            if argument.first_use is not None:
                values: dict[SSAValue, SSAValue] = dict(zip(producer.finish.block.args, extra))
                first = block.first_op
                result = inline(block, first, producer.finish.block, values, place)[0]
                argument.replace_all_uses_with(result)
            block.erase_arg(argument)
        draft.ins[position : position + 1] = uses
    draft.merge_equal_inputs()
    draft.drop_unused_inputs()
    _replace(reader, draft.build())


def _replace(old: ComputeOp, new: ComputeOp) -> None:
    block = old.parent_block()
    assert block is not None
    block.insert_op_before(new, old)
    old.detach()
    old.erase()


def _into_reduction(buffer: SSAValue, producer: ComputeOp, reader: ComputeOp) -> bool:
    """Move an element-wise reader into the reduction's ``finish``."""
    if reader.has_reduction or reader.elems or reader.subscripts:
        return False
    if any(d.kind == "s" for d in (*reader.dims.data, *producer.dims.data)):
        return False
    assert producer.maps is not None
    assert reader.maps is not None
    reads = {m.data for v, m in zip(reader.ins, reader.maps) if v is buffer}
    if len(reads) != 1:
        return False
    kept = {d.name: d.extent for d in producer.dims.data}
    out = producer.maps.data[len(producer.ins)].data
    place = _solve(next(iter(reads)), reader, out, buffer, kept)
    if place is None:
        return False
    _inline_reader(buffer, producer, reader, place)
    return True


def _solve(
    read: tuple[Expr, ...], reader: ComputeOp, out: tuple[Expr, ...], buffer: SSAValue, ranges: dict[str, int]
) -> dict[str, Expr] | None:
    """The reader's dims in terms of the producer's, if it reads every element of the buffer exactly once."""
    shape = buffer_type(buffer).get_shape()
    dims = [d for d in reader.dims.data if d.extent != 1]
    place: dict[str, Expr] = {d.name: constant(0) for d in reader.dims.data}
    if prod(shape) != prod(d.extent for d in dims):
        return None
    names = [e.as_dim for e in read]
    if all(n is not None or extent == 1 for n, extent in zip(names, shape)):
        for name, index in zip(names, out):
            if name is not None:
                place[name] = index
        return place if len(set(filter(None, names))) == len(dims) else None
    extents = reader.dims.extents
    strides = row_major(shape)
    flat_dims = row_major(tuple(d.extent for d in dims))
    own = linear(flat_dims, [Expr(0, ((d.name, 1),)) for d in dims])
    if simplify(linear(strides, read), extents) != own:
        return None
    flat = linear(strides, out)
    for d, stride in zip(dims, flat_dims):
        place[d.name] = mod(floordiv(flat, stride, ranges), d.extent, ranges)
    return place


def _inline_reader(buffer: SSAValue, producer: ComputeOp, reader: ComputeOp, place: dict[str, Expr]) -> None:
    assert reader.maps is not None
    others = [
        Use(v, compose(m.data, place, producer.dims.extents))
        for v, m in zip(reader.ins, reader.maps)
        if v is not buffer
    ]
    outs = [
        Use(v, compose(m.data, place, producer.dims.extents))
        for v, m in zip(reader.outs, reader.maps.data[len(reader.ins) :])
    ]
    positions = [i for i, v in enumerate(reader.ins) if v is not buffer]
    draft = Draft.of(producer)
    count = len(draft.ins)
    for block in draft.blocks():
        for i, position in enumerate(positions):
            block.insert_arg(reader.finish.block.args[position].type, count + i)
    finish = draft.regions["finish"].blocks[0]
    terminator = finish.last_op
    assert isinstance(terminator, YieldOp)
    values: dict[SSAValue, SSAValue] = {}
    for i, argument in enumerate(reader.finish.block.args):
        is_buffer = reader.ins[i] is buffer
        values[argument] = terminator.values[0] if is_buffer else finish.args[count + positions.index(i)]
    results = inline(finish, terminator, reader.finish.block, values, place)
    finish.insert_op_before(YieldOp.of(*results), terminator)
    finish.erase_op(terminator)
    draft.ins += others
    draft.outs = outs
    draft.merge_equal_inputs()
    draft.drop_unused_inputs()
    _replace(reader, draft.build())
    producer.detach()
    producer.erase()


@dataclass(frozen=True)
class FusePass(ModulePass):
    """Computes of one kernel that hand values through scratch become one compute."""

    name = "fuse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.walk() if isinstance(o, KernelOp)]:
            fuse_kernel(kernel)
