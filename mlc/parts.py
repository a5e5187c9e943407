"""Models that are more than one piece of code: with sequences or optionals for inputs and outputs, or in part run by
the host.

Each compiled part is specialised for the shapes that reach it and for the lengths of sequences, when it first runs.
The parts between, of strings and the like, run in onnx's reference evaluator; `CompiledModel.host_calls` names their
nodes, and a warning says so once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np
from onnx import TensorProto, TypeProto, ValueInfoProto, numpy_helper

from mlc.errors import ModelError, UnsupportedError, UsageError
from mlc.frontends.onnx.dtypes import numpy_dtype
from mlc.frontends.onnx.parts import Part, compiled_model, flatten, hosted_model, refusal, split
from mlc.frontends.onnx.shapes import declared_shape
from mlc.model import MAX_SPECIALISATIONS, Array, CompiledModel, Executable, Feeds, TensorInfo

if TYPE_CHECKING:
    from mlc.frontends.onnx.import_ import OutputForm
    from mlc.frontends.onnx.load import LoadedModel

Nested: TypeAlias = Any
"""An array, a list of arrays (a sequence) or None (an optional that holds nothing)."""

Compile: TypeAlias = "Callable[[LoadedModel, Mapping[str, Array]], tuple[Executable, tuple[OutputForm, ...]]]"
"""Code for calls of a model with arrays like these, and how its outputs are made of what the code yields."""


class HostCallWarning(UserWarning):
    """A part of a model runs on the host."""


@dataclass(frozen=True)
class _Variant:
    """Code for inputs of one form: kinds, lengths and dtypes (``key``)."""

    key: tuple[Any, ...]
    model: CompiledModel
    forms: tuple[OutputForm, ...]

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Nested]:
        results = iter(self.model.run(arrays).values())
        found: dict[str, Nested] = {}
        for form in self.forms:
            items = [next(results) for _ in range(form.count)]
            found[form.name] = {"tensor": items[:1] and items[0], "sequence": items, "absent": None}[form.kind]
        return found


@dataclass
class _CompiledPart:
    """A part as native code, made when values of a new form reach it."""

    loaded: LoadedModel
    part: Part
    compile: Compile
    variants: list[_Variant] = field(default_factory=list[_Variant])

    def run(self, values: Mapping[str, Nested]) -> dict[str, Nested]:
        key = tuple(_form(values[name]) for name in self.part.inputs)
        loaded, arrays = compiled_model(self.loaded, self.part, values)
        for variant in reversed(self.variants):
            if variant.key == key and variant.model.executable.fits(arrays):
                return variant.run(arrays)
        executable, forms = self.compile(loaded, arrays)
        net = CompiledModel(loaded.name, executable.inputs, executable.outputs, executable=executable)
        self.variants = [*self.variants[1 - MAX_SPECIALISATIONS :], _Variant(key, net, forms)]
        return self.variants[-1].run(arrays)


class _HostedPart:
    """A part that onnx's reference evaluator runs."""

    def __init__(self, loaded: LoadedModel, part: Part) -> None:
        from onnx.reference import ReferenceEvaluator

        self.part = part
        self.label = ", ".join(part.labels)
        try:
            self.evaluator: Any = ReferenceEvaluator(hosted_model(loaded, part))
        except Exception as error:  # whatever Python code of another project raises for a model that it can't run
            raise UnsupportedError(f"the host can't run it: {_line(error)}", node=self.label) from error

    def run(self, values: Mapping[str, Nested]) -> dict[str, Nested]:
        feeds = {name: values[name] for name in self.part.inputs}
        try:
            results = self.evaluator.run(None, feeds)
        except Exception as error:  # as above
            raise ModelError(f"running on the host failed: {_line(error)}", node=self.label) from error
        return dict(zip(self.part.outputs, results, strict=True))


class PartedModel(CompiledModel):
    """A model in parts. Sequences are lists of arrays; optionals that hold nothing are None; strings are arrays of
    objects."""

    def __init__(self, name: str, loaded: LoadedModel, compile: Compile) -> None:
        graph = loaded.proto.graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        given = [value for value in graph.input if value.name not in self._constants]
        super().__init__(name, [_info(value) for value in given], [_info(value) for value in graph.output])
        self._loaded = loaded
        cut = split(loaded)
        self._parts = [_HostedPart(loaded, p) if p.hosted else _CompiledPart(loaded, p, compile) for p in cut]
        self._hosted = tuple(label for part in cut if part.hosted for label in part.labels)
        if self._hosted:
            text = f"{name}: these nodes run on the host, not as native code: {', '.join(self._hosted)}"
            warnings.warn(text, HostCallWarning, stacklevel=4)

    @property
    def host_calls(self) -> tuple[str, ...]:
        return self._hosted

    @property
    def executable(self) -> Executable:
        raise UsageError("the model is in parts, so there is no one code for it", node=self.name)

    def bind(self, inputs: Feeds | Sequence[Any], outputs: Feeds | Sequence[Any]) -> NoReturn:
        raise UsageError("a model with sequences, optionals or strings can't be bound", node=self.name)

    def save(self, path: Any, *, name: str | None = None, weights: str = "embed") -> NoReturn:
        raise UnsupportedError(refusal(self._loaded), node=self.name)

    def _run(self, feeds: Feeds, out: Feeds) -> list[Nested]:
        if out:
            raise UsageError("a model with sequences, optionals or strings makes its outputs itself", node=self.name)
        given = self._checked(feeds)
        values: dict[str, Nested] = {spec.name: _taken(spec, given[spec.name]) for spec in self.inputs}
        for part in self._parts:
            values.update(part.run(values))
        return [values[s.name] if s.name in values else self._constant(s.name) for s in self.outputs]

    def _constant(self, name: str) -> Array:
        tensor = self._constants[name]
        if tensor.data_type == TensorProto.STRING:
            return numpy_helper.to_array(tensor)
        return np.array(self._loaded.array(tensor))


def _info(value: ValueInfoProto) -> TensorInfo:
    """An input or output; of sequences and optionals, the tensors that they hold."""
    kind, label = value.type, ""
    while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
        label = label or str(kind.WhichOneof("value")).removesuffix("_type")
        kind = kind.sequence_type.elem_type if kind.HasField("sequence_type") else kind.optional_type.elem_type
    if kind.HasField("map_type"):
        label = "map"
    element = kind.tensor_type.elem_type
    dtype = np.dtype(object) if label == "map" or element == TensorProto.STRING else numpy_dtype(element)
    if dtype is None:
        raise UnsupportedError(f"{value.name!r} has element type {element}, which is not supported")
    return TensorInfo(value.name, dtype, _shape(value.name, kind), label or "tensor")


def _shape(name: str, kind: TypeProto) -> tuple[int | str, ...] | None:
    return declared_shape(name, kind.tensor_type.shape) if kind.tensor_type.HasField("shape") else None


def _taken(spec: TensorInfo, value: Any) -> Nested:
    """An input's value, if it is of the kind that the model declares."""
    if value is None:
        if spec.kind != "optional":
            raise UsageError(f"None is given for {spec.name!r}, which is a {spec.kind}")
        return None
    if spec.kind == "map":
        return value
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if (spec.kind == "tensor") != isinstance(value, np.ndarray) and spec.kind != "optional":
        raise UsageError(f"{spec.name!r} is a {spec.kind}, but a {type(value).__name__} is given")
    for array in flatten(spec.name, value).values():
        strings = spec.dtype == object and array.dtype.kind in "OUS"
        if array.dtype != spec.dtype and not strings:
            raise UsageError(f"input {spec.name!r} has dtype {array.dtype}, the model has {spec.dtype}")
    return list(cast("Sequence[Any]", value)) if isinstance(value, tuple) else value


def _form(value: Nested) -> tuple[Any, ...] | None:
    """Kind, length and dtypes of a value."""
    if value is None:
        return None
    arrays = flatten("", value).values()
    return isinstance(value, np.ndarray), *(array.dtype for array in arrays)


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
