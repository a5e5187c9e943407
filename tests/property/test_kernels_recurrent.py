"""Compiled recurrent cells agree with the reference: every cell, direction, activation and option."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.context import CompilerContext
from mlc.dialects.hlt import tensor_type
from mlc.dialects.interpreters import run_function
from mlc.dialects.weights import WeightStore
from mlc.lowering.graph.legal.constants import table
from mlc.pass_manager import PassManager
from mlc.registry import dialects
from mlc.testing.kernels import TARGETS, Builder, compile_kernels, legalizing_passes, program
from mlc.testing.strategies import extents, random_array
from mlc.testing.tolerances import Evaluation, assert_within

Array = NDArray[Any]
Cell = type[hlt.LstmOp] | type[hlt.GruOp] | type[hlt.RnnOp]
GATES: dict[Cell, int] = {hlt.LstmOp: 4, hlt.GruOp: 3, hlt.RnnOp: 1}
FUNCTIONS: dict[Cell, int] = {hlt.LstmOp: 3, hlt.GruOp: 2, hlt.RnnOp: 1}
WEIGHTS = ("w", "r", "b", "p")


def inputs(cell: Cell, directions: int, steps: int, batch: int, features: int, hidden: int) -> dict[str, Array]:
    """Every operand but the lengths; recurrent weights small enough that nothing saturates."""
    gates = GATES[cell]
    shapes = {
        "x": (steps, batch, features),
        "w": (directions, gates * hidden, features),
        "r": (directions, gates * hidden, hidden),
        "b": (directions, 2 * gates * hidden),
        "h0": (directions, batch, hidden),
    }
    if cell is hlt.LstmOp:
        shapes |= {"c0": (directions, batch, hidden), "p": (directions, 3 * hidden)}
    scale = {"w": features**-0.5, "r": 0.5 * hidden**-0.5}
    return {n: random_array(i, s, f32, scale=scale.get(n, 0.5)) for i, (n, s) in enumerate(shapes.items())}


def agrees(cell: Cell, operands: dict[str, Array], target: str, *, constant: bool = False, **attributes: Any) -> None:
    """Every output is about as near to the exact result as a plain f32 evaluation would be.

    With ``constant``, the weights are constants of the model, which kernels pack.
    """
    store = WeightStore()
    fixed = WEIGHTS if constant else ()
    free = {n: a for n, a in operands.items() if n not in fixed}
    types = [tensor_type(a.shape, i32 if n == "lengths" else f32) for n, a in free.items()]

    def build(b: Builder, arguments: Sequence[SSAValue]) -> SSAValue:
        values = dict(zip(free, arguments))
        for name in fixed:
            if name in operands:
                made = table(operands[name], store)
                assert made is not None
                values[name] = b(made)
        return b(cell(**values, **attributes))

    module = program(types, build)
    compiled = compile_kernels(module.clone(), target=target, threads=2, weights=store, passes=legalizing_passes())
    reference = program(
        [tensor_type(a.shape, i32 if n == "lengths" else f32) for n, a in operands.items()],
        lambda b, v: b(cell(**dict(zip(operands, v)), **attributes)),
    )
    exact = run_function(reference, list(operands.values()), widen=True)
    for actual, expected in zip(compiled(*free.values()), exact, strict=True):
        noise = 8 * np.finfo(np.float32).eps * (1 + np.abs(expected).max(initial=0))
        assert_within(actual, expected, Evaluation(expected + noise))


@pytest.mark.parametrize("cell", GATES, ids=lambda c: c.name)
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_cells(target: str, cell: Cell, data: st.DataObject) -> None:
    direction = data.draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    directions = 2 if direction == "bidirectional" else 1
    steps, batch = data.draw(st.sampled_from([5, 1, 2])), data.draw(st.sampled_from([1, 2, 5]))
    operands = inputs(cell, directions, steps, batch, data.draw(extents(9)), data.draw(extents(33)))
    for name in ("b", "h0", "c0", "p"):
        if name in operands and data.draw(st.booleans()):
            del operands[name]
    if data.draw(st.booleans()):
        lengths = data.draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
        operands["lengths"] = np.array(lengths, np.int32)
    attributes: dict[str, Any] = {"direction": direction}
    if cell is hlt.LstmOp:
        attributes["input_forget"] = data.draw(st.booleans())
    if cell is hlt.GruOp:
        attributes["linear_before_reset"] = data.draw(st.booleans())
    if data.draw(st.booleans()):
        attributes["clip"] = 0.25
    agrees(cell, operands, target, constant=data.draw(st.booleans()), **attributes)


@pytest.mark.parametrize("function", sorted(hlt.ACTIVATIONS))
def test_activations(function: str) -> None:
    """Each function, with its defaults and with parameters, in every gate of a cell."""
    operands = inputs(hlt.GruOp, 1, 4, 2, 5, 9)
    agrees(hlt.GruOp, operands, "x86-64-v3", activations=[function] * 2)
    agrees(
        hlt.GruOp,
        operands,
        "x86-64-v3",
        activations=[function, "Tanh"],
        activation_alpha=[0.3, 0.0],
        activation_beta=[0.6, 0.0],
    )


@pytest.mark.parametrize("cell", GATES, ids=lambda c: c.name)
def test_large_constant_weights(cell: Cell) -> None:
    """Packed weights of the size that matters."""
    agrees(cell, inputs(cell, 1, 6, 1, 40, 96), "native", constant=True)


def test_two_forms_of_one_constant() -> None:
    """The gru whose reset gate comes first multiplies with two parts of r, packed apart."""
    agrees(hlt.GruOp, inputs(hlt.GruOp, 2, 4, 3, 8, 48), "native", constant=True, direction="bidirectional")


def test_one_step_of_a_batch() -> None:
    """Without a loop over time, two threads still run the computes of one step in order."""
    agrees(hlt.GruOp, inputs(hlt.GruOp, 1, 1, 2, 1, 4), "native")


@pytest.mark.parametrize("cell", GATES, ids=lambda c: c.name)
@pytest.mark.parametrize("hidden", [2, 7, 17])
def test_a_single_step(cell: Cell, hidden: int) -> None:
    """Without a loop around them, the parts of a step still run one after the other."""
    for target in TARGETS:
        agrees(cell, inputs(cell, 1, 1, 2, 1, hidden), target)


@pytest.mark.parametrize("cell", GATES)
def test_what_follows_in_the_same_kernel_sees_every_step(cell: Cell) -> None:
    operands = {n: a for n, a in inputs(cell, 1, 5, 3, 7, 9).items() if n in ("x", "w", "r")}
    functions = ("Sigmoid", "Tanh", "Tanh")[-FUNCTIONS[cell] :] if cell is not hlt.GruOp else ("Sigmoid", "Tanh")

    def build(b: Builder, v: Sequence[SSAValue]) -> SSAValue:
        return b(cell(v[0], v[1], v[2], direction="forward", activations=functions))[0]

    module = program([tensor_type(a.shape, f32) for a in operands.values()], build)
    PassManager(CompilerContext.of(dialects(), WeightStore())).run(module, legalizing_passes())
    (fusion,) = [
        op for op in module.walk() if isinstance(op, hlt.FusionOp) and any(isinstance(m, cell) for m in op.members)
    ]
    last = fusion.body.block.last_op
    assert last is not None
    negated = hlt.NegOp(last.operands[0])
    fusion.body.block.insert_op_before(negated, last)
    last.operands[0] = negated.result
    arrays = list(operands.values())
    expected = run_function(module, arrays)[0]
    np.testing.assert_allclose(compile_kernels(module, passes=())(*arrays)[0], expected, rtol=1e-5, atol=1e-6)
