"""find_inplace: which input of a kernel may lie where its output goes.

    loop.compute ins(%a, %w, %r) outs(%c) ... maps ["m, k", "k, n", "m, n", "m, n"]  finish uses %r
 -> loop.kernel {inplace = [[2, 3]]}

A result may overwrite an operand that is read at the same index only, and only for that result: then every element
is read before it is written, by the thread that writes it. `plan_memory` makes use of it where the operand dies.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, IntegerType, ModuleOp, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.hints import isa

from mlc.dialects.loop import ComputeOp, KernelOp

INPLACE = "inplace"
"""Attribute of a kernel: pairs of argument numbers (operand, result) that may share memory."""


def pairs(kernel: KernelOp) -> list[tuple[int, int]]:
    """The pairs of argument numbers (operand, result) that may share memory."""
    found: list[tuple[int, int]] = []
    args = kernel.body.block.args
    computes = kernel.computes()
    for out in args:
        writers = [c for c in computes if out in (*c.outs, *c.elems)]
        if len(writers) != 1 or any(out in c.ins for c in computes):
            continue
        for operand in args:
            if operand is not out and operand.type == out.type and _may_share(operand, out, writers[0], computes):
                found.append((operand.index, out.index))
    return found


def _may_share(operand: SSAValue, out: SSAValue, writer: ComputeOp, computes: list[ComputeOp]) -> bool:
    """Whether ``writer`` alone reads the operand, once, at the index of its result."""
    if any(operand in (*c.ins, *c.outs, *c.elems) for c in computes if c is not writer):
        return False
    if list(writer.ins).count(operand) != 1 or out not in writer.outs or writer.maps is None:
        return False
    number = list(writer.ins).index(operand)
    place = len(writer.ins) + list(writer.outs).index(out)
    folded = bool(writer.map.blocks) and writer.map.block.args[number].first_use is not None
    return not folded and writer.maps.data[number] == writer.maps.data[place]


def inplace_pairs(kernel: KernelOp) -> list[tuple[int, int]]:
    """The pairs that the pass noted on a kernel."""
    noted = kernel.attributes.get(INPLACE)
    if not isinstance(noted, ArrayAttr):
        return []
    found: list[tuple[int, int]] = []
    for pair in noted:
        assert isa(pair, DenseArrayBase[IntegerType])
        operand, result = pair.get_values()
        found.append((operand, result))
    return found


@dataclass(frozen=True)
class FindInplacePass(ModulePass):
    """Note which input of a kernel may lie where its output goes."""

    name = "find-inplace"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in [o for o in op.ops if isinstance(o, KernelOp)]:
            found: list[Attribute] = [DenseArrayBase.from_list(i64, list(p)) for p in pairs(kernel)]
            if found:
                kernel.attributes[INPLACE] = ArrayAttr(found)
