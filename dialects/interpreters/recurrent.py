"""Reference meaning of the recurrent cells: a loop over time per direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.interpreters.activation import sigmoid
from mlc.dialects.interpreters.registry import Array, reference

States = tuple[Array, ...]
"""The values a cell carries from step to step, each ``[B, H]``; the first is the output."""
Step = Callable[[Array, States], States]
Cell = hlt.LstmOp | hlt.GruOp | hlt.RnnOp

_ACTIVATION: dict[str, Callable[[Array, float, float], Array]] = {
    "Affine": lambda x, alpha, beta: alpha * x + beta,
    "Elu": lambda x, alpha, beta: np.where(x >= 0, x, alpha * np.expm1(x)),
    "HardSigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0.0, 1.0),
    "LeakyRelu": lambda x, alpha, beta: np.where(x >= 0, x, alpha * x),
    "Relu": lambda x, alpha, beta: np.maximum(x, 0.0),
    "ScaledTanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "Sigmoid": lambda x, alpha, beta: sigmoid(x),
    "Softplus": lambda x, alpha, beta: np.logaddexp(0.0, x),
    "Softsign": lambda x, alpha, beta: x / (1.0 + np.abs(x)),
    "Tanh": lambda x, alpha, beta: np.tanh(x),
    "ThresholdedRelu": lambda x, alpha, beta: np.where(x > alpha, x, 0.0),
}


@reference(hlt.LstmOp)
def lstm(op: hlt.LstmOp, x: Array, r: Array, **optional: Array) -> tuple[Array, ...]:
    """``y, h, c``."""
    return _run(op, x, r, partial(_lstm_step, op, r, optional), ("h0", "c0"), optional)


@reference(hlt.GruOp)
def gru(op: hlt.GruOp, x: Array, r: Array, **optional: Array) -> tuple[Array, ...]:
    """``y, h``."""
    return _run(op, x, r, partial(_gru_step, op, r, optional), ("h0",), optional)


@reference(hlt.RnnOp)
def rnn(op: hlt.RnnOp, x: Array, r: Array, **optional: Array) -> tuple[Array, ...]:
    """``y, h``."""
    return _run(op, x, r, partial(_rnn_step, op, r, optional), ("h0",), optional)


def _run(
    op: Cell,
    x: Array,
    r: Array,
    step_of: Callable[[int], Step],
    initial: Sequence[str],
    optional: dict[str, Array],
) -> tuple[Array, ...]:
    """All directions: ``y [T, D, B, H]`` and the last states ``[D, B, H]``."""
    directions, _, hidden = r.shape
    steps, batch, _ = x.shape
    zeros = np.zeros((directions, batch, hidden))
    starts = [optional.get(name, zeros) for name in initial]
    lengths = optional.get("lengths", np.full(batch, steps)).astype(np.int64)
    outputs: list[Array] = []
    lasts: list[States] = []
    for direction in range(directions):
        backward = op.direction == "reverse" or direction == 1
        states = tuple(start[direction] for start in starts)
        output, last = _unroll(step_of(direction), x, lengths, states, backward)
        outputs.append(output)
        lasts.append(last)
    return (np.stack(outputs, 1), *(np.stack(state) for state in zip(*lasts)))


def _unroll(step: Step, x: Array, lengths: Array, states: States, backward: bool) -> tuple[Array, States]:
    """``y [T, B, H]`` and the states after each sequence's last step; sequences past their end keep still."""
    steps, batch, _ = x.shape
    output = np.zeros((steps, *states[0].shape))
    rows: Array = np.arange(batch, dtype=np.int64)
    for time in range(steps):
        active = time < lengths
        place = np.where(active, lengths - 1 - time if backward else time, 0)
        following = step(x[place, rows], states)
        states = tuple(np.where(active[:, None], new, old) for new, old in zip(following, states))
        output[place[active], rows[active]] = states[0][active]
    return output, states


def _projected(x: Array, r: Array, optional: dict[str, Array], direction: int) -> Array:
    """The product of ``x`` with ``w``, or the direction's part of ``x`` that is one already."""
    if "w" in optional:
        return x @ optional["w"][direction].T
    width = r.shape[1]
    return x[:, direction * width : (direction + 1) * width]


def _lstm_step(op: hlt.LstmOp, r: Array, optional: dict[str, Array], direction: int) -> Step:
    f, g, h = _functions(op, direction, 3)
    bias = _bias(optional, direction, 4, r.shape[2])
    peepholes = optional["p"][direction] if "p" in optional else np.zeros(3 * r.shape[2])
    peep_i, peep_o, peep_f = np.split(peepholes, 3)

    def step(x: Array, states: States) -> States:
        hidden, cell = states
        gates = _projected(x, r, optional, direction) + hidden @ r[direction].T + bias.sum(0).ravel()
        i, o, forget, c = np.split(gates, 4, -1)
        i = f(i + peep_i * cell)
        forget = 1.0 - i if op.input_forget else f(forget + peep_f * cell)
        cell = forget * cell + i * g(c)
        return f(o + peep_o * cell) * h(cell), cell

    return step


def _gru_step(op: hlt.GruOp, r: Array, optional: dict[str, Array], direction: int) -> Step:
    f, g = _functions(op, direction, 2)
    w_bias, r_bias = _bias(optional, direction, 3, r.shape[2])
    r_z, r_r, r_h = np.split(r[direction], 3)

    def step(x: Array, states: States) -> States:
        (hidden,) = states
        x_z, x_r, x_h = np.split(_projected(x, r, optional, direction), 3, -1)
        update = f(x_z + hidden @ r_z.T + w_bias[0] + r_bias[0])
        reset = f(x_r + hidden @ r_r.T + w_bias[1] + r_bias[1])
        if op.linear_before_reset:
            recurrent = reset * (hidden @ r_h.T + r_bias[2])
        else:
            recurrent = (reset * hidden) @ r_h.T + r_bias[2]
        candidate = g(x_h + recurrent + w_bias[2])
        return ((1.0 - update) * candidate + update * hidden,)

    return step


def _rnn_step(op: hlt.RnnOp, r: Array, optional: dict[str, Array], direction: int) -> Step:
    (f,) = _functions(op, direction, 1)
    bias = _bias(optional, direction, 1, r.shape[2])

    def step(x: Array, states: States) -> States:
        return (f(_projected(x, r, optional, direction) + states[0] @ r[direction].T + bias.sum(0).ravel()),)

    return step


def _functions(op: Cell, direction: int, count: int) -> list[Callable[[Array], Array]]:
    """The activation functions of one direction, each after ``clip``."""
    places = range(direction * count, (direction + 1) * count)
    return [_function(op, place) for place in places]


def _function(op: Cell, place: int) -> Callable[[Array], Array]:
    name = op.activations[place]
    alpha, beta = hlt.ACTIVATIONS[name]
    alpha = op.activation_alpha[place] if op.activation_alpha else alpha
    beta = op.activation_beta[place] if op.activation_beta else beta
    function, clip = _ACTIVATION[name], op.clip
    if clip is None:
        return lambda x: function(x, alpha, beta)
    return lambda x: function(np.clip(x, -clip, clip), alpha, beta)


def _bias(optional: dict[str, Array], direction: int, gates: int, hidden: int) -> Array:
    """``[2, gates, H]``: the biases of w and of r."""
    if "b" not in optional:
        return np.zeros((2, gates, hidden))
    return optional["b"][direction].reshape(2, gates, -1)
