"""Functions of one or two floats as polynomials: straight-line code over a `Scalar`, no calls, no branches.

Every function takes the builder and its operands, all f32 or all f64, and returns the value. NaN propagates.
Accuracy does not rest on a fused multiply-add: reductions split their constants so that products are exact.
``docs/reference/math.md`` lists the errors that were measured.
"""

from mlc.lowering.loops.polynomials.exponential import exp, tanh
from mlc.lowering.loops.polynomials.logarithm import log
from mlc.lowering.loops.polynomials.probability import erf

__all__ = ["erf", "exp", "log", "tanh"]
