"""An ONNX node as importers see it: resolved inputs, checked attributes, errors that name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto
from xdsl.ir import BlockArgument

from mlc.dialects.extents import undecided
from mlc.errors import ModelError, UnsupportedError
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.dtypes import element_name, numpy_dtype
from mlc.frontends.onnx.value import Absent, Array, Entry, ExtentsValue, TensorList, Value, arguments_behind

REQUIRED: Any = object()
"""Default of an attribute that must be there."""


READ_LIMIT = 1 << 22
"""The most elements of an operand that decide about the program: a splat may claim any number of them."""


class DataDependentError(UnsupportedError):
    """Something that shapes the program depends on run-time data.

    Importing again with the values known of the inputs that are ``arguments`` helps, unless they are.
    """

    def __init__(self, message: str, *, node: str, arguments: frozenset[BlockArgument]) -> None:
        super().__init__(message, node=node, hint="it has to be constant once the input shapes are known")
        self.arguments = arguments


@dataclass
class Repetitions:
    """A budget of the whole model: ``nodes`` that may still be imported for one more iteration of some loop."""

    nodes: int = 1 << 15

    def take(self, nodes: int) -> bool:
        """Take so many nodes out of the budget, if it has them."""
        if nodes > self.nodes:
            return False
        self.nodes -= nodes
        return True


class Surroundings(Protocol):
    """What importers need of the graph around their node."""

    def tensor(self, proto: TensorProto, owner: str) -> Value:
        """The contents of a tensor that ``owner`` holds, as a known value."""
        ...

    def import_subgraph(
        self,
        builder: Builder,
        graph: GraphProto,
        inputs: Sequence[Entry] = (),
        wanted: Sequence[bool] | None = None,
    ) -> list[Entry | None]:
        """Imports ``graph`` in place, seeing the names around the node; returns its outputs, None if not wanted."""
        ...

    @property
    def repetitions(self) -> Repetitions:
        """How often loop bodies may still be imported again."""
        ...


def canonical(domain: str) -> str:
    """``domain`` with ONNX's own domain spelled as the empty string."""
    return "" if domain == "ai.onnx" else domain


def label_of(proto: NodeProto) -> str:
    """How messages and the IR call a node: ``name (OpType)``, by its first output if it has no name."""
    name = proto.name or next((output for output in proto.output if output), "unnamed")
    domain = f"{proto.domain}::" if canonical(proto.domain) else ""
    return f"{name} ({domain}{proto.op_type})"


@dataclass(frozen=True)
class Node:
    """One node, seen from its importer.

    ``version`` is the opset of its domain, ``attributes`` has references to a function's attributes resolved,
    ``used`` tells per output if anything needs it.
    """

    proto: NodeProto
    label: str
    version: int
    inputs: Sequence[Entry | None]
    attributes: Mapping[str, AttributeProto]
    used: Sequence[bool]
    scope: Surroundings

    # Errors

    def invalid(self, message: str, hint: str | None = None) -> ModelError:
        """The error to raise for a node that breaks ONNX's rules."""
        return ModelError(message, node=self.label, hint=hint)

    def unsupported(self, message: str, hint: str | None = None) -> UnsupportedError:
        """The error to raise for a valid node that has no equivalent in hlt."""
        return UnsupportedError(message, node=self.label, hint=hint)

    # Inputs and outputs

    def input(self, index: int) -> Value:
        """Input ``index``; ModelError when it is left out."""
        value = self.optional(index)
        if value is None:
            raise self.invalid(f"input {index} is missing")
        return value

    def optional(self, index: int) -> Value | None:
        """Input ``index``, None when it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, TensorList | Absent):
            what = "a sequence" if isinstance(value, TensorList) else "an optional without a value"
            raise self.invalid(f"input {index} is {what}, not a tensor")
        return value

    def entry(self, index: int) -> Entry | None:
        """Input ``index``, be it a tensor, a sequence or an optional; None when it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def items(self, index: int) -> tuple[Value, ...]:
        """The tensors of input ``index``, a sequence."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, TensorList):
            raise self.invalid(f"input {index} is not a sequence")
        return value.items

    def variadic(self) -> list[Value]:
        """All inputs, at least one and none left out."""
        if not self.inputs:
            raise self.invalid("needs at least one input")
        return [self.input(i) for i in range(len(self.inputs))]

    def known(self, index: int, what: str) -> Array:
        """The contents of input ``index``; UnsupportedError when they depend on run-time data."""
        return self.contents(self.input(index), what)

    def depends_on_data(self, what: str, *values: Value) -> DataDependentError:
        """The error to raise where ``what`` depends on run-time data: on these values."""
        arguments = frozenset(argument for value in values for argument in arguments_behind(value))
        return DataDependentError(f"{what} depends on run-time data", node=self.label, arguments=arguments)

    def contents(self, value: Value, what: str) -> Array:
        """The contents of a value; DataDependentError when only known at run time, UnsupportedError when large."""
        if isinstance(value, ExtentsValue):
            raise undecided(what, *value.extents.flat)
        if value.known is None:
            raise self.depends_on_data(what, value)
        if value.size > READ_LIMIT:
            raise self.unsupported(f"{what} has {value.size} elements, more than are read while importing")
        return value.known

    def bounded(self, count: int, what: str) -> None:
        """UnsupportedError where a table of ``count`` elements, made while importing, would be too large."""
        if count > READ_LIMIT:
            raise self.unsupported(f"{what} takes a table of {count} elements, more than are made while importing")

    def known_ints(self, index: int, what: str) -> tuple[int, ...]:
        """The contents of input ``index``, a list of integers; some may be an `Extent`."""
        value = self.input(index)
        if isinstance(value, ExtentsValue):
            return tuple(value.extents.flat)
        return tuple(int(i) for i in self.known(index, what).ravel())

    def optional_ints(self, index: int, what: str) -> tuple[int, ...] | None:
        """The contents of input ``index``, or None where it is left out."""
        return None if self.optional(index) is None else self.known_ints(index, what)

    def known_scalar(self, index: int, what: str) -> Any:
        """The one element of input ``index`` as a Python number, or an `Extent`."""
        value = self.input(index)
        if isinstance(value, ExtentsValue) and value.size == 1:
            return value.extents.flat[0]
        array = self.known(index, what)
        if array.size != 1:
            raise self.invalid(f"{what} must hold one element, not {array.size}")
        return array.reshape(()).item()

    def uses_output(self, index: int) -> bool:
        """Whether anything needs output ``index``."""
        return index < len(self.used) and self.used[index]

    def axis(self, axis: int, rank: int) -> int:
        """``axis`` counted from the front; ModelError when out of range."""
        if not -rank <= axis < rank:
            raise self.invalid(f"axis {axis} is out of range for rank {rank}")
        return axis + rank if axis < 0 else axis

    def axes(self, axes: Sequence[int], rank: int) -> tuple[int, ...]:
        """``axes`` counted from the front in the order given; ModelError when out of range or repeated."""
        result = tuple(self.axis(axis, rank) for axis in axes)
        if len(set(result)) != len(result):
            raise self.invalid(f"axes {list(axes)} name a dim twice")
        return result

    # Attributes

    def int(self, name: str, default: Any = REQUIRED) -> Any:
        """The integer attribute ``name``."""
        return self._attribute(name, AttributeProto.INT, default, lambda a: a.i)

    def float(self, name: str, default: Any = REQUIRED) -> Any:
        """The float attribute ``name``."""
        return self._attribute(name, AttributeProto.FLOAT, default, lambda a: a.f)

    def bool(self, name: str, default: Any = REQUIRED) -> bool:
        """The integer attribute ``name``, which is 0 or 1."""
        value = self.int(name, default)
        if value not in (0, 1):
            raise self.invalid(f"attribute {name} is {value}, not 0 or 1")
        return bool(value)

    def string(self, name: str, default: Any = REQUIRED, *, choices: Sequence[str] = ()) -> Any:
        """The string attribute ``name``; ModelError when it is none of the ``choices``."""
        value = self._attribute(name, AttributeProto.STRING, default, lambda a: a.s.decode("utf-8", "replace"))
        if choices and value is not default and value not in choices:
            raise self.invalid(f"attribute {name} is {value!r}", f"valid: {', '.join(choices)}")
        return value

    def ints(self, name: str, default: Any = REQUIRED) -> Any:
        """The attribute ``name``, a tuple of integers."""
        return self._attribute(name, AttributeProto.INTS, default, lambda a: tuple(a.ints))

    def floats(self, name: str, default: Any = REQUIRED) -> Any:
        """The attribute ``name``, a tuple of floats."""
        return self._attribute(name, AttributeProto.FLOATS, default, lambda a: tuple(a.floats))

    def strings(self, name: str, default: Any = REQUIRED) -> Any:
        """The attribute ``name``, a tuple of strings."""
        return self._attribute(
            name,
            AttributeProto.STRINGS,
            default,
            lambda a: tuple(s.decode("utf-8", "replace") for s in a.strings),
        )

    def tensor(self, name: str, default: Any = REQUIRED) -> Any:
        """The tensor attribute ``name`` as a known value."""
        return self._attribute(name, AttributeProto.TENSOR, default, lambda a: self.scope.tensor(a.t, self.label))

    def dtype(self, name: str, default: Any = REQUIRED) -> Any:
        """The NumPy dtype of the element type that attribute ``name`` numbers; 0 means the default."""
        element = self.int(name, 0 if default is not REQUIRED else REQUIRED)
        if element == 0 and default is not REQUIRED:
            return default
        dtype = numpy_dtype(element)
        if dtype is None:
            raise self.unsupported(f"no tensors of element type {element_name(element)}")
        return dtype

    def graph(self, name: str) -> GraphProto:
        """The graph attribute ``name``."""
        return self._attribute(name, AttributeProto.GRAPH, REQUIRED, lambda a: a.g)

    def _attribute(self, name: str, kind: Any, default: Any, read: Callable[[AttributeProto], Any]) -> Any:
        attribute = self.attributes.get(name)
        if attribute is None:
            if default is REQUIRED:
                raise self.invalid(f"attribute {name} is missing")
            return default
        if attribute.type != kind:
            actual, expected = (AttributeProto.AttributeType.Name(t) for t in (attribute.type, kind))
            raise self.invalid(f"attribute {name} is of kind {actual}, not {expected}")
        return read(attribute)
