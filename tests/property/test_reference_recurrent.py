"""hlt against ONNX's reference evaluator: recurrent operations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.dialects.interpreters import evaluate
from mlc.testing.hlt_reference import Array, check, few, named_values, normal, onnx_run, seeds


def recurrent_inputs(seed: int, directions: int, gates: int, peepholes: bool) -> dict[str, Array]:
    steps, batch, inputs, hidden = 4, 3, 2, 5
    shapes = {
        "x": (steps, batch, inputs),
        "w": (directions, gates * hidden, inputs),
        "r": (directions, gates * hidden, hidden),
        "b": (directions, 2 * gates * hidden),
        "h0": (directions, batch, hidden),
    }
    if gates == 4:
        shapes["c0"] = (directions, batch, hidden)
        shapes |= {"p": (directions, 3 * hidden)} if peepholes else {}
    return {name: normal(seed + n, *shape) for n, (name, shape) in enumerate(shapes.items())}


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@given(seeds, st.booleans())
@few
def test_lstm(direction: str, seed: int, peepholes: bool) -> None:
    arrays = recurrent_inputs(seed, 1 + (direction == "bidirectional"), 4, peepholes)
    op = hlt.LstmOp(**named_values(arrays), direction=direction)
    ordered = [arrays.get(name) for name in ("x", "w", "r", "b", "lengths", "h0", "c0", "p")]
    expected = onnx_run("LSTM", ordered, 3, hidden_size=5, direction=direction)
    check(op, list(arrays.values()), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@given(seeds, st.booleans())
@few
def test_gru(direction: str, seed: int, linear: bool) -> None:
    arrays = recurrent_inputs(seed, 1 + (direction == "bidirectional"), 3, False)
    op = hlt.GruOp(**named_values(arrays), direction=direction, linear_before_reset=linear)
    ordered = [arrays.get(name) for name in ("x", "w", "r", "b", "lengths", "h0")]
    expected = onnx_run("GRU", ordered, 2, hidden_size=5, direction=direction, linear_before_reset=int(linear))
    check(op, list(arrays.values()), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@given(seeds)
@few
def test_rnn(direction: str, seed: int) -> None:
    arrays = recurrent_inputs(seed, 1 + (direction == "bidirectional"), 1, False)
    op = hlt.RnnOp(**named_values(arrays), direction=direction)
    ordered = [arrays.get(name) for name in ("x", "w", "r", "b", "lengths", "h0")]
    activations = ["Tanh"] * (1 + (direction == "bidirectional"))
    expected = onnx_run("RNN", ordered, 2, hidden_size=5, direction=direction, activations=activations)
    check(op, list(arrays.values()), expected)


@given(seeds, st.lists(st.integers(0, 4), min_size=3, max_size=3))
@few
def test_sequences_of_different_lengths(seed: int, lengths: list[int]) -> None:
    """Each sequence of a batch comes out as if it were run alone, without its padding."""
    arrays = recurrent_inputs(seed, 2, 4, True)
    inputs = arrays | {"lengths": np.array(lengths, np.int32)}
    op = hlt.LstmOp(**named_values(inputs), direction="bidirectional")
    order = ["x", "w", "r", "b", "lengths", "h0", "c0", "p"]
    y, h, c = evaluate(op, [inputs[name] for name in order])
    for row, length in itertools.compress(enumerate(lengths), lengths):
        alone = {name: array[:, row : row + 1] if name in ("h0", "c0") else array for name, array in arrays.items()}
        alone["x"] = arrays["x"][:length, row : row + 1]
        single = hlt.LstmOp(**named_values(alone), direction="bidirectional")
        wanted = evaluate(single, [alone[name] for name in order if name in alone])
        np.testing.assert_allclose(y[:length, :, row], wanted[0][:, :, 0])
        np.testing.assert_allclose(h[:, row], wanted[1][:, 0])
        np.testing.assert_allclose(c[:, row], wanted[2][:, 0])
        assert not y[length:, :, row].any()
