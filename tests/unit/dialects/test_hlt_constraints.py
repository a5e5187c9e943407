"""Every labelled constraint of ``hlt`` refuses what breaks it, from the constructor and from ``verify``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, Float8E8M0FNUType, IntegerType, StringAttr, TensorType, UnitAttr, f32, i64
from xdsl.dialects.test import TestOp as OpaqueOp
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.utils.exceptions import VerifyException

import mlc.dialects.hlt as hlt_package
from mlc.dialects import hlt
from mlc.dialects.hlt.base import fields_of
from mlc.dialects.hlt.layout import PhysicalDim
from mlc.dialects.weights_attr import WeightAttr

Make = Callable[[], object]


def value(*shape: int, dtype: Any = np.float32) -> SSAValue:
    return typed(hlt.tensor_type(shape, hlt.element_type(np.dtype(dtype))))


def typed(type_: Attribute) -> SSAValue:
    return OpaqueOp(result_types=[type_]).results[0]


def ints(*shape: int) -> SSAValue:
    return value(*shape, dtype=np.int64)


def bools(*shape: int) -> SSAValue:
    return value(*shape, dtype=np.bool_)


def nibbles(*shape: int) -> SSAValue:
    return typed(hlt.tensor_type(shape, IntegerType(4)))


def lstm(**changed: Any) -> hlt.LstmOp:
    """A sound LSTM of T = 5, B = 2, I = 3, H = 4 but for what is changed."""
    operands: dict[str, Any] = {"x": value(5, 2, 3), "w": value(1, 16, 3), "r": value(1, 16, 4)}
    return hlt.LstmOp(**(operands | changed))


def words(*shape: int) -> SSAValue:
    return value(*shape, dtype=np.int32)


def conv_words(**changed: Any) -> hlt.ConvWordsOp:
    """A sound convolution of words along one dim but for what is changed."""
    arguments: dict[str, Any] = {"x": words(1, 5, 2), "w": words(3, 2, 4), "strides": [1], "dilations": [1]}
    return hlt.ConvWordsOp(**(arguments | changed), parts="u8i8")


def attention(**changed: Any) -> hlt.AttentionOp:
    operands: dict[str, Any] = {"q": value(1, 2, 3, 4), "k": value(1, 2, 5, 4), "v": value(1, 2, 5, 6)}
    return hlt.AttentionOp(**(operands | changed), scale=1.0)


def resize(**changed: Any) -> hlt.ResizeOp:
    arguments: dict[str, Any] = {"x": value(1, 2), "shape": (1, 4)}
    return hlt.ResizeOp(**(arguments | changed))


def fusion(*inputs: SSAValue, body: Callable[[Block], object]) -> hlt.FusionOp:
    """A fusion of one argument; ``body`` fills the block and ends it."""
    block = Block(arg_types=[hlt.tensor_type((2,), f32)])
    body(block)
    return hlt.FusionOp(inputs, block)


def branch(*values: SSAValue, foreign: bool = False) -> Block:
    """A region's block that yields values from outside."""
    return Block([*([OpaqueOp()] if foreign else []), hlt.YieldOp(*values)])


def loop(*values: SSAValue, arguments: int = 1, **bounds: Any) -> hlt.LoopOp:
    """A loop that yields values from outside; its body takes so many counters."""
    body = Block(arg_types=[hlt.tensor_type((), i64)] * arguments)
    body.add_op(hlt.YieldOp(*values))
    return hlt.LoopOp(body, **bounds)


def with_another_limit() -> None:
    op = loop(value(2), limit=3)
    op.properties["limit"] = loop(limit=4).properties["limit"]
    op.verify()


def yielding_nothing_more(block: Block) -> None:
    block.add_op(hlt.YieldOp(*block.args))


def yielding_a_foreigner(block: Block) -> None:
    block.add_ops([other := OpaqueOp(result_types=[hlt.tensor_type((2,), f32)]), hlt.YieldOp(other)])


def yielding_another_type() -> None:
    op = fusion(value(2), body=yielding_nothing_more)
    op.body.block.erase_op(op.terminator)
    op.body.block.add_op(hlt.YieldOp())
    op.verify()


def conv(**changed: Any) -> hlt.ConvOp:
    arguments: dict[str, Any] = {"x": value(1, 4, 8), "w": value(6, 2, 3), "groups": 2}
    return hlt.ConvOp(**(arguments | changed))


def conv_transpose(**changed: Any) -> hlt.ConvTransposeOp:
    arguments: dict[str, Any] = {"x": value(1, 4, 8), "w": value(4, 3, 3), "groups": 2}
    return hlt.ConvTransposeOp(**(arguments | changed))


def c_call(symbol: str, operand: SSAValue, *parameters: Attribute) -> hlt.CallCOp:
    properties = {"symbol": StringAttr(symbol), "parameters": ArrayAttr(parameters)}
    return hlt.CallCOp.create(operands=[operand], result_types=[operand.type], properties=properties)


BROKEN: list[tuple[str, Make]] = [
    ("tensor_type", lambda: hlt.AbsOp(typed(f32))),
    ("static_shape", lambda: hlt.AbsOp(typed(TensorType(f32, [-1, 2])))),
    ("element_type", lambda: hlt.AbsOp(typed(TensorType(IntegerType(5), [2])))),
    ("element_type", lambda: hlt.CastOp(value(2), IntegerType(5))),
    ("element_type", lambda: hlt.IotaOp(shape=(2,), axis=0, dtype=IntegerType(5))),
    ("element_type", lambda: hlt.BitcastOp(value(2), IntegerType(5))),
    ("cast_target", lambda: hlt.CastOp(value(2), Float8E8M0FNUType())),
    ("bit_width", lambda: hlt.BitcastOp(value(2), i64)),
    ("bit_width", lambda: hlt.BitcastOp(bools(2), i64)),
    ("narrow_element_type", lambda: hlt.AbsOp(nibbles(2))),
    ("narrow_element_type", lambda: hlt.ReduceOp(nibbles(2), kind="max", axes=(0,))),
    ("numeric_element_type", lambda: hlt.IotaOp(shape=(2,), axis=0, dtype=IntegerType(4))),
    ("element_type", lambda: hlt.ConstantOp(np.zeros(2, np.complex64))),
    ("constant_size", lambda: hlt.ConstantOp(np.arange(17))),
    ("constant_value", lambda: hlt.ConstantOp(UnitAttr())),
    ("constant_type", lambda: hlt.ConstantOp(np.arange(2), hlt.tensor_type((3,), i64))),
    ("constant_type", lambda: hlt.ConstantOp(WeightAttr("w", "0" * 64))),
    ("weight_digest", lambda: WeightAttr("w", "0" * 63)),
    ("weight_digest", lambda: WeightAttr("w", "G" * 64)),
    ("same_shape", lambda: hlt.AddOp(value(2), value(3))),
    ("same_shape", lambda: hlt.AddOp(value(1), value())),
    ("same_shape", lambda: hlt.SelectOp(bools(2), value(2), value(3))),
    ("same_shape", lambda: hlt.SelectOp(bools(3), value(2), value(2))),
    ("same_element_type", lambda: hlt.AddOp(value(2), ints(2))),
    ("same_element_type", lambda: hlt.SelectOp(bools(2), value(2), ints(2))),
    ("same_element_type", lambda: hlt.ConcatOp([value(2), ints(2)], axis=0)),
    ("same_element_type", lambda: hlt.UpdateSliceOp(value(2), ints(1), ints(), axis=0)),
    ("same_element_type", lambda: hlt.LayerNormOp(value(2), ints(2), axis=0)),
    ("numeric_element_type", lambda: hlt.AddOp(bools(2), bools(2))),
    ("numeric_element_type", lambda: hlt.NegOp(bools(2))),
    ("numeric_element_type", lambda: hlt.DotGeneralOp(bools(2), bools(2), lhs_contract=[0], rhs_contract=[0])),
    ("numeric_element_type", lambda: hlt.ScanOp(bools(2), kind="sum", axis=0)),
    ("numeric_element_type", lambda: resize(x=bools(1, 2))),
    ("numeric_element_type", lambda: hlt.ScatterNdOp(bools(2), ints(1, 1), bools(1), reduction="add")),
    ("numeric_element_type", lambda: hlt.IotaOp(shape=(2,), axis=0, dtype=IntegerType(1))),
    ("bits_element_type", lambda: hlt.AndOp(value(2), value(2))),
    ("bits_element_type", lambda: hlt.NotOp(value(2))),
    ("integer_element_type", lambda: hlt.ShiftLeftOp(bools(2), bools(2))),
    ("float_element_type", lambda: hlt.ExpOp(ints(2))),
    ("float_element_type", lambda: hlt.IsNanOp(ints(2))),
    ("float_element_type", lambda: hlt.SoftmaxOp(ints(2), axis=0)),
    ("float_element_type", lambda: lstm(x=ints(5, 2, 3))),
    ("mode", lambda: hlt.RemOp(ints(2), ints(2), mode="round")),
    ("mode", lambda: hlt.PadOp(value(2), low=[1], high=[1], mode="mirror")),
    ("mode", lambda: resize(mode="area")),
    ("predicate", lambda: hlt.CompareOp(value(2), value(2), predicate="is")),
    ("approximate", lambda: hlt.GeluOp(value(2), approximate="erf")),
    ("reduction", lambda: hlt.ScatterNdOp(value(2), ints(1, 1), value(1), reduction="sub")),
    ("kind", lambda: hlt.ReduceOp(value(2), kind="median", axes=[0])),
    ("coordinates", lambda: resize(coordinates="corner")),
    ("nearest_mode", lambda: resize(nearest_mode="round")),
    ("direction", lambda: lstm(direction="backward")),
    ("activations", lambda: lstm(activations=["Sigmoid", "Tanh", "Swish"])),
    ("int_range", lambda: hlt.ReshapeOp(value(2), shape=(2**63,))),
    ("select_condition", lambda: hlt.SelectOp(value(2), value(2), value(2))),
    ("axis_range", lambda: hlt.ReverseOp(value(2), axes=[1])),
    ("axis_range", lambda: hlt.ConcatOp([value(2)], axis=-1)),
    ("axis_range", lambda: hlt.GatherOp(value(), ints(1), axis=0)),
    ("axis_range", lambda: hlt.UpdateSliceOp(value(2), value(1), ints(), axis=1)),
    ("axes_unique", lambda: hlt.ReduceOp(value(2, 2), kind="sum", axes=[0, 0])),
    ("broadcast_dims", lambda: hlt.BroadcastOp(value(2, 3), shape=(2, 3), dims=(1, 0))),
    ("broadcast_dims", lambda: hlt.BroadcastOp(value(2, 3), shape=(2, 3), dims=(0,))),
    ("broadcast_dims", lambda: hlt.BroadcastOp(value(2), shape=(2,), dims=(1,))),
    ("broadcast_extent", lambda: hlt.BroadcastOp(value(2), shape=(3,), dims=(0,))),
    ("reshape_count", lambda: hlt.ReshapeOp(value(2, 3), shape=(5,))),
    ("permutation", lambda: hlt.TransposeOp(value(2, 3), permutation=(0, 0))),
    ("attribute_length", lambda: hlt.SliceOp(value(2), starts=[0, 0], sizes=[1, 1])),
    ("attribute_length", lambda: hlt.ReduceWindowOp(value(2, 2), kind="max", window=[2])),
    ("attribute_length", lambda: conv(strides=(1, 1))),
    ("attribute_minimum", lambda: hlt.SliceOp(value(2), starts=[0], sizes=[1], strides=[0])),
    ("attribute_minimum", lambda: hlt.ReshapeOp(value(2), shape=(-1, -2))),
    ("attribute_minimum", lambda: conv(dilations=(0,))),
    ("slice_bounds", lambda: hlt.SliceOp(value(4), starts=[1], sizes=[3], strides=[2])),
    ("pad_source", lambda: hlt.PadOp(value(1), low=[1], high=[0], mode="reflect")),
    ("pad_source", lambda: hlt.PadOp(value(0), low=[1], high=[0], mode="edge")),
    ("concat_operands", lambda: hlt.ConcatOp([], axis=0)),
    ("concat_shape", lambda: hlt.ConcatOp([value(2, 2), value(2, 3)], axis=0)),
    ("concat_shape", lambda: hlt.ConcatOp([value(2), value(2, 2)], axis=0)),
    ("index_type", lambda: hlt.GatherOp(value(2), value(1), axis=0)),
    ("index_type", lambda: hlt.UpdateSliceOp(value(2), value(1), value(), axis=0)),
    ("index_shape", lambda: hlt.GatherElementsOp(value(2, 2), ints(2), axis=0)),
    ("index_shape", lambda: hlt.GatherElementsOp(value(2, 2), ints(2, 3), axis=0)),
    ("index_depth", lambda: hlt.GatherNdOp(value(2, 2), ints(1, 3))),
    ("index_depth", lambda: hlt.ScatterNdOp(value(2), ints(), value(2))),
    ("batch_dims", lambda: hlt.GatherNdOp(value(2, 2), ints(3, 1), batch_dims=1)),
    ("batch_dims", lambda: hlt.GatherNdOp(value(2), ints(2), batch_dims=1)),
    ("updates_shape", lambda: hlt.ScatterElementsOp(value(3), ints(2), value(3), axis=0)),
    ("updates_shape", lambda: hlt.ScatterNdOp(value(3, 2), ints(1, 1), value(1, 3))),
    ("update_shape", lambda: hlt.UpdateSliceOp(value(3, 2), value(3), ints(), axis=0)),
    ("update_shape", lambda: hlt.UpdateSliceOp(value(3, 2), value(1, 1), ints(), axis=0)),
    ("update_shape", lambda: hlt.UpdateSliceOp(value(3, 2), value(4, 2), ints(), axis=0)),
    ("start_rank", lambda: hlt.UpdateSliceOp(value(3, 2), value(1, 2), ints(1), axis=0)),
    ("dot_pairs", lambda: hlt.DotGeneralOp(value(2, 3), value(2, 4), lhs_contract=[1], rhs_contract=[0])),
    ("dot_pairs", lambda: hlt.DotGeneralOp(value(2, 3), value(3), lhs_contract=[1], rhs_contract=[])),
    ("words_element", lambda: hlt.WordsOp(ints(4))),
    ("words_element", lambda: hlt.WordsOp(value(4))),
    ("words_whole", lambda: hlt.WordsOp(value(2, 6, dtype=np.int8))),
    ("words_whole", lambda: hlt.WordsOp(value(dtype=np.uint8))),
    ("words_operand", lambda: hlt.DotWordsOp(ints(2, 3), words(3, 4), parts="u8i8")),
    ("words_operand", lambda: conv_words(w=ints(3, 2, 4))),
    ("dot_words_shape", lambda: hlt.DotWordsOp(words(2, 3), words(4, 3), parts="u8i8")),
    ("dot_words_shape", lambda: hlt.DotWordsOp(words(2, 3), words(3), parts="u8i8")),
    ("conv_words_shape", lambda: conv_words(w=words(3, 3, 4))),
    ("conv_words_shape", lambda: conv_words(w=words(0, 2, 4))),
    ("parts", lambda: hlt.DotWordsOp(words(2, 3), words(3, 4), parts="u4u4")),
    ("attribute_length", lambda: conv_words(strides=[1, 1])),
    ("attribute_minimum", lambda: conv_words(dilations=[0])),
    ("conv_rank", lambda: hlt.ConvOp(value(1, 4), value(2, 4))),
    ("conv_rank", lambda: conv(w=value(6, 2, 3, 3))),
    ("conv_channels", lambda: conv(groups=1)),
    ("conv_channels", lambda: conv_transpose(w=value(3, 3, 3))),
    ("conv_groups", lambda: conv(w=value(5, 2, 3))),
    ("conv_groups", lambda: conv(groups=0)),
    ("conv_groups", lambda: conv_transpose(groups=3)),
    ("kernel_extent", lambda: conv(w=value(6, 2, 0))),
    ("output_extent", lambda: conv_transpose(pads_low=(11,))),
    ("reduce_element_type", lambda: hlt.ReduceOp(bools(2), kind="sum", axes=[0])),
    ("reduce_element_type", lambda: hlt.ReduceOp(value(2), kind="any", axes=[0])),
    ("arg_extent", lambda: hlt.ArgReduceOp(value(2, 0), kind="max", axis=1)),
    ("top_k_range", lambda: hlt.TopKOp(value(2), k=3, axis=0)),
    ("channel_rank", lambda: hlt.LrnOp(value(2), size=3)),
    ("parameter_shape", lambda: hlt.LayerNormOp(value(2, 3), value(2), axis=1)),
    ("parameter_shape", lambda: hlt.BatchNormOp(value(2, 3), *[value(2)] * 4)),
    ("norm_groups", lambda: hlt.GroupNormOp(value(2, 3), value(3), value(3), groups=2)),
    ("lrn_size", lambda: hlt.LrnOp(value(1, 2), size=0)),
    ("attention_rank", lambda: attention(q=value(2, 3, 4))),
    ("attention_shape", lambda: attention(k=value(1, 2, 5, 3))),
    ("attention_shape", lambda: attention(v=value(1, 2, 4, 6))),
    ("mask_shape", lambda: attention(mask=value(1, 2, 3, 4))),
    ("mask_shape", lambda: attention(mask=value(3, 5))),
    ("mask_shape", lambda: attention(visible=bools(1, 2, 3, 4))),
    ("visible_element_type", lambda: attention(visible=value(1, 2, 3, 5))),
    ("resize_scales", lambda: resize(scales=(1.0, 0.0))),
    ("resize_source", lambda: resize(x=value(1, 0))),
    ("resize_roi", lambda: resize(coordinates="tf_crop_and_resize")),
    ("resize_roi", lambda: resize(roi=(0.0, 0.0, 1.0, 1.0))),
    ("recurrent_rank", lambda: lstm(x=value(5, 3))),
    ("recurrent_shape", lambda: lstm(w=value(1, 12, 3))),
    ("recurrent_shape", lambda: lstm(b=value(1, 16))),
    ("recurrent_shape", lambda: lstm(c0=value(1, 1, 4))),
    ("recurrent_directions", lambda: lstm(direction="bidirectional")),
    ("recurrent_lengths", lambda: lstm(lengths=value(2))),
    ("recurrent_lengths", lambda: lstm(lengths=ints(3))),
    ("activation_count", lambda: lstm(activations=["Tanh"])),
    ("activation_count", lambda: lstm(activation_alpha=[1.0])),
    ("fusion_yield", lambda: fusion(value(2), body=lambda block: None)),
    ("fusion_arguments", lambda: fusion(value(3), body=yielding_nothing_more).verify()),
    ("fusion_arguments", lambda: fusion(body=yielding_nothing_more).verify()),
    ("fusion_results", yielding_another_type),
    ("fusion_body", lambda: fusion(value(2), body=yielding_a_foreigner).verify()),
    ("control_yield", lambda: hlt.IfOp(bools(), Block(), branch())),
    ("control_body", lambda: hlt.IfOp(bools(), branch(foreign=True), branch()).verify()),
    ("if_condition", lambda: hlt.IfOp(bools(2), branch(), branch()).verify()),
    ("if_results", lambda: hlt.IfOp(bools(), branch(value(2)), branch()).verify()),
    ("loop_bound", lambda: loop().verify()),
    ("loop_bound", lambda: loop(limit=-1).verify()),
    ("loop_bound", lambda: loop(value(2), trips=ints())),
    ("loop_trips", lambda: loop(trips=ints(1)).verify()),
    ("loop_keep", lambda: loop(bools(), keep=ints()).verify()),
    ("loop_slices", lambda: loop(limit=3, arguments=2, slices=[ints(4)]).verify()),
    ("loop_slices", lambda: loop(limit=3, arguments=2, slices=[ints()]).verify()),
    ("loop_arguments", lambda: loop(ints(), limit=3, inits=[ints()]).verify()),
    ("loop_yield", lambda: loop(value(), limit=3, arguments=2, inits=[ints()]).verify()),
    ("loop_results", with_another_limit),
    ("layout_text", lambda: hlt.LayoutAttr("d0 e1")),
    ("layout_text", lambda: hlt.LayoutAttr("d0 d1", "d1:1")),
    ("layout_cover", lambda: hlt.LayoutAttr.of([PhysicalDim(1)])),
    ("layout_cover", lambda: hlt.LayoutAttr.of([PhysicalDim(0), PhysicalDim(0)])),
    ("layout_cover", lambda: hlt.LayoutAttr.of([PhysicalDim(0, 4), PhysicalDim(0, 8, inner=True)])),
    ("layout_cover", lambda: hlt.LayoutAttr.of([PhysicalDim(0, 4)])),
    ("layout_halo", lambda: hlt.LayoutAttr.of([PhysicalDim(0)], {1: (1, 1)})),
    ("c_symbol", lambda: c_call("f g", value(2)).verify()),
    ("c_element_type", lambda: c_call("f", typed(TensorType(Float8E8M0FNUType(), [2]))).verify()),
    ("c_parameter", lambda: c_call("f", value(2), UnitAttr()).verify()),
    ("result_type", lambda: hlt.AbsOp.create(operands=[value(2)], result_types=[TensorType(f32, [3])]).verify()),
]


@pytest.mark.parametrize(("label", "make"), BROKEN, ids=[f"{n}-{label}" for n, (label, _) in enumerate(BROKEN)])
def test_broken_constraint(label: str, make: Make) -> None:
    with pytest.raises(VerifyException, match=rf"\[{label}\] \S"):
        make()


def test_every_label_is_documented_and_broken_by_some_case() -> None:
    """The labels in the sources, and the names of the closed sets of words, are those of the table."""
    sources = "".join(path.read_text() for path in Path(str(hlt_package.__file__)).parent.glob("*.py"))
    labels = set(re.findall(r'(?:fail\(\s*|VerifyException\(f")["\[]+(\w+)', sources)) | {"weight_digest"}
    labels |= {field.name for op in hlt.OPERATIONS for field in fields_of(op).values() if hasattr(field, "words")}
    labels |= set(re.findall(r': "(\w+_element_type)"', sources))
    assert labels == {label for label, _ in BROKEN}
    reference = Path(__file__).parents[3] / "docs/reference/hlt.md"
    rows = reference.read_text().split("## Constraints")[1].splitlines()
    assert labels == {
        label for row in rows if row.startswith("| `") for label in re.findall("`(.*?)`", row.split("|")[1])
    }


def test_verify_refuses_what_the_constructor_refuses() -> None:
    op = hlt.AddOp(value(2), value(2))
    op.operands[1] = value(3)
    with pytest.raises(VerifyException, match=r"\[same_shape\]"):
        op.verify()
    op = hlt.ReduceOp(value(2), kind="sum", axes=[0])
    op.properties["kind"] = hlt.ReduceOp(value(2), kind="max", axes=[0]).properties["axes"]
    with pytest.raises(VerifyException):
        op.verify()


def test_a_refused_operation_leaves_no_use_behind() -> None:
    x = value(2)
    with pytest.raises(VerifyException):
        hlt.AddOp(x, value(3))
    assert not list(x.uses)
