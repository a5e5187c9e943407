"""Reference meaning of the activation functions."""

from __future__ import annotations

import math

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.elementwise import erfc
from mlc.dialects.interpreters.registry import Array, reference

_TANH_GELU_CUBIC = 0.044715

_NEGLIGIBLE_GELU = -64.0
"""From here down Phi is zero in every format."""


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow: the exponent is never positive."""
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, decay) / (1.0 + decay)


@reference(hlt.SigmoidOp)
def _sigmoid(_: hlt.SigmoidOp, x: Array) -> Array:
    return sigmoid(x)


def exact_gelu(x: Array) -> Array:
    """x * Phi(x), through erfc so that the negative tail keeps its digits; 0 at minus infinity."""
    return 0.5 * np.maximum(x, _NEGLIGIBLE_GELU) * erfc(-x / math.sqrt(2.0))


@reference(hlt.GeluOp)
def gelu(op: hlt.GeluOp, x: Array) -> Array:
    """Exact, or the tanh form."""
    if op.approximate == "none":
        return exact_gelu(x)
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + _TANH_GELU_CUBIC * x**3)))


@reference(hlt.SoftmaxOp)
def softmax(op: hlt.SoftmaxOp, x: Array) -> Array:
    """Shifted by the maximum, so that no exponential overflows."""
    highest = x.max(axis=op.axis, keepdims=True, initial=-np.inf)
    shifted = x - (np.where(highest == -np.inf, 0.0, highest) if op.safe else highest)
    total = np.exp(shifted).sum(axis=op.axis, keepdims=True)
    total = np.where(total == 0.0, 1.0, total) if op.safe else total
    return shifted - np.log(total) if op.log else np.exp(shifted) / total
