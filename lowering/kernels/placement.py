"""Which tensors are made inside another's buffer, so that concatenating or padding them is nothing.

A tensor qualifies when a kernel makes it, kernels alone read it, and some group is just a concatenation of which it is
one operand. It is then written and read at an offset; of several concatenations that would do, the first gets it.

So does a bounded input that some group just pads with zeros behind: its storage is the program's own, beyond the
input's extents stand zeros, and there may be more of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.extents import Extent, is_bounded
from mlc.dialects.hlt import shape_of
from mlc.dialects.hlt.layout import LayoutAttr
from mlc.lowering.kernels.builder import memref_type
from mlc.lowering.loops.levels import element_bytes


class Home(NamedTuple):
    """The concatenation's result that holds a tensor, and the tensor's first index in it.

    ``offset`` is the byte where the tensor starts if it is a dense part of the whole; else it lies spread in it.
    """

    whole: SSAValue
    origin: tuple[int, ...]
    offset: int | None


def is_concat(fusion: hlt.FusionOp) -> bool:
    """Whether a group is one concatenation of its operands as they are."""
    members = fusion.members
    return len(members) == 1 and isinstance(members[0], hlt.ConcatOp)


def is_pad(fusion: hlt.FusionOp) -> bool:
    """Whether a group puts zeros behind its operand, and nothing else."""
    if len(fusion.members) != 1 or not isinstance(fusion.members[0], hlt.PadOp):
        return False
    pad = fusion.members[0]
    return pad.mode == "constant" and repr(float(pad.value)) == "0.0" and not any(pad.low)


def is_update(fusion: hlt.FusionOp) -> bool:
    """Whether a group is the update of a slice and nothing else."""
    return (
        len(fusion.members) == 1
        and isinstance(fusion.members[0], hlt.UpdateSliceOp)
        and fusion.members[0].x.type == fusion.outputs[0].type
    )


def find_input_homes(
    arguments: Sequence[SSAValue], shapes: Sequence[Sequence[int]], returned: Iterable[SSAValue]
) -> Mapping[SSAValue, Home]:
    """The bounded inputs of a program that lie inside what they are padded to; ``shapes`` are those of all inputs."""
    fixed = set(returned)
    homes: dict[SSAValue, Home] = {}
    for value, shape in zip(arguments, shapes):
        users = [use.operation for use in value.uses]
        readable = all(_takes_parts(user, value) and user.parent is value.owner for user in users)
        if not is_bounded(shape) or value in fixed or not readable:
            continue
        found = next((user for user in users if _pads_extents(user, shape) and user.results[0] not in fixed), None)
        if found is not None:
            homes[value] = Home(found.results[0], (0,) * len(shape), None)
    return homes


def _pads_extents(user: Operation, shape: Sequence[int]) -> bool:
    """Whether a group just pads an input of that shape with zeros along bounded dims, in plain layouts."""
    if not isinstance(user, hlt.FusionOp) or not is_pad(user):
        return False
    pad = user.members[0]
    assert isinstance(pad, hlt.PadOp)
    types = (pad.x.type, user.outputs[0].type)
    plain = not any(isinstance(t, TensorType) and isinstance(t.encoding, LayoutAttr) for t in types)
    return plain and all(isinstance(extent, Extent) for extent, count in zip(shape, pad.high) if count)


def find_homes(fusions: Iterable[hlt.FusionOp], returned: Iterable[SSAValue]) -> Mapping[SSAValue, Home]:
    """The tensors that lie inside a concatenation, by value."""
    homes: dict[SSAValue, Home] = {}
    fixed = set(returned)
    for fusion in fusions:
        if not is_concat(fusion):
            continue
        concat = fusion.members[0]
        assert isinstance(concat, hlt.ConcatOp)
        outer: dict[SSAValue, SSAValue] = dict(zip(fusion.body.block.args, fusion.inputs))
        start = 0
        for operand in concat.operands:
            value = outer[operand]
            origin = tuple(start if i == concat.axis else 0 for i in range(len(shape_of(operand))))
            start += shape_of(operand)[concat.axis]
            whole = fusion.outputs[0]
            once = list(concat.operands).count(operand) == 1
            free = once and value not in fixed and value not in homes
            if free and _may_move(value, fusion) and _fits(value, whole):
                homes[value] = Home(whole, origin, dense_offset(value.type, whole.type, origin))
    return homes


def dense_offset(part: Attribute, whole: Attribute, origin: tuple[int, ...]) -> int | None:
    """The byte at which ``part`` starts in ``whole`` if it is laid out there as it would be alone, else None."""
    assert isinstance(part, TensorType)
    assert isinstance(whole, TensorType)
    if part.encoding != whole.encoding:
        return None
    inner, outer = memref_type(part), memref_type(whole)
    differs = [i for i, (a, b) in enumerate(zip(inner.get_shape(), outer.get_shape())) if a != b]
    if not differs:
        return 0
    first = differs[0]
    if len(differs) > 1 or prod(outer.get_shape()[:first]) != 1:
        return None
    rank = len(origin)
    layout = part.encoding if isinstance(part.encoding, LayoutAttr) else LayoutAttr.identity(rank)
    physical = layout.dims[first]
    start = origin[physical.dim]
    if physical.block and (physical.inner or start % physical.block):
        return None
    steps = start // physical.block if physical.block else start
    return steps * prod(outer.get_shape()[first + 1 :]) * element_bytes(outer.element_type)


def _fits(value: SSAValue, whole: SSAValue) -> bool:
    """Whether the kernels around a tensor can take the whole's layout: blocks only where they had them already."""
    assert isinstance(value.type, TensorType)
    assert isinstance(whole.type, TensorType)
    layout = whole.type.encoding
    blocked = isinstance(layout, LayoutAttr) and any(part.block for part in layout.dims)
    return not blocked or value.type.encoding == layout


def _may_move(value: SSAValue, concat: hlt.FusionOp) -> bool:
    """Whether kernels alone make and read a tensor, beside its ``concat``, and it holds no others itself."""
    maker = value.owner
    if not isinstance(maker, hlt.FusionOp) or is_concat(maker) or is_update(maker) or len(maker.outputs) != 1:
        return False
    if maker.parent is not concat.parent:
        return False
    return all(_takes_parts(use.operation, value) for use in value.uses)


def _takes_parts(user: Operation, value: SSAValue) -> bool:
    """Whether an operation is a kernel that can read a tensor inside another."""
    if not isinstance(user, hlt.FusionOp):
        return False
    inside = [argument for argument, outer in zip(user.body.block.args, user.inputs) if outer is value]
    return not is_update(user) or user.members[0].operands[0] not in inside
