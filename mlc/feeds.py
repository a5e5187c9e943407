"""Arrays that callers pass: looked up by name, held against what a model says of its tensors, found in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ctypes import addressof, c_char
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, cast

import numpy as np

from mlc.errors import UsageError, nearest

if TYPE_CHECKING:
    from mlc.model import TensorInfo

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Feeds: TypeAlias = Mapping[str, Any]


def named_arrays(given: Any) -> Feeds:
    """Arrays by name, as they are given; UsageError when they have no names."""
    if type(given) is not dict and not isinstance(given, Mapping):
        raise UsageError(f"a {type(given).__name__} names no arrays", hint="pass a dict of arrays by name")
    return cast("Feeds", given)


def check_names(what: str, given: Feeds, valid: Collection[str]) -> None:
    """Raise UsageError for the first name that is none of ``valid``; ``what`` is the kind of thing they name."""
    for name in given:
        if name not in valid:
            raise UsageError(f"the model has no {what} {name!r}", hint=nearest(str(name), valid))


def array_of(name: str, value: Any) -> Array:
    """A NumPy array, or another library's through DLPack."""
    if isinstance(value, np.ndarray):
        return cast("Array", value)
    if isinstance(value, np.generic):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise UsageError(f"{name!r} can't be read through DLPack: {' '.join(str(error).split())}") from error
    raise UsageError(f"{name!r} is a {type(value).__name__}, not an array", hint="pass a NumPy array")


def is_plain(array: Any, spec: TensorInfo, shape: tuple[int | str, ...] | None) -> TypeGuard[Array]:
    """Whether it is a contiguous NumPy array of the dtype of ``spec`` and of that shape: to be used as it is."""
    return type(array) is np.ndarray and array.shape == shape and array.dtype == spec.dtype and array.flags.c_contiguous


def matching(spec: TensorInfo, array: Array, what: str) -> Array:
    """The array, if it has the dtype and shape that ``spec`` says."""
    if array.dtype != spec.dtype:
        hint = f"convert it with .astype({str(spec.dtype)!r})"
        raise UsageError(f"{what} {spec.name!r} has dtype {array.dtype}, the model has {spec.dtype}", hint=hint)
    shape = spec.shape
    if shape is None or array.shape == shape:
        return array
    if len(array.shape) != len(shape) or any(
        isinstance(dim, int) and dim != extent for dim, extent in zip(shape, array.shape)
    ):
        dims = ", ".join(map(str, shape))
        raise UsageError(f"{what} {spec.name!r} has shape {list(array.shape)}, the model has [{dims}]")
    return array


def writeable(spec: TensorInfo, value: Any, shape: tuple[int, ...]) -> Array:
    """An array to write an output of that shape to."""
    array = matching(replace(spec, shape=shape), array_of(spec.name, value), "output")
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise UsageError(f"output {spec.name!r} must be written to an array that is contiguous and writeable")
    return array


def check_apart(specs: Sequence[TensorInfo], sinks: Sequence[Array], sources: Sequence[Array]) -> None:
    """Raise UsageError when an output would be written over an input or another output."""
    for index, (spec, sink) in enumerate(zip(specs, sinks)):
        if any(np.may_share_memory(sink, other) for other in (*sources, *sinks[:index])):
            raise UsageError(f"output {spec.name!r} would be written over another array of the call")


def bindable(name: str, value: Any) -> Array:
    """An input that can be read where it lies, call after call."""
    array = array_of(name, value)
    if not array.flags.c_contiguous:
        raise UsageError(f"input {name!r} must be contiguous to be bound", hint="use numpy.ascontiguousarray")
    return array


def by_name(given: Feeds | Sequence[Any], specs: Sequence[TensorInfo]) -> Feeds:
    """Outputs by name, all there are."""
    names = [spec.name for spec in specs]
    if not isinstance(given, Mapping):
        arrays = sequence(given)
        if len(arrays) != len(names):
            raise UsageError(f"{len(arrays)} arrays are given for {len(names)} outputs: {', '.join(names)}")
        return dict(zip(names, arrays))
    check_names("output", given, names)
    missing = [name for name in names if name not in given]
    if missing:
        raise UsageError(f"no array is given for output {', '.join(map(repr, missing))}")
    return given


def sequence(given: Any) -> Sequence[Any]:
    """Several arrays, or one."""
    return cast("Sequence[Any]", given) if isinstance(given, list | tuple) else (given,)


def address(array: Any) -> int:
    """Where the elements of a contiguous array lie. The short way, of 0.3 us, takes only what is writeable."""
    try:
        return addressof(c_char.from_buffer(array))
    except (TypeError, ValueError, BufferError):
        return cast(int, array.__array_interface__["data"][0])
