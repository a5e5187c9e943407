"""Division and 64-bit conversions made of other instructions agree with Python's integers, whatever the machine has."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32, f64, i32, i64
from xdsl.ir import Attribute

from mlc.codegen.emit import wide
from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.writer import Writer, spelling
from mlc.codegen.llvm import host_triple
from mlc.codegen.targets import find_target
from mlc.testing.loops import machine_code

pytestmark = pytest.mark.skipif(not host_triple().startswith("x86_64"), reason="runs x86-64 code")

NATIVE: dict[Attribute, type[np.number[Any]]] = {i32: np.int32, i64: np.int64, f32: np.float32, f64: np.float64}
Emit = Callable[[Lanes, list[str]], str]
Vectors = Callable[..., "np.ndarray[Any, Any]"]
POWERS = st.integers(0, 62).map(lambda bits: 1 << bits)
WORDS = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-100, 100), POWERS, POWERS.map(lambda power: -2 * power)
)


@cache
def function(name: str, emit: Emit, arguments: tuple[Attribute, ...], result: Attribute, width: int) -> Vectors:
    """What ``emit`` appends, as a function of vectors of ``width`` equal elements; returns all lanes of the result."""
    target = replace(find_target("x86-64-v2"), wide_integers=False, division=False)
    lanes = Lanes(Writer(), target, width)
    loads = [lanes.out.value(f"load {lanes.type(a)}, ptr %a{i}, align 4") for i, a in enumerate(arguments)]
    lanes.out.emit(f"  store {lanes.type(result)} {emit(lanes, loads)}, ptr %o, align 4")
    pointers = ", ".join(f"ptr %a{i}" for i in range(len(arguments)))
    body = "\n".join(lanes.out.lines)
    others = [*(f"declare {d}" for d in lanes.out.declarations.values()), *lanes.out.definitions.values()]
    text = "\n".join([f"define void @f({pointers}, ptr %o) {{", body, "  ret void\n}", *others])
    library = machine_code("f", text, target)
    code = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(arguments) + 1))(library.address("f"))

    def call(*values: float) -> np.ndarray[Any, Any]:
        given = [np.full(width, v, NATIVE[a]) for v, a in zip(values, arguments)]
        out = np.zeros(width, NATIVE[result])
        code(*(a.ctypes.data for a in given), out.ctypes.data)
        assert library is not None
        return out

    return call


def divide(mnemonic: str, element: Attribute, width: int) -> Vectors:
    key = _DIVIDE.setdefault((mnemonic, element), lambda ctx, a: wide.divide(ctx, mnemonic, element, *a))
    return function(mnemonic, key, (element, element), element, width)


_DIVIDE: dict[tuple[str, Attribute], Emit] = {}


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("element", [i32, i64])
@given(x=WORDS, y=WORDS)
@settings(max_examples=40, deadline=None)
def test_division(element: Attribute, width: int, x: int, y: int) -> None:
    bits = 8 * spelling(element)[2]
    half = 1 << bits - 1
    x, y = ((v + half) % (2 * half) - half for v in (x, y))
    if y == 0 or (x, y) == (-half, -1):
        return
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    unsigned = x % (2 * half), y % (2 * half)
    expected = {"sdiv": quotient, "srem": x - quotient * y}
    expected |= {"udiv": unsigned[0] // unsigned[1], "urem": unsigned[0] % unsigned[1]}
    for mnemonic, value in expected.items():
        assert (divide(mnemonic, element, width)(x, y).astype(object) % (2 * half) == value % (2 * half)).all()


def signed_float(ctx: Lanes, a: list[str]) -> str:
    return wide.to_float(ctx, f32, a[0], signed=True)


def unsigned_float(ctx: Lanes, a: list[str]) -> str:
    return wide.to_float(ctx, f32, a[0], signed=False)


def signed_double(ctx: Lanes, a: list[str]) -> str:
    return wide.to_float(ctx, f64, a[0], signed=True)


@given(x=WORDS)
@settings(max_examples=100, deadline=None)
def test_integers_become_floats_with_one_rounding(x: int) -> None:
    assert (function("l2f", signed_float, (i64,), f32, 2)(x) == np.int64(x).astype(np.float32)).all()
    assert (function("l2d", signed_double, (i64,), f64, 1)(x) == np.int64(x).astype(np.float64)).all()
    assert (function("ul2f", unsigned_float, (i64,), f32, 2)(x) == np.uint64(x % (1 << 64)).astype(np.float32)).all()


def to_signed(ctx: Lanes, a: list[str]) -> str:
    return wide.from_float(ctx, f64, a[0], signed=True)


def to_unsigned(ctx: Lanes, a: list[str]) -> str:
    return wide.from_float(ctx, f32, a[0], signed=False)


@given(x=st.one_of(st.floats(width=32), st.floats(-(2.0**66), 2.0**66, width=32), st.floats(-1e4, 1e4, width=32)))
@settings(max_examples=200, deadline=None)
def test_floats_become_integers_that_saturate(x: float) -> None:
    whole = (
        0
        if x != x
        else max(-(1 << 63), min((1 << 63) - 1, int(x)))
        if abs(x) < 1e30
        else (1 << 63) * (-1 if x < 0 else 1)
    )
    assert (function("d2l", to_signed, (f64,), i64, 2)(x) == max(-(1 << 63), min((1 << 63) - 1, whole))).all()
    positive = 0 if x != x or x < 0 else (1 << 64) - 1 if x >= 2.0**64 else int(x)
    assert (function("f2ul", to_unsigned, (f32,), i64, 1)(x).view(np.uint64) == positive).all()
