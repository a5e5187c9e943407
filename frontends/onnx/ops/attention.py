"""Scaled dot-product attention (opset 23 and later)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import onnx_op
from mlc.frontends.onnx.value import Value


@dataclass(frozen=True)
class Mask:
    """Which keys a query sees: ``allowed`` (boolean) and ``bias`` (added to scores), of rank 4 or None.

    ``causal`` stands for the plain triangle in which the last query sees all keys.
    """

    allowed: Value | None = None
    bias: Value | None = None
    causal: bool = False

    def restrict(self, b: Builder, allowed: Value) -> Mask:
        """This mask with keys hidden that are not ``allowed``."""
        both = allowed if self.allowed is None else b.elementwise(hlt.AndOp, self.allowed, allowed)
        return Mask(both, self.bias, self.causal)

    def additive(self, b: Builder, dtype: np.dtype[np.generic]) -> Value | None:
        """The mask as a term of the scores, -inf where a key is hidden; None when it says nothing."""
        if self.allowed is None:
            return self.bias
        bias = b.full(self.allowed.shape, 0, dtype) if self.bias is None else self.bias
        return b.select(self.allowed, bias, -math.inf)


def default_scale(depth: int) -> float:
    """What the scores of heads of ``depth`` elements are multiplied by; those of none are zero whatever it is."""
    return 1 / math.sqrt(max(depth, 1))


@onnx_op("Attention")
def attention(b: Builder, node: Node) -> tuple[Value | None, ...]:
    """Q: [B, H, M, D] or [B, M, H * D], K and V alike with N keys; Y, present key and value, scores."""
    q = _split_heads(b, node, node.input(0), "q_num_heads")
    k, v = (_split_heads(b, node, node.input(i), "kv_num_heads") for i in (1, 2))
    past = node.optional(4)
    if past is not None:
        k, v = b.concat([past, k], 2), b.concat([node.input(5), v], 2)
    present = k, v
    k, v = _repeat_heads(b, node, k, q.shape[1]), _repeat_heads(b, node, v, q.shape[1])
    scale = node.float("scale", None)
    scale = default_scale(q.shape[3]) if scale is None else scale
    cap, precision = node.float("softcap", 0.0), node.dtype("softmax_precision", q.dtype)
    explicit = cap > 0 or node.uses_output(3) or precision != q.dtype
    mask = _mask(b, node, q, k, 0 if past is None else past.shape[2], triangle=not explicit)
    scores = None
    if explicit:
        y, scores = _explicit(b, node, (q, k, v), mask, scale=scale, cap=cap, precision=precision)
    else:
        y = b.op(hlt.AttentionOp, q, k, v, mask.bias, mask.allowed, scale=scale, causal=mask.causal)
    if node.input(0).rank == 3:
        y = b.reshape(b.transpose(y, (0, 2, 1, 3)), (q.shape[0], q.shape[2], q.shape[1] * v.shape[3]))
    return (y, *present, scores)


def _split_heads(b: Builder, node: Node, x: Value, attribute: str) -> Value:
    """[B, S, H * D] as [B, H, S, D]; a tensor of rank 4 has that form already."""
    if x.rank == 4:
        return x
    heads = node.int(attribute)
    if x.rank != 3 or heads < 1 or x.shape[2] % heads:
        raise node.invalid(f"attribute {attribute} {heads} does not divide shape {list(x.shape)}")
    return b.transpose(b.reshape(x, (*x.shape[:2], heads, x.shape[2] // heads)), (0, 2, 1, 3))


def _repeat_heads(b: Builder, node: Node, x: Value, heads: int) -> Value:
    """Each head of ``x`` repeated for the group of query heads that shares it."""
    batch, own, keys, depth = x.shape
    if own == heads:
        return x
    if not own or heads % own:
        raise node.invalid(f"{own} key heads do not divide {heads} query heads")
    spread = b.broadcast_to(x, (batch, own, heads // own, keys, depth), (0, 1, 3, 4))
    return b.reshape(spread, (batch, heads, keys, depth))


def _mask(b: Builder, node: Node, q: Value, k: Value, past: int, *, triangle: bool) -> Mask:
    """Everything that hides keys: the mask input, causality, sliding windows, the count of valid keys.

    With ``triangle``, causality that aligns the last query with the last key is left to the operation.
    """
    queries, keys = q.shape[2], k.shape[2]
    mask, lengths = _mask_input(b, node, keys), node.optional(6)
    if lengths is not None:
        count = b.reshape(lengths, (lengths.size, 1, 1, 1))
        mask = mask.restrict(b, b.compare("lt", b.iota((1, 1, 1, keys), 3), count))
    aligned = lengths is None and keys - queries == past
    causal, left, right = node.bool("is_causal", False), *_window_sizes(node)
    if causal and triangle and aligned:
        mask, causal = replace(mask, causal=True), False
    if not causal and left is None and right is None:
        return mask
    ahead = _keys_ahead(b, queries, keys, past, lengths)
    for predicate, bound in (("le", 0 if causal else None), ("ge", left and -left), ("le", right)):
        if bound is not None:
            mask = mask.restrict(b, b.compare(predicate, ahead, bound))
    return mask


def _window_sizes(node: Node) -> tuple[int | None, int | None]:
    """How many keys before and after a query's position it sees; None: all."""
    sizes = [node.int(name, -1) for name in ("left_window_size", "right_window_size")]
    if min(sizes) < -1:
        raise node.invalid(f"window sizes {sizes} must be -1 or more")
    left, right = (None if size == -1 else size for size in sizes)
    return left, right


def _keys_ahead(b: Builder, queries: int, keys: int, past: int, lengths: Value | None) -> Value:
    """How far each key lies ahead of each query's position, [1 or B, 1, M, N].

    A query's position counts the keys that precede its block: ``past`` ones, or what is left of ``lengths``.
    """
    shape = (1, 1, queries, keys)
    ahead = b.sub(b.iota(shape, 3), b.iota(shape, 2))
    if lengths is None:
        return b.sub(ahead, past)
    before = b.sub(b.reshape(lengths, (lengths.size, 1, 1, 1)), queries)
    return b.sub(ahead, before)


def _mask_input(b: Builder, node: Node, keys: int) -> Mask:
    """Input attn_mask at rank 4; keys beyond its last dim are hidden."""
    mask = node.optional(3)
    if mask is None:
        return Mask()
    if not 1 <= mask.rank <= 4:
        raise node.invalid(f"the mask must have 1 to 4 dims, not {mask.rank}")
    mask = b.reshape(mask, (*(1,) * (4 - mask.rank), *mask.shape))
    missing = keys - mask.shape[3] if mask.shape[3] != 1 or keys == 1 else 0
    if missing > 0:
        hidden = 0.0 if mask.dtype == np.bool_ else -math.inf
        mask = b.pad(mask, (0, 0, 0, 0), (0, 0, 0, missing), value=hidden)
    return Mask(allowed=mask) if mask.dtype == np.bool_ else Mask(bias=mask)


def _explicit(
    b: Builder,
    node: Node,
    operands: tuple[Value, Value, Value],
    mask: Mask,
    *,
    scale: float,
    cap: float,
    precision: np.dtype[np.generic],
) -> tuple[Value, Value]:
    """Attention in single steps, and the scores that attribute qk_matmul_output_mode asks for."""
    q, k, v = operands
    heads = (0, 1)
    product = b.mul(b.dot_general(q, k, batch=(heads, heads), contract=((3,), (3,))), scale)
    capped = b.mul(b.op(hlt.TanhOp, b.div(product, cap)), cap) if cap > 0 else product
    bias = mask.additive(b, q.dtype)
    masked = capped if bias is None else b.add(capped, bias)
    weights = b.op(hlt.SoftmaxOp, b.cast(masked, precision), axis=3, log=False)
    if bias is not None:
        blind = b.compare("eq", b.reduce("max", bias, (3,), keep_dims=True), -math.inf)
        weights = b.select(blind, 0, weights)
    weights = b.cast(weights, q.dtype)
    mode = node.int("qk_matmul_output_mode", 0)
    if mode not in (0, 1, 2, 3):
        raise node.invalid(f"attribute qk_matmul_output_mode is {mode}, not 0 to 3")
    result = b.dot_general(weights, v, batch=(heads, heads), contract=((3,), (2,)))
    return result, (product, capped, masked, weights)[mode]
