"""Matrix products and Einstein sums."""

from __future__ import annotations

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
    """``alpha * x @ y``, either operand with its last two dims swapped first."""
    if node.bool("transBatchA", False) or node.bool("transBatchB", False):
        raise node.unsupported("transBatchA and transBatchB")
    x, y = (
        _swap_last(b, node.input(i)) if node.bool(name, False) else node.input(i)
        for i, name in enumerate(("transA", "transB"))
    )
    return scaled(b, checked_matmul(b, node, x, y), node.float("alpha", 1.0))


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
