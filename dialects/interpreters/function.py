"""Evaluation of whole programs, one operation after the other."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.control import NO_LIMIT
from mlc.dialects.interpreters.numerics import settle
from mlc.dialects.interpreters.registry import Array, evaluate
from mlc.dialects.weights_attr import WeightAttr
from mlc.errors import ModelError, UsageError

Weights = Callable[[WeightAttr, TensorType[Any]], Array]
FusionRunner = Callable[[hlt.FusionOp, Sequence[Array]], tuple[Array, ...]]
"""The results of a fusion on its operands."""
Values = Mapping[SSAValue, Array]
Observer = Callable[[Operation, tuple[Array, ...]], None]


def run_function(
    program: ModuleOp | FuncOp,
    inputs: Sequence[Array],
    *,
    weights: Weights | None = None,
    widen: bool = False,
    plain: bool = False,
    observe: Observer | None = None,
) -> tuple[Array, ...]:
    """The results of a function (of a module, its ``main``) of one block.

    ``weights`` yields the array of a weight reference. With ``widen`` every float is a float64 and nothing is
    rounded but by casts to f16 and bf16; with ``plain`` float32 is computed with in float32, as a straightforward
    program would. ``observe`` sees every operation with its results, which are dropped after
    their last use. Raises ``UsageError`` for inputs of the wrong number, shape or dtype, ``ModelError`` for what
    goes wrong in the data.
    """
    function = _main(program) if isinstance(program, ModuleOp) else program
    block = function.body.block
    if not isinstance(block.last_op, ReturnOp):
        raise ModelError("the function does not return", node=function.sym_name.data)
    run = _Run(weights, widen, plain, observe or _ignore)
    return run.block(block, _checked(block.args, inputs, widen))


def run_control(
    op: hlt.ControlOp, values: Values, *, weights: Weights | None = None, fusion: FusionRunner
) -> tuple[Array, ...]:
    """The results of control flow whose fusions ``fusion`` runs; ``values`` are those around it."""
    run = _Run(weights, widen=False, plain=False, observe=_ignore, fusion=fusion)
    return run.operation(op, [values[operand] for operand in op.operands], values)


@dataclass(frozen=True)
class _Run:
    """How one evaluation goes: the arguments of ``run_function``."""

    weights: Weights | None
    widen: bool
    plain: bool
    observe: Observer
    fusion: FusionRunner | None = None

    def block(self, block: Block, inputs: Sequence[Array], around: Values | None = None) -> tuple[Array, ...]:
        """The operands of the block's last operation, its terminator; ``around`` are the values outside it."""
        inside: dict[SSAValue, Array] = dict(zip(block.args, inputs, strict=True))
        values: Values = inside if around is None else ChainMap(inside, cast("dict[SSAValue, Array]", around))
        uses = {op: (*op.operands, *hlt.captured(op)) for op in block.ops}
        last_use = {operand: op for op, used in uses.items() for operand in used}
        for op in block.ops:
            operands = [values[operand] for operand in op.operands]
            if op is block.last_op:
                return tuple(operands)
            results = self.operation(op, operands, values)
            self.observe(op, results)
            inside.update(zip(op.results, results))
            for value in {*uses[op], *op.results}:
                if last_use.get(value) in (op, None):
                    inside.pop(value, None)
        return ()

    def operation(self, op: Operation, operands: Sequence[Array], values: Values) -> tuple[Array, ...]:
        """The results of one operation; of one with regions, what they yield."""
        match op:
            case hlt.FusionOp():
                return self.block(op.body.block, operands) if self.fusion is None else self.fusion(op, operands)
            case hlt.IfOp():
                return self.block((op.on_true if operands[0] else op.on_false).block, (), values)
            case hlt.LoopOp():
                return self._loop(op, values)
            case hlt.ConstantOp(value=WeightAttr() as weight):
                return (self._weight(op, weight),)
            case _:
                return evaluate(op, operands, widen=self.widen, plain=self.plain)

    def _loop(self, op: hlt.LoopOp, values: Values) -> tuple[Array, ...]:
        """The carried values at the end, and the stacked results: zeros at first, filled slice by slice."""
        states = tuple(values[init] for init in op.inits)
        stacks = [self._zeros(result) for result in op.results[len(states) :]]
        trips = NO_LIMIT if op.trips is None else int(values[op.trips])
        keep = op.keep is None or bool(values[op.keep])
        step = 0
        while keep and step < min(trips, NO_LIMIT if op.limit is None else op.limit):
            parts = [values[whole][step] for whole in op.slices]
            yielded = self.block(op.body.block, (np.array(step), *states, *parts), values)
            if op.keep is not None:
                keep, yielded = bool(yielded[0]), yielded[1:]
            states = yielded[: len(states)]
            for stack, part in zip(stacks, yielded[len(states) :], strict=True):
                stack[step] = part
            step += 1
        return (*states, *stacks)

    def _zeros(self, value: SSAValue) -> Array:
        shape, element = hlt.tensor(value)
        return settle(np.zeros(shape, hlt.numpy_dtype(element)), element, widen=self.widen)

    def _weight(self, op: hlt.ConstantOp, weight: WeightAttr) -> Array:
        if self.weights is None:
            raise UsageError(f"weight {weight.key.data!r} is referred to, but no weight store is given")
        type_ = cast(TensorType[Any], op.result.type)
        return settle(self.weights(weight, type_), hlt.element_of(op), widen=self.widen)


def _ignore(op: Operation, results: tuple[Array, ...]) -> None:
    """Observes nothing."""


def _main(module: ModuleOp) -> FuncOp:
    for op in module.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == "main":
            return op
    raise ModelError("the module has no function @main")


def _checked(arguments: Sequence[SSAValue], inputs: Sequence[Array], widen: bool) -> list[Array]:
    if len(arguments) != len(inputs):
        raise UsageError(f"{len(inputs)} inputs are given, the function takes {len(arguments)}")
    checked: list[Array] = []
    for index, (argument, array) in enumerate(zip(arguments, map(np.asarray, inputs))):
        expected = hlt.tensor(argument)
        wide = widen and hlt.is_float(expected.element) and array.dtype == np.float64
        if array.shape != expected.shape or not (wide or array.dtype == hlt.numpy_dtype(expected.element)):
            raise UsageError(f"input {index} is {array.dtype}{list(array.shape)}, must be {expected.type}")
        checked.append(settle(array, expected.element, widen=widen))
    return checked
