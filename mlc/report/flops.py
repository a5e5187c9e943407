"""How much arithmetic a model is."""

from __future__ import annotations

import math

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from mlc.dialects import hlt
from mlc.dialects.parts import PARTS


def count_flops(module: ModuleOp) -> int:
    """Floating-point operations of all products in a graph: two per multiply-add, as benchmarks count."""
    return sum(flops_of(op) for op in module.walk())


def flops_of(op: Operation) -> int:
    """The same of one operation; 0 of everything but products and convolutions."""
    match op:
        case hlt.DotGeneralOp():
            depth = math.prod(hlt.shape_of(op.lhs)[dim] for dim in op.lhs_contract)
            return 2 * math.prod(hlt.shape_of(op.results[0])) * depth
        case hlt.DotWordsOp():
            return 2 * math.prod(hlt.shape_of(op.results[0])) * hlt.shape_of(op.w)[0] * PARTS[op.parts].per_word
        case hlt.ConvWordsOp():
            taps = math.prod(hlt.shape_of(op.w)[:-1])
            return 2 * math.prod(hlt.shape_of(op.results[0])) * taps * PARTS[op.parts].per_word
        case hlt.ConvOp():
            return 2 * math.prod(hlt.shape_of(op.results[0])) * math.prod(hlt.shape_of(op.w)[1:])
        case hlt.ConvTransposeOp():
            return 2 * math.prod(hlt.shape_of(op.x)) * math.prod(hlt.shape_of(op.w)[1:])
        case _:
            return 0
