"""TfIdfVectorizer: how often each n-gram of a pool occurs in rows of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Array, Value


@onnx_op("TfIdfVectorizer")
def tf_idf_vectorizer(b: Builder, node: Node) -> Value:
    """Counts (TF), whether there is any (IDF) or both, times weights: rows ``[N, length]`` to ``[N, columns]``."""
    x, mode = node.input(0), node.string("mode", choices=("TF", "IDF", "TFIDF"))
    if "pool_strings" in node.attributes:
        raise node.unsupported("n-grams of strings")
    if x.rank not in (1, 2) or hlt.is_float(hlt.element_type(x.dtype)):
        raise node.invalid(f"rows of numbers are {x.dtype} of shape {list(x.shape)}")
    rows = b.cast(x if x.rank == 2 else b.reshape(x, (1, *x.shape)), np.int64)
    columns = np.asarray(node.ints("ngram_indexes"), np.int64)
    pools = _pools(node)
    if sum(map(len, pools)) != len(columns) or not len(columns) or columns.min() < 0:
        raise node.invalid(f"{len(columns)} columns for {sum(map(len, pools))} n-grams")
    counts = b.concat([_counts(b, node, rows, size, pool) for size, pool in enumerate(pools, 1)], 1)
    width = int(columns.max()) + 1
    node.bounded(len(columns) * width, "the place of each n-gram")
    place = b.constant((columns[:, None] == np.arange(width)).astype(np.float32))
    result = b.matmul(b.cast(counts, np.float32), place)
    if mode == "IDF":
        result = b.cast(b.compare("gt", result, 0.0), np.float32)
    weights = node.floats("weights", ())
    if mode != "TF" and weights:
        if len(weights) != len(columns):
            raise node.invalid(f"{len(weights)} weights for {len(columns)} n-grams")
        by_column = np.zeros(width, np.float32)
        by_column[columns] = weights
        result = b.mul(result, b.constant(by_column))
    return result if x.rank == 2 else b.reshape(result, (width,))


def _pools(node: Node) -> list[Array]:
    """The n-grams ``[count, n]`` for n = 1, 2, ..."""
    pool = np.asarray(node.ints("pool_int64s"), np.int64)
    starts = [*node.ints("ngram_counts"), len(pool)]
    found: list[Array] = []
    for size, (start, end) in enumerate(itertools.pairwise(starts), 1):
        if not 0 <= start <= end <= len(pool) or (end - start) % size:
            raise node.invalid(f"{end - start} numbers from {start} on are no {size}-grams")
        found.append(pool[start:end].reshape(-1, size))
    return found


def _counts(b: Builder, node: Node, rows: Value, size: int, pool: Array) -> Value:
    """``[N, len(pool)]``: occurrences of n-grams of one size, items up to ``max_skip_count`` apart."""
    low, high = node.int("min_gram_length"), node.int("max_gram_length")
    skips = range(1, (1 if size == 1 else node.int("max_skip_count") + 1) + 1)
    reaches = [skip for skip in skips if skip * (size - 1) < rows.shape[1]]
    if not low <= size <= high or not reaches or not len(pool):
        return b.full((rows.shape[0], len(pool)), 0, np.int32)
    return reduce(b.add, (_matches(b, rows, pool, skip) for skip in reaches))


def _matches(b: Builder, rows: Value, pool: Array, skip: int) -> Value:
    """How many places of each row hold each n-gram, its items ``skip`` apart."""
    count, size = pool.shape
    places = rows.shape[1] - skip * (size - 1)
    shape = (rows.shape[0], count, places)
    hits: Sequence[Value] = [
        b.compare(
            "eq",
            b.broadcast_to(b.slice_axis(rows, 1, item * skip, places), shape, (0, 2)),
            b.broadcast_to(b.constant(pool[:, item]), shape, (1,)),
        )
        for item in range(size)
    ]
    every = reduce(lambda x, y: b.elementwise(hlt.AndOp, x, y), hits)
    return b.reduce("sum", b.cast(every, np.int32), (2,))
