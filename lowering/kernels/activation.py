"""The activation functions of recurrent cells, on one element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from xdsl.dialects import math
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.lowering.scalar import BESIDE_ONE, Scalar

Activation: TypeAlias = Callable[[Scalar, SSAValue], SSAValue]
Form: TypeAlias = Callable[[Scalar, SSAValue, float, float], SSAValue]


def sigmoid(s: Scalar, x: SSAValue) -> SSAValue:
    """``1 / (1 + exp(-x))``."""
    one = s.constant(1.0, x.type)
    return s.div(one, s.add(one, s.exp(s.neg(x), BESIDE_ONE)))


def _tanh(s: Scalar, x: SSAValue) -> SSAValue:
    return s.unary(math.TanhOp, x)


def _scaled(s: Scalar, x: SSAValue, factor: float) -> SSAValue:
    return s.mul(x, s.constant(factor, x.type))


def _affine(s: Scalar, x: SSAValue, alpha: float, beta: float) -> SSAValue:
    return s.add(_scaled(s, x, alpha), s.constant(beta, x.type))


def _where_negative(s: Scalar, x: SSAValue, other: SSAValue) -> SSAValue:
    return s.select(s.compare("ge", x, s.constant(0.0, x.type)), x, other)


def _elu(s: Scalar, x: SSAValue, alpha: float, beta: float) -> SSAValue:
    grown = s.sub(s.unary(math.ExpOp, s.minimum(x, s.constant(0.0, x.type))), s.constant(1.0, x.type))
    return _where_negative(s, x, _scaled(s, grown, alpha))


def _softplus(s: Scalar, x: SSAValue, alpha: float, beta: float) -> SSAValue:
    """``log(1 + exp(x))`` without overflow."""
    zero, one = s.constant(0.0, x.type), s.constant(1.0, x.type)
    small = s.unary(math.ExpOp, s.neg(s.unary(math.AbsFOp, x)))
    return s.add(s.maximum(x, zero), s.unary(math.LogOp, s.add(one, small)))


def _thresholded(s: Scalar, x: SSAValue, alpha: float, beta: float) -> SSAValue:
    return s.select(s.compare("gt", x, s.constant(alpha, x.type)), x, s.constant(0.0, x.type))


FORMS: Mapping[str, Form] = {
    "Affine": _affine,
    "Elu": _elu,
    "HardSigmoid": lambda s, x, a, b: _clipped(s, _affine(s, x, a, b), 0.0, 1.0),
    "LeakyRelu": lambda s, x, a, b: _where_negative(s, x, _scaled(s, x, a)),
    "Relu": lambda s, x, a, b: s.maximum(x, s.constant(0.0, x.type)),
    "ScaledTanh": lambda s, x, a, b: _scaled(s, _tanh(s, _scaled(s, x, b)), a),
    "Sigmoid": lambda s, x, a, b: sigmoid(s, x),
    "Softplus": _softplus,
    "Softsign": lambda s, x, a, b: s.div(x, s.add(s.constant(1.0, x.type), s.unary(math.AbsFOp, x))),
    "Tanh": lambda s, x, a, b: _tanh(s, x),
    "ThresholdedRelu": _thresholded,
}
"""By ONNX name; alpha and beta where a function has them."""


def _clipped(s: Scalar, x: SSAValue, low: float, high: float) -> SSAValue:
    return s.minimum(s.maximum(x, s.constant(low, x.type)), s.constant(high, x.type))


def activations(op: hlt.LstmOp | hlt.GruOp | hlt.RnnOp) -> list[Activation]:
    """The functions of a cell of one direction in order, each after ``clip``."""
    return [_activation(op, place) for place in range(len(op.activations))]


def _activation(op: hlt.LstmOp | hlt.GruOp | hlt.RnnOp, place: int) -> Activation:
    name, clip = op.activations[place], op.clip
    alpha, beta = hlt.ACTIVATIONS[name]
    alpha = op.activation_alpha[place] if op.activation_alpha else alpha
    beta = op.activation_beta[place] if op.activation_beta else beta
    form = FORMS[name]
    if clip is None:
        return lambda s, x: form(s, x, alpha, beta)
    return lambda s, x: form(s, _clipped(s, x, -clip, clip), alpha, beta)
