"""store_half: tensors between kernels, and weights, are stored in f16; kernels compute in f32 inside.

    %1 = hlt.fusion(%x = %0 : tensor<4x8xf32>, %w = %fc : tensor<8x9xf32>) -> (tensor<4x9xf32>) { ... }
 -> %1 = hlt.fusion(%x = %0 : tensor<4x8xf16>, %w = %fc.half : tensor<8x9xf16>) -> (tensor<4x9xf16>) {
      %2 = hlt.cast %x <dtype = f32>   ...   saturated to the range of f16   hlt.cast <dtype = f16>
    }

So each tensor is rounded once, where it leaves a kernel, and sums, norms and softmax see f32. What the model takes
and returns keeps its type. Nothing overflows: results whose range the operations don't show to be small enough are
saturated at 65504 (infinities, too), and weights that f16 can't hold well stay f32. With ``accumulate=f16`` sums of
products are kept in f16, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, Float32Type, ModuleOp, StringAttr, TensorType, UnitAttr, f16, f32
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.dialects.hlt.base import element_of, shape_of
from mlc.dialects.hlt.dtypes import tensor_type
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.lowering.graph.derive import Array, derive, readable, reader
from mlc.lowering.graph.kinds import ANCHORS, ELEMENTWISE, MOVEMENT
from mlc.lowering.graph.ranges import LARGEST_HALF, interval
from mlc.lowering.graph.rewrite import functions
from mlc.lowering.kernels.contraction import ACCUMULATE

KEPT = "mlc.kept_f32"
"""Attribute of a module: the weights that f16 could not hold."""

MIN_ELEMENTS = 256
"""Weights of fewer elements (biases, scales) stay f32: they would save nothing."""

WORST_ROUNDING = 2.0**-10
"""The largest root-mean-square rounding error of a weight, as a share of its size; f16's own is 2**-12."""

TRANSPARENT: frozenset[type[Operation]] = frozenset(
    (
        *(hlt.ConcatOp, hlt.TransposeOp, hlt.ReshapeOp, hlt.SliceOp, hlt.ReverseOp, hlt.BroadcastOp),
        *(hlt.GatherOp, hlt.PadOp, hlt.MaximumOp, hlt.MinimumOp, hlt.ConstantOp),
    )
)
"""Operations whose results are elements of their operands or constants: they run on f16 as they are."""


CONVERTING: frozenset[type[Operation]] = ANCHORS | ELEMENTWISE | MOVEMENT | TRANSPARENT
"""Operations that kernels process further before they write, so that results can be rounded there."""

READING: frozenset[type[Operation]] = CONVERTING | {hlt.LstmOp, hlt.GruOp, hlt.RnnOp}
"""Operations that read an operand element by element where they use it, so that it can be widened there."""


def round_half(array: Array) -> Array:
    """The nearest f16 of every element; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float16)


def fits(array: Array) -> bool:
    """Whether f16 holds an f32 array: all of it finite, and rounded to `WORST_ROUNDING` of its size at most."""
    with np.errstate(invalid="ignore"):
        error = np.linalg.norm(round_half(array).astype(np.float32) - array)
    return bool(np.isfinite(error) and error <= WORST_ROUNDING * np.linalg.norm(array))


def is_wide(value: SSAValue) -> bool:
    """Whether a tensor is f32."""
    return isinstance(element_of(value), Float32Type)


class Plan(NamedTuple):
    """Which inputs and outputs of a group become f16; with ``moves``, all of its body does."""

    inputs: list[bool]
    outputs: list[bool]
    moves: bool


@dataclass
class Storage:
    """Gives the tensors of one block their types; what other blocks see stays f32."""

    block: Block
    store: WeightStore | None
    accumulate: bool = False
    kept: list[str] = field(default_factory=list[str])
    """The weights that stay f32 because f16 does not hold them well."""
    narrow: set[SSAValue] = field(default_factory=set[SSAValue])

    def run(self) -> None:
        """Choose what becomes f16, then change the groups, the views between them, and the weights."""
        ops = list(self.block.ops)
        for op in reversed(ops):
            self.narrow.update(v for v in op.results if self._may_be_half(op, v))
        for op in ops:
            if isinstance(op, hlt.ReshapeOp) and op.x not in self.narrow:
                self.narrow.discard(op.result)
        fusions = [op for op in ops if isinstance(op, hlt.FusionOp)]
        plans = [self._plan(op) for op in fusions]
        changed = [op for op in ops if not isinstance(op, hlt.FusionOp) and self.narrow.intersection(op.results)]
        for op, plan in zip(fusions, plans):
            self._fusion(op, plan)
        for op in changed:
            if isinstance(op, hlt.ConstantOp):
                self._weight(op)
            else:
                retype(op.results[0])

    def _may_be_half(self, op: Operation, value: SSAValue) -> bool:
        """Whether a tensor is f32 and only groups see it, directly or through views (later ones are known)."""
        if not is_wide(value) or not all(self._reads_half(use.operation) for use in value.uses):
            return False
        if isinstance(op, hlt.FusionOp):
            return all(type(inner) in CONVERTING for inner in op.members)
        return isinstance(op, hlt.ReshapeOp) or (isinstance(op, hlt.ConstantOp) and self._holds(op))

    def _reads_half(self, op: Operation) -> bool:
        """Whether an operation can take an f16 operand, as far as is known."""
        if op.parent is not self.block:
            return False
        if isinstance(op, hlt.FusionOp):
            return all(type(inner) in READING for inner in op.members)
        return isinstance(op, hlt.ReshapeOp) and op.result in self.narrow

    def _holds(self, op: hlt.ConstantOp) -> bool:
        """Whether a weight is large enough to gain from f16, and f16 holds it well."""
        if math.prod(shape_of(op.result)) < MIN_ELEMENTS or not readable(op.result, self.store):
            return False
        if fits(reader(op, self.store)()):
            return True
        self.kept.append(op.value.key.data if isinstance(op.value, WeightAttr) else hlt.node_name(op))
        return False

    def _weight(self, op: hlt.ConstantOp) -> None:
        """Put the rounded weight in the place of a weight."""
        shape = shape_of(op.result)
        made = derive(self.store, "half", [op], hlt.Tensor(shape, f16), round_half)
        assert made is not None, "`_holds` has read the weight"
        Rewriter.replace_op(op, made)

    def _plan(self, op: hlt.FusionOp) -> Plan:
        inputs, outputs = [v in self.narrow for v in op.inputs], [v in self.narrow for v in op.outputs]
        all_half = all(v in self.narrow for v in (*op.inputs, *op.outputs) if is_wide(v))
        return Plan(inputs, outputs, all_half and all(_runs_on_half(inner) for inner in op.members))

    def _fusion(self, op: hlt.FusionOp, plan: Plan) -> None:
        """Change a group as planned."""
        body = op.body.block
        if plan.moves:
            _run_on_half(op)
        else:
            for argument in [a for a, half in zip(body.args, plan.inputs) if half]:
                _widen(body, argument)
            if self.accumulate:
                _sum_in_half(op)
            for number in [i for i, half in enumerate(plan.outputs) if half]:
                _narrow_result(op.terminator, number)
        for result in [r for r, half in zip(list(op.outputs), plan.outputs) if half]:
            retype(result)


def retype(value: SSAValue) -> SSAValue:
    """The value as f16, in its place."""
    assert isinstance(value.type, TensorType)
    return Rewriter.replace_value_with_new_type(value, tensor_type(value.type.get_shape(), f16))


def _runs_on_half(op: Operation) -> bool:
    """Whether an operation only selects and moves elements, and the numbers that it brings along are f16."""
    if type(op) not in TRANSPARENT:
        return False
    if isinstance(op, hlt.PadOp):
        return float(round_half(np.asarray(op.value))) == op.value
    if not isinstance(op, hlt.ConstantOp) or not is_wide(op.result):
        return True
    array = hlt.constant_value(op)
    return array is not None and bool(np.all(round_half(array) == array))


def _run_on_half(op: hlt.FusionOp) -> None:
    """Make every f32 of a group's body f16."""
    for argument in list(op.body.block.args):
        if is_wide(argument):
            retype(argument)
    for inner in op.members:
        if isinstance(inner, hlt.ConstantOp) and is_wide(inner.result):
            array = hlt.constant_value(inner)
            assert array is not None, "`_runs_on_half` has read the constant"
            number = round_half(array[(slice(0, 1),) * array.ndim]) if not any(array.strides) else round_half(array)
            Rewriter.replace_op(inner, hlt.ConstantOp(np.broadcast_to(number, array.shape)))
        elif is_wide(inner.results[0]):
            retype(inner.results[0])


def _widen(body: Block, argument: BlockArgument) -> None:
    """Make an argument f16, and what reads it read it in f32."""
    narrow = retype(argument)
    wide = hlt.CastOp(narrow, f32)
    narrow.replace_uses_with_if(wide.result, lambda use: use.operation is not wide)
    first = body.first_op
    assert first is not None, "a group ends with what it yields"
    body.insert_op_before(wide, first)


def _narrow_result(terminator: hlt.YieldOp, number: int) -> None:
    """Round what a group yields, before it is moved around or gets a border: kernels do that while they write."""
    user: Operation = terminator
    moves: list[Operation] = []
    while _is_last_move(user.operands[number].owner):
        moves.append(user := cast("Operation", user.operands[number].owner))
        number = 0
    user.operands[number] = _narrowed(user, user.operands[number])
    for move in reversed(moves):
        retype(move.results[0])


def _is_last_move(op: Operation | Block) -> bool:
    """Whether an operation moves elements that nothing else reads, and runs on f16 as well."""
    if not isinstance(op, hlt.PadOp) and type(op) not in MOVEMENT:
        return False
    return isinstance(op, Operation) and op.results[0].has_one_use() and _runs_on_half(op)


def _narrowed(before: Operation, value: SSAValue) -> SSAValue:
    """An f32 value as f16, saturated where it may be too large."""
    low, high = interval(value)
    made: list[hlt.HltOp] = []
    for cls, number, needed in (
        (hlt.MaximumOp, -LARGEST_HALF, low < -LARGEST_HALF),
        (hlt.MinimumOp, LARGEST_HALF, high > LARGEST_HALF),
    ):
        if needed:
            limit = hlt.ConstantOp.splat(number, tensor_type(shape_of(value), f32))
            made += [limit, cls(value, limit)]
            value = made[-1].results[0]
    made.append(hlt.CastOp(value, f16))
    block = before.parent_block()
    assert block is not None
    block.insert_ops_before(made, before)
    return made[-1].results[0]


def _sum_in_half(op: hlt.FusionOp) -> None:
    """Make products of what is stored as f16 products of f16, summed in f16."""
    for product in op.members:
        if not isinstance(product, hlt.DotGeneralOp | hlt.ConvOp):
            continue
        casts = [v.owner for v in product.operands]
        sources = [c.x for c in casts if isinstance(c, hlt.CastOp) and element_of(c.x) == f16]
        if len(sources) < len(casts):
            continue
        product.operands = sources
        result = retype(product.results[0])
        product.attributes[ACCUMULATE] = UnitAttr()
        wide = hlt.CastOp(result, f32)
        result.replace_uses_with_if(wide.result, lambda use, own=wide: use.operation is not own)
        op.body.block.insert_op_after(wide, product)
        for made in dict.fromkeys(casts):
            if isinstance(made, hlt.CastOp) and made.result.first_use is None:
                op.body.block.erase_op(made)


@dataclass(frozen=True)
class StoreHalfPass(ModulePass):
    """Tensors between kernels, and weights, are stored in f16. ``accumulate`` is what products are summed in."""

    name = "store-half"

    accumulate: Literal["f32", "f16"] = "f32"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kept: list[str] = []
        for block in [inner for outer in functions(op) for inner in hlt.blocks_within(outer)]:
            storage = Storage(block, weights_of(ctx), self.accumulate == "f16")
            storage.run()
            kept += storage.kept
        if kept:
            op.attributes[KEPT] = ArrayAttr([StringAttr(name) for name in kept])
