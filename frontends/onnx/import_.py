"""Importing a loaded ONNX model to hlt: one ``func.func @main`` with static shapes.

Nodes are imported in order; each operator's own function in `mlc.frontends.onnx.ops` makes its operations.
Operators without one are inlined from the model's local functions or from ONNX's function bodies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import ValueInfoProto
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import capacities, is_bounded
from mlc.dialects.weights import WeightStore
from mlc.errors import ModelError, UnsupportedError, UsageError
from mlc.frontends.onnx.bounded.builder import BoundedBuilder
from mlc.frontends.onnx.bounded.dims import symbols_of
from mlc.frontends.onnx.functions import Functions, Live, live, reject_unsupported
from mlc.frontends.onnx.node import DataDependentError
from mlc.frontends.onnx.scope import Scope, initializers_of
from mlc.frontends.onnx.shapes import TensorInfo, bind_shapes, declared_inputs, output_info
from mlc.frontends.onnx.value import Array, BoundedValue, Entry, TensorList, Value

if TYPE_CHECKING:
    from mlc.frontends.onnx.load import LoadedModel


DIMS = "mlc.dims"
"""The name of @main's last argument: the run-time values of dims, an i64 vector."""

FOUND = "mlc.found"
"""The name of @main's last result: the dims that the program computes, an i64 vector."""


@dataclass(frozen=True)
class OutputForm:
    """What an output is: a ``tensor`` (one result of @main), a ``sequence`` of ``count`` of them, or ``absent``."""

    name: str
    kind: str = "tensor"
    count: int = 1


@dataclass(frozen=True)
class ImportedModel:
    """A model in hlt: ``module`` holds ``func.func @main``, whose constants refer to ``weights``.

    ``inputs`` and ``outputs`` are as the model declares them, symbolic dims included, in the order of @main's
    arguments and results; @main itself has static shapes: those of full capacity where dims are bounded, see `Bounds`.
    """

    module: ModuleOp
    weights: WeightStore
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    fixed: tuple[str, ...] = ()
    """The inputs for whose given values alone the program is right."""
    forms: tuple[OutputForm, ...] = ()
    """How the model's outputs are made of @main's results."""
    bounds: Bounds | None = None
    """The dims that get their values at run time, if there are any."""


def import_model(
    loaded: LoadedModel,
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    dims: Mapping[str, int | str] | None = None,
    values: Mapping[str, Array] | None = None,
) -> ImportedModel:
    """``loaded`` in hlt, for inputs of the given ``shapes`` (by input name) or ``dims`` (by symbolic dim).

    Each dim is a number, a range ``1..512`` of values that it may have at run time, or an expression of other dims.

    ``values`` gives the contents of inputs on which shapes depend: the program is right for these only. Without
    them such a model raises DataDependentError; see `specialize`.

    Constants made on the way are added to ``loaded.weights``. Raises UsageError for shapes that are missing
    or contradict the model, UnsupportedError (all operators at once) and ModelError, both naming the node.
    """
    inputs = declared_inputs(loaded)
    known = values or {}
    concrete = bind_shapes(inputs, {**_shapes_of(known), **(shapes or {})}, dims or {})
    functions = Functions.of(loaded.proto)
    body = live(loaded.proto.graph.node, [output.name for output in loaded.proto.graph.output])
    reject_unsupported(body.nodes, functions)
    importing = _Import(loaded, inputs, concrete, known, functions, body)
    try:
        return importing.run(finds=True)
    except DataDependentError:
        raise
    except UnsupportedError:
        # An extent that the program finds out itself can't go everywhere: where data are known, it is a number.
        return importing.run(finds=False)


@dataclass(frozen=True)
class _Import:
    """An import of inputs of these shapes, some of them with ``known`` contents."""

    loaded: LoadedModel
    inputs: Sequence[TensorInfo]
    concrete: Mapping[str, tuple[int, ...]]
    known: Mapping[str, Array]
    functions: Functions
    body: Live

    def run(self, *, finds: bool) -> ImportedModel:
        """The whole model; with ``finds``, it may find out extents as it runs."""
        loaded, inputs, concrete, known = self.loaded, self.inputs, self.concrete, self.known
        graph = loaded.proto.graph
        symbols = symbols_of(extent for info in inputs for extent in concrete[info.name])
        builder, arguments = enter(loaded, inputs, concrete, known, finds=finds)
        block = builder.block
        scope = Scope(loaded, self.functions, arguments, initializers_of(graph))
        scope.run(builder, self.body)
        forms = tuple(_form(output.name, scope.result(output.name)) for output in graph.output)
        tensors = [pair for output in graph.output for pair in _tensors(output, scope.result(output.name))]
        outputs = tuple(info for info, _ in tensors)
        results = [value for _, value in tensors]
        shapes_in, shapes_out = [concrete[info.name] for info in inputs], [result.shape for result in results]
        bounds = Bounds(symbols, tuple(builder.found), tuple(shapes_in), tuple(shapes_out))
        returned = [builder.ssa(result) for result in (*results, *builder.found_values())]
        block.add_op(ReturnOp(*returned))
        main = FuncOp(
            "main",
            ([argument.type for argument in block.args], [value.type for value in returned]),
            Region(block),
            arg_attrs=_names([*(info.name for info in inputs), *[DIMS] * (len(block.args) - len(inputs))]),
            res_attrs=_names([*(info.name for info in outputs), *[FOUND] * (len(returned) - len(outputs))]),
        )
        given = bounds if symbols or builder.found else None
        return ImportedModel(ModuleOp([main]), loaded.weights, tuple(inputs), outputs, tuple(known), forms, given)


def enter(
    loaded: LoadedModel,
    inputs: Sequence[TensorInfo],
    shapes: Mapping[str, tuple[int, ...]],
    known: Mapping[str, Array],
    *,
    finds: bool = True,
) -> tuple[BoundedBuilder, dict[str, Entry | None]]:
    """A builder at the start of @main, and the inputs by name; ``known`` are those whose contents are given."""
    symbols = symbols_of(extent for info in inputs for extent in shapes[info.name])
    block = Block(arg_types=[_tensor_type(info, capacities(shapes[info.name])) for info in inputs])
    return BoundedBuilder(block, loaded.weights, symbols, finds=finds), {
        info.name: _argument(info, shapes[info.name], argument, known) for info, argument in zip(inputs, block.args)
    }


def _argument(info: TensorInfo, shape: tuple[int, ...], argument: SSAValue, known: Mapping[str, Array]) -> Value:
    """An input; the caller fills what lies beyond its extents with zeros."""
    storage = Value(capacities(shape), info.dtype, ssa=argument, known=_contents(info, known))
    return BoundedValue(shape, storage, range(len(shape))) if is_bounded(shape) else storage


def specialize(loaded: LoadedModel, inputs: Mapping[str, Array]) -> ImportedModel:
    """``loaded`` for calls with arrays like ``inputs`` (all of them, by name): with the same shapes, and with the
    same values of those inputs on which shapes depend, which ``fixed`` of the result names.

    Raises what `import_model` raises.
    """
    shapes = {name: np.shape(array) for name, array in inputs.items()}
    names = [info.name for info in declared_inputs(loaded)]
    missing = [name for name in names if name not in inputs]
    if missing:
        raise UsageError(f"no array is given for input {', '.join(map(repr, missing))}")
    values: dict[str, Array] = {}
    while True:
        try:
            return import_model(loaded, shapes=shapes, values=values)
        except DataDependentError as error:
            needed = {names[argument.index] for argument in error.arguments} - values.keys()
            if not needed:
                raise
            values.update({name: np.asarray(inputs[name]) for name in names if name in needed})


def _form(name: str, value: Entry) -> OutputForm:
    if isinstance(value, TensorList):
        return OutputForm(name, "sequence", len(value.items))
    return OutputForm(name) if isinstance(value, Value) else OutputForm(name, "absent", 0)


def _tensors(output: ValueInfoProto, value: Entry) -> list[tuple[TensorInfo, Value]]:
    """The tensors that an output consists of, each with what is known of it as an output of the model."""
    if isinstance(value, Value):
        return [(output_info(output, value.dtype), value)]
    if output.type.tensor_type.elem_type:
        what = "a sequence" if isinstance(value, TensorList) else "an optional"
        raise ModelError(f"output {output.name!r} is {what}, but the model declares a tensor")
    items = value.items if isinstance(value, TensorList) else ()
    return [(TensorInfo(f"{output.name}[{i}]", item.dtype, item.shape), item) for i, item in enumerate(items)]


def _tensor_type(info: TensorInfo, shape: tuple[int, ...]) -> TensorType:
    return hlt.tensor_type(shape, hlt.element_type(info.dtype))


def _shapes_of(values: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in values.items()}


def _contents(info: TensorInfo, values: Mapping[str, Array]) -> Array | None:
    array = values.get(info.name)
    if array is not None and array.dtype != info.dtype:
        raise UsageError(f"input {info.name!r} has element type {info.dtype}, but {array.dtype} is given")
    return array


def _names(names: Sequence[str]) -> ArrayAttr[DictionaryAttr]:
    return ArrayAttr([DictionaryAttr({"hlt.name": StringAttr(name)}) for name in names])
