"""Reference meaning of the scalar operations in a compute's regions, on whole arrays at once.

``SCALAR[op.name](op, *arrays)`` sees floats as float64 and signed integers; results are rounded once by the caller.
"""

from __future__ import annotations

import math as libm
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from xdsl.dialects import arith
from xdsl.ir import Operation

from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.interpreters.activation import exact_gelu
from mlc.dialects.interpreters.elementwise import divide
from mlc.dialects.interpreters.numerics import cast
from mlc.dialects.interpreters.words import parted
from mlc.dialects.loop import DotOp
from mlc.dialects.parts import PARTS

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Meaning: TypeAlias = Callable[..., Array]


def _plain(function: Callable[..., Any]) -> Meaning:
    """A function of the operands alone."""

    def meaning(op: Operation, *args: Array) -> Array:
        return np.asarray(function(*args))

    return meaning


def _unsigned(function: Callable[..., Any]) -> Meaning:
    """A function of the operands' bits as unsigned integers; the result's bits are signed again."""

    def meaning(op: Operation, *args: Array) -> Array:
        result = np.asarray(function(*(unsigned(a) for a in args)))
        return result.view(f"i{result.itemsize}") if result.dtype.kind == "u" else result

    return meaning


def unsigned(array: Array) -> Array:
    """The same bits as unsigned integers; booleans stay."""
    return array.view(f"u{array.itemsize}") if array.dtype.kind == "i" else array


def _unsigned_quotient(a: Array, b: Array) -> Array:
    """The quotient of unsigned integers; by zero it is 0."""
    return np.where(b == 0, 0, a // np.maximum(b, 1))


def _remainder(a: Array, b: Array) -> Array:
    """Truncating integer remainder; by zero it is 0."""
    return np.where(b == 0, 0, np.fmod(a, np.where(b == 0, 1, b)))


def _compare_float(op: Operation, a: Array, b: Array) -> Array:
    assert isinstance(op, arith.CmpfOp)
    order = (a == b, a > b, a >= b, a < b, a <= b, (a < b) | (a > b))
    unordered = np.isnan(a) | np.isnan(b)
    number = op.predicate.value.data
    if number in (0, 15):
        return np.full(unordered.shape, number == 15)
    if number in (7, 14):
        return unordered if number == 14 else ~unordered
    return order[number - 1] if number < 7 else order[number - 8] | unordered


_INTEGER_ORDER = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)


def _compare_integer(op: Operation, a: Array, b: Array) -> Array:
    assert isinstance(op, arith.CmpiOp)
    number = op.predicate.value.data
    if number < 6:
        return _INTEGER_ORDER[number](a, b)
    return _INTEGER_ORDER[number - 4](unsigned(a), unsigned(b))


def _convert(op: Operation, x: Array) -> Array:
    """A conversion that is no more than the rounding by the caller."""
    return x


def _zero_extend(op: Operation, x: Array) -> Array:
    return unsigned(x)


def _sign_extend(op: Operation, x: Array) -> Array:
    return -x.astype(np.int64) if x.dtype == np.bool_ else x


def _to_integer(op: Operation, x: Array) -> Array:
    return cast(x, numpy_dtype(op.results[0].type))


def _to_unsigned(op: Operation, x: Array) -> Array:
    dtype = numpy_dtype(op.results[0].type)
    return cast(x, np.dtype(f"u{dtype.itemsize}")).view(dtype)


def _truncate(op: Operation, x: Array) -> Array:
    dtype = numpy_dtype(op.results[0].type)
    return (x & 1).astype(np.bool_) if dtype == np.bool_ else x.astype(dtype)


def _bitcast(op: Operation, x: Array) -> Array:
    source, result = numpy_dtype(op.operands[0].type), numpy_dtype(op.results[0].type)
    return np.ascontiguousarray(x.astype(source)).view(result)


def _fma(a: Array, b: Array, c: Array) -> Array:
    return a * b + c


def _ldexp(p: Array, n: Array) -> Array:
    return np.ldexp(p, n.astype(np.int64))


def _dot(op: Operation, a: Array, b: Array, c: Array) -> Array:
    assert isinstance(op, DotOp)
    left, right = (numpy_dtype(element) for element in PARTS[op.parts.data])
    products = [parted(x[..., None], dtype) for x, dtype in zip(np.broadcast_arrays(a, b), (left, right))]
    return (c + (products[0] * products[1]).sum(axis=-1)).astype(np.int32)


def _by_element(function: Callable[[float], float]) -> Meaning:
    return _plain(np.vectorize(function, otypes=[np.float64]))


SCALAR: dict[str, Meaning] = {
    "arith.addf": _plain(np.add),
    "arith.subf": _plain(np.subtract),
    "arith.mulf": _plain(np.multiply),
    "arith.divf": _plain(np.divide),
    "arith.negf": _plain(np.negative),
    "arith.maximumf": _plain(np.maximum),
    "arith.minimumf": _plain(np.minimum),
    "arith.maxnumf": _plain(np.fmax),
    "arith.minnumf": _plain(np.fmin),
    "arith.addi": _plain(np.add),
    "arith.subi": _plain(np.subtract),
    "arith.muli": _plain(np.multiply),
    "arith.divsi": _plain(divide),
    "arith.divui": _unsigned(_unsigned_quotient),
    "arith.remsi": _plain(_remainder),
    "arith.remui": _unsigned(_remainder),
    "arith.andi": _plain(np.bitwise_and),
    "arith.ori": _plain(np.bitwise_or),
    "arith.xori": _plain(np.bitwise_xor),
    "arith.shli": _plain(np.left_shift),
    "arith.shrsi": _plain(np.right_shift),
    "arith.shrui": _unsigned(np.right_shift),
    "arith.maxsi": _plain(np.maximum),
    "arith.minsi": _plain(np.minimum),
    "arith.maxui": _unsigned(np.maximum),
    "arith.minui": _unsigned(np.minimum),
    "arith.cmpf": _compare_float,
    "arith.cmpi": _compare_integer,
    "arith.select": _plain(np.where),
    "arith.extf": _convert,
    "arith.truncf": _convert,
    "arith.sitofp": _convert,
    "arith.uitofp": _zero_extend,
    "arith.fptosi": _to_integer,
    "arith.fptoui": _to_unsigned,
    "arith.extsi": _sign_extend,
    "arith.extui": _zero_extend,
    "arith.trunci": _truncate,
    "arith.bitcast": _bitcast,
    "math.fma": _plain(_fma),
    "math.sqrt": _plain(np.sqrt),
    "math.absf": _plain(np.abs),
    "math.copysign": _plain(np.copysign),
    "math.roundeven": _plain(np.rint),
    "math.floor": _plain(np.floor),
    "math.ceil": _plain(np.ceil),
    "math.trunc": _plain(np.trunc),
    "math.exp": _plain(np.exp),
    "math.log": _plain(np.log),
    "math.tanh": _plain(np.tanh),
    "math.erf": _by_element(libm.erf),
    "math.sin": _plain(np.sin),
    "math.cos": _plain(np.cos),
    "math.tan": _plain(np.tan),
    "math.asin": _plain(np.arcsin),
    "math.acos": _plain(np.arccos),
    "math.atan": _plain(np.arctan),
    "math.sinh": _plain(np.sinh),
    "math.cosh": _plain(np.cosh),
    "math.asinh": _plain(np.arcsinh),
    "math.acosh": _plain(np.arccosh),
    "math.atanh": _plain(np.arctanh),
    "math.powf": _plain(np.power),
    "loop.dot": _dot,
    "loop.gelu": _plain(exact_gelu),
    "loop.ldexp": _plain(_ldexp),
    "loop.remf": _plain(np.fmod),
}
"""By operation name; constants and indices of dims are the caller's."""
