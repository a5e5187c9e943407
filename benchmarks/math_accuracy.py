"""Errors and speed of the compiled functions: ``python -m benchmarks.math_accuracy`` measures them on this machine.

`FUNCTIONS` holds the largest error that each may have, in units in the last place of the exact result. Tests hold
the compiler to it, and ``--write`` renders it to ``docs/reference/math.md``.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects import math
from xdsl.dialects.builtin import MemRefType, ModuleOp, StringAttr, f32, f64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from benchmarks.fit_math import erf, erfc, normal_tail
from mlc.codegen import wasm
from mlc.codegen.elf import parse_object
from mlc.codegen.emit.function import emit_kernel
from mlc.codegen.jit import Library
from mlc.codegen.link import link_shared
from mlc.codegen.object import compile_ir
from mlc.codegen.targets import Target, find_target
from mlc.dialects.loop import ComputeOp, DimsAttr, GeluOp, KernelOp, MapAttr, RemfOp, ScheduleAttr
from mlc.lowering.loops.expand_math import ExpandMathPass
from mlc.lowering.loops.nest import NestPass
from mlc.lowering.loops.select_rows import SelectRowsPass
from mlc.lowering.loops.split import SplitPass
from mlc.lowering.scalar import Body, Scalar, region

Array: TypeAlias = npt.NDArray[Any]
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "math.md"
COUNT = 1 << 14
"""Elements that one call of a kernel maps."""

QUADRANTS = 2.0**27
"""Up to here the reduction of angles is exact."""

ELEMENTS: dict[str, tuple[Attribute, Any]] = {"f32": (f32, np.float32), "f64": (f64, np.float64)}


@dataclass(frozen=True)
class Function:
    """A scalar operation, its meaning on ``np.longdouble`` arrays, and its largest error in ULP by type.

    The errors hold for operands up to ``bound`` in magnitude. Results below ``near_zero`` have the unit of that.
    """

    name: str
    op: type[Operation]
    reference: Callable[..., Array]
    limits: dict[str, float]
    inputs: int = 1
    bound: float = np.inf
    near_zero: float = 0.0

    def body(self, s: Scalar, *args: SSAValue) -> SSAValue:
        """The operation on scalars."""
        return s.op(self.op, args, args[0].type)


def exact_erf(x: Array) -> Array:
    """The error function in extended precision."""
    a = np.abs(x)
    inside = erf(np.minimum(np.where(np.isnan(a), 0, a), 1))
    value = np.where(a > 1, 1 - erfc(np.maximum(a, 1)), inside)
    return np.where(np.isnan(x), x, np.copysign(value, x))


def exact_gelu(x: Array) -> Array:
    """``x`` times the normal distribution's probability below it, in extended precision."""
    a = np.minimum(np.abs(x), 64)
    small = a * normal_tail(np.where(np.isnan(a), 0, a))
    return np.where(np.isnan(x), x, np.maximum(x, 0) - small)


def _of(single: float, double: float) -> dict[str, float]:
    return {"f32": single, "f64": double}


FUNCTIONS = (
    Function("exp", math.ExpOp, np.exp, _of(1.2, 1.2)),
    Function("log", math.LogOp, np.log, _of(0.9, 0.9)),
    Function("tanh", math.TanhOp, np.tanh, _of(3.0, 3.0)),
    Function("erf", math.ErfOp, exact_erf, _of(1.8, 2.1)),
    Function("gelu", GeluOp, exact_gelu, _of(7.0, 7.0), near_zero=1 / 16),
    Function("sin", math.SinOp, np.sin, _of(1.6, 2.3), bound=QUADRANTS),
    Function("cos", math.CosOp, np.cos, _of(1.6, 2.3), bound=QUADRANTS),
    Function("tan", math.TanOp, np.tan, _of(3.8, 3.8), bound=QUADRANTS),
    Function("asin", math.AsinOp, np.arcsin, _of(1.8, 1.8)),
    Function("acos", math.AcosOp, np.arccos, _of(1.3, 1.3)),
    Function("atan", math.AtanOp, np.arctan, _of(2.0, 2.0)),
    Function("sinh", math.SinhOp, np.sinh, _of(2.5, 2.5)),
    Function("cosh", math.CoshOp, np.cosh, _of(1.7, 1.7)),
    Function("asinh", math.AsinhOp, np.arcsinh, _of(1.8, 1.8)),
    Function("acosh", math.AcoshOp, np.arccosh, _of(2.2, 2.2)),
    Function("atanh", math.AtanhOp, np.arctanh, _of(2.1, 2.1)),
    Function("pow", math.PowFOp, np.power, _of(1.4, 2.0), inputs=2),
    Function("fmod", RemfOp, np.fmod, _of(0.0, 0.0), inputs=2),
    Function("roundeven", math.RoundEvenOp, np.rint, _of(0.0, 0.0)),
    Function("floor", math.FloorOp, np.floor, _of(0.0, 0.0)),
    Function("ceil", math.CeilOp, np.ceil, _of(0.0, 0.0)),
    Function("trunc", math.TruncOp, np.trunc, _of(0.0, 0.0)),
)
"""Every function that is computed by our own code on some machine."""


def module_of(body: Body, types: Sequence[Attribute], schedule: str) -> ModuleOp:
    """A module with a kernel ``f`` that maps `COUNT` elements by ``body``; the last of ``types`` is the result's."""
    block = Block(arg_types=[MemRefType(t, [COUNT]) for t in types])
    compute = ComputeOp.make(
        block.args[:-1],
        block.args[-1:],
        DimsAttr.of(f"n={COUNT}"),
        [MapAttr.of("n")] * len(types),
        finish=region(types[:-1], body),
        schedule=ScheduleAttr.of(schedule),
    )
    block.add_op(compute)
    return ModuleOp([KernelOp.create(properties={"sym_name": StringAttr("f")}, regions=[Region(block)])])


def lower(module: ModuleOp, *, strict: bool = False) -> KernelOp:
    """The module's kernel, ready to emit."""
    context = Context()
    for step in (ExpandMathPass(strict), SplitPass(), SelectRowsPass(strict), NestPass()):
        step.apply(context, module)
    return next(op for op in module.walk() if isinstance(op, KernelOp))


def object_of(body: Body, types: Sequence[Attribute], target: Target, *, lanes: int, strict: bool = False) -> bytes:
    """The object of a kernel that maps elements by ``body`` in registers of ``lanes`` elements."""
    schedule = f"n/{4 * lanes} n* n@{lanes}" if lanes > 1 else "n/4 n*"
    kernel = lower(module_of(body, types, schedule), strict=strict)
    (data,) = compile_ir([("f", emit_kernel(kernel, target))], target, jobs=1)
    return data


def undefined_symbols(data: bytes) -> list[str]:
    """What an object calls that it does not define."""
    if data.startswith(wasm.HEADER):
        return sorted(
            {s.name for s in wasm.parse_object(data).symbols if not s.defined and s.name != "__stack_pointer"}
        )
    return sorted({s.name for s in parse_object(data).symbols if s.section == 0 and s.name})


class Kernel:
    """A compiled and loaded kernel of elements of ``types``, inputs then output."""

    def __init__(
        self, body: Body, types: Sequence[Attribute], target: Target, *, lanes: int, strict: bool = False
    ) -> None:
        self.data = object_of(body, types, target, lanes=lanes, strict=strict)
        self.library = Library.load(link_shared([parse_object(self.data)], exports=["f"]))
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(types), ctypes.c_int64, ctypes.c_int64)
        self.run = signature(self.library.address("f"))

    def __call__(self, *inputs: Array, dtype: Any = None) -> Array:
        """The function of arrays of one size; ``dtype`` is the result's, by default that of the first input."""
        size = inputs[0].size
        padded = -(-size // COUNT) * COUNT
        sources = [np.resize(a, padded) for a in inputs]
        result = np.empty(padded, dtype or inputs[0].dtype)
        for start in range(0, padded, COUNT):
            self.run(*(a[start : start + COUNT].ctypes.data for a in (*sources, result)), 0, 1)
        return result[:size]


def kernel_of(function: Function, name: str, target: Target, *, strict: bool = False) -> Kernel:
    """The kernel of a function on f32 or f64."""
    element, dtype = ELEMENTS[name]
    lanes = target.lanes(np.dtype(dtype).itemsize)
    return Kernel(function.body, [element] * (function.inputs + 1), target, lanes=lanes, strict=strict)


# --- errors


def samples(dtype: Any, count: int) -> Array:
    """Numbers of every sign and exponent, denser where functions bend, and the special ones."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    word = np.uint32 if dtype is np.float32 else np.uint64
    step = 2**info.bits // count
    bits = np.arange(count, dtype=word) * word(step) + rng.integers(0, step, count, dtype=word)
    ranges = [rng.uniform(-r, r, count // 4).astype(dtype) for r in (1, 5, 100, 0.7 * info.maxexp, 1e8)]
    ones = 1 + rng.uniform(-0.01, 0.01, count // 8).astype(dtype)
    return np.concatenate([bits.view(dtype), *ranges, ones, specials(dtype)])


def specials(dtype: Any) -> Array:
    """Zeros, infinities, NaN, ones, denormals, limits, and halves."""
    info = np.finfo(dtype)
    positive = [
        0,
        np.inf,
        1,
        info.tiny,
        info.smallest_subnormal,
        info.max,
        0.5,
        1.5,
        2,
        2.5,
        3,
        1 + info.eps,
        1 - info.eps,
    ]
    positive += [2.0**info.nmant, 2.0**info.nmant + 1, 2.0 ** (info.nmant - 1) + 0.5, 2.0 ** (info.nmant + 1)]
    return np.array([np.nan, *positive, *(-p for p in positive)], dtype)


def operands(function: Function, dtype: Any, count: int) -> tuple[Array, ...]:
    """Sample operands of a function."""
    x = samples(dtype, count)
    x = x[~(np.abs(x) > function.bound)]
    return (x,) if function.inputs == 1 else _pairs(x, dtype, count)


def _pairs(x: Array, dtype: Any, count: int) -> tuple[Array, Array]:
    """Pairs of numbers: any two, bases with exponents that keep the power in range, small integers, specials."""
    rng = np.random.default_rng(1)
    high = np.finfo(dtype).maxexp * np.log(2)
    bases = np.concatenate([np.abs(x), 1 + rng.uniform(-0.3, 0.45, count).astype(dtype)])
    with np.errstate(all="ignore"):
        exponents = (rng.uniform(-high, high, bases.size) / np.log(bases.astype(np.float64))).astype(dtype)
    integers = rng.integers(-20, 20, (2, count)).astype(dtype)
    grid = np.meshgrid(specials(dtype), specials(dtype))
    first = [x, bases, integers[0] * dtype(0.75), grid[0].ravel()]
    second = [rng.permutation(x), exponents, integers[1], grid[1].ravel()]
    return np.concatenate(first), np.concatenate(second)


def errors(got: Array, exact: Array, near_zero: float = 0.0) -> Array:
    """Distance from the exact values in units in the last place of ``got``'s type; infinite for a wrong special.

    The unit is at least that of ``near_zero``; where that is more than 0, zeros may have either sign.
    """
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        nearest = exact.astype(got.dtype)
        exponent = np.frexp(np.maximum(np.abs(exact), near_zero))[1] - info.nmant - 1
        lowest = int(info.minexp) - int(info.nmant)
        unit = np.ldexp(np.longdouble(1), np.clip(exponent, lowest, int(info.maxexp)))
        distance = np.abs(got.astype(np.longdouble) - exact) / unit
    same = (got == nearest) & np.isinf(nearest) | np.isnan(got) & np.isnan(exact)
    distance = np.where(same, 0, distance)
    wrong_zero = (near_zero == 0) & (exact == 0) & (np.signbit(got) != np.signbit(exact))
    return np.where(np.isnan(distance) | wrong_zero, np.inf, distance)


def measure(function: Function, name: str, target: Target, count: int) -> tuple[float, tuple[Array, ...]]:
    """The largest error over the samples, and the operands where it is."""
    inputs = operands(function, ELEMENTS[name][1], count)
    with np.errstate(all="ignore"):
        exact = function.reference(*(a.astype(np.longdouble) for a in inputs))
    found = errors(kernel_of(function, name, target)(*inputs), exact, function.near_zero)
    worst = int(np.argmax(found))
    return float(found[worst]), tuple(a[worst] for a in inputs)


# --- speed


def _aligned(dtype: Any) -> Array:
    size = COUNT * np.dtype(dtype).itemsize
    raw = np.empty(size + 4096, np.uint8)
    start = -raw.ctypes.data % 4096
    return raw[start : start + size].view(dtype)


def nanoseconds(call: Callable[[], object], repeats: int = 200) -> float:
    """The shortest time of a call, per element."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best / COUNT * 1e9


def speed(function: Function, name: str, target: Target) -> tuple[float, float]:
    """Nanoseconds per element, of the kernel and of NumPy."""
    dtype = ELEMENTS[name][1]
    rng = np.random.default_rng(0)
    buffers = [_aligned(dtype) for _ in range(function.inputs + 1)]
    for buffer in buffers:
        buffer[:] = rng.uniform(0.1, 0.9, COUNT)
    kernel = kernel_of(function, name, target)
    addresses = [b.ctypes.data for b in buffers]
    own = nanoseconds(lambda: kernel.run(*addresses, 0, 1))
    if not isinstance(function.reference, np.ufunc):
        return own, np.nan
    return own, nanoseconds(lambda: function.reference(*buffers[:-1], out=buffers[-1]), 20)


# --- the page

_INTRODUCTION = """\
# Accuracy of functions

<!-- Written by `python -m benchmarks.math_accuracy --write`. -->

Kernels call no mathematics library: every function is code of our own, the same on all targets. The table holds
the largest error in units in the last place (ULP) of the exact result, with and without fused multiply-add. It is
what the tests accept, on samples of all exponents and on the special values.

f16 and bf16 compute in f32 and round the result.

| function | f32 | f64 | for |
|---|---|---|---|
"""

_NOTES = """
- NaN propagates; infinities, zeros with their signs and denormal numbers are treated as C's Annex F asks. `pow` has
  all special cases of C's `pow`, `fmod` those of `fmod`.
- Overflow gives an infinity; results below the normal range are rounded to denormal numbers.
- `sin`, `cos` and `tan` of larger operands have an additional error in the operand of about its magnitude times
  2^-53; from 2^50 on only the bounds of the result are kept.
- The error of `gelu` below 1/16 is in units of 1/16: it is absolute there.
- An error of 0.5 is a correctly rounded result, 0 an operation that is exact.
"""


def page() -> str:
    """The text of the page."""
    rows: list[str] = []
    for f in FUNCTIONS:
        scope = "all operands" if np.isinf(f.bound) else f"operands up to 2^{int(np.log2(f.bound))}"
        rows.append(f"| `{f.name}` | {f.limits['f32']:g} | {f.limits['f64']:g} | {scope} |")
    return _INTRODUCTION + "\n".join(rows) + "\n" + _NOTES


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} and measure nothing")
    parser.add_argument("--target", default="native")
    parser.add_argument("--samples", type=int, default=1 << 17)
    parser.add_argument("functions", nargs="*", help="only these functions")
    options = parser.parse_args(arguments)
    if options.write:
        PAGE.write_text(page(), encoding="utf-8")
        return
    target = find_target(options.target)
    print(f"{'':10} {'':4} {'ULP':>6} {'limit':>6} {'ns/element':>11} {'NumPy':>7}   on {target.name}, {target.cpu}")
    for function in FUNCTIONS:
        if options.functions and function.name not in options.functions:
            continue
        for name, limit in function.limits.items():
            error, where = measure(function, name, target, options.samples)
            own, numpy = speed(function, name, target)
            at = ", ".join(f"{v:.9g}" for v in where)
            print(f"{function.name:10} {name:4} {error:6.3f} {limit:6g} {own:11.3f} {numpy:7.3f}   worst at {at}")


if __name__ == "__main__":
    main()
