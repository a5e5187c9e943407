"""hlt against ONNX's reference evaluator: data movement, gathers and scatters."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.testing.hlt_reference import check, extents, few, many, normal, onnx_run, seeds, values_of


@given(st.lists(extents, min_size=1, max_size=4), st.data())
@few
def test_data_movement(shape: list[int], data: st.DataObject) -> None:
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    rank = len(shape)
    permutation = data.draw(st.permutations(range(rank)))
    op: hlt.HltOp = hlt.TransposeOp(*values_of([x]), permutation=permutation)
    check(op, [x], onnx_run("Transpose", [x], perm=permutation))

    starts = [data.draw(st.integers(0, extent - 1)) for extent in shape]
    ends = [data.draw(st.integers(start, extent)) for start, extent in zip(starts, shape)]
    steps = [data.draw(st.integers(1, 3)) for _ in shape]
    sizes = [-(-(end - start) // step) for start, end, step in zip(starts, ends, steps)]
    op = hlt.SliceOp(*values_of([x]), starts=starts, sizes=sizes, strides=steps)
    integers = [np.array(items) for items in (starts, ends, range(rank), steps)]
    check(op, [x], onnx_run("Slice", [x, *integers]))

    widths = [data.draw(st.integers(0, 2)) for _ in range(2 * rank)]
    modes = ["constant", "edge", "wrap", *(["reflect"] if min(shape) > 2 else [])]
    mode = data.draw(st.sampled_from(modes))
    op = hlt.PadOp(*values_of([x]), low=widths[:rank], high=widths[rank:], mode=mode, value=7.0)
    check(op, [x], onnx_run("Pad", [x, np.array(widths), np.array(7, x.dtype)], mode=mode))

    axis = data.draw(st.integers(0, rank - 1))
    op = hlt.ConcatOp(values_of([x, x]), axis=axis)
    check(op, [x, x], onnx_run("Concat", [x, x], axis=axis))

    target = [2, *(3 if extent == 1 else extent for extent in shape)]
    op = hlt.BroadcastOp(*values_of([x]), shape=target, dims=range(1, rank + 1))
    check(op, [x], onnx_run("Expand", [x, np.array(target)]))


@given(seeds, st.lists(extents, min_size=1, max_size=3), st.lists(extents, max_size=2), st.data())
@few
def test_gather(seed: int, shape: list[int], index_shape: list[int], data: st.DataObject) -> None:
    x = normal(seed, *shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    indices = np.random.default_rng(seed).integers(-shape[axis], shape[axis], index_shape)
    indices = np.asarray(indices, np.int64)
    check(hlt.GatherOp(*values_of([x, indices]), axis=axis), [x, indices], onnx_run("Gather", [x, indices], axis=axis))


@given(
    seeds, st.lists(extents, min_size=1, max_size=3), st.sampled_from(["none", "add", "mul", "max", "min"]), st.data()
)
@many
def test_elements_along_an_axis(seed: int, shape: list[int], reduction: str, data: st.DataObject) -> None:
    x, generator = normal(seed, *shape), np.random.default_rng(seed)
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = shape[axis] if reduction == "none" else data.draw(extents)
    index_shape = [*shape[:axis], count, *shape[axis + 1 :]]
    places = generator.integers(-shape[axis], shape[axis], index_shape)
    if reduction == "none":  # several writers to one place would leave the order open
        places = np.broadcast_to(generator.permutation(count), np.moveaxis(places, axis, -1).shape)
        places = np.ascontiguousarray(np.moveaxis(places, -1, axis))
    updates = normal(seed + 1, *index_shape)
    op: hlt.HltOp = hlt.GatherElementsOp(*values_of([x, places]), axis=axis)
    check(op, [x, places], onnx_run("GatherElements", [x, places], axis=axis))
    op = hlt.ScatterElementsOp(*values_of([x, places, updates]), axis=axis, reduction=reduction)
    expected = onnx_run("ScatterElements", [x, places, updates], axis=axis, reduction=reduction)
    check(op, [x, places, updates], expected)


@given(
    seeds, st.lists(extents, min_size=1, max_size=3), st.sampled_from(["none", "add", "mul", "max", "min"]), st.data()
)
@many
def test_elements_by_coordinates(seed: int, shape: list[int], reduction: str, data: st.DataObject) -> None:
    x, generator = normal(seed, *shape), np.random.default_rng(seed)
    depth = data.draw(st.integers(1, len(shape)))
    count = math.prod(shape[:depth]) if reduction == "none" else data.draw(extents)
    flat = (
        generator.permutation(count) if reduction == "none" else generator.integers(0, math.prod(shape[:depth]), count)
    )
    indices = np.stack(np.unravel_index(flat, shape[:depth]), -1).astype(np.int64)
    updates = normal(seed + 1, count, *shape[depth:])
    op: hlt.HltOp = hlt.GatherNdOp(*values_of([x, indices]))
    check(op, [x, indices], onnx_run("GatherND", [x, indices]))
    op = hlt.ScatterNdOp(*values_of([x, indices, updates]), reduction=reduction)
    expected = onnx_run("ScatterND", [x, indices, updates], reduction=reduction)
    check(op, [x, indices, updates], expected)


@given(seeds, st.lists(extents, min_size=1, max_size=3), st.data())
@few
def test_update_of_a_slice(seed: int, shape: list[int], data: st.DataObject) -> None:
    """ONNX writes it as a scatter to consecutive places."""
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = data.draw(st.integers(0, shape[axis]))
    start = data.draw(st.integers(0, shape[axis] - count))
    x, update = normal(seed, *shape), normal(seed + 1, *shape[:axis], count, *shape[axis + 1 :])
    line = np.arange(start, start + count).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    expected = onnx_run("ScatterElements", [x, np.broadcast_to(line, update.shape), update], axis=axis)
    for place in (start, start - (shape[axis] - count + 1)):
        arrays = [x, update, np.array(place)]
        check(hlt.UpdateSliceOp(*values_of(arrays), axis=axis), arrays, expected)


@given(seeds, extents, extents, extents)
@few
def test_gather_nd_with_batch_dims(seed: int, batch: int, extent: int, count: int) -> None:
    x = normal(seed, batch, extent, 2)
    indices = np.random.default_rng(seed).integers(-extent, extent, (batch, count, 1))
    op = hlt.GatherNdOp(*values_of([x, indices]), batch_dims=1)
    check(op, [x, indices], onnx_run("GatherND", [x, indices], batch_dims=1))
