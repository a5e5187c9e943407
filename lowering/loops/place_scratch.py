"""place_scratch: scratch buffers shrink to one tile of the shared loops; what is still large moves to the arena.

    loop.kernel shared <"d1/4"> { %s = loop.scratch : memref<1536xf32> ... }
 -> loop.kernel shared <"d1/4"> { %s = loop.scratch : memref<4xf32> ... }

Every iteration of the shared loops uses the same small buffer; `split` leaves the shared levels out of its address.
An index expression keeps the dim's name, so the map still says which element of the whole is meant.

Scratch lies on the stack. Buffers that are too large for that become arguments of the kernel, of full size (threads
work on different rows of them), and the callers give them memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import MemRefType, ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from mlc.dialects.loop import BufferOp, CallOp, ComputeOp, KernelOp, ScratchOp, buffer_type
from mlc.dialects.loop.affine import bounds, constant, substitute
from mlc.lowering.loops.levels import element_bytes

STACK_BYTES = 64 << 10
"""The most that the scratch buffers of a kernel may take on a thread's stack."""


def place(kernel: KernelOp) -> list[MemRefType]:
    """Shrink the scratch buffers of a kernel; returns the types of those that became arguments."""
    steps: dict[str, int] = {}
    for level in kernel.shared.data.levels if kernel.shared is not None else ():
        steps[level.dim] = min(level.size, steps.get(level.dim, level.size))
    scratch = [op for op in kernel.body.block.ops if isinstance(op, ScratchOp) and op.table is None]
    shapes = {op: _tile_shape(op, steps) if steps else buffer_type(op.result).get_shape() for op in scratch}
    left = sum(_bytes(op, shapes[op]) for op in scratch)
    moved: list[MemRefType] = []
    for op in sorted(scratch, key=lambda o: -_bytes(o, shapes[o])):
        if left > STACK_BYTES and _is_apart(op, steps):
            left -= _bytes(op, shapes[op])
            moved.append(_to_argument(kernel, op))
        elif shapes[op] != buffer_type(op.result).get_shape():
            smaller = MemRefType(buffer_type(op.result).element_type, shapes[op])
            Rewriter.replace_value_with_new_type(op.result, smaller)
    return moved


def _bytes(op: ScratchOp, shape: tuple[int, ...]) -> int:
    return prod(shape) * element_bytes(buffer_type(op.result).element_type)


def _is_apart(op: ScratchOp, steps: dict[str, int]) -> bool:
    """Whether different iterations of the shared loops use different elements of the whole buffer."""
    for use in op.result.uses:
        compute = use.operation
        assert isinstance(compute, ComputeOp)
        assert compute.maps is not None
        used = {e.as_dim for e in compute.maps.data[use.index].data}
        if any(name in compute.dims.extents and name not in used for name in steps):
            return False
    return True


def _to_argument(kernel: KernelOp, op: ScratchOp) -> MemRefType:
    """Make a scratch buffer an argument of its kernel, the last but for the status word."""
    block = kernel.body.block
    argument = block.insert_arg(op.result.type, len(block.args) - (kernel.checked is not None))
    op.result.replace_all_uses_with(argument)
    op.detach()
    op.erase()
    return buffer_type(argument)


def _provide(call: CallOp, kernel: KernelOp, types: list[MemRefType]) -> None:
    """Give a call memory for the buffers that its kernel no longer keeps on the stack."""
    block = call.parent_block()
    assert block is not None
    made = [BufferOp.create(result_types=[type_]) for type_ in types]
    block.insert_ops_before(made, call)
    at = len(call.args) - (kernel.checked is not None)
    call.operands = [*call.args[:at], *(op.result for op in made), *call.args[at:]]


def _tile_shape(op: ScratchOp, steps: dict[str, int]) -> tuple[int, ...]:
    """Per dim of the buffer: how far its index moves within one tile, over all uses."""
    needed = [1] * buffer_type(op.result).get_num_dims()
    for use in op.result.uses:
        compute = use.operation
        if not isinstance(compute, ComputeOp) or compute.maps is None:
            return buffer_type(op.result).get_shape()
        ranges = {n: min(e, steps.get(n, e)) for n, e in compute.dims.extents.items()}
        for i, expr in enumerate(compute.maps.data[use.index].data):
            inside = substitute(expr, {n: constant(0) for n in ranges if ranges[n] == 1}, ranges)
            needed[i] = max(needed[i], bounds(inside, ranges)[1] + 1)
    return tuple(needed)


@dataclass(frozen=True)
class PlaceScratchPass(ModulePass):
    """Scratch buffers shrink to one tile of the shared loops; large ones become arguments."""

    name = "place-scratch"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kernels = [o for o in op.walk() if isinstance(o, KernelOp)]
        moved = {k.sym_name.data: (k, place(k)) for k in kernels}
        for call in [o for o in op.walk() if isinstance(o, CallOp)]:
            kernel, types = moved[call.kernel]
            if types:
                _provide(call, kernel, types)
