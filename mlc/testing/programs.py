"""A Hypothesis strategy for programs: random, typed ``hlt`` graphs with inputs to run them on.

A program grows from one input by productions. Each takes a value, adds one or a few operations (and inputs) that fit
its type, and yields a new value; every value that nothing uses becomes a result. The productions keep values near 1
and are continuous, so that a compiled program may be compared with the reference in floating point: there is no
``log(x)`` but ``log(|x| + 1)``, no bare ``round`` or ``arg_max``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, FunctionType, ModuleOp, StringAttr, f32, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.interpreters import run_function
from mlc.testing import strategies

Array: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")

MAX_ELEMENTS = strategies.MAX_ELEMENTS


@dataclass(frozen=True)
class Program:
    """A module with one function ``@main``, and an array for each of its arguments."""

    module: ModuleOp
    inputs: tuple[Array, ...]

    def reference(self, *, widen: bool = False) -> tuple[Array, ...]:
        """What the program means on its inputs; with ``widen`` in float64 throughout."""
        return run_function(self.module, self.inputs, widen=widen)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{array.dtype}{list(array.shape)}" for array in self.inputs)
        return f"{self.module}\n// inputs: {shapes}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows a failing example; its own way would walk the IR's cyclic fields."""
        printer.text(repr(self))


@dataclass
class Builder:
    """A function body under construction; ``draw`` makes the choices."""

    draw: st.DrawFn
    block: Block = field(default_factory=Block)
    inputs: list[Array] = field(default_factory=list[Array])
    values: list[SSAValue] = field(default_factory=list[SSAValue])

    def choose(self, options: Sequence[T]) -> T:
        """One of ``options``; examples shrink towards the first."""
        return self.draw(st.sampled_from(options))

    def flag(self) -> bool:
        """True or false; examples shrink towards false."""
        return self.draw(st.booleans())

    def integer(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both included."""
        return self.draw(st.integers(low, high))

    def add(self, op: hlt.HltOp) -> SSAValue:
        """Append ``op`` and yield its first result."""
        self.block.add_op(op)
        return op.results[0]

    def constant(self, value: float, like: SSAValue) -> SSAValue:
        """A splat of the type of ``like``."""
        type_ = hlt.tensor(like)
        return self.add(hlt.ConstantOp.splat(value, hlt.tensor_type(type_.shape, type_.element)))

    def input(self, shape: Sequence[int], element: Attribute, array: Array | None = None) -> SSAValue:
        """One more argument of the function, fed with ``array`` or else with random numbers of deviation 1."""
        drawn = self.draw(strategies.arrays(shape, element)) if array is None else array
        self.inputs.append(drawn)
        return self.block.insert_arg(hlt.tensor_type(tuple(shape), element), len(self.block.args))

    def weight(self, shape: Sequence[int], element: Attribute, terms: int) -> SSAValue:
        """An argument such that sums of ``terms`` products with it stay near 1."""
        array = self.draw(strategies.arrays(shape, element, scale=1 / math.sqrt(max(1, terms))))
        return self.input(shape, element, array)

    def partner(self, x: SSAValue) -> SSAValue:
        """A value of the type of ``x``: an older one, a new input, a splat, or a smaller input broadcast."""
        type_ = hlt.tensor(x)
        same = [value for value in self.values if hlt.tensor(value) == type_]
        match self.choose(["old", "new", "splat", "broadcast"] if same else ["new", "splat", "broadcast"]):
            case "old":
                return self.choose(same)
            case "splat":
                return self.constant(self.choose([1, 2, 0, 3]), x)
            case "broadcast":
                dims = self.draw(st.lists(st.integers(0, max(0, type_.rank - 1)), max_size=type_.rank, unique=True))
                kept = sorted(dims) if type_.rank else []
                shape = [self.choose([type_.shape[dim], 1]) for dim in kept]
                small = self.input(shape, type_.element)
                return self.add(hlt.BroadcastOp(small, shape=type_.shape, dims=kept))
            case _:
                return self.input(type_.shape, type_.element)

    def finish(self) -> Program:
        """The module: values that nothing uses are its results."""
        results = [value for value in self.values if not value.uses.get_length()] or self.values[-1:]
        self.block.add_op(ReturnOp(*results))
        arguments, types = [arg.type for arg in self.block.args], [value.type for value in results]
        function = FuncOp(
            "main",
            FunctionType.from_lists(arguments, types),
            Region(self.block),
            arg_attrs=_names("x", len(arguments)),
            res_attrs=_names("y", len(types)),
        )
        return Program(ModuleOp([function]), tuple(self.inputs))


def _names(prefix: str, count: int) -> ArrayAttr[DictionaryAttr]:
    return ArrayAttr(DictionaryAttr({"hlt.name": StringAttr(f"{prefix}{index}")}) for index in range(count))


@dataclass(frozen=True)
class Production:
    """One way to grow a program: ``build`` applies to values whose type ``fits``."""

    family: str
    fits: Callable[[hlt.Tensor], bool]
    build: Callable[[Builder, SSAValue], SSAValue]


PRODUCTIONS: list[Production] = []
Fits: TypeAlias = Callable[[hlt.Tensor], bool]
Build: TypeAlias = Callable[[Builder, SSAValue], SSAValue]


def production(family: str, fits: Fits) -> Callable[[Build], Build]:
    """Decorator: adds a production to the table."""

    def register(build: Build) -> Build:
        PRODUCTIONS.append(Production(family, fits, build))
        return build

    return register


@st.composite
def programs(
    draw: st.DrawFn,
    max_steps: int = 6,
    elements: Sequence[Attribute] = (f32,),
    families: Sequence[str] | None = None,
    shapes: st.SearchStrategy[tuple[int, ...]] | None = None,
) -> Program:
    """A program of 1 to ``max_steps`` productions whose first input is of one of ``elements`` and of ``shapes``.

    ``families`` restricts the productions to some of `FAMILIES`.
    """
    builder = Builder(draw)
    shape = draw(strategies.shapes() if shapes is None else shapes)
    builder.values.append(builder.input(shape, draw(strategies.elements(elements))))
    allowed = [item for item in PRODUCTIONS if families is None or item.family in families]
    for _ in range(builder.integer(1, max_steps)):
        x = builder.choose(builder.values[::-1])
        fitting = [item for item in allowed if item.fits(hlt.tensor(x))]
        if fitting:
            builder.values.append(builder.choose(fitting).build(builder, x))
    return builder.finish()


def _size(x: hlt.Tensor) -> int:
    return math.prod(x.shape)


def _is_float(x: hlt.Tensor) -> bool:
    return hlt.is_float(x.element)


def _is_integer(x: hlt.Tensor) -> bool:
    return hlt.is_integer(x.element)


def _is_number(x: hlt.Tensor) -> bool:
    return not hlt.is_bool(x.element)


def _has_dims(x: hlt.Tensor) -> bool:
    return x.rank > 0


def _has_spatial_dims(x: hlt.Tensor) -> bool:
    return 3 <= x.rank <= 4


SMOOTH = (hlt.NegOp, hlt.AbsOp, hlt.TanhOp, hlt.SigmoidOp, hlt.ErfOp, hlt.SinOp, hlt.CosOp, hlt.AtanOp, hlt.GeluOp)
NEED_POSITIVE = (hlt.SqrtOp, hlt.LogOp, hlt.ReciprocalOp, hlt.RsqrtOp)


@production("elementwise", _is_float)
def smooth(b: Builder, x: SSAValue) -> SSAValue:
    return b.add(b.choose(SMOOTH)(x))


@production("elementwise", _is_float)
def of_positive(b: Builder, x: SSAValue) -> SSAValue:
    """``f(|x| + 1)`` for an f that wants positive numbers."""
    positive = b.add(hlt.AddOp(b.add(hlt.AbsOp(x)), b.constant(1, x)))
    return b.add(b.choose(NEED_POSITIVE)(positive))


@production("elementwise", _is_float)
def exponential(b: Builder, x: SSAValue) -> SSAValue:
    """``exp(min(x, 2))``."""
    return b.add(hlt.ExpOp(b.add(hlt.MinimumOp(x, b.constant(2, x)))))


@production("elementwise", _is_float)
def leaky_relu(b: Builder, x: SSAValue) -> SSAValue:
    """``x > 0 ? x : x / 8``."""
    positive = b.add(hlt.CompareOp(x, b.constant(0, x), predicate="gt"))
    return b.add(hlt.SelectOp(positive, x, b.add(hlt.MulOp(x, b.constant(0.125, x)))))


@production("elementwise", _is_float)
def quotient(b: Builder, x: SSAValue) -> SSAValue:
    """``x / (|y| + 1)``."""
    y = b.partner(x)
    return b.add(hlt.DivOp(x, b.add(hlt.AddOp(b.add(hlt.AbsOp(y)), b.constant(1, y)))))


@production("elementwise", _is_number)
def arithmetic(b: Builder, x: SSAValue) -> SSAValue:
    op = b.choose([hlt.AddOp, hlt.SubOp, hlt.MulOp, hlt.MaximumOp, hlt.MinimumOp])
    return b.add(op(*b.draw(st.permutations([x, b.partner(x)]))))


@production("elementwise", _is_integer)
def integer_arithmetic(b: Builder, x: SSAValue) -> SSAValue:
    op = b.choose([hlt.AndOp, hlt.OrOp, hlt.XorOp, hlt.DivOp, hlt.ShiftLeftOp, hlt.ShiftRightOp])
    return b.add(op(x, b.partner(x)))


@production("elementwise", lambda x: not _is_number(x))
def logic(b: Builder, x: SSAValue) -> SSAValue:
    return b.add(b.choose([hlt.AndOp, hlt.OrOp, hlt.XorOp])(x, b.partner(x)))


@production("shape", _has_dims)
def transpose(b: Builder, x: SSAValue) -> SSAValue:
    return b.add(hlt.TransposeOp(x, permutation=b.draw(st.permutations(range(hlt.tensor(x).rank)))))


@production("shape", lambda x: x.rank > 1)
def merge_dims(b: Builder, x: SSAValue) -> SSAValue:
    shape = hlt.shape_of(x)
    dim = b.integer(0, len(shape) - 2)
    return b.add(hlt.ReshapeOp(x, shape=(*shape[:dim], shape[dim] * shape[dim + 1], *shape[dim + 2 :])))


@production("shape", lambda x: 0 < x.rank < 5)
def split_dim(b: Builder, x: SSAValue) -> SSAValue:
    shape = hlt.shape_of(x)
    dim = b.integer(0, len(shape) - 1)
    factor = b.choose([factor for factor in range(1, shape[dim] + 1) if shape[dim] % factor == 0])
    return b.add(hlt.ReshapeOp(x, shape=(*shape[:dim], factor, shape[dim] // factor, *shape[dim + 1 :])))


@production("shape", _has_dims)
def crop(b: Builder, x: SSAValue) -> SSAValue:
    shape = hlt.shape_of(x)
    starts = [b.integer(0, extent - 1) for extent in shape]
    strides = [b.integer(1, 3) for _ in shape]
    most = [(extent - start - 1) // stride + 1 for extent, start, stride in zip(shape, starts, strides, strict=True)]
    return b.add(hlt.SliceOp(x, starts=starts, sizes=[b.integer(1, count) for count in most], strides=strides))


@production("shape", _has_dims)
def reverse(b: Builder, x: SSAValue) -> SSAValue:
    rank = hlt.tensor(x).rank
    return b.add(hlt.ReverseOp(x, axes=b.draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))))


@production("shape", lambda x: _has_dims(x) and 3 ** min(x.rank, 3) * _size(x) <= MAX_ELEMENTS and min(x.shape) > 1)
def pad(b: Builder, x: SSAValue) -> SSAValue:
    low, high = ([b.integer(0, 2) for _ in hlt.shape_of(x)] for _ in range(2))
    return b.add(hlt.PadOp(x, low=low, high=high, mode=b.choose(["constant", "edge", "reflect", "wrap"])))


@production("shape", lambda x: _has_dims(x) and 2 * _size(x) <= MAX_ELEMENTS)
def concatenate(b: Builder, x: SSAValue) -> SSAValue:
    return b.add(hlt.ConcatOp([x, b.partner(x)], axis=b.integer(0, hlt.tensor(x).rank - 1)))


@production("shape", lambda x: x.rank < 4 and 8 * _size(x) <= MAX_ELEMENTS)
def repeat(b: Builder, x: SSAValue) -> SSAValue:
    shape = hlt.shape_of(x)
    at = b.integer(0, len(shape))
    dims = [dim for dim in range(len(shape) + 1) if dim != at]
    return b.add(hlt.BroadcastOp(x, shape=(*shape[:at], b.choose([2, 8]), *shape[at:]), dims=dims))


@production("index", _has_dims)
def gather(b: Builder, x: SSAValue) -> SSAValue:
    shape = hlt.shape_of(x)
    axis = b.integer(0, len(shape) - 1)
    picked = np.array(b.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), min_size=1, max_size=8)), np.int64)
    return b.add(hlt.GatherOp(x, b.input(picked.shape, i64, picked), axis=axis))


@production("reduction", lambda x: _has_dims(x) and _is_number(x))
def reduce(b: Builder, x: SSAValue) -> SSAValue:
    kinds = ["sum", "max", "min", "mean"] if _is_float(hlt.tensor(x)) else ["sum", "max", "min"]
    axes = b.draw(st.lists(st.integers(0, hlt.tensor(x).rank - 1), min_size=1, unique=True))
    return b.add(hlt.ReduceOp(x, kind=b.choose(kinds), axes=axes, keep_dims=b.flag()))


@production("reduction", lambda x: _has_dims(x) and _is_number(x))
def scan(b: Builder, x: SSAValue) -> SSAValue:
    axis = b.integer(0, hlt.tensor(x).rank - 1)
    return b.add(hlt.ScanOp(x, kind=b.choose(["sum", "max"]), axis=axis, exclusive=False, reverse=b.flag()))


@production("reduction", lambda x: _has_spatial_dims(x) and _is_float(x))
def pool(b: Builder, x: SSAValue) -> SSAValue:
    spatial = hlt.shape_of(x)[2:]
    window = [b.integer(1, min(3, extent)) for extent in spatial]
    pads = [b.integer(0, extent - 1) for extent in window]
    return b.add(
        hlt.ReduceWindowOp(
            x,
            kind=b.choose(["max", "mean", "sum"]),
            window=(1, 1, *window),
            strides=(1, 1, *(b.integer(1, 2) for _ in spatial)),
            pads_low=(0, 0, *pads),
            pads_high=(0, 0, *pads),
            count_include_pad=b.flag(),
        )
    )


@production("normalization", lambda x: _has_dims(x) and _is_float(x))
def softmax(b: Builder, x: SSAValue) -> SSAValue:
    return b.add(hlt.SoftmaxOp(x, axis=b.integer(0, hlt.tensor(x).rank - 1), log=b.flag(), safe=b.flag()))


@production("normalization", lambda x: _has_dims(x) and _is_float(x))
def layer_norm(b: Builder, x: SSAValue) -> SSAValue:
    shape, element = hlt.tensor(x)
    axis = b.integer(0, len(shape) - 1)
    scale, bias = b.input(shape[axis:], element), b.input(shape[axis:], element)
    return b.add(hlt.LayerNormOp(x, scale, bias, axis=axis, epsilon=0.25))


@production("normalization", lambda x: _has_dims(x) and _is_float(x))
def rms_norm(b: Builder, x: SSAValue) -> SSAValue:
    shape, element = hlt.tensor(x)
    axis = b.integer(0, len(shape) - 1)
    return b.add(hlt.RmsNormOp(x, b.input(shape[axis:], element), axis=axis, epsilon=0.25))


@production("contraction", lambda x: _has_dims(x) and _is_float(x))
def matmul(b: Builder, x: SSAValue) -> SSAValue:
    """``x @ w`` over the last dim, for a new ``w: [K, N]`` or, batched, ``[B, K, N]``."""
    shape, element = hlt.tensor(x)
    depth, rows = shape[-1], math.prod(shape[:-1])
    columns = b.draw(strategies.extents(max(1, MAX_ELEMENTS // max(rows, depth))))
    batched = len(shape) > 2 and shape[0] * depth * columns <= MAX_ELEMENTS and b.flag()
    batch = (0,) if batched else ()
    w = b.weight((*shape[: len(batch)], depth, columns), element, depth)
    return b.add(
        hlt.DotGeneralOp(
            x, w, lhs_batch=batch, rhs_batch=batch, lhs_contract=(len(shape) - 1,), rhs_contract=(len(batch),)
        )
    )


@production("contraction", lambda x: _has_spatial_dims(x) and _is_float(x))
def convolution(b: Builder, x: SSAValue) -> SSAValue:
    (_, channels, *spatial), element = hlt.tensor(x)
    groups = b.choose([1, channels])
    kernel = [b.integer(1, min(3, extent)) for extent in spatial]
    per_group = b.draw(strategies.extents(max(1, 32 // groups)))
    terms = channels // groups * math.prod(kernel)
    w = b.weight((groups * per_group, channels // groups, *kernel), element, terms)
    pads = [b.integer(0, extent // 2) for extent in kernel]
    strides = [b.integer(1, 2) for _ in spatial]
    return b.add(hlt.ConvOp(x, w, strides=strides, pads_low=pads, pads_high=pads, groups=groups))


FAMILIES = tuple(dict.fromkeys(item.family for item in PRODUCTIONS))
"""elementwise, shape, index, reduction, normalization, contraction."""
