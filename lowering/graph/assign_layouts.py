"""assign_layouts: tensors of convolutional regions lie with their channels in blocks of one vector, or innermost.

    tensor<1x64x56x56xf32>  ->  tensor<1x64x56x56xf32, #hlt.layout<"d0 d1/16 d2 d3 d1%16">>

What leaves a region row-major, as a result of the model or under a view, is copied out by a kernel of its own, which
transposes whole vectors; a convolution would have to store element by element. A pointwise convolution of row-major
tensors needs no blocks: its vectors run along places.

A region grows from every convolution and pooling through the groups that read or write its tensors. Kernels take
any layout on any operand, so the choice is per tensor: blocked where every group walks its channels by whole
blocks, channels innermost where one does not (a concatenation at an odd offset, groups of few channels), row-major
at the model's borders, before views, and where there are too few channels to fill a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from mlc.codegen.targets import Target, find_target
from mlc.dialects import hlt
from mlc.dialects.hlt.base import shape_of
from mlc.dialects.hlt.dtypes import tensor_type
from mlc.dialects.hlt.layout import LayoutAttr
from mlc.lowering.graph.rewrite import main_block
from mlc.lowering.loops.levels import ceil_div

SPATIAL = (hlt.ConvOp, hlt.ReduceWindowOp)
FLOAT_BYTES = 4

ENOUGH = 0.95
"""Share of a vector's lanes that must be in use for whole vectors of places to be as fast as of channels."""


def region_of(fusions: list[hlt.FusionOp]) -> list[SSAValue]:
    """The tensors between fusions that belong to convolutional regions."""
    found: dict[SSAValue, None] = {}
    grown = True
    spatial = {f for f in fusions if any(isinstance(op, SPATIAL) for op in f.members)}
    while grown:
        before = len(found)
        for fusion in fusions:
            if fusion in spatial or any(v in found for v in (*fusion.inputs, *fusion.outputs)):
                if fusion not in spatial and not _keeps_channels(fusion):
                    continue
                for value in (*fusion.inputs, *fusion.outputs):
                    if _is_feature_map(value):
                        found[value] = None
        grown = len(found) > before
    return list(found)


def _is_feature_map(value: SSAValue) -> bool:
    """Made by a fusion, with batch, channels and space."""
    return isinstance(value.owner, hlt.FusionOp) and len(shape_of(value)) >= 3


def _keeps_channels(fusion: hlt.FusionOp) -> bool:
    """Whether dim 1 means the same in everything that the group touches."""
    return all(_keeps_leading(op) for op in fusion.members)


def _keeps_leading(op: Operation) -> bool:
    """Whether an operation leaves batch and channels where they are."""
    if isinstance(op, hlt.ReshapeOp):
        return shape_of(op.x)[:2] == op.shape[:2]
    if isinstance(op, hlt.TransposeOp):
        return op.permutation[:2] == (0, 1)
    return not isinstance(op, hlt.DotGeneralOp | hlt.SoftmaxOp | hlt.LayerNormOp)


def choose(value: SSAValue, block: int) -> LayoutAttr | None:
    """The layout of one tensor of a region; None is row-major."""
    shape = shape_of(value)
    users = [use.operation for use in value.uses]
    if shape[1] < block or not all(isinstance(user, hlt.FusionOp) for user in users):
        return None
    maker = value.owner
    assert isinstance(maker, hlt.FusionOp)
    if all(_walks_blocks(f, block) for f in (maker, *users) if isinstance(f, hlt.FusionOp)):
        return LayoutAttr.blocked(len(shape), 1, block)
    return LayoutAttr.channels_last(len(shape))


def _walks_blocks(fusion: hlt.FusionOp, block: int) -> bool:
    """Whether a group touches channels by whole blocks."""
    return all(_is_block_friendly(op, block) and _keeps_leading(op) for op in fusion.members)


def _is_block_friendly(op: Operation, block: int) -> bool:
    if isinstance(op, hlt.ConcatOp) and op.axis == 1:
        offset = 0
        for operand in op.operands:
            if offset % block:
                return False
            offset += shape_of(operand)[1]
        return True
    if isinstance(op, hlt.SliceOp):
        rank_ok = len(op.starts) < 2 or (op.starts[1] % block == 0 and op.strides[1] == 1)
        return rank_ok
    if isinstance(op, hlt.PadOp):
        return len(op.low) < 2 or op.low[1] % block == 0
    if isinstance(op, hlt.ConvOp) and op.groups > 1:
        inner, outer = shape_of(op.w)[1], shape_of(op.w)[0] // op.groups
        return (inner == 1 and outer == 1) or (inner % block == 0 and outer % block == 0)
    if isinstance(op, hlt.ReduceWindowOp):
        return op.window[1] == 1 and op.strides[1] == 1
    return True


def copy_borders(fusions: list[hlt.FusionOp], block: int) -> list[hlt.FusionOp]:
    """Put a copy between every region and those of its readers that are no kernels; returns all fusions."""
    found: list[hlt.FusionOp] = []
    for fusion in fusions:
        found.append(fusion)
        value = fusion.outputs[0]
        outside = [use for use in value.uses if not isinstance(use.operation, hlt.FusionOp)]
        if outside and len(fusion.outputs) == 1 and _is_worth_a_copy(fusion, block):
            copy = _copy_of(value)
            home = fusion.parent_block()
            assert home is not None
            home.insert_op_after(copy, fusion)
            for use in outside:
                use.operation.operands[use.index] = copy.outputs[0]
            found.append(copy)
    return found


def _is_worth_a_copy(fusion: hlt.FusionOp, block: int) -> bool:
    """Whether a group computes windows of enough channels and places to fill vectors both ways."""
    shape = shape_of(fusion.outputs[0])
    spatial = any(isinstance(op, SPATIAL) for op in fusion.members)
    filled = spatial and len(shape) >= 3 and shape[1] >= block and prod(shape[2:]) >= block
    return filled and not _is_fast_row_major(fusion, block)


def _is_fast_row_major(fusion: hlt.FusionOp, block: int) -> bool:
    """Whether a group is a product of row-major matrices, its places in whole vectors: a pointwise convolution."""
    places = prod(shape_of(fusion.outputs[0])[2:])
    inside = any(isinstance(v.owner, hlt.FusionOp) for v in fusion.inputs)
    if inside or places < ENOUGH * block * ceil_div(places, block):
        return False
    spatial = [op for op in fusion.members if isinstance(op, SPATIAL)]
    return all(isinstance(op, hlt.ConvOp) and _is_pointwise(op) for op in spatial)


def _is_pointwise(op: hlt.ConvOp) -> bool:
    """Whether every place of the result comes from the same place of the operand."""
    simple = op.groups == 1 and set(op.strides) == {1} and not any((*op.pads_low, *op.pads_high))
    return simple and prod(shape_of(op.w)[2:]) == 1


def _copy_of(value: SSAValue) -> hlt.FusionOp:
    """A group that copies a tensor as it is, from one layout to another."""
    body = Block(arg_types=[value.type])
    same = hlt.TransposeOp(body.args[0], permutation=tuple(range(len(shape_of(value)))))
    body.add_ops([same, hlt.YieldOp(same)])
    return hlt.FusionOp([value], body)


def set_layout(value: SSAValue, layout: LayoutAttr) -> None:
    """Give a tensor a layout, where it is made and inside every group that reads it."""
    assert isinstance(value.type, TensorType)
    type_ = tensor_type(value.type.get_shape(), value.type.element_type, layout)
    for use in list(value.uses):
        if isinstance(use.operation, hlt.FusionOp):
            argument = use.operation.body.block.args[use.index]
            assert isinstance(argument, BlockArgument)
            Rewriter.replace_value_with_new_type(argument, type_)
    Rewriter.replace_value_with_new_type(value, type_)


def assign(module: ModuleOp, target: Target, lane_bytes: int = FLOAT_BYTES) -> None:
    """Choose and set the layouts of all regions of ``@main``, in blocks of vectors of elements of that size."""
    block = main_block(module)
    if block is None:
        return
    fusions = [op for inner in hlt.blocks_within(block) for op in inner.ops if isinstance(op, hlt.FusionOp)]
    width = target.lanes(lane_bytes)
    for value in region_of(copy_borders(fusions, width)):
        layout = choose(value, width)
        if layout is not None:
            set_layout(value, layout)


@dataclass(frozen=True)
class AssignLayoutsPass(ModulePass):
    """Tensors of convolutional regions lie in channel blocks, or channels innermost.

    A block is a vector of elements of ``lane_bytes``: of what is computed with.
    """

    name = "assign-layouts"
    target: str = "native"
    lane_bytes: int = FLOAT_BYTES

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        assign(op, find_target(self.target), self.lane_bytes)
