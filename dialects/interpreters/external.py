"""C functions in this process: the meaning of ``hlt.call_c``, and which of them models may call here."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.dialects.hlt.external import DTYPE_CODES, Parameter, decoded
from mlc.dialects.interpreters.registry import Array, reference
from mlc.errors import ModelError, UsageError

_FUNCTIONS: dict[str, Callable[..., int]] = {}


class _Tensor(ctypes.Structure):
    """``mlc_tensor`` of mlc_operator.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
    )


class _Value(ctypes.Union):
    _fields_ = (("i", ctypes.c_int64), ("f", ctypes.c_double), ("pointer", ctypes.c_void_p))


class _Parameter(ctypes.Structure):
    """``mlc_parameter`` of mlc_operator.h."""

    _fields_ = (("value", _Value), ("count", ctypes.c_int64))


def provide(symbol: str, library: Path) -> None:
    """Load a shared library, which executes it, and let models of this process call its function ``symbol``.

    Compiled code finds the function by its name, as one of the whole process. Raises UsageError when the library
    does not load or lacks the function, and when the process has another of that name.
    """
    try:
        loaded = ctypes.CDLL(str(library.resolve()), mode=ctypes.RTLD_GLOBAL)
        function = loaded[symbol]
    except (OSError, AttributeError) as error:
        raise UsageError(f"operator library {library}: {error}") from error
    if _address(ctypes.CDLL(None)[symbol]) != _address(function):
        raise UsageError(f"operator library {library}: {symbol} is in another library of this process, too")
    function.argtypes = [ctypes.c_void_p] * 3
    function.restype = ctypes.c_int32
    _FUNCTIONS[symbol] = function


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def require(symbols: Iterable[str], node: str | None = None) -> None:
    """Raise UsageError unless models may call all these functions in this process."""
    missing = [symbol for symbol in symbols if symbol not in _FUNCTIONS]
    if missing:
        hint = "name the shared library that has it: mlc.register_c_op(..., library=...)"
        raise UsageError(f"no library in this process has the C function {missing[0]}", node=node, hint=hint)


@reference(hlt.CallCOp, moves_data=True)
def call_c(op: hlt.CallCOp, *inputs: Array) -> tuple[Array, ...]:
    """The function itself, on copies; ModelError when it fails."""
    symbol = op.symbol.data
    require([symbol], hlt.node_name(op))
    types = [hlt.tensor(value) for value in (*op.inputs, *op.outputs)]
    dtypes = [hlt.numpy_dtype(type_.element) for type_ in types]
    given = [np.array(array, dtype, order="C") for array, dtype in zip(inputs, dtypes)]
    made = [np.zeros(t.shape, dtype) for t, dtype in zip(types[len(given) :], dtypes[len(given) :], strict=True)]
    alive: list[object] = []
    tables = [(_Tensor * max(len(arrays), 1))(*(_tensor(a, alive) for a in arrays)) for arrays in (given, made)]
    parameters = (_Parameter * max(len(op.parameters), 1))(*(_parameter(decoded(p), alive) for p in op.parameters))
    code = _FUNCTIONS[symbol](tables[0], tables[1], parameters)
    if code:
        raise ModelError(f"the C function {symbol} failed with code {code}", node=hlt.node_name(op))
    return tuple(made)


def _tensor(array: Array, alive: list[object]) -> _Tensor:
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    alive.append(shape)
    return _Tensor(array.ctypes.data, shape, array.ndim, DTYPE_CODES[array.dtype.name])


def _parameter(parameter: Parameter, alive: list[object]) -> _Parameter:
    match parameter:
        case int():
            return _Parameter(_Value(i=parameter), 1)
        case float():
            return _Parameter(_Value(f=parameter), 1)
        case str():
            items = parameter.encode()
            values: ctypes.Array[Any] = ctypes.create_string_buffer(items)
        case _:
            items = parameter
            kind = ctypes.c_double if any(isinstance(item, float) for item in items) else ctypes.c_int64
            values = (kind * max(len(items), 1))(*items)
    alive.append(values)
    return _Parameter(_Value(pointer=ctypes.addressof(values)), len(items))
