"""hlt against ONNX's reference evaluator: reductions, scans, normalisations and attention."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.testing.hlt_reference import check, extents, few, normal, onnx_run, seeds, values_of

REDUCE = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


@given(seeds, st.sampled_from(list(REDUCE)), st.lists(extents, min_size=1, max_size=4), st.booleans(), st.data())
@few
def test_reduce(seed: int, kind: str, shape: list[int], keep: bool, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    x = normal(seed, *shape)
    op = hlt.ReduceOp(*values_of([x]), kind=kind, axes=axes, keep_dims=keep)
    check(op, [x], onnx_run(REDUCE[kind], [x, np.array(axes)], keepdims=int(keep)))


@given(seeds, st.sampled_from(["max", "min"]), st.booleans(), st.booleans(), st.integers(0, 2))
@few
def test_arg_reduce(seed: int, kind: str, keep: bool, last: bool, axis: int) -> None:
    x = np.random.default_rng(seed).integers(0, 3, (3, 4, 5)).astype(np.float32)
    op = hlt.ArgReduceOp(*values_of([x]), kind=kind, axis=axis, keep_dims=keep, last_index=last)
    op_type = {"max": "ArgMax", "min": "ArgMin"}[kind]
    check(op, [x], onnx_run(op_type, [x], axis=axis, keepdims=int(keep), select_last_index=int(last)))


@given(seeds, st.booleans(), st.booleans(), st.integers(0, 2))
@few
def test_scan(seed: int, exclusive: bool, reverse: bool, axis: int) -> None:
    x = normal(seed, 3, 1, 4)
    op = hlt.ScanOp(*values_of([x]), kind="sum", axis=axis, exclusive=exclusive, reverse=reverse)
    expected = onnx_run("CumSum", [x, np.array(axis)], exclusive=int(exclusive), reverse=int(reverse))
    check(op, [x], expected)


@given(seeds, st.integers(0, 4), st.booleans())
@few
def test_top_k(seed: int, k: int, largest: bool) -> None:
    x = np.random.default_rng(seed).permutation(12).reshape(3, 4).astype(np.float32)
    op = hlt.TopKOp(*values_of([x]), k=k, axis=1, largest=largest)
    check(op, [x], onnx_run("TopK", [x, np.array([k])], 2, axis=1, largest=int(largest)))


@pytest.mark.parametrize(("op_type", "log"), [("Softmax", False), ("LogSoftmax", True)])
@given(seeds, st.integers(0, 2))
@few
def test_softmax(op_type: str, log: bool, seed: int, axis: int) -> None:
    x = 10 * normal(seed, 3, 4, 5)
    check(hlt.SoftmaxOp(*values_of([x]), axis=axis, log=log), [x], onnx_run(op_type, [x], axis=axis))


@given(seeds, st.integers(0, 2), st.booleans())
@few
def test_layer_and_rms_norm(seed: int, axis: int, with_bias: bool) -> None:
    x = normal(seed, 2, 3, 4).astype(np.float32)
    scale, bias = (normal(seed + n, *x.shape[axis:]).astype(np.float32) for n in (1, 2))
    inputs = [x, scale, bias] if with_bias else [x, scale]
    op: hlt.HltOp = hlt.LayerNormOp(*values_of(inputs), axis=axis, epsilon=1e-3)
    expected = onnx_run("LayerNormalization", inputs, axis=axis, epsilon=1e-3)
    check(op, inputs, expected, 1e-5)
    op = hlt.RmsNormOp(*values_of([x, scale]), axis=axis, epsilon=1e-3)
    check(op, [x, scale], onnx_run("RMSNormalization", [x, scale], axis=axis, epsilon=1e-3), 1e-5)


@given(seeds, st.lists(extents, max_size=2), st.sampled_from([1, 2, 4]))
@few
def test_channel_norms(seed: int, spatial: list[int], size: int) -> None:
    x = normal(seed, 4, 4, *spatial)  # as many as channels: onnx.reference's LRN takes one for the other
    scale, bias, mean = (normal(seed + n, 4) for n in (1, 2, 3))
    variance = np.abs(normal(seed + 4, 4))
    inputs = [x, scale, bias, mean, variance]
    op: hlt.HltOp = hlt.BatchNormOp(*values_of(inputs), epsilon=1e-3)
    check(op, inputs, onnx_run("BatchNormalization", inputs, epsilon=1e-3), 1e-6)
    if len(spatial) == 2:
        op = hlt.LrnOp(*values_of([x]), size=size, alpha=0.3, beta=0.5, bias=2.0)
        check(op, [x], onnx_run("LRN", [x], size=size, alpha=0.3, beta=0.5, bias=2.0), 1e-6)
    if spatial:
        op = hlt.GroupNormOp(*values_of([x, scale, bias]), groups=4, epsilon=1e-3)
        check(op, [x, scale, bias], onnx_run("InstanceNormalization", [x, scale, bias], epsilon=1e-3), 1e-4)
        op = hlt.GroupNormOp(*values_of([x, scale, bias]), groups=size, epsilon=1e-3)
        expected = onnx_run("GroupNormalization", [x, scale, bias], num_groups=size, epsilon=1e-3)
        check(op, [x, scale, bias], expected, 1e-4)


@given(seeds, extents, extents, st.booleans())
@few
def test_attention(seed: int, queries: int, keys: int, masked: bool) -> None:
    q, k, v = normal(seed, 2, 3, queries, 4), normal(seed + 1, 2, 3, keys, 4), normal(seed + 2, 2, 3, keys, 5)
    mask = np.where(normal(seed + 3, 2, 1, queries, keys) > 0.5, -np.inf, 0.25)
    inputs = [q, k, v, mask] if masked else [q, k, v]
    op = hlt.AttentionOp(*values_of(inputs), scale=0.3)
    check(op, inputs, onnx_run("Attention", inputs, scale=0.3), 1e-6)


@given(seeds, extents)
@few
def test_causal_attention_on_a_square(seed: int, length: int) -> None:
    q, k, v = (normal(seed + n, 1, 2, length, 4) for n in range(3))
    op = hlt.AttentionOp(*values_of([q, k, v]), scale=0.5, causal=True)
    check(op, [q, k, v], onnx_run("Attention", [q, k, v], scale=0.5, is_causal=1), 1e-6)
