"""pack_inputs: a factor whose rows become lanes of multiply-adds is stored with those rows side by side.

    loop.call @gemm(%x, %w, %y)                         // lanes along n, a tile of rows m
 -> %p = loop.buffer : memref<16x768x8xf32>
    loop.call @gemm_rows(%x, %p)                        // m//8, k, m%8
    loop.call @gemm(%p, %w, %y)

By-lane multiply-adds read several rows from one vector then, instead of keeping one vector per row in registers:
tiles are larger and have fewer loads. It is done where every element is used often enough to pay for moving it, and
only for targets with such instructions. What the products read through a conversion is converted on the way. Constants
are packed by their schedule, without a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import ArrayAttr, MemRefType, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from mlc.codegen.targets import Target, find_target
from mlc.dialects.loop import BufferOp, CallOp, ComputeOp, Dim, DimsAttr, KernelOp, MapAttr, buffer_type
from mlc.dialects.loop.affine import dim, floordiv, mod
from mlc.lowering.loops.facts import Operand
from mlc.lowering.loops.levels import ceil_div
from mlc.lowering.loops.schedules.lanes import choose_lane
from mlc.lowering.loops.schedules.reuse import reuse_dims
from mlc.lowering.loops.schedules.space import Space
from mlc.lowering.scalar import Scalar, region

REUSE = 256
"""Products per element from which on moving it pays: that takes as long as the loads of about 100 of them."""

VECTORS = 2
"""Vectors of rows that lie side by side."""


class Packed(NamedTuple):
    """An operand of a compute in its new order: the map of both, and the buffer's type."""

    operand: int
    dims: tuple[Dim, ...]
    map: MapAttr
    type: MemRefType[Attribute]


def plan(compute: ComputeOp, target: Target) -> Packed | None:
    """The operand of a compute that is worth storing anew, if there is one."""
    if compute.maps is None or not compute.has_reduction:
        return None
    space = Space(compute, target, {})
    lane = choose_lane(space)
    rows = reuse_dims(space, lane) if lane and space.facts.kinds[lane] == "p" else []
    block = VECTORS * space.width
    if not rows or space.extents[rows[0]] < block:
        return None
    for operand in space.facts.factors:
        if _is_worth_moving(space, operand, lane, rows[0]):
            return _packed(space, operand, rows[0], block)
    return None


def _is_worth_moving(space: Space, operand: Operand, lane: str, row: str) -> bool:
    """Whether an operand without a good order is used often enough; constants and windows stay as they are."""
    if operand.constant or operand.depends(lane) or not operand.depends(row) or operand.is_unit(row):
        return False
    uses = prod(e for n, e in space.extents.items() if not operand.depends(n))
    return uses >= REUSE and _is_dense(space, operand)


def _is_dense(space: Space, operand: Operand) -> bool:
    """Whether the address is a plain sum of dims under which every element is met once."""
    reached = operand.bytes
    for atom, step in sorted(operand.address.terms, key=lambda term: term[1]):
        if not isinstance(atom, str) or step < reached:
            return False
        reached = step * space.extents[atom]
    return True


def _packed(space: Space, operand: Operand, row: str, block: int) -> Packed:
    """Batch dims, blocks of rows, reduction dims as they were, then the rows of a block."""
    op = space.facts.op
    dims = sorted((d for d in op.dims.data if operand.depends(d.name)), key=lambda d: -operand.stride(d.name))
    outer = [d for d in dims if d.kind != "r" and d.name != row]
    folds = [d for d in dims if d.kind == "r"]
    rows, ranges = dim(row), space.extents
    index = [
        *(dim(d.name) for d in outer),
        floordiv(rows, block, ranges),
        *(dim(d.name) for d in folds),
        mod(rows, block, ranges),
    ]
    shape = [*(d.extent for d in outer), ceil_div(ranges[row], block), *(d.extent for d in folds), block]
    element = _element(op, operand.number)
    return Packed(operand.number, tuple(dims), MapAttr(tuple(index)), MemRefType(element, shape))


def _regions(op: ComputeOp) -> list[Block]:
    """The blocks whose leading arguments are the inputs' elements."""
    return [r.blocks[0] for r in (op.init, op.map, op.finish) if r.blocks]


def _element(op: ComputeOp, number: int) -> Attribute:
    """The type to store an input in: the wider one that all code converts it to, else its own."""
    users = [use.operation for block in _regions(op) for use in block.args[number].uses]
    types = {user.results[0].type for user in users if isinstance(user, arith.ExtFOp)}
    if len(types) == 1 and all(isinstance(user, arith.ExtFOp) for user in users):
        return types.pop()
    return buffer_type(op.operands[number]).element_type


def _drop_conversions(op: ComputeOp, number: int, element: Attribute) -> None:
    """Give an input's elements their new type, which code has converted them to so far."""
    for block in _regions(op):
        argument = block.args[number]
        if argument.type == element:
            continue
        argument = Rewriter.replace_value_with_new_type(argument, element)
        for user in [use.operation for use in argument.uses]:
            user.results[0].replace_all_uses_with(argument)
            block.erase_op(user)


def copy_kernel(name: str, compute: ComputeOp, packed: Packed) -> KernelOp:
    """The kernel that copies the operand to its new order."""
    assert compute.maps is not None
    source = buffer_type(compute.operands[packed.operand])
    block = Block(arg_types=[source, packed.type])
    dims = DimsAttr(tuple(Dim(d.name, d.extent) for d in packed.dims))
    maps = [compute.maps.data[packed.operand], packed.map]

    def convert(s: Scalar, x: SSAValue) -> SSAValue:
        return s.cast(x, packed.type.element_type)

    copy = ComputeOp.make([block.args[0]], [block.args[1]], dims, maps, finish=region([source.element_type], convert))
    block.add_op(copy)
    return KernelOp.create(properties={"sym_name": StringAttr(name)}, regions=[Region(block)])


def redirect(kernel: KernelOp, compute: ComputeOp, packed: Packed) -> tuple[int, int]:
    """Make the compute read the packed operand; returns the argument it was, and the one that it is now."""
    assert compute.maps is not None
    block = kernel.body.block
    value = compute.operands[packed.operand]
    source = target = [a is value for a in block.args].index(True)
    if value.has_one_use():
        Rewriter.replace_value_with_new_type(value, packed.type)
    else:
        target = len(block.args) - (kernel.checked is not None)
        compute.operands[packed.operand] = block.insert_arg(packed.type, target)
    maps = list(compute.maps.data)
    maps[packed.operand] = packed.map
    compute.properties["maps"] = ArrayAttr(maps)
    _drop_conversions(compute, packed.operand, packed.type.element_type)
    return source, target


@dataclass
class Packer:
    """Packs inputs of the kernels of one program."""

    module: ModuleOp
    target: Target
    copies: dict[object, KernelOp] = field(default_factory=dict[object, KernelOp])

    def run(self) -> None:
        """Pack what is worth it, in all kernels and calls."""
        calls: dict[str, list[CallOp]] = {}
        for op in self.module.walk():
            if isinstance(op, CallOp):
                calls.setdefault(op.kernel, []).append(op)
        for kernel in [o for o in self.module.ops if isinstance(o, KernelOp)]:
            computes = kernel.computes()
            if len(computes) == 1 and calls.get(kernel.sym_name.data):
                self._kernel(kernel, computes[0], calls[kernel.sym_name.data])

    def _kernel(self, kernel: KernelOp, compute: ComputeOp, calls: Sequence[CallOp]) -> None:
        packed = plan(compute, self.target)
        if packed is None or compute.operands[packed.operand].owner is not kernel.body.block:
            return
        copy = self._copy(kernel, compute, packed)
        source, target = redirect(kernel, compute, packed)
        for call in calls:
            buffer = BufferOp.create(result_types=[packed.type])
            made: list[Operation] = [buffer, CallOp.make(copy.sym_name.data, [call.args[source], buffer.result])]
            block = call.parent_block()
            assert block is not None
            block.insert_ops_before(made, call)
            args = list(call.args)
            args[target : target + (source == target)] = [buffer.result]
            call.operands = args

    def _copy(self, kernel: KernelOp, compute: ComputeOp, packed: Packed) -> KernelOp:
        """The copying kernel; operands of one type that move alike share it."""
        assert compute.maps is not None
        key = (
            buffer_type(compute.operands[packed.operand]),
            tuple((d.name, d.extent) for d in packed.dims),
            compute.maps.data[packed.operand],
            packed.map,
            packed.type,
        )
        found = self.copies.get(key)
        if found is None:
            found = self.copies[key] = copy_kernel(f"{kernel.sym_name.data}_rows", compute, packed)
            self.module.body.block.insert_op_after(found, kernel)
        return found


@dataclass(frozen=True)
class PackInputsPass(ModulePass):
    """Factors whose rows become lanes of multiply-adds are stored with those rows side by side."""

    name = "pack-inputs"
    target: str = "native"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = find_target(self.target)
        if target.splat == "lane":
            Packer(op, target).run()
