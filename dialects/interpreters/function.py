"""Evaluation of whole programs, one operation after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.interpreters.numerics import settle
from mlc.dialects.interpreters.registry import Array, evaluate
from mlc.dialects.weights_attr import WeightAttr
from mlc.errors import ModelError, UsageError

Weights = Callable[[WeightAttr, TensorType[Any]], Array]
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


@dataclass(frozen=True)
class _Run:
    """How one evaluation goes: the arguments of ``run_function``."""

    weights: Weights | None
    widen: bool
    plain: bool
    observe: Observer

    def block(self, block: Block, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The operands of the block's last operation, its terminator."""
        values: dict[SSAValue, Array] = dict(zip(block.args, inputs, strict=True))
        last_use = {operand: op for op in block.ops for operand in op.operands}
        for op in block.ops:
            operands = [values[operand] for operand in op.operands]
            if op is block.last_op:
                return tuple(operands)
            results = self.operation(op, operands)
            self.observe(op, results)
            values.update(zip(op.results, results))
            for value in {*op.operands, *op.results}:
                if last_use.get(value) in (op, None):
                    del values[value]
        return ()

    def operation(self, op: Operation, operands: Sequence[Array]) -> tuple[Array, ...]:
        """The results of one operation; of a fusion, those of its body."""
        if isinstance(op, hlt.FusionOp):
            return self.block(op.body.block, operands)
        if not (isinstance(op, hlt.ConstantOp) and isinstance(op.value, WeightAttr)):
            return evaluate(op, operands, widen=self.widen, plain=self.plain)
        if self.weights is None:
            raise UsageError(f"weight {op.value.key.data!r} is referred to, but no weight store is given")
        type_ = cast(TensorType[Any], op.result.type)
        return (settle(self.weights(op.value, type_), hlt.element_of(op), widen=self.widen),)


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
