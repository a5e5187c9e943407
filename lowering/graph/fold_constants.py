"""Operations on constants become constants, by the reference semantics.

Splats stay splats, whatever their shape. Results of more than 16 elements go to the weight store, which computes
them when they are read. A broadcast or an iota is not expanded for its own sake, but other operations fold through
it unless the result would take much more memory than what it is made of.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.context import weights_of
from mlc.dialects.hlt import Value
from mlc.dialects.interpreters import evaluate
from mlc.dialects.weights import WeightStore
from mlc.errors import ModelError
from mlc.lowering.graph.derive import Array, constant_op, derive, readable, reader
from mlc.lowering.graph.kinds import MAY_FAIL
from mlc.lowering.graph.match import full, splat
from mlc.lowering.graph.rewrite import Rules, run_rules
from mlc.lowering.graph.rules.movement import movement_of_splat

ELEMENTWISE = (hlt.UnaryOp, hlt.BinaryOp, hlt.SelectOp, hlt.CastOp, hlt.BitcastOp)
MOVEMENT = (
    *(hlt.BroadcastOp, hlt.ReshapeOp, hlt.TransposeOp, hlt.SliceOp, hlt.ReverseOp),
    *(hlt.PadOp, hlt.ConcatOp, hlt.IotaOp),
)
EXACT = (
    *MOVEMENT,
    *(hlt.AddOp, hlt.SubOp, hlt.MulOp, hlt.DivOp, hlt.MaximumOp, hlt.MinimumOp, hlt.NegOp, hlt.AbsOp),
    *(hlt.SignOp, hlt.SqrtOp, hlt.ReciprocalOp, hlt.FloorOp, hlt.CeilOp, hlt.RoundOp, hlt.CastOp, hlt.BitcastOp),
    *(hlt.CompareOp, hlt.SelectOp, hlt.AndOp, hlt.OrOp, hlt.XorOp, hlt.NotOp, hlt.ShiftLeftOp, hlt.ShiftRightOp),
    *(hlt.IsNanOp, hlt.IsInfOp, hlt.GatherOp, hlt.GatherElementsOp, hlt.GatherNdOp),
)
"""What every implementation rounds alike."""

_EXPANDING = (hlt.BroadcastOp, hlt.IotaOp)
_OPERATIONS_PER_SECOND = 2**28

OPERATIONS_PER_BYTE = 16
"""So much work on each byte of a constant is what a model that holds it may ask for."""

PRODUCT_SHARE = 32
"""A multiply-add of a matrix product takes so much less time than an operation of its own."""


@dataclass(frozen=True)
class FoldConstantsPass(ModulePass):
    """Evaluate operations whose operands are all constant.

    Budgets keep a small model from asking for much. ``max_bytes`` bounds one result, and ``growth`` how many bytes it
    may take beyond the constants it is made of. ``max_operations`` bounds the work on one, beyond a few operations per
    byte of these constants, and so the memory for broadcasts in between; ``seconds`` the time of all evaluations
    together (deferred ones are estimated). With ``strict`` only what every implementation rounds alike is folded.
    """

    name = "fold-constants"

    max_bytes: int = 1 << 30
    max_operations: int = 1 << 26
    growth: int = 1 << 16
    seconds: int = 30
    strict: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        folder = _Folder(self, weights_of(ctx))
        rules = Rules()
        for cls in hlt.OPERATIONS:
            if cls is not hlt.ConstantOp and (not self.strict or cls in EXACT):
                rules.on(cls)(folder.fold)
        run_rules(op, rules)


@dataclass
class _Folder:
    limits: FoldConstantsPass
    store: WeightStore | None
    spent: float = 0.0
    failed: set[Operation] = field(default_factory=set[Operation])

    def fold(self, op: hlt.HltOp) -> Value | None:
        """The constant that the single-result operation ``op`` yields, if it is one and may be computed."""
        if len(op.results) != 1 or not all(is_known(operand, self.store) for operand in op.operands):
            return None
        moved = _scalar(op)
        if moved is not None:
            return moved
        expression = Expression.of(op)
        if not self._affordable(op, expression):
            return None
        if isinstance(op, MAY_FAIL) and not self._succeeds(op, expression):
            return None
        start = time.perf_counter()
        result = hlt.tensor(op.results[0])
        folded = derive(self.store, expression.recipe, expression.sources, result, expression.evaluate)
        self.spent += time.perf_counter() - start
        return folded

    def _affordable(self, op: hlt.HltOp, expression: Expression) -> bool:
        shape, element = hlt.tensor(op.results[0])
        size, itemsize = math.prod(shape), hlt.numpy_dtype(element).itemsize
        if isinstance(op, _EXPANDING) and size > hlt.INLINE_LIMIT:
            return False
        stored = sum(map(_stored_bytes, expression.sources))
        cost = sum(map(operation_count, expression.members))
        if size * itemsize > min(self.limits.max_bytes, stored + self.limits.growth):
            return False
        if cost > self.limits.max_operations + OPERATIONS_PER_BYTE * stored or self.spent >= self.limits.seconds:
            return False
        self.spent += cost / _OPERATIONS_PER_SECOND
        return True

    def _succeeds(self, op: hlt.HltOp, expression: Expression) -> bool:
        """Whether the data allow the operation; a bad index stays an error of the run."""
        if op in self.failed:
            return False
        try:
            expression.evaluate(*(reader(source, self.store)() for source in expression.sources))
        except ModelError:
            self.failed.add(op)
            return False
        return True


@dataclass(frozen=True)
class Expression:
    """Detached copies of an operation and of the broadcasts and iotas before it, as a function of ``sources``."""

    sources: tuple[hlt.ConstantOp, ...]
    block: Block
    recipe: str

    @staticmethod
    def of(op: hlt.HltOp) -> Expression:
        """The expression of an operation whose operands are all known."""
        sources: list[hlt.ConstantOp] = []
        chain: list[Operation] = []
        _collect(op, sources, chain)
        block = Block(arg_types=[source.result.type for source in sources])
        mapper: dict[SSAValue, SSAValue] = dict(zip((source.result for source in sources), block.args))
        block.add_ops([member.clone(mapper) for member in chain])
        return Expression(tuple(sources), block, _recipe(block))

    @property
    def members(self) -> list[Operation]:
        """The copies in order; the last one is the operation's."""
        return list(self.block.ops)

    def evaluate(self, *arrays: Array) -> Array:
        """The value of the last operation on the sources' arrays."""
        values: dict[SSAValue, Array] = dict(zip(self.block.args, arrays, strict=True))
        result = np.empty(0)
        for op in self.block.ops:
            (result,) = evaluate(op, [values[operand] for operand in op.operands])
            values[op.results[0]] = result
        return result


def _collect(op: Operation, sources: list[hlt.ConstantOp], chain: list[Operation]) -> None:
    for operand in op.operands:
        source = constant_op(operand)
        if source is None:
            assert isinstance(operand.owner, Operation), "`is_known` was asked first"
            if operand.owner not in chain:
                _collect(operand.owner, sources, chain)
        elif source not in sources:
            sources.append(source)
    chain.append(op)


def _recipe(block: Block) -> str:
    """What the block computes, as text; its first word is the last operation's name."""
    numbers: dict[SSAValue, int] = {argument: index for index, argument in enumerate(block.args)}
    lines: list[str] = []
    for op in block.ops:
        numbers[op.results[0]] = len(numbers)
        fields = [f"{name}={attr}" for name, attr in sorted(op.properties.items())]
        operands = [str(numbers[operand]) for operand in op.operands]
        lines.append(f"{op.name}({','.join(operands)}) {' '.join(fields)} {op.result_types[0]}")
    last = block.last_op
    assert last is not None, "an expression holds an operation"
    return f"{last.name.removeprefix('hlt.')} {'; '.join(lines)}"


def is_known(value: SSAValue, store: WeightStore | None) -> bool:
    """Whether ``value`` can be computed now: a readable constant, an iota, or a broadcast of such."""
    op = value.owner
    if isinstance(op, hlt.BroadcastOp):
        return is_known(op.x, store)
    return isinstance(op, hlt.IotaOp) or readable(value, store)


def _scalar(op: hlt.HltOp) -> Value | None:
    """The splat that ``op`` yields when all its operands are splats."""
    if isinstance(op, hlt.BroadcastOp | hlt.ReshapeOp | hlt.TransposeOp | hlt.SliceOp | hlt.ReverseOp):
        return movement_of_splat(op)
    if not isinstance(op, ELEMENTWISE):
        return None
    found = [splat(operand) for operand in op.operands]
    scalars = [value for value in found if value is not None]
    if len(scalars) < len(found):
        return None
    shape, element = hlt.tensor(op.results[0])
    arguments = Block(arg_types=[hlt.tensor_type((), hlt.element_of(operand)) for operand in op.operands]).args
    single = type(op).create(operands=arguments, result_types=[hlt.tensor_type((), element)], properties=op.properties)
    (result,) = evaluate(single, [np.asarray(value) for value in scalars])
    return full(result, shape, result.dtype)


def _stored_bytes(op: hlt.ConstantOp) -> int:
    """Bytes that the constant takes: those of one element for a splat."""
    shape, element = hlt.tensor(op.result)
    count = 1 if splat(op.result) is not None else math.prod(shape)
    return count * hlt.numpy_dtype(element).itemsize


def operation_count(op: Operation) -> int:
    """About how many scalar operations ``op`` takes; those inside products count as a part of one."""
    sizes = [math.prod(hlt.shape_of(value)) for value in (*op.operands, *op.results)]
    if isinstance(op, hlt.DotGeneralOp):
        lhs = hlt.shape_of(op.lhs)
        return sum(sizes) + sizes[-1] * math.prod(lhs[dim] for dim in op.lhs_contract) // PRODUCT_SHARE
    if isinstance(op, hlt.ConvOp):
        return sum(sizes) + sizes[-1] * math.prod(hlt.shape_of(op.w)[1:]) // PRODUCT_SHARE
    if isinstance(op, hlt.ConvTransposeOp):
        return sum(sizes) + sizes[0] * math.prod(hlt.shape_of(op.w)[1:]) // PRODUCT_SHARE
    return sum(sizes)
