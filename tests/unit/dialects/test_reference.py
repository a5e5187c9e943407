"""The reference interpreter: roundings, corner cases, and whole functions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType, bf16, f16, f32, f64, i1, i8, i32, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.dialects.test import TestOp as OpaqueOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import ui8, ui64
from mlc.dialects.interpreters import evaluate, numerics, run_function
from mlc.dialects.interpreters.numerics import exact_matmul, round_to
from mlc.dialects.weights_attr import WeightAttr
from mlc.errors import InternalError, ModelError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]


def values_of(*arrays: Array) -> list[SSAValue]:
    types = [hlt.tensor_type(array.shape, hlt.element_type(array.dtype)) for array in arrays]
    return list(OpaqueOp(result_types=types).results)


def run(op_class: Any, *arrays: Array, **attributes: Any) -> Array:
    """The one result of an operation on arrays."""
    (result,) = evaluate(op_class(*values_of(*arrays), **attributes), arrays)
    return result


# Roundings


def nearest_even(exact: Fraction, dtype: Any) -> Any:
    """The candidate of ``dtype`` nearest to ``exact``, found among all its finite positive values."""
    bits = np.arange(2 ** (8 * np.dtype(dtype).itemsize - 1), dtype=np.uint16)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        finite = bits[np.isfinite(bits.view(dtype))]
    candidates = finite.view(dtype).astype(np.float64)
    place = int(np.searchsorted(candidates, float(exact)))
    near = range(max(0, place - 2), min(len(finite), place + 2))
    best = min(near, key=lambda at: (abs(Fraction(candidates[at]) - exact), int(finite[at]) & 1))
    return finite[best : best + 1].view(dtype)[0]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@given(st.integers(0, 2**14), st.sampled_from([0, 2**-30, -(2**-30), 2**-12]))
@settings(max_examples=60)
def test_one_rounding_to_sixteen_bits(dtype: Any, pattern: int, nudge: float) -> None:
    """Halfway points of the narrow type, and doubles just beside them."""
    low, high = np.array([pattern, pattern + 1], np.uint16).view(dtype).astype(np.float64)
    middle = (low + high) / 2 * (1 + nudge)
    assert round_to(np.array([middle]), np.dtype(dtype))[0] == nearest_even(Fraction(middle), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_round_once(dtype: Any, number: int) -> None:
    array = np.array([number], np.int64)
    rounded = numerics.cast(array, np.dtype(dtype))
    info = cast(Any, ml_dtypes).finfo(dtype)
    if np.isinf(rounded[0]):
        assert abs(number) >= float(info.max) * (1 + float(info.eps) / 4)
    else:
        assert 2 * abs(int(float(rounded[0])) - number) <= abs(number) * float(info.eps)


@pytest.mark.parametrize("sign", [1, -1])
def test_large_integers_do_not_round_twice(sign: int) -> None:
    """Just above halfway between two floats of 24 bits, by less than a double of 53 bits can tell."""
    number = sign * (2**62 + 2**38 + 1)
    assert int(numerics.cast(np.array([number]), np.dtype(np.float32))[0]) == sign * (2**62 + 2**39)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (i8, [-128, 127, 0, 1, -1, -128, 127]),
        (ui8, [0, 255, 0, 1, 0, 0, 255]),
        (i64, [-(2**63), 2**63 - 1, 0, 1, -1, -(2**63), 2**63 - 1]),
        (ui64, [0, 2**64 - 1, 0, 1, 0, 0, 2**64 - 1]),
        (i1, [True, True, True, True, True, True, True]),
    ],
    ids=["i8", "ui8", "i64", "ui64", "i1"],
)
def test_floats_to_integers_truncate_and_saturate(element: Attribute, expected: list[int]) -> None:
    x = np.array([-np.inf, np.inf, np.nan, 1.9, -1.9, -1e30, 1e30], np.float32)
    assert run(hlt.CastOp, x, dtype=element).tolist() == expected


def test_integers_to_integers_wrap() -> None:
    assert run(hlt.CastOp, np.array([300, -1, 128]), dtype=i8).tolist() == [44, -1, -128]
    assert run(hlt.CastOp, np.array([True, False]), dtype=bf16).tolist() == [1.0, 0.0]


@given(st.sampled_from([np.int8, np.int32, np.int64, np.uint8, np.uint64]), st.integers(0, 2**32 - 1))
def test_integer_products_are_exact_modulo_their_width(dtype: Any, seed: int) -> None:
    info = np.iinfo(dtype)
    lhs = np.random.default_rng(seed).integers(info.min, info.max, (2, 5), dtype, endpoint=True)
    rhs = np.random.default_rng(seed + 1).integers(info.min, info.max, (5, 3), dtype, endpoint=True)
    exact = lhs.astype(object) @ rhs.astype(object)
    wrapped = [[int(item) % 2**info.bits for item in row] for row in exact]
    assert (exact_matmul(lhs, rhs).astype(dtype).astype(object) % 2**info.bits).tolist() == wrapped


@pytest.mark.parametrize("batch", [(), (3,)])
def test_small_products_of_float32_add_their_terms_in_order(batch: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    lhs = generator.standard_normal((*batch, 4, 64)).astype(np.float32)
    rhs = generator.standard_normal((64, 5)).astype(np.float32)
    terms = lhs[..., :, :, None] * rhs
    assert np.array_equal(exact_matmul(lhs, rhs), np.add.accumulate(terms, axis=-2)[..., -1, :])


def test_products_of_nothing_are_zero() -> None:
    assert exact_matmul(np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)).tolist() == [[0.0] * 3] * 2


# Corner cases of operations


def test_integer_division_truncates_and_knows_zero() -> None:
    x, y = np.array([7, -7, 7, -7, 5, -128], np.int8), np.array([2, 2, -2, -2, 0, -1], np.int8)
    assert run(hlt.DivOp, x, y).tolist() == [3, -3, -3, 3, 0, -128]
    assert run(hlt.RemOp, x, y).tolist() == [1, -1, 1, -1, 0, 0]
    assert run(hlt.RemOp, x, y, mode="floor").tolist() == [1, 1, -1, -1, 0, 0]


def test_integer_powers() -> None:
    x, y = np.array([2, 2, -1, -1, 1, 0, 3], np.int32), np.array([10, -1, -3, -2, -5, -1, 0], np.int32)
    assert run(hlt.PowOp, x, y).tolist() == [1024, 0, -1, 1, 1, 0, 1]


def test_shifts_beyond_the_width() -> None:
    x, y = np.array([-4, -4, 3, 3], np.int8), np.array([1, 9, 7, -1], np.int8)
    assert run(hlt.ShiftRightOp, x, y).tolist() == [-2, -1, 0, 0]
    assert run(hlt.ShiftLeftOp, x, y).tolist() == [-8, 0, -128, 0]


def test_comparisons_with_nan() -> None:
    x, y = np.array([np.nan, 1.0]), np.array([np.nan, 1.0])
    results = {name: run(hlt.CompareOp, x, y, predicate=name).tolist() for name in ("eq", "ne", "le", "gt")}
    assert results == {"eq": [False, True], "ne": [True, False], "le": [False, True], "gt": [False, False]}


def test_maximum_and_minimum_propagate_nan() -> None:
    x, y = np.array([np.nan, 1.0]), np.array([0.0, np.nan])
    assert np.isnan(run(hlt.MaximumOp, x, y)).all()
    assert np.isnan(run(hlt.MinimumOp, x, y)).all()


def test_the_tail_of_gelu_keeps_its_digits() -> None:
    assert run(hlt.GeluOp, np.array([-10.0]))[0] == pytest.approx(-7.619853024160593e-23, rel=1e-12)


def test_sigmoid_does_not_overflow() -> None:
    assert run(hlt.SigmoidOp, np.array([-1000.0, 1000.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("kind", "empty"), [("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf)])
def test_an_empty_reduction_is_the_identity(kind: str, empty: float) -> None:
    assert run(hlt.ReduceOp, np.zeros((2, 0)), kind=kind, axes=(1,)).tolist() == [empty, empty]


def test_without_axes_nothing_is_reduced() -> None:
    assert run(hlt.ReduceOp, np.array([1, 2]), kind="sum", axes=()).tolist() == [1, 2]


def test_logical_reductions_and_integer_means() -> None:
    x = np.array([[True, False], [True, True]])
    assert run(hlt.ReduceOp, x, kind="any", axes=(1,)).tolist() == [True, True]
    assert run(hlt.ReduceOp, x, kind="all", axes=(1,)).tolist() == [False, True]
    assert run(hlt.ReduceOp, np.array([-3, -4], np.int8), kind="mean", axes=(0,)).tolist() == -3


def test_small_integers_sum_in_their_own_width() -> None:
    assert run(hlt.ReduceOp, np.full(3, 100, np.int8), kind="sum", axes=(0,)) == 44
    assert run(hlt.ScanOp, np.full(3, 100, np.int8), kind="sum", axis=0).tolist() == [100, -56, 44]


@pytest.mark.parametrize(("kind", "expected"), [("prod", [1, 2, 6]), ("max", [-(2**63), 2, 3])])
def test_exclusive_scans_start_from_the_identity(kind: str, expected: list[int]) -> None:
    assert run(hlt.ScanOp, np.array([2, 3, 1]), kind=kind, axis=0, exclusive=True).tolist() == expected


def test_sorting_is_stable_and_nan_is_largest() -> None:
    x = np.array([1.0, np.nan, 0.0, 1.0, 0.0])
    ascending = evaluate(hlt.SortOp(*values_of(x), axis=0), [x])[1]
    descending = evaluate(hlt.SortOp(*values_of(x), axis=0, descending=True), [x])[1]
    assert ascending.tolist() == [2, 4, 0, 3, 1]
    assert descending.tolist() == [1, 0, 3, 2, 4]


def windowed(kind: str, include: bool) -> list[float]:
    """Windows of 2 at stride 2 over one pad, three cells, one pad and one overhanging cell."""
    options = {"window": [2], "strides": [2], "pads_low": [1], "pads_high": [1], "overhang": [1]}
    return run(hlt.ReduceWindowOp, np.array([1.0, 2, 4]), kind=kind, count_include_pad=include, **options).tolist()


def test_what_a_window_counts() -> None:
    assert windowed("sum", False) == [1.0, 6.0, 0.0]
    assert windowed("max", False) == [1.0, 4.0, -np.inf]
    assert windowed("mean", False) == [1.0, 3.0, 0.0]
    assert windowed("mean", True) == [0.5, 3.0, 0.0]


def test_attention_without_a_visible_key_is_zero() -> None:
    q, k, v = np.ones((1, 1, 3, 2)), np.ones((1, 1, 2, 2)), np.array([[[[1.0], [3.0]]]])
    causal = run(hlt.AttentionOp, q, k, v, scale=1.0, causal=True)
    assert causal.ravel().tolist() == [0.0, 1.0, 2.0]
    op = hlt.AttentionOp(*values_of(q, k, v, np.full((1, 1, 1, 1), -np.inf)), scale=1.0)
    assert not evaluate(op, [q, k, v, np.full((1, 1, 1, 1), -np.inf)])[0].any()


def test_what_keys_hold_that_are_not_visible_does_not_matter() -> None:
    q, v = np.ones((1, 1, 2, 2)), np.array([[[[1.0], [3.0], [5.0]]]])
    k, mask = np.array([[[[1.0, 1], [1, 1], [np.nan, np.inf]]]]), np.array([[[[0.0, 0, np.nan]]]])
    visible = np.array([[[[True, True, False], [False, False, False]]]])
    op = hlt.AttentionOp(*values_of(q, k, v, mask, visible), scale=1.0)
    assert evaluate(op, [q, k, v, mask, visible])[0].ravel().tolist() == [2.0, 0.0]


def test_a_safe_softmax_of_hidden_elements_is_zero() -> None:
    x = np.array([[-np.inf, -np.inf], [-np.inf, 4.0], [np.nan, -np.inf]])
    np.testing.assert_array_equal(run(hlt.SoftmaxOp, x, axis=1, safe=True), [[0, 0], [0, 1], [np.nan, np.nan]])
    logarithms = run(hlt.SoftmaxOp, x[:2], axis=1, safe=True, log=True)
    np.testing.assert_array_equal(logarithms, [[-np.inf, -np.inf], [-np.inf, 0]])


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_range_names_the_node(index: int) -> None:
    x, indices = np.zeros(3), np.array([0, index])
    with pytest.raises(ModelError, match=rf"hlt\.gather: \[index_range\] index {index} into 3 elements"):
        run(hlt.GatherOp, x, indices, axis=0)


def test_a_foreign_operation_is_an_internal_error() -> None:
    with pytest.raises(InternalError, match="no reference meaning"):
        evaluate(OpaqueOp(), [])


# Whole functions


def program(arguments: list[Attribute], build: Any) -> ModuleOp:
    """A module with ``main``; ``build`` returns the operations and the results."""
    block = Block(arg_types=arguments)
    ops, results = build(*block.args)
    block.add_ops([*ops, ReturnOp(*results)])
    type_ = FunctionType.from_lists(arguments, [result.type for result in results])
    return ModuleOp([FuncOp("main", type_, Region(block))])


def third_of(element: Attribute) -> ModuleOp:
    """x / 3 * 3 by way of ``element``."""

    def build(x: SSAValue) -> tuple[list[Operation], list[SSAValue]]:
        three = hlt.ConstantOp.splat(3.0, hlt.tensor_type((1,), f32))
        third = hlt.DivOp(x, three)
        narrow = hlt.CastOp(third, element)
        wide = hlt.CastOp(narrow, f32)
        return [three, third, narrow, wide], [wide.result]

    return program([hlt.tensor_type((1,), f32)], build)


@pytest.mark.parametrize(
    ("element", "widened"),
    [(f32, 1 / 3), (f64, 1 / 3), (f16, float(np.float16(1 / 3))), (bf16, float(ml_dtypes.bfloat16(1 / 3)))],
)
def test_widening_rounds_at_narrow_casts_alone(element: Attribute, widened: float) -> None:
    one = np.ones(1, np.float32)
    (plain,) = run_function(third_of(element), [one])
    (wide,) = run_function(third_of(element), [one], widen=True)
    assert (plain.dtype, wide.dtype) == (np.float32, np.float64)
    assert wide[0] == widened
    assert plain[0] == np.float32(widened)


def test_widening_keeps_integers() -> None:
    def build(x: SSAValue) -> tuple[list[Operation], list[SSAValue]]:
        op = hlt.CastOp(x, i32)
        return [op], [op.result]

    module = program([hlt.tensor_type((1,), f32)], build)
    (result,) = run_function(module, [np.array([2.9])], widen=True)
    assert (result.dtype, result[0]) == (np.int32, 2)


def test_weights_come_from_the_store() -> None:
    weight = WeightAttr("w", "0" * 64)

    def build(x: SSAValue) -> tuple[list[Operation], list[SSAValue]]:
        constant = hlt.ConstantOp(weight, hlt.tensor_type((2,), f32))
        total = hlt.AddOp(x, constant)
        return [constant, total], [total.result]

    def store(attr: WeightAttr, type_: TensorType[Any]) -> Array:
        assert (attr, type_.get_shape()) == (weight, (2,))
        return np.array([10, 20], np.float32)

    module = program([hlt.tensor_type((2,), f32)], build)
    x = np.array([1, 2], np.float32)
    assert run_function(module, [x], weights=store)[0].tolist() == [11, 22]
    assert run_function(module, [x], weights=store, widen=True)[0].dtype == np.float64
    with pytest.raises(UsageError, match="no weight store"):
        run_function(module, [x])


def test_observers_see_every_operation_in_order() -> None:
    seen: list[tuple[str, list[float]]] = []

    def observe(op: Operation, results: tuple[Array, ...]) -> None:
        seen.append((op.name, results[0].tolist()))

    run_function(third_of(f64), [np.array([6.0], np.float32)], observe=observe)
    assert seen == [("hlt.constant", [3.0]), ("hlt.div", [2.0]), ("hlt.cast", [2.0]), ("hlt.cast", [2.0])]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "0 inputs are given, the function takes 1"),
        ([np.zeros(2, np.float32)], r"input 0 is float32\[2\], must be tensor<1xf32>"),
        ([np.zeros(1, np.int32)], "input 0 is int32"),
        ([np.zeros(1, np.float64)], "input 0 is float64"),
    ],
)
def test_inputs_are_checked(inputs: list[Array], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_function(third_of(f64), inputs)


def test_a_module_needs_a_main() -> None:
    with pytest.raises(ModelError, match="no function @main"):
        run_function(ModuleOp([]), [])
