"""Recurrent cells: RNN, GRU, LSTM."""

from __future__ import annotations

from typing import Any

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder, Maker
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value

DIRECTIONS = ("forward", "reverse", "bidirectional")


@onnx_op("RNN")
def rnn(b: Builder, node: Node) -> tuple[Value, ...]:
    return _cell(b, node, hlt.RnnOp, 6)


@onnx_op("GRU")
def gru(b: Builder, node: Node) -> tuple[Value, ...]:
    return _cell(b, node, hlt.GruOp, 6, linear_before_reset=node.bool("linear_before_reset", False))


@onnx_op("LSTM")
def lstm(b: Builder, node: Node) -> tuple[Value, ...]:
    return _cell(b, node, hlt.LstmOp, 8, input_forget=node.bool("input_forget", False))


STATES = (5, 6)
"""The inputs that hold an initial state."""


def _cell(b: Builder, node: Node, make: Maker, inputs: int, **attributes: Any) -> tuple[Value, ...]:
    """The cell's results in ONNX's order; ``layout`` 1 has the batch in front of everything."""
    batch_first = node.bool("layout", False)
    operands = [node.input(i) if i < 3 else node.optional(i) for i in range(inputs)]
    if batch_first:
        for i in (0, *(i for i in STATES if i < inputs)):
            value = operands[i]
            operands[i] = None if value is None else _swap_first(b, node, value)
    results = b.ops(
        make,
        *operands,
        direction=node.string("direction", "forward", choices=DIRECTIONS),
        activations=node.strings("activations", None),
        activation_alpha=node.floats("activation_alpha", ()),
        activation_beta=node.floats("activation_beta", ()),
        clip=node.float("clip", None),
        **attributes,
    )
    if not batch_first:
        return results
    y, *states = results
    return (b.transpose(y, (2, 0, 1, 3)), *(b.transpose(state, (1, 0, 2)) for state in states))


def _swap_first(b: Builder, node: Node, x: Value) -> Value:
    if x.rank != 3:
        raise node.invalid(f"inputs and states must have 3 dims, not {x.rank}")
    return b.transpose(x, (1, 0, 2))
