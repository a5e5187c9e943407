"""Constants: what is stored for an array, and what is read back."""

from __future__ import annotations

from typing import Any, cast

import ml_dtypes
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, BytesAttr, ModuleOp, bf16, f32, i64
from xdsl.parser import Parser

from mlc.dialects import hlt
from mlc.dialects.hlt.constant import Dense, compact
from mlc.dialects.hlt.dtypes import ELEMENT_TYPES
from mlc.dialects.weights_attr import MLC, WeightAttr


def reread(op: hlt.ConstantOp) -> hlt.ConstantOp:
    """The constant after a trip through text."""
    context = Context()
    for dialect in (Builtin, hlt.HLT, MLC):
        context.load_dialect(dialect)
    module = Parser(context, str(ModuleOp([op]))).parse_module()
    module.verify()
    (again,) = module.ops
    assert isinstance(again, hlt.ConstantOp)
    assert again.value == op.value
    return again


def same_bits(left: np.ndarray[Any, Any] | None, right: np.ndarray[Any, Any]) -> bool:
    return left is not None and (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())


@pytest.mark.parametrize("element", ELEMENT_TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 0), (1, 16)], ids=str)
def test_arrays_read_back_bit_for_bit(element: Any, shape: tuple[int, ...]) -> None:
    dtype = hlt.numpy_dtype(element)
    array = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    op = hlt.ConstantOp(array)
    op.verify()
    assert op.result.type == hlt.tensor_type(shape, element)
    assert same_bits(hlt.constant_value(op), array)
    assert same_bits(hlt.constant_value(reread(op)), array)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_odd_floats_read_back_bit_for_bit(dtype: Any) -> None:
    info = cast(Any, ml_dtypes).finfo(dtype)
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, info.smallest_subnormal, info.max, info.eps], dtype)
    assert same_bits(hlt.constant_value(reread(hlt.ConstantOp(odd))), odd)
    assert same_bits(hlt.constant_value(reread(hlt.ConstantOp(odd[3:]))), odd[3:])


@pytest.mark.parametrize(
    "array",
    [
        np.full((3, 1000), -np.inf, np.float32),
        np.full((3, 1000), np.nan, np.float64),
        np.broadcast_to(np.float16(0.1), (10**6, 10**6)),
        np.ones((17, 2), np.bool_),
    ],
    ids=["inf", "nan", "view", "bool"],
)
def test_a_splat_is_one_element_whatever_its_shape(array: np.ndarray[Any, Any]) -> None:
    op = hlt.ConstantOp(array)
    assert len(cast(Dense, op.value).data.data) == array.itemsize
    value = hlt.constant_value(op)
    assert value is not None
    assert value.shape == array.shape
    assert value[0, 0].tobytes() == array[0, 0].tobytes()


def test_zeros_of_two_signs_are_no_splat() -> None:
    value = hlt.constant_value(hlt.ConstantOp(np.array([0.0, -0.0])))
    assert value is not None
    assert np.signbit(value).tolist() == [False, True]


def test_splat_casts_to_the_element_type() -> None:
    op = hlt.ConstantOp.splat(0.1, hlt.tensor_type((5, 9), bf16))
    assert same_bits(hlt.constant_value(op), np.full((5, 9), 0.1, ml_dtypes.bfloat16))


def test_a_full_length_splat_from_elsewhere_is_made_compact() -> None:
    stored = cast(Dense, hlt.ConstantOp(np.zeros(4, np.float32)).value)
    full = Dense(stored.type, BytesAttr(bytes(16)))
    assert compact(full) == stored
    assert hlt.ConstantOp(full).value == stored


def test_values_are_read_only() -> None:
    value = hlt.constant_value(hlt.ConstantOp(np.arange(3)))
    assert value is not None
    with pytest.raises(ValueError, match="read-only"):
        value[0] = 1


def test_a_weight_is_a_reference() -> None:
    op = hlt.ConstantOp(WeightAttr('conv "1"', "0123456789abcdef" * 4), hlt.tensor_type((64, 3), f32))
    assert hlt.constant_value(op) is None
    assert reread(op).result.type == op.result.type


def test_only_dense_constants_have_a_value() -> None:
    assert hlt.constant_value(hlt.IotaOp(shape=(3,), axis=0, dtype=i64)) is None


@pytest.mark.parametrize("element", ELEMENT_TYPES, ids=str)
def test_element_types_and_dtypes_are_one_to_one(element: Any) -> None:
    assert hlt.element_type(hlt.numpy_dtype(element)) == element
