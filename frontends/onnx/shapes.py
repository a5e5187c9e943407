"""The signature of a model: its inputs' declared shapes, and the extents bound to symbolic dims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np
from onnx import TensorShapeProto, ValueInfoProto

from mlc.dialects.extents import Extent
from mlc.errors import ModelError, UnsupportedError, UsageError, nearest
from mlc.frontends.onnx.bounded.dims import Spec, named_expressions, resolve_dims
from mlc.frontends.onnx.dtypes import element_name, numpy_dtype

if TYPE_CHECKING:
    from mlc.frontends.onnx.load import LoadedModel

Shape: TypeAlias = "tuple[int | str, ...]"


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the model declares it.

    ``shape`` has a number for each static dim and a name for each symbolic one; a dim that the model leaves
    open altogether is named after the tensor and its position. ``shape`` is None when the rank is open too.
    """

    name: str
    dtype: np.dtype[Any]
    shape: Shape | None


def declared_inputs(loaded: LoadedModel) -> tuple[TensorInfo, ...]:
    """The inputs that a caller passes (initializers left out), in order.

    Raises UnsupportedError for inputs that are no numeric tensors.
    """
    graph = loaded.proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {tensor.values.name for tensor in graph.sparse_initializer}
    return tuple(tensor_info(value, "input") for value in graph.input if value.name not in constants)


def declared_outputs(loaded: LoadedModel) -> tuple[TensorInfo, ...]:
    """The outputs in order; raises UnsupportedError for those that are no numeric tensors."""
    return tuple(tensor_info(value, "output") for value in loaded.proto.graph.output)


def output_info(value: ValueInfoProto, dtype: np.dtype[Any]) -> TensorInfo:
    """An output of the element type ``dtype``; callers allocate what the model declares, so that must be the same."""
    tensor = value.type.tensor_type
    declared = numpy_dtype(tensor.elem_type) or element_name(tensor.elem_type)
    if tensor.elem_type and declared != dtype:
        raise ModelError(f"output {value.name!r} is declared {declared}, but computed in {dtype}")
    return TensorInfo(value.name, dtype, declared_shape(value.name, tensor.shape) if tensor.HasField("shape") else None)


def bind_shapes(
    inputs: Sequence[TensorInfo], shapes: Mapping[str, Sequence[Spec]], dims: Mapping[str, Spec]
) -> dict[str, tuple[int, ...]]:
    """The shape of every input, from whole ``shapes`` by input name and ``dims`` by symbol; both may give ranges.

    Raises UsageError for unknown names, for contradictions, and for what is left open, all of it at once.
    """
    whole, bound = _bound(inputs, shapes, dims)
    _all_bound(inputs, shapes, bound)
    return {info.name: _static(info, whole, bound) for info in inputs}


def leaves_open(inputs: Sequence[TensorInfo], shapes: Mapping[str, Sequence[Spec]], dims: Mapping[str, Spec]) -> bool:
    """Whether the shape of some input is still open with these ``shapes`` and ``dims``.

    Raises UsageError for unknown names and for contradictions, as `bind_shapes`.
    """
    _, bound = _bound(inputs, shapes, dims)
    return any(info.name not in shapes and (info.shape is None or _open_dims(info, bound)) for info in inputs)


def _bound(
    inputs: Sequence[TensorInfo], shapes: Mapping[str, Sequence[Spec]], dims: Mapping[str, Spec]
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """The whole shapes that are given, by input, and the extents of dims that these and ``dims`` bind, by name."""
    _known_names("input", shapes, [info.name for info in inputs])
    symbols = {dim for info in inputs for dim in info.shape or () if isinstance(dim, str)}
    _known_names("dim", dims, symbols)
    bound = resolve_dims({name: _spec(name, extent) for name, extent in dims.items()})
    whole = {name: _whole(name, shape, next(i for i in inputs if i.name == name)) for name, shape in shapes.items()}
    for info in inputs:
        if info.name in shapes:
            _unify(info, whole[info.name], bound)
    return whole, bound | named_expressions(sorted(symbols), bound)


def _open_dims(info: TensorInfo, bound: Mapping[str, int]) -> list[str]:
    """The symbols of an input that nothing binds."""
    return [dim for dim in info.shape or () if isinstance(dim, str) and dim not in bound]


def _whole(name: str, shape: Sequence[Spec], info: TensorInfo) -> tuple[int, ...]:
    """A shape that a caller gave; a range is called as the model calls the dim."""
    declared = info.shape or ()
    names = [declared[i] if i < len(declared) else f"{name}.{i}" for i in range(len(shape))]
    called = [dim if isinstance(dim, str) else f"{name}.{i}" for i, dim in enumerate(names)]
    return tuple(resolve_dims({dim: _spec(name, extent)})[dim] for dim, extent in zip(called, shape))


def _static(info: TensorInfo, shapes: Mapping[str, Sequence[int]], bound: Mapping[str, int]) -> tuple[int, ...]:
    if info.shape is None:
        return tuple(shapes[info.name])
    return tuple(bound[dim] if isinstance(dim, str) else dim for dim in info.shape)


def _unify(info: TensorInfo, shape: tuple[int, ...], bound: dict[str, int]) -> None:
    """Binds the symbols of ``info`` to the extents of ``shape``."""
    for extent in shape:
        _extent(info.name, extent)
    if info.shape is None:
        return
    if len(info.shape) != len(shape):
        raise UsageError(f"input {info.name!r} has {len(info.shape)} dims, but shape {list(shape)} is given")
    for axis, (dim, extent) in enumerate(zip(info.shape, shape)):
        declared = bound.setdefault(dim, extent) if isinstance(dim, str) else dim
        if declared != extent:
            what = f"dim {dim!r} is {declared}" if isinstance(dim, str) else f"the model declares {declared}"
            raise UsageError(f"input {info.name!r}: extent {extent} of axis {axis} contradicts: {what}")


def _spec(name: str, extent: Spec) -> Spec:
    return extent if isinstance(extent, str | Extent) else _extent(name, extent)


def _extent(name: str, extent: object) -> int:
    if isinstance(extent, Extent):
        return extent
    if isinstance(extent, bool) or not isinstance(extent, SupportsIndex) or index(extent) < 0:
        raise UsageError(f"{name!r}: extent {extent!r} is not a whole number of at least 0")
    return index(extent)


def _all_bound(inputs: Sequence[TensorInfo], shapes: Iterable[str], bound: Mapping[str, int]) -> None:
    open_dims: dict[str, str] = {}
    given = set(shapes)
    unranked = [info.name for info in inputs if info.shape is None and info.name not in given]
    for info in inputs:
        for dim in _open_dims(info, bound):
            open_dims.setdefault(dim, info.name)
    if not open_dims and not unranked:
        return
    missing = [f"{dim!r} of input {name!r}" for dim, name in open_dims.items()]
    missing += [f"the shape of input {name!r}" for name in unranked]
    flags = [f"--dim {dim}=1" for dim in open_dims] + [f"--shapes {name}:1x3x224x224" for name in unranked]
    raise UsageError(f"no extent given for {', '.join(missing)}", hint=f"for example {' '.join(flags)}")


def _known_names(what: str, given: Iterable[str], valid: Iterable[str]) -> None:
    names = set(valid)
    for name in given:
        if name not in names:
            raise UsageError(f"the model has no {what} {name!r}", hint=nearest(name, names))


def tensor_info(value: ValueInfoProto, role: str) -> TensorInfo:
    """A tensor as declared; UnsupportedError for what is no tensor of numbers."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "untyped value").removesuffix("_type").replace("_", " ")
        raise UnsupportedError(f"{role} {value.name!r} is no dense tensor but: {what}")
    tensor = value.type.tensor_type
    dtype = numpy_dtype(tensor.elem_type)
    if dtype is None:
        raise UnsupportedError(f"{role} {value.name!r} has element type {element_name(tensor.elem_type)}")
    shape = declared_shape(value.name, tensor.shape) if tensor.HasField("shape") else None
    return TensorInfo(value.name, dtype, shape)


def declared_shape(name: str, shape: TensorShapeProto) -> Shape:
    """The dims of tensor ``name``: numbers, symbols, and a name made up for what is left open."""
    return tuple(_dim(name, axis, dim) for axis, dim in enumerate(shape.dim))


def _dim(name: str, axis: int, dim: TensorShapeProto.Dimension) -> int | str:
    """A negative extent, as some exporters write, means an open dim."""
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return dim.dim_value
    return dim.dim_param or f"{name}.{axis}"
