"""How operators changed from one opset to the next: one row per incompatible change.

``STEPS[op, version]`` brings a node of ``op`` from just below ``version`` to ``version``. Changes that only
widen types, or add attributes and inputs whose absence means what it meant before, have no row; a test
compares this table with the history in ``onnx.defs``. Sources: the operators' change log
(https://github.com/onnx/onnx/blob/main/docs/Changelog.md) and, where that leaves a meaning open (the
sampling of ``Upsample`` and ``Resize`` before opset 11), the behaviour of ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from mlc.frontends.onnx.opset_edit import Edit

Step: TypeAlias = Callable[[Edit], None]


def to_inputs(**positions: int) -> Step:
    """Attributes become inputs: lists as int64 vectors, one integer as a vector of one, floats as input 0."""

    def step(edit: Edit) -> None:
        for name, index in positions.items():
            attribute = edit.take(name)
            if attribute is None or edit.input(index):
                continue
            value = edit.constant_of(attribute)
            if attribute.type == AttributeProto.INT:
                value = edit.emit("Unsqueeze", [value, edit.int64s(0)])
            if attribute.type == AttributeProto.FLOAT and edit.facts.types.get(edit.input(0)) != TensorProto.FLOAT:
                value = edit.emit("CastLike", [value, edit.input(0)])
            edit.set_input(index, value)

    return step


def without(*names: str) -> Step:
    """Attributes that say nothing about inference go."""

    def step(edit: Edit) -> None:
        for name in names:
            edit.take(name)

    return step


def default(name: str, value: float | str) -> Step:
    """The default of an attribute changed: say the old one."""
    return lambda edit: edit.put_default(name, value)


def both(*steps: Step) -> Step:
    """Several steps, in order."""

    def step(edit: Edit) -> None:
        for each in steps:
            each(edit)

    return step


def renamed(op: str) -> Step:
    """The operator has a new name."""

    def step(edit: Edit) -> None:
        edit.node.op_type = op

    return step


def legacy_broadcast(edit: Edit) -> None:
    """Before opset 7, input 1 was aligned at dim ``axis`` of input 0, and only if ``broadcast`` said so."""
    aligned, axis = edit.has("axis"), edit.take_value("axis", int, 0)
    if edit.take_value("broadcast", int, 0) and aligned:
        _align(edit, 1, axis)


def slope_per_channel(edit: Edit) -> None:
    """``PRelu``: a slope of rank 1 belonged to dim 1 of the input."""
    if edit.rank(edit.input(1)) in (None, 1):
        _align(edit, 1, 1)


def _align(edit: Edit, index: int, axis: int) -> None:
    """Append dims of extent 1 to an input, so that its first dim meets dim ``axis`` of input 0."""
    data, other = edit.input(0), edit.input(index)
    rank, inner = edit.rank(data), edit.rank(other)
    if rank is not None and inner is not None:
        extra = rank - (axis % rank if rank else 0) - inner
        if extra > 0:
            edit.set_input(index, edit.emit("Unsqueeze", [other, edit.int64s(*range(inner, inner + extra))]))
        return
    own = edit.emit("Shape", [edit.emit("Shape", [other])])
    end = edit.emit("Shape", [edit.emit("Shape", [data])]) if axis >= 0 else edit.int64s(0)
    extra_dims = edit.emit("Sub", [edit.emit("Sub", [end, edit.int64s(axis)]), own])
    kept = edit.emit("ConstantOfShape", [own], value=_tensor(0))
    ones = edit.emit("ConstantOfShape", [extra_dims], value=_tensor(1))
    shape = edit.emit("Concat", [kept, ones], axis=0)
    edit.set_input(index, edit.emit("Reshape", [other, shape]))


def _tensor(value: int) -> TensorProto:
    return TensorProto(data_type=TensorProto.INT64, dims=[1], int64_data=[value])


def over_flattened(edit: Edit) -> None:
    """Before opset 13, softmax and its kin worked on the matrix into which ``axis`` divides the dims."""
    axis, data = edit.take_value("axis", int, 1), edit.input(0)
    edit.put("axis", -1)
    rank = edit.rank(data)
    if axis == -1 or (rank is not None and axis == rank - 1):
        return
    edit.set_input(0, edit.emit("Flatten", [data], axis=axis))
    shape = edit.emit("Shape", [data])
    edit.then("Reshape", lambda made: [made, shape])


def per_activation(edit: Edit) -> None:
    """``BatchNormalization`` with ``spatial=0`` has statistics of shape [C, *S]: it is plain arithmetic."""
    if edit.take_value("spatial", int, 1):
        return
    data, scale, bias, mean, variance = (edit.input(index) for index in range(5))
    edit.trim_outputs(1, "the training output")
    epsilon = edit.constant(np.array(edit.take_value("epsilon", float, 1e-5), np.float32))
    deviation = edit.emit("Sqrt", [edit.emit("Add", [variance, edit.emit("CastLike", [epsilon, variance])])])
    normal = edit.emit("Div", [edit.emit("Sub", [data, mean]), deviation])
    edit.emit("Add", [edit.emit("Mul", [normal, scale]), bias], output=edit.node.output[0])
    edit.drop()


def only_first_output(what: str) -> Step:
    """Outputs that only training fills go; a model that uses them is refused."""
    return lambda edit: edit.trim_outputs(1, what)


def named_type(edit: Edit) -> None:
    """``Cast`` named its type by a string."""
    name = edit.take_value("to", bytes, b"")
    try:
        edit.put("to", TensorProto.DataType.Value(name.decode()))
    except ValueError:
        raise edit.invalid(f"no element type {name!r}") from None


def integral_power(edit: Edit) -> None:
    """The ``p`` of the Lp poolings was a float."""
    power = edit.take_value("p", float, 2.0)
    if not power.is_integer():
        raise edit.unsupported(f"p = {power} is no integer")
    edit.put("p", int(power))


def sampling_mode(edit: Edit) -> None:
    """``GridSample`` called its modes bilinear and bicubic."""
    mode = edit.take_value("mode", bytes, b"linear")
    edit.put("mode", {b"bilinear": b"linear", b"bicubic": b"cubic"}.get(mode, mode))


def per_group_to_per_channel(edit: Edit) -> None:
    """``GroupNormalization`` had scale and bias of shape [groups]; now [C]."""
    groups = edit.take_value("num_groups", int, 0)
    if groups < 1:
        raise edit.invalid("num_groups is missing")
    edit.put("num_groups", groups)
    channels = edit.emit("Shape", [edit.input(0)], start=1, end=2)
    each = edit.emit("Div", [channels, edit.int64s(groups)])
    shape = edit.emit("Concat", [edit.int64s(groups), each], axis=0)
    for index in (1, 2):
        column = edit.emit("Unsqueeze", [edit.input(index), edit.int64s(1)])
        edit.set_input(index, edit.emit("Reshape", [edit.emit("Expand", [column, shape]), edit.int64s(-1)]))


def scales_of_image(edit: Edit) -> None:
    """``Upsample`` scaled height and width only."""
    height, width = edit.take_value("height_scale", float, 0.0), edit.take_value("width_scale", float, 0.0)
    if not (height > 0 and width > 0):
        raise edit.invalid("height_scale or width_scale is missing")
    edit.put("scales", [1.0, 1.0, height, width])


def explicit_sampling(edit: Edit) -> None:
    """Before opset 11, ``Resize`` sampled from the corner: rounding down to enlarge, up to shrink."""
    scales = edit.input(1)
    edit.set_input(1, "")
    edit.set_input(2, scales)
    mode = edit.take_value("mode", bytes, b"nearest")
    edit.put("mode", b"linear" if mode == b"bilinear" else mode)
    edit.put("coordinate_transformation_mode", b"asymmetric")
    if mode != b"nearest":
        return
    values = edit.constant_value(scales)
    shrinks = values is not None and bool((values < 1).any())
    if shrinks and values is not None and (values > 1).any():
        raise edit.unsupported("nearest resizing that enlarges one dim and shrinks another, before opset 11")
    edit.put("nearest_mode", b"ceil" if shrinks else b"floor")


def absent_not_empty(edit: Edit) -> None:
    """``Resize`` marked unused roi and scales by empty tensors."""
    for index in (1, 2):
        value = edit.constant_value(edit.input(index))
        if value is not None and not value.size:
            edit.set_input(index, "")


def split_evenly(edit: Edit) -> None:
    """``Split`` without sizes must say into how many parts."""
    if not edit.input(1):
        edit.put("num_outputs", len(edit.node.output))


def repeats_per_dim(edit: Edit) -> None:
    """``Tile`` repeated one dim: inputs were tiles and axis, each of one element."""
    rank = edit.emit("Shape", [edit.emit("Shape", [edit.input(0)])])
    ones = edit.emit("ConstantOfShape", [rank], value=_tensor(1))
    tiles, axis = (
        edit.emit("Reshape", [edit.emit("Cast", [edit.input(index)], to=TensorProto.INT64), edit.int64s(-1)])
        for index in (1, 2)
    )
    edit.set_input(1, edit.emit("ScatterElements", [ones, axis, tiles], axis=0))
    del edit.node.input[2:]


def axis_to_scalar_input(edit: Edit) -> None:
    """``DFT`` has its axis as an input, and another default."""
    edit.set_input(2, edit.constant(np.array(edit.take_value("axis", int, 1), np.int64)))


def refuse(reason: str) -> Step:
    """No conversion exists."""

    def step(edit: Edit) -> None:
        raise edit.unsupported(reason, hint="export the model again with a newer opset")

    return step


def old_name(old: str, new: str) -> Step:
    """An attribute has a new name."""

    def step(edit: Edit) -> None:
        attribute = edit.take(old)
        if attribute is not None:
            attribute.name = new
            edit.node.attribute.append(attribute)

    return step


def needs(name: str) -> Step:
    """The attribute had no stated default, so it must be there."""

    def step(edit: Edit) -> None:
        if not edit.has(name):
            raise edit.invalid(f"attribute {name!r} is missing")

    return step


_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
_SOFTMAXES = ("Softmax", "LogSoftmax", "Hardmax")
_RECURRENT = ("RNN", "GRU", "LSTM")


def scan_batch(edit: Edit) -> None:
    """Before opset 9, a Scan ran for each entry of a batch, dim 0 of all operands: now a Scan around a Scan."""
    if edit.input(0):
        raise edit.unsupported("sequence lengths of Scan in opset 8 are not supported")
    inner = NodeProto()
    inner.CopyFrom(edit.node)
    directions = edit.take("directions")
    operands = list(edit.node.input[1:])
    inputs = [edit.facts.fresh(f"{name}.entry") for name in operands]
    outputs = [edit.facts.fresh(f"{name}.entry") for name in edit.node.output]
    del inner.input[:], inner.output[:], inner.attribute[:]
    inner.input.extend(inputs)
    inner.output.extend(outputs)
    inner.attribute.extend(edit.node.attribute)
    if directions is not None:
        inner.attribute.append(helper.make_attribute("scan_input_directions", list(directions.ints)))
    body = GraphProto(name="entry", node=[inner])
    body.input.extend(ValueInfoProto(name=name) for name in inputs)
    body.output.extend(ValueInfoProto(name=name) for name in outputs)
    del edit.node.input[:]
    edit.node.input.extend(operands)
    edit.put("body", body)
    edit.put("num_scan_inputs", len(operands))


STEPS: Final[dict[tuple[str, int], Step]] = {
    **{(op, 7): legacy_broadcast for op in _BROADCASTING},
    **{(f"Reduce{kind}", 18): to_inputs(axes=1) for kind in _REDUCTIONS},
    **{(op, 13): over_flattened for op in _SOFTMAXES},
    **{(op, 7): without("output_sequence") for op in _RECURRENT},
    ("BatchNormalization", 7): without("is_test"),
    ("BatchNormalization", 9): per_activation,
    ("BatchNormalization", 14): only_first_output("the training output"),
    ("Cast", 6): named_type,
    ("Clip", 11): to_inputs(min=1, max=2),
    ("Concat", 4): default("axis", 1),
    ("DFT", 20): axis_to_scalar_input,
    ("Dropout", 7): without("is_test"),
    ("Dropout", 10): only_first_output("the mask"),
    ("Dropout", 12): without("ratio"),
    ("Gemm", 7): without("broadcast"),
    ("GlobalLpPool", 2): integral_power,
    ("GridSample", 20): sampling_mode,
    ("GroupNormalization", 21): per_group_to_per_channel,
    ("LpPool", 2): both(integral_power, needs("kernel_shape")),
    ("PRelu", 7): slope_per_channel,
    ("Pad", 2): old_name("paddings", "pads"),
    ("Pad", 11): to_inputs(pads=1, value=2),
    ("ReduceSum", 13): to_inputs(axes=1),
    ("Reshape", 5): to_inputs(shape=1),
    ("Resize", 11): explicit_sampling,
    ("Resize", 13): absent_not_empty,
    ("RoiAlign", 16): default("coordinate_transformation_mode", "output_half_pixel"),
    ("Scan", 9): scan_batch,
    ("Scatter", 11): renamed("ScatterElements"),
    ("Selu", 6): both(default("alpha", 1.6732), default("gamma", 1.0507)),
    ("Slice", 10): to_inputs(starts=1, ends=2, axes=3),
    ("Split", 2): needs("axis"),
    ("Split", 13): to_inputs(split=1),
    ("Split", 18): split_evenly,
    ("Squeeze", 13): to_inputs(axes=1),
    ("Tile", 6): repeats_per_dim,
    ("TopK", 10): to_inputs(k=1),
    ("Unsqueeze", 13): to_inputs(axes=1),
    ("Upsample", 7): scales_of_image,
    ("Upsample", 9): to_inputs(scales=1),
    ("Upsample", 10): renamed("Resize"),
}
"""The incompatible changes of the default domain up to ``opset.INTERNAL_OPSET``."""
