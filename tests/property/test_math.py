"""The compiled functions: their errors, special values and sameness across machines, and that they call nothing."""

from __future__ import annotations

import math as python_math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects import math
from xdsl.dialects.builtin import UnitAttr, bf16, f16, f32, f64, i8, i32, i64
from xdsl.ir import Attribute, SSAValue

from benchmarks import fit_math, math_accuracy
from benchmarks.math_accuracy import COUNT, FUNCTIONS, Function, Kernel, kernel_of, object_of, undefined_symbols
from mlc.codegen.targets import Target, all_targets, find_target, native_target
from mlc.dialects.loop import RemfOp
from mlc.lowering.kernels.activation import sigmoid
from mlc.lowering.loops import polynomials
from mlc.lowering.loops.polynomials import coefficients
from mlc.lowering.scalar import Scalar

SAMPLES = 1 << 14
CPUS = [t for t in all_targets().values() if t.kind == "cpu"]
HOSTED = [t.name for t in CPUS if t.triple == native_target().triple and t.features <= native_target().features]
BY_NAME = {f.name: f for f in FUNCTIONS}
TYPES = {
    "f16": (f16, np.float16),
    "bf16": (bf16, ml_dtypes.bfloat16),
    "f32": (f32, np.float32),
    "f64": (f64, np.float64),
}

extended = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="np.longdouble is no wider than f64 here")


def lanes(target: Target, dtype: Any) -> int:
    return target.lanes(np.dtype(dtype).itemsize)


@pytest.mark.parametrize("target", HOSTED)
@pytest.mark.parametrize("name", ["f32", pytest.param("f64", marks=extended)])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_error(function: Function, name: str, target: str) -> None:
    error, where = math_accuracy.measure(function, name, find_target(target), SAMPLES)
    assert error <= function.limits[name], f"{error} ULP at {where}"


@pytest.mark.parametrize("name", ["f32", "f64"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_strict_has_the_same_bits_everywhere(function: Function, name: str) -> None:
    inputs = math_accuracy.operands(function, math_accuracy.ELEMENTS[name][1], 1 << 12)
    results = [kernel_of(function, name, find_target(t), strict=True)(*inputs) for t in HOSTED]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
        np.testing.assert_array_equal(np.signbit(other) & ~np.isnan(other), np.signbit(results[0]) & ~np.isnan(other))


@pytest.mark.parametrize("vector", [True, False], ids=["vector", "scalar"])
@pytest.mark.parametrize("name", ["f32", "f64"])
@pytest.mark.parametrize("target", [t.name for t in CPUS])
def test_functions_call_nothing(target: str, name: str, vector: bool) -> None:
    element, dtype = math_accuracy.ELEMENTS[name]
    machine = find_target(target)

    def body(s: Scalar, x: SSAValue, y: SSAValue) -> SSAValue:
        total = x
        for function in FUNCTIONS:
            total = s.add(total, function.body(s, *(x, y)[: function.inputs]))
        return total

    data = object_of(body, [element] * 3, machine, lanes=lanes(machine, dtype) if vector else 1)
    assert undefined_symbols(data) == []


@pytest.mark.parametrize("target", [t.name for t in CPUS])
def test_conversions_and_divisions_call_nothing(target: str) -> None:
    machine = find_target(target)
    types: list[Attribute] = [f16, bf16, f32, f64, i8, i32, i64]

    def body(s: Scalar, *args: SSAValue) -> SSAValue:
        total = args[-1]
        for x in args:
            for to in types:
                total = s.add(total, s.cast(s.cast(s.add(x, x), to), i64))
        for x in args[4:]:
            quotients = [s.div(x, x), s.div(x, x, unsigned=True)]
            total = s.add(total, s.cast(s.add(*quotients), i64))
        return total

    for width in (1, machine.lanes(8)):
        assert undefined_symbols(object_of(body, [*types, i64], machine, lanes=width)) == []


def half_samples(dtype: Any) -> np.ndarray[Any, Any]:
    """All of a 16-bit float, or numbers close to and half-way between those, in a wider type."""
    every = np.arange(1 << 16, dtype=np.uint16)
    if np.dtype(dtype).itemsize == 2:
        return every.view(dtype)
    wide = [every.view(t).astype(dtype) for t in (np.float16, ml_dtypes.bfloat16)]
    with np.errstate(all="ignore"):
        middles = [(a[1:] + a[:-1]) / 2 for a in wide]
    beside = [np.nextafter(m, s * np.array(np.inf, dtype)) for m in middles for s in (1, -1)]
    return np.concatenate([*wide, *middles, *beside, math_accuracy.samples(np.float32, 1 << 14).astype(dtype)])


@pytest.mark.parametrize("target", HOSTED)
@pytest.mark.parametrize(
    ("source", "result"), [(a, b) for a in TYPES for b in TYPES if a != b and (a[-2:] == "16" or b[-2:] == "16")]
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_conversion(source: str, result: str, target: str) -> None:
    (element, dtype), (to, to_dtype) = TYPES[source], TYPES[result]
    x = half_samples(dtype)

    def body(s: Scalar, a: SSAValue) -> SSAValue:
        return s.cast(a, to)

    kernel = Kernel(body, [element, to], find_target(target), lanes=4)
    got, expected = kernel(x, dtype=to_dtype), correctly_rounded(x, to_dtype)
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(got[~nan].view(f"u{got.itemsize}"), expected[~nan].view(f"u{got.itemsize}"))


def correctly_rounded(x: np.ndarray[Any, Any], to: Any) -> np.ndarray[Any, Any]:
    """A conversion with one rounding; from f64 to bf16, `ml_dtypes` rounds twice."""
    if np.dtype(to) != ml_dtypes.bfloat16 or x.dtype != np.float64:
        return x.astype(to)
    nearest = x.astype(np.float32)
    beyond = np.abs(nearest.astype(np.float64)) > np.abs(x)
    towards_zero = np.where(beyond, np.nextafter(nearest, np.float32(0)), nearest)
    odd = (towards_zero.view(np.uint32) | (nearest.astype(np.float64) != x)).view(np.float32)
    return np.where(np.isnan(x), nearest, odd).astype(to)


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_exp_of_what_is_known_to_be_negative(name: str) -> None:
    element, dtype = math_accuracy.ELEMENTS[name]

    def body(s: Scalar, x: SSAValue) -> SSAValue:
        value = s.unary(math.ExpOp, x)
        assert isinstance(value.owner, math.ExpOp)
        value.owner.attributes["nonpositive"] = UnitAttr()
        return value

    target = native_target()
    x = -np.abs(math_accuracy.samples(dtype, 1 << 12))
    known = Kernel(body, [element] * 2, target, lanes=lanes(target, dtype))(x)
    np.testing.assert_array_equal(known, kernel_of(BY_NAME["exp"], name, target)(x))


def gated(s: Scalar, x: SSAValue) -> SSAValue:
    return s.mul(x, sigmoid(s, x))


@extended
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("target", HOSTED)
@pytest.mark.parametrize("name", ["f32", "f64"])
def test_sigmoids_and_gates(name: str, target: str, strict: bool) -> None:
    """To 4 ULP where e**-x is finite, zero beyond; NaN of any payload stays NaN, and infinity times zero is."""
    element, dtype = math_accuracy.ELEMENTS[name]
    machine = find_target(target)
    around: np.ndarray[Any, Any] = np.linspace(-120, 120, 1 << 12).astype(dtype)
    x = np.append(math_accuracy.samples(dtype, 1 << 12), around)
    word, quiet = ("u4", 0x7FC00000) if name == "f32" else ("u8", 0x7FF8 << 48)
    payloads: np.ndarray[Any, Any] = np.arange(quiet, quiet + 512, dtype=word).view(dtype)
    x = np.append(x, payloads)
    with np.errstate(all="ignore"):
        wide = x.astype(np.longdouble)
        exact = 1 / (1 + np.exp(-wide))
        product = wide * np.where(np.isneginf(wide), np.nan, exact)
    finite = ~(wide < -np.log(np.longdouble(np.finfo(dtype).max)))
    for body, wanted in ((sigmoid, exact), (gated, product)):
        found = Kernel(body, [element] * 2, machine, lanes=lanes(machine, dtype), strict=strict)(x)
        assert math_accuracy.errors(found, wanted, float(np.finfo(dtype).tiny))[finite].max() <= 4
        assert not np.any(found[~finite & np.isfinite(x)]) and np.array_equal(np.isnan(found), np.isnan(wanted))


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_exp_of_a_negation_has_the_bits_of_exp(name: str) -> None:
    element, dtype = math_accuracy.ELEMENTS[name]
    target = native_target()
    x = math_accuracy.samples(dtype, 1 << 12)
    negated = Kernel(lambda s, a: s.unary(math.ExpOp, s.neg(a)), [element] * 2, target, lanes=lanes(target, dtype))
    np.testing.assert_array_equal(negated(x), kernel_of(BY_NAME["exp"], name, target)(-x))


@pytest.mark.parametrize("target", HOSTED)
@pytest.mark.parametrize(("name", "within"), [("f32", (-150, 0)), ("f32", (-100, 128)), ("f64", (-1076, 0))])
def test_exponents_of_a_known_range(name: str, within: tuple[int, int], target: str) -> None:
    """The same product with one rounding: denormal, normal and infinite."""
    element, dtype = math_accuracy.ELEMENTS[name]
    machine = find_target(target)
    n = np.repeat(np.arange(within[0], within[1] + 1), 16).astype(dtype)
    p = np.random.default_rng(0).uniform(0.5, 2, n.size).astype(dtype)
    p[::16] = np.nan
    kernel = Kernel(lambda s, a, b: s.ldexp(a, b, within), [element] * 3, machine, lanes=lanes(machine, dtype))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(kernel(p, n), np.ldexp(p, n.astype(int)))


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_large_angles_stay_in_bounds(name: str) -> None:
    x = math_accuracy.samples(np.float32, SAMPLES)
    got = kernel_of(BY_NAME[name], "f32", native_target())(x)
    np.testing.assert_array_equal(np.isnan(got), ~np.isfinite(x))
    if name != "tan":
        assert np.nanmax(np.abs(got)) <= 1
        middle = (np.abs(x) > 2**27) & (np.abs(x) < 2**30)
        exact = getattr(np, name)(x[middle].astype(np.float64))
        assert np.abs(got[middle] - exact).max() < 2.0**-22


numbers = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5])
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=64)


@pytest.fixture(scope="module")
def fmod() -> Kernel:
    return kernel_of(BY_NAME["fmod"], "f64", native_target())


@given(pairs)
@settings(max_examples=100, deadline=None)
def test_fmod_is_exact(fmod: Kernel, values: list[tuple[float, float]]) -> None:
    x, y = np.array(values).T.copy()
    for a, b, got in zip(x, y, fmod(x, y)):
        if python_math.isinf(a) or b == 0 or (python_math.isnan(a + b) and not python_math.isinf(b)):
            assert python_math.isnan(got)
        else:
            expected = python_math.fmod(a, b)
            assert (got, python_math.copysign(1, got)) == (expected, python_math.copysign(1, expected))


@pytest.fixture(scope="module")
def odd_functions() -> dict[str, Kernel]:
    names = ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf")
    return {n: kernel_of(BY_NAME[n], "f64", native_target()) for n in names}


@given(st.lists(st.floats(width=64, allow_nan=False), min_size=1, max_size=64))
@settings(max_examples=50, deadline=None)
def test_odd_functions_are_odd(odd_functions: dict[str, Kernel], values: list[float]) -> None:
    x = np.array(values)
    for name, kernel in odd_functions.items():
        np.testing.assert_array_equal(kernel(-x), -kernel(x), err_msg=name)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_never_beyond_one(name: str) -> None:
    for element in ("f32", "f64"):
        x = math_accuracy.samples(math_accuracy.ELEMENTS[element][1], SAMPLES)
        assert np.nanmax(np.abs(kernel_of(BY_NAME[name], element, native_target())(x))) == 1


def test_half_precision_computes_in_single() -> None:
    def body(s: Scalar, x: SSAValue) -> SSAValue:
        return s.unary(math.TanhOp, x)

    kernel = Kernel(body, [f16, f16], native_target(), lanes=8)
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    single = kernel_of(BY_NAME["tanh"], "f32", native_target())(x.astype(np.float32))
    np.testing.assert_array_equal(kernel(x), single.astype(np.float16))


def test_every_function_has_a_limit() -> None:
    limited = {f.op for f in FUNCTIONS}
    from mlc.lowering.loops.expand_math import EXPANSIONS

    assert set(EXPANSIONS) <= limited and RemfOp in limited
    assert {e.__name__ for e in EXPANSIONS.values()} == set(polynomials.__all__)


@extended
@pytest.mark.parametrize(
    ("table", "name"), [(t, n) for t in fit_math.FITS for n in ("f32", "f64") if n == "f32" or t in ("EXP", "SIN")]
)
def test_coefficients_are_what_the_fit_gives(table: str, name: str) -> None:
    fitted, _ = fit_math.rounded(fit_math.FITS[table][name], fit_math.TYPES[name])
    np.testing.assert_allclose(getattr(coefficients, table)[name], fitted, rtol=1e-12)


@pytest.mark.parametrize("constant", fit_math.CONSTANTS)
def test_constants_in_parts(constant: str) -> None:
    for name, dtype in fit_math.TYPES.items():
        assert getattr(coefficients, constant)[name] == fit_math.CONSTANTS[constant](dtype)


def test_page_is_current() -> None:
    text = math_accuracy.PAGE.read_text(encoding="utf-8")
    assert text == math_accuracy.page(), "run python -m benchmarks.math_accuracy --write"


def test_kernel_pads() -> None:
    x = np.linspace(0, 1, COUNT + 3, dtype=np.float32)
    np.testing.assert_allclose(kernel_of(BY_NAME["exp"], "f32", native_target())(x), np.exp(x), rtol=2e-7)
