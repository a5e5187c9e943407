"""Products of one tensor with several constant matrices are one product with the matrices side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.derive import constant_op, derive, readable
from mlc.lowering.graph.kinds import ANCHORS, MOVEMENT, all_read_through
from mlc.lowering.graph.match import producer
from mlc.lowering.graph.rewrite import NODE, blocks


@dataclass(frozen=True)
class MergeDotsPass(ModulePass):
    """Merge sibling products (queries, keys and values of attention) and cut the result with slices.

    It pays where each part is read, through an index, by what is an anchor of its own: element-wise operations would
    rather be the epilogue of each product. No merged result has more than ``max_columns`` columns.
    """

    name = "merge-dots"

    max_columns: int = 16384

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        store = weights_of(ctx)
        for block in blocks(op):
            for siblings in _siblings(block, store):
                columns = sum(hlt.shape_of(part.end)[-1] for part in siblings)
                if len(siblings) > 1 and columns <= self.max_columns:
                    _merge(siblings, store)


@dataclass(frozen=True)
class Part:
    """A product with a constant matrix, the constant bias that is added to it, and the value of both."""

    dot: hlt.DotGeneralOp
    weights: hlt.ConstantOp
    bias: hlt.ConstantOp | None
    end: SSAValue


def _siblings(block: Block, store: WeightStore | None) -> list[list[Part]]:
    """Parts that may be merged: of one left operand, contracted alike, with or without a bias."""
    families: dict[tuple[object, ...], list[Part]] = {}
    for op in block.ops:
        part = _part(op, store)
        if part is not None and _read_by_anchors(part.end):
            key = (part.dot.lhs, part.dot.lhs_contract, part.dot.rhs_contract, part.bias is None)
            families.setdefault(key, []).append(part)
    return list(families.values())


def _read_by_anchors(value: SSAValue) -> bool:
    """Whether all readers of ``value``, past movement, are anchors, which take it through an index."""
    return all_read_through(value) and all(
        _read_by_anchors(use.operation.results[0])
        if type(use.operation) in MOVEMENT
        else type(use.operation) in ANCHORS
        for use in value.uses
    )


def _part(op: Operation, store: WeightStore | None) -> Part | None:
    if not isinstance(op, hlt.DotGeneralOp) or op.lhs_batch or len(op.rhs_free) != 1:
        return None
    weights = constant_op(op.rhs)
    if weights is None or not readable(op.rhs, store) or len(hlt.shape_of(op.rhs)) != 2:
        return None
    add = op.result.get_user_of_unique_use()
    if not isinstance(add, hlt.AddOp):
        return Part(op, weights, None, op.result)
    bias = _bias(add.rhs if add.lhs is op.result else add.lhs, store)
    return Part(op, weights, None, op.result) if bias is None else Part(op, weights, bias, add.result)


def _bias(value: SSAValue, store: WeightStore | None) -> hlt.ConstantOp | None:
    """The constant ``[N]`` that ``value: [.., N]`` repeats."""
    broadcast = producer(value, hlt.BroadcastOp)
    last = (len(hlt.shape_of(value)) - 1,)
    if broadcast is None or broadcast.dims != last or not readable(broadcast.x, store):
        return None
    return constant_op(broadcast.x)


def _merge(parts: Sequence[Part], store: WeightStore | None) -> None:
    """Replace the parts by slices of one product, which stands where the first one does."""
    first = parts[0].dot
    weights = _side_by_side([part.weights for part in parts], first.rhs_free[0], store)
    biases = [part.bias for part in parts if part.bias is not None]
    bias = _side_by_side(biases, 0, store) if biases else None
    if weights is None or (biases and bias is None):
        return
    dot = hlt.DotGeneralOp(first.lhs, weights, lhs_contract=first.lhs_contract, rhs_contract=first.rhs_contract)
    new: list[Operation] = [weights, dot]
    if bias is not None:
        shape = hlt.shape_of(dot)
        spread = hlt.BroadcastOp(bias, shape=shape, dims=(len(shape) - 1,))
        new += [bias, spread, hlt.AddOp(dot, spread)]
    joined, start = new[-1].results[0], 0
    for part in parts:
        shape = hlt.shape_of(part.end)
        cut = hlt.SliceOp(joined, starts=(*(0,) * (len(shape) - 1), start), sizes=shape)
        start += shape[-1]
        new.append(cut)
        part.end.replace_all_uses_with(cut.result)
    block = first.parent
    assert block is not None, "a product of a block's stands in it"
    for op in new:
        if NODE in first.attributes:
            op.attributes[NODE] = first.attributes[NODE]
        block.insert_op_before(op, first)
    for part in parts:
        _erase(part)


def _side_by_side(constants: Sequence[hlt.ConstantOp], axis: int, store: WeightStore | None) -> hlt.ConstantOp | None:
    shapes = [hlt.shape_of(op) for op in constants]
    shape = (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    result = hlt.Tensor(shape, hlt.element_of(constants[0]))
    return derive(store, f"concat axis={axis}", constants, result, lambda *arrays: np.concatenate(arrays, axis))


def _erase(part: Part) -> None:
    """Erase the operations of a part, whose value is not used any more."""
    op = part.end.owner
    assert isinstance(op, Operation), "the end of a part is a product or a sum"
    for dead in (op, part.dot):
        if dead.parent is not None:
            dead.detach()
            dead.erase()
