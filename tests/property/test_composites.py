"""Composites are recognised in every spelling that exporters use, and keep the meaning."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import FunctionType, ModuleOp, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.interpreters import run_function
from mlc.registry import make_context, parse_passes
from mlc.verifier import verify

Array = np.ndarray[Any, Any]

BEFORE = "fold-constants,canonicalize,reorder,eliminate-common"


class Builder:
    """A function under construction; numbers stand for splats."""

    def __init__(self, *shapes: Sequence[int]) -> None:
        self.block = Block(arg_types=[hlt.tensor_type(tuple(shape), f32) for shape in shapes])

    @property
    def args(self) -> tuple[SSAValue, ...]:
        return tuple(self.block.args)

    def __call__(self, cls: Callable[..., Operation], *operands: SSAValue | float, **fields: Any) -> SSAValue:
        like = next(operand for operand in operands if isinstance(operand, SSAValue))
        values = [v if isinstance(v, SSAValue) else self.full(v, like) for v in operands]
        op = cls(*values, **fields)
        self.block.add_op(op)
        return op.results[0]

    def full(self, value: float, like: SSAValue) -> SSAValue:
        op = hlt.ConstantOp.splat(value, hlt.tensor_type(hlt.shape_of(like), f32))
        self.block.add_op(op)
        return op.result

    def spread(self, x: SSAValue, like: SSAValue) -> SSAValue:
        """``x``, of the rank of ``like``, or of its last dims, at the shape of ``like``."""
        shape = hlt.shape_of(like)
        rank = len(hlt.shape_of(x))
        return self(hlt.BroadcastOp, x, shape=shape, dims=range(len(shape) - rank, len(shape)))

    def mean(self, x: SSAValue) -> SSAValue:
        return self.spread(self.reduced("mean", x), x)

    def reduced(self, kind: str, x: SSAValue, axis: int = -1) -> SSAValue:
        return self(hlt.ReduceOp, x, kind=kind, axes=(axis % len(hlt.shape_of(x)),), keep_dims=True)

    def module(self, result: SSAValue) -> ModuleOp:
        self.block.add_op(ReturnOp(result))
        types = FunctionType.from_lists([a.type for a in self.block.args], [result.type])
        return ModuleOp([FuncOp("main", types, Region(self.block))])


def check(module: ModuleOp, expected: type[Operation] | None, tolerance: float = 1e-6) -> Sequence[Operation]:
    """Recognise composites; ``expected`` is the one operation of its class that must be found, and kept meaning."""
    rng = np.random.default_rng(7)
    function = module.body.block.first_op
    assert isinstance(function, FuncOp)
    inputs = [rng.standard_normal(hlt.shape_of(arg)).astype(np.float32) for arg in function.body.block.args]
    before = run_function(module, inputs, widen=True)
    context = make_context()
    for each in parse_passes(f"{BEFORE},recognize-composites"):
        each.apply(context, module)
        verify(module)
    np.testing.assert_allclose(run_function(module, inputs, widen=True)[0], before[0], rtol=tolerance, atol=tolerance)
    composites = (hlt.GeluOp, hlt.SoftmaxOp, hlt.LayerNormOp, hlt.RmsNormOp, hlt.AttentionOp)
    found = [op for op in module.walk() if isinstance(op, composites)]
    assert [type(op) for op in found] == ([] if expected is None else [expected])
    return found


def muls(b: Builder, factors: Sequence[SSAValue | float], nested_left: bool) -> SSAValue:
    """The product of ``factors`` in order, associated to the left or to the right."""
    factors = list(factors)
    if not nested_left:
        factors.reverse()
    product = factors[0]
    for factor in factors[1:]:
        if not isinstance(product, SSAValue) and not isinstance(factor, SSAValue):
            product = product * factor
        else:
            product = b(hlt.MulOp, product, factor) if nested_left else b(hlt.MulOp, factor, product)
    assert isinstance(product, SSAValue)
    return product


@pytest.mark.parametrize("divide", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations("xhe")))
def test_gelu_erf(order: tuple[str, ...], left: bool, divide: bool) -> None:
    b = Builder((3, 5))
    (x,) = b.args
    u = b(hlt.DivOp, x, math.sqrt(2)) if divide else b(hlt.MulOp, math.sqrt(0.5), x)
    curve = b(hlt.AddOp, 1.0, b(hlt.ErfOp, u))
    product = muls(b, [{"x": x, "h": 0.5, "e": curve}[name] for name in order], left)
    (gelu,) = check(b.module(product), hlt.GeluOp)
    assert isinstance(gelu, hlt.GeluOp)
    assert gelu.approximate == "none"


@pytest.mark.parametrize("cube", ["pow", "mul", "square", "drawn_out"])
@pytest.mark.parametrize("left", [False, True])
def test_gelu_tanh(cube: str, left: bool) -> None:
    b = Builder((3, 5))
    (x,) = b.args
    k = math.sqrt(2 / math.pi)
    match cube:
        case "pow":
            inner = b(hlt.MulOp, k, b(hlt.AddOp, x, b(hlt.MulOp, 0.044715, b(hlt.PowOp, x, 3.0))))
        case "mul":
            inner = b(hlt.MulOp, b(hlt.AddOp, b(hlt.MulOp, muls(b, [x, x, x], left), 0.044715), x), k)
        case "square":
            square = b(hlt.MulOp, x, x)
            inner = b(hlt.MulOp, k, b(hlt.AddOp, x, b(hlt.MulOp, b(hlt.MulOp, 0.044715, x), square)))
        case _:
            sum_ = b(hlt.AddOp, 1.0, b(hlt.MulOp, 0.044715, b(hlt.MulOp, x, x)))
            inner = b(hlt.MulOp, b(hlt.MulOp, x, k), sum_)
    curve = b(hlt.AddOp, b(hlt.TanhOp, inner), 1.0)
    (gelu,) = check(b.module(muls(b, [0.5, x, curve], left)), hlt.GeluOp)
    assert isinstance(gelu, hlt.GeluOp)
    assert gelu.approximate == "tanh"


def test_no_gelu_with_another_constant() -> None:
    b = Builder((3, 5))
    (x,) = b.args
    curve = b(hlt.AddOp, 1.0, b(hlt.ErfOp, b(hlt.MulOp, 0.7, x)))
    check(b.module(muls(b, [0.5, x, curve], True)), None)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("log", [False, True])
def test_softmax(axis: int, shifted: bool, log: bool) -> None:
    b = Builder((3, 5, 4))
    (x,) = b.args
    y = b(hlt.SubOp, x, b.spread(b.reduced("max", x, axis), x)) if shifted else x
    exponential = b(hlt.ExpOp, y)
    total = b.reduced("sum", exponential, axis)
    if log:
        result = b(hlt.SubOp, y, b.spread(b(hlt.LogOp, total), x))
    else:
        result = b(hlt.DivOp, exponential, b.spread(total, x))
    (softmax,) = check(b.module(result), hlt.SoftmaxOp)
    assert isinstance(softmax, hlt.SoftmaxOp)
    assert (softmax.axis, softmax.log, softmax.x is x) == (axis, log, True)


def inverse(b: Builder, x: SSAValue, biased: SSAValue, how: str) -> SSAValue:
    """``x / sqrt(biased)``, where ``biased`` has extent 1 in the last dim."""
    match how:
        case "sqrt":
            return b(hlt.DivOp, x, b.spread(b(hlt.SqrtOp, biased), x))
        case "pow":
            return b(hlt.DivOp, x, b.spread(b(hlt.PowOp, biased, 0.5), x))
        case "rsqrt":
            return b(hlt.MulOp, x, b.spread(b(hlt.RsqrtOp, biased), x))
        case "reciprocal":
            return b(hlt.MulOp, b.spread(b(hlt.ReciprocalOp, b(hlt.SqrtOp, biased)), x), x)
        case _:
            return b(hlt.MulOp, x, b.spread(b(hlt.DivOp, 1.0, b(hlt.SqrtOp, biased)), x))


INVERSES = ("sqrt", "pow", "rsqrt", "reciprocal", "one_over")


@pytest.mark.parametrize("how", INVERSES)
@pytest.mark.parametrize("square", ["mul", "pow", "twice"])
@pytest.mark.parametrize("parameters", ["none", "scale", "both"])
def test_layer_norm(how: str, square: str, parameters: str) -> None:
    b = Builder((2, 3, 8), (8,), (8,))
    x, scale, bias = b.args
    centred = b(hlt.SubOp, x, b.mean(x))
    other = b(hlt.SubOp, x, b.mean(x)) if square == "twice" else centred
    squares = b(hlt.PowOp, other, 2.0) if square == "pow" else b(hlt.MulOp, other, other)
    result = inverse(b, centred, b(hlt.AddOp, b.reduced("mean", squares), 1e-5), how)
    if parameters != "none":
        result = b(hlt.MulOp, result, b.spread(scale, x))
    if parameters == "both":
        result = b(hlt.AddOp, b.spread(bias, x), result)
    (norm,) = check(b.module(result), hlt.LayerNormOp)
    assert isinstance(norm, hlt.LayerNormOp)
    assert (norm.axis, norm.x, norm.epsilon) == (2, x, pytest.approx(1e-5))
    assert norm.scale is (None if parameters == "none" else scale)
    assert norm.bias is (bias if parameters == "both" else None)


@pytest.mark.parametrize("how", INVERSES)
@pytest.mark.parametrize("scaled", [False, True])
def test_rms_norm(how: str, scaled: bool) -> None:
    b = Builder((2, 3, 8), (8,))
    x, scale = b.args
    result = inverse(b, x, b(hlt.AddOp, 1e-6, b.reduced("mean", b(hlt.MulOp, x, x))), how)
    if scaled:
        result = b(hlt.MulOp, b.spread(scale, x), result)
    (norm,) = check(b.module(result), hlt.RmsNormOp)
    assert isinstance(norm, hlt.RmsNormOp)
    assert (norm.x, norm.scale) == (x, scale if scaled else None)


def test_no_norm_over_a_middle_axis() -> None:
    b = Builder((2, 3, 8))
    (x,) = b.args
    variance = b.reduced("mean", b(hlt.MulOp, x, x), 1)
    check(b.module(b(hlt.DivOp, x, b.spread(b(hlt.SqrtOp, b(hlt.AddOp, variance, 1e-5)), x))), None)


SCALES: dict[str, Callable[[Builder, SSAValue], SSAValue]] = {
    "none": lambda b, x: x,
    "mul": lambda b, x: b(hlt.MulOp, x, 0.3),
    "div": lambda b, x: b(hlt.DivOp, x, 3.0),
}


@pytest.mark.parametrize("where", ["q", "k", "both", "scores"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("mask", [None, (2, 1, 1, 7), (5, 7), (2, 3, 5, 7)])
@pytest.mark.parametrize("guarded", [False, True])
def test_attention(where: str, scale: str, mask: tuple[int, ...] | None, guarded: bool) -> None:
    """Heads split off [B, S, H * D] by reshape and transpose, as every exporter does."""
    b = Builder((2, 5, 12), (2, 7, 12), (2, 7, 12), mask or (1,))
    q, k, v = (heads(b, x, permutation) for x, permutation in zip(b.args, [(0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)]))
    apply = SCALES[scale]
    q = apply(b, q) if where in ("q", "both") else q
    k = apply(b, k) if where in ("k", "both") else k
    fields = {"lhs_batch": (0, 1), "rhs_batch": (0, 1), "lhs_contract": (3,), "rhs_contract": (2,)}
    scores = b(hlt.DotGeneralOp, q, k, **fields)
    scores = apply(b, scores) if where == "scores" else scores
    if mask is not None:
        scores = b(hlt.AddOp, scores, b.spread(b.args[3], scores) if mask != (2, 3, 5, 7) else b.args[3])
    weights = b(hlt.SoftmaxOp, scores, axis=3)
    if guarded:
        weights = b(hlt.SelectOp, b(hlt.IsNanOp, weights), b.full(0.0, weights), weights)
    (attention,) = check(b.module(b(hlt.DotGeneralOp, weights, v, **fields)), hlt.AttentionOp)
    assert isinstance(attention, hlt.AttentionOp)
    factor = {"none": 1.0, "mul": 0.3, "div": 1 / 3}[scale]
    assert attention.scale == pytest.approx(factor**2 if where == "both" else factor)
    assert (attention.mask is None) == (mask is None)


def heads(b: Builder, x: SSAValue, permutation: Sequence[int]) -> SSAValue:
    batch, length, width = hlt.shape_of(x)
    split = b(hlt.ReshapeOp, x, shape=(batch, length, 3, width // 3))
    return b(hlt.TransposeOp, split, permutation=permutation)


def test_attention_of_one_batch_dim() -> None:
    b = Builder((6, 5, 4), (6, 7, 4), (6, 7, 4))
    q, k, v = b.args
    scores = b(hlt.DotGeneralOp, q, k, lhs_batch=(0,), rhs_batch=(0,), lhs_contract=(2,), rhs_contract=(2,))
    weights = b(hlt.SoftmaxOp, scores, axis=2)
    result = b(hlt.DotGeneralOp, weights, v, lhs_batch=(0,), rhs_batch=(0,), lhs_contract=(2,), rhs_contract=(1,))
    check(b.module(result), hlt.AttentionOp)


def test_no_attention_when_the_weights_are_used_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    b = Builder((5, 4), (7, 4), (7, 4))
    q, k, v = b.args
    weights = b(hlt.SoftmaxOp, b(hlt.DotGeneralOp, q, k, lhs_contract=(1,), rhs_contract=(1,)), axis=1)
    result = b(hlt.DotGeneralOp, weights, v, lhs_contract=(1,), rhs_contract=(0,))
    b.block.add_op(ReturnOp(result, weights))
    types = FunctionType.from_lists([a.type for a in b.args], [result.type, weights.type])
    module = ModuleOp([FuncOp("main", types, Region(b.block))])
    for each in parse_passes("recognize-composites{explain=true}"):
        each.apply(make_context(), module)
    assert not [op for op in module.walk() if isinstance(op, hlt.AttentionOp)]
    assert "hlt.dot_general: no attention: the weights are used elsewhere" in capsys.readouterr().err
