"""Functions of one or two floats as polynomials: straight-line code over a `Scalar`, no calls, no branches.

Every function takes the builder and its operands, all f32 or all f64, and returns the value. NaN propagates.
Accuracy does not rest on a fused multiply-add: reductions split their constants so that products are exact.
``docs/reference/math.md`` lists the errors that were measured.
"""

from mlc.lowering.loops.polynomials.exponential import cosh, exp, sinh, tanh
from mlc.lowering.loops.polynomials.logarithm import acosh, asinh, atanh, log
from mlc.lowering.loops.polynomials.power import power
from mlc.lowering.loops.polynomials.probability import erf, gelu
from mlc.lowering.loops.polynomials.trigonometric import acos, asin, atan, cos, sin, tan

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "erf",
    "exp",
    "gelu",
    "log",
    "power",
    "sin",
    "sinh",
    "tan",
    "tanh",
]
