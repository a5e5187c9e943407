"""Matrix products, Einstein sums and determinants."""

from __future__ import annotations

import math

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.einsum import einsum
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Value


def checked_matmul(b: Builder, node: Node, x: Value, y: Value) -> Value:
    """``numpy.matmul``; ModelError for shapes that don't fit."""
    if not x.rank or not y.rank:
        raise node.invalid(f"can't multiply shapes {list(x.shape)} and {list(y.shape)}")
    rows = y.shape[-2] if y.rank > 1 else y.shape[0]
    if x.shape[-1] != rows:
        raise node.invalid(f"inner dims of {list(x.shape)} and {list(y.shape)} differ")
    return b.matmul(x, y)


@onnx_op("MatMul")
def matmul(b: Builder, node: Node) -> Value:
    return checked_matmul(b, node, node.input(0), node.input(1))


@onnx_op("FusedMatMul", domain=MICROSOFT)
def fused_matmul(b: Builder, node: Node) -> Value:
    """``alpha * x @ y``, either operand with its first dim moved before the last, and the last two swapped, first."""
    x, y = (_prepared(b, node, node.input(index), side) for index, side in enumerate("AB"))
    return scaled(b, checked_matmul(b, node, x, y), node.float("alpha", 1.0))


def _prepared(b: Builder, node: Node, x: Value, side: str) -> Value:
    """An operand as its attributes transBatch and trans say."""
    if node.bool(f"transBatch{side}", False) and x.rank > 2:
        x = b.transpose(x, (*range(1, x.rank - 1), 0, x.rank - 1))
    return _swap_last(b, x) if node.bool(f"trans{side}", False) else x


def _swap_last(b: Builder, x: Value) -> Value:
    if x.rank < 2:
        return x
    return b.transpose(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))


def scaled(b: Builder, x: Value, factor: float) -> Value:
    """``factor * x``."""
    return x if factor == 1 else b.mul(x, factor)


@onnx_op("Gemm")
def gemm(b: Builder, node: Node) -> Value:
    """``alpha * A' B' + beta * C``."""
    product = scaled(b, gemm_product(b, node, node.input(0), node.input(1)), node.float("alpha", 1.0))
    c, beta = node.optional(2), node.float("beta", 1.0)
    if c is None or beta == 0:
        return product
    return b.add(product, b.broadcast_to(scaled(b, c, beta), product.shape))


def gemm_product(b: Builder, node: Node, x: Value, y: Value) -> Value:
    """``A' B'``: a transposed operand is a choice of contracted dim, not a transpose."""
    if x.rank != 2 or y.rank != 2:
        raise node.invalid(f"A {list(x.shape)} and B {list(y.shape)} must be matrices")
    contract = (0 if node.bool("transA", False) else 1), (1 if node.bool("transB", False) else 0)
    if x.shape[contract[0]] != y.shape[contract[1]]:
        raise node.invalid(f"inner dims of A {list(x.shape)} and B {list(y.shape)} differ")
    return b.dot_general(x, y, contract=((contract[0],), (contract[1],)))


@onnx_op("Einsum")
def import_einsum(b: Builder, node: Node) -> Value:
    try:
        return einsum(b, node.string("equation"), node.variadic())
    except ValueError as error:
        raise node.invalid(str(error)) from error


DETERMINANT_LIMIT = 64
"""The most rows of a matrix whose determinant is computed: every column takes a few operations."""


@onnx_op("Det")
def determinant(b: Builder, node: Node) -> Value:
    """The product of the pivots of Gaussian elimination with row exchanges, of ``[*, n, n]``."""
    x = node.input(0)
    if x.rank < 2 or x.shape[-1] != x.shape[-2]:
        raise node.invalid(f"the determinant of {list(x.shape)}, which is not square")
    n, lead = x.shape[-1], x.shape[:-2]
    if n > DETERMINANT_LIMIT:
        raise node.unsupported(f"the determinant of {n} rows; at most {DETERMINANT_LIMIT} are eliminated")
    rows = b.reshape(x, (math.prod(lead), n, n))
    result = b.full((rows.shape[0],), 1.0, x.dtype)
    for _ in range(n):
        rows, pivot, exchanged = _eliminated(b, rows)
        signed = b.select(exchanged, b.op(hlt.NegOp, pivot), pivot)
        result = b.mul(result, signed)
    return b.reshape(result, lead)


def _eliminated(b: Builder, rows: Value) -> tuple[Value, Value, Value]:
    """``[B, n, n]`` without its first column and the row of the pivot, the pivot, and whether rows changed places."""
    batch, n, _ = rows.shape
    column = b.op(hlt.AbsOp, b.squeeze(b.slice_axis(rows, 2, 0, 1), (2,)))
    where = b.op(hlt.ArgReduceOp, column, kind="max", axis=1, keep_dims=False, last_index=False)
    best = b.op(hlt.GatherElementsOp, rows, b.broadcast_to(where, (batch, 1, n), (0,)), axis=1)
    pivot = b.reshape(b.slice_axis(best, 2, 0, 1), (batch,))
    taken = b.compare("eq", b.iota(rows.shape, 1), b.broadcast_to(where, rows.shape, (0,)))
    others = b.slice_axis(b.select(taken, b.slice_axis(rows, 1, 0, 1), rows), 1, 1, n - 1)
    safe = b.select(b.compare("eq", pivot, 0.0), 1.0, pivot)
    factors = b.div(b.slice_axis(others, 2, 0, 1), b.reshape(safe, (batch, 1, 1)))
    rest = b.sub(b.slice_axis(others, 2, 1, n - 1), b.mul(factors, b.slice_axis(best, 2, 1, n - 1)))
    return rest, pivot, b.compare("ne", where, 0)
