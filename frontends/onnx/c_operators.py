"""Operators that are C functions: an importer that makes a call of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike
from onnx import AttributeProto

from mlc.dialects import hlt
from mlc.dialects.extents import is_bounded
from mlc.dialects.hlt.external import DTYPE_CODES, Parameter
from mlc.errors import UsageError
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.value import Value


class TensorType(NamedTuple):
    """The type of an operator's input or output."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


Attributes = Mapping[str, Parameter]
Results = Callable[[Sequence[TensorType], Mapping[str, Any]], Sequence[tuple[DTypeLike, Sequence[int]]]]
"""Dtypes and shapes of an operator's outputs for the types of its inputs and its attributes."""


def like_first(inputs: Sequence[TensorType], attributes: Mapping[str, Any]) -> Sequence[TensorType]:
    """One output of the first input's type."""
    return inputs[:1]


@dataclass(frozen=True)
class COperator:
    """An operator that the C function ``symbol`` computes.

    ``rule`` tells the results' types; ``attributes`` are those that it gets, in order, each with its default, which is
    of the attribute's type. ``provided``: a library with the function is in this process.
    """

    symbol: str
    rule: Results = field(repr=False)
    attributes: Attributes
    provided: bool = False

    def __call__(self, b: Builder, node: Node) -> tuple[Value, ...]:
        """The importer: a call with the node's inputs and attributes. UnsupportedError for what C can't take."""
        inputs = [self._input(node, index) for index in range(len(node.inputs))]
        attributes = {name: self._attribute(node, name, default) for name, default in self.attributes.items()}
        unknown = node.attributes.keys() - self.attributes.keys()
        if unknown:
            raise node.unsupported(f"{self.symbol} was registered without the attribute {min(unknown)}")
        types = self._results(node, [TensorType(v.dtype, v.shape) for v in inputs], attributes)
        outputs = [hlt.tensor_type(t.shape, hlt.element_type(t.dtype)) for t in types]
        call = hlt.CallCOp.make(self.symbol, [b.ssa(v) for v in inputs], outputs, list(attributes.values()))
        return b.append(call)

    def _input(self, node: Node, index: int) -> Value:
        value = node.input(index)
        if is_bounded(value.shape):
            raise node.unsupported(f"C function {self.symbol} on a dim known only at run time")
        if value.dtype.name not in DTYPE_CODES:
            raise node.unsupported(f"C function {self.symbol} on elements of {value.dtype}")
        return value

    def _attribute(self, node: Node, name: str, default: Parameter) -> Parameter:
        """The node's attribute of the default's type."""
        match default:
            case str():
                return node.string(name, default)
            case int():
                return node.int(name, default)
            case float():
                return node.float(name, default)
            case _:
                given = node.attributes.get(name)
                of_floats = given is not None and given.type == AttributeProto.FLOATS
                return node.floats(name, default) if of_floats else node.ints(name, default)

    def _results(self, node: Node, inputs: Sequence[TensorType], attributes: Attributes) -> list[TensorType]:
        """What the rule of the results says, checked: it is the user's."""
        try:
            told = self.rule(inputs, attributes)
            types = [TensorType(np.dtype(dtype), tuple(map(int, shape))) for dtype, shape in told]
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise node.invalid(f"the results of {self.symbol} can't be told: {error!r}") from error
        if len(types) < len(node.proto.output):
            raise node.invalid(f"{self.symbol} has {len(types)} results, the node {len(node.proto.output)} outputs")
        for dtype, shape in types:
            if dtype.name not in DTYPE_CODES or any(extent < 0 for extent in shape):
                raise node.unsupported(f"C function {self.symbol} can't make {dtype} of shape {list(shape)}")
        return types


def check_parameters(attributes: Attributes) -> None:
    """Raise UsageError unless each default is a number, a text or a list of numbers."""
    for name, default in attributes.items():
        items = default if isinstance(default, list | tuple) else [default]
        if not all(isinstance(item, int | float) for item in items) and not isinstance(default, str):
            raise UsageError(f"attribute {name} has the default {default!r}", hint="a number, a text or numbers")
