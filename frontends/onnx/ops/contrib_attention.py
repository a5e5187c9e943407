"""com.microsoft's operators of transformers: attention in its forms, rotary positions, embeddings."""

from __future__ import annotations

import math

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.ops.attention import default_scale
from mlc.frontends.onnx.registry import MICROSOFT, onnx_op
from mlc.frontends.onnx.value import Value

Heads = tuple[Value, Value, Value]
"""Query, key and value, each [B, heads, tokens, depth]."""


def _split(b: Builder, node: Node, x: Value, heads: int) -> Value:
    """[B, S, H * D] as [B, H, S, D]."""
    if heads < 1 or x.rank != 3 or x.shape[2] % heads:
        raise node.invalid(f"{heads} heads do not divide shape {list(x.shape)}")
    return b.transpose(b.reshape(x, (*x.shape[:2], heads, x.shape[2] // heads)), (0, 2, 1, 3))


def _merge(b: Builder, x: Value) -> Value:
    """[B, H, S, D] as [B, S, H * D]."""
    batch, heads, tokens, depth = x.shape
    return b.reshape(b.transpose(x, (0, 2, 1, 3)), (batch, tokens, heads * depth))


def _plus(b: Builder, x: Value | None, y: Value | None) -> Value | None:
    if x is None or y is None:
        return x if y is None else y
    return b.add(x, y)


def _scale(node: Node, depth: int) -> float:
    given = node.float("scale", 0.0)
    return given if given else default_scale(depth)


def _where_allowed(b: Builder, allowed: Value, dtype: np.dtype[np.generic], masked: float) -> Value:
    """A term of the scores: 0 where a key is allowed, ``masked`` where not."""
    return b.select(allowed, b.full(allowed.shape, 0, dtype), masked)


def _key_mask(b: Builder, node: Node, mask: Value | None, keys: int, dtype: np.dtype[np.generic]) -> Value | None:
    """The term of the scores for a mask of keys: [B, N] or [B, M, N] of flags, or [B] lengths."""
    if mask is None:
        return None
    masked = node.float("mask_filter_value", -10000.0)
    if mask.rank == 1 and mask.shape[0] >= 1:
        count = b.reshape(mask, (mask.shape[0], 1, 1, 1))
        return _where_allowed(b, b.compare("lt", b.iota((1, 1, 1, keys), 3, mask.dtype), count), dtype, masked)
    if mask.rank not in (2, 3) or mask.shape[-1] != keys:
        raise node.unsupported(f"a mask of shape {list(mask.shape)} for {keys} keys")
    rows = mask.shape[1] if mask.rank == 3 else 1
    flags = b.compare("ne", b.reshape(mask, (mask.shape[0], 1, rows, keys)), 0)
    return _where_allowed(b, flags, dtype, masked)


def _attend(b: Builder, node: Node, heads: Heads, bias: Value | None, *, causal: bool = False) -> Value:
    """[B, S, H * D]: what each query takes from the values."""
    q, k, v = heads
    if bias is not None and bias.rank != 4:
        raise node.invalid(f"the attention bias must have 4 dims, not {bias.rank}")
    result = b.op(hlt.AttentionOp, q, k, v, bias, scale=_scale(node, q.shape[3]), causal=causal)
    return _merge(b, result)


@onnx_op("Attention", domain=MICROSOFT)
def attention(b: Builder, node: Node) -> tuple[Value | None, ...]:
    """Queries, keys and values as one product of the input [B, S, I] and the weight [I, Hq + Hk + Hv]."""
    x, weight, bias = node.input(0), node.input(1), node.optional(2)
    if node.bool("do_rotary", False) or node.bool("past_present_share_buffer", False):
        raise node.unsupported("do_rotary and past_present_share_buffer")
    product = b.matmul(x, weight)
    product = product if bias is None else b.add(product, bias)
    sizes: tuple[int, ...] = node.ints("qkv_hidden_sizes", (product.shape[2] // 3,) * 3)
    if len(sizes) != 3 or sum(sizes) != product.shape[2]:
        raise node.invalid(f"attribute qkv_hidden_sizes {list(sizes)} does not add up to {product.shape[2]}")
    starts = (0, sizes[0], sizes[0] + sizes[1])
    count = node.int("num_heads")
    q, k, v = (_split(b, node, b.slice_axis(product, 2, s, n), count) for s, n in zip(starts, sizes))
    past = node.optional(4)
    if past is not None:
        k, v = (b.concat([b.squeeze(b.slice_axis(past, 0, i, 1), (0,)), new], 2) for i, new in enumerate((k, v)))
    term = _plus(b, _key_mask(b, node, node.optional(3), k.shape[2], q.dtype), node.optional(5))
    result = _attend(b, node, (q, k, v), term, causal=node.bool("unidirectional", False))
    if not node.uses_output(1):
        return (result,)
    return result, b.concat([b.expand_dims(k, (0,)), b.expand_dims(v, (0,))], 0)


@onnx_op("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(b: Builder, node: Node) -> tuple[Value | None, ...]:
    """Queries, keys and values as three tensors, or packed into the first one or two."""
    q, k, v = _query_key_value(b, node, node.int("num_heads"))
    past = node.optional(6)
    if past is not None:
        k, v = b.concat([past, k], 2), b.concat([node.input(7), v], 2)
    term = _plus(b, _key_mask(b, node, node.optional(4), k.shape[2], q.dtype), node.optional(5))
    result = _attend(b, node, (q, k, v), term, causal=node.bool("unidirectional", False))
    return result, k, v


def _query_key_value(b: Builder, node: Node, count: int) -> Heads:
    """The three as [B, heads, tokens, depth], their bias added."""
    x, key, value = node.input(0), node.optional(1), node.optional(2)
    if x.rank == 5:
        q, k, v = _unpacked(b, x, 3)
    elif key is not None and key.rank == 5:
        q, (k, v) = _split(b, node, x, count), _unpacked(b, key, 2)
    elif key is not None and value is not None:
        q = _split(b, node, x, count)
        k, v = (t if t.rank == 4 else _split(b, node, t, count) for t in (key, value))
    else:
        raise node.invalid("key and value are missing")
    bias = node.optional(3)
    if bias is None:
        return q, k, v
    sizes = [t.shape[1] * t.shape[3] for t in (q, k, v)]
    if bias.shape != (sum(sizes),):
        raise node.invalid(f"the bias {list(bias.shape)} is not for {sizes} channels")
    starts = (0, sizes[0], sizes[0] + sizes[1])
    parts = [
        b.reshape(b.slice_axis(bias, 0, start, size), (t.shape[1], 1, t.shape[3]))
        for t, start, size in zip((q, k, v), starts, sizes)
    ]
    return b.add(q, parts[0]), b.add(k, parts[1]), b.add(v, parts[2])


def _unpacked(b: Builder, x: Value, parts: int) -> list[Value]:
    """[B, S, heads, parts, D] as ``parts`` tensors [B, heads, S, D]."""
    singles = [b.squeeze(b.slice_axis(x, 3, part, 1), (3,)) for part in range(parts)]
    return [b.transpose(single, (0, 2, 1, 3)) for single in singles]


# Rotary positions


@onnx_op("RotaryEmbedding", domain=MICROSOFT)
def rotary_embedding(b: Builder, node: Node) -> Value:
    """[B, S, H * D] or [B, H, S, D] turned by the angles of the tokens' positions."""
    x, positions, cosine, sine = (node.input(index) for index in range(4))
    turned = node.int("rotary_embedding_dim", 0) or 2 * cosine.shape[1]
    heads = x
    if x.rank == 3:
        count = node.int("num_heads", 0) or x.shape[2] // turned
        heads = _split(b, node, x, count)
    batch, tokens = heads.shape[0], heads.shape[2]
    if positions.size == 1 and positions.shape != (batch, tokens):
        positions = b.add(b.iota((batch, tokens), 1), b.reshape(positions, ()))
    result = _turned(b, heads, positions, (cosine, sine), interleaved=node.bool("interleaved", False))
    return _merge(b, result) if x.rank == 3 else result


def _turned(b: Builder, x: Value, positions: Value, tables: tuple[Value, Value], *, interleaved: bool) -> Value:
    """``x``: [B, H, S, D] with pairs among its first dims turned; the rest of the depth stays.

    ``tables`` are cosines and sines [positions, pairs]. Pairs are neighbours if ``interleaved``, else a dim of the
    first half and one of the second.
    """
    batch, heads, tokens, depth = x.shape
    pairs = tables[0].shape[1]
    cosine, sine = (
        b.broadcast_to(b.op(hlt.GatherOp, t, positions, axis=0), (batch, heads, tokens, pairs), (0, 2, 3))
        for t in tables
    )
    rest = b.slice_axis(x, 3, 2 * pairs, depth - 2 * pairs)
    front = b.slice_axis(x, 3, 0, 2 * pairs)
    form = (batch, heads, tokens, pairs, 2) if interleaved else (batch, heads, tokens, 2, pairs)
    axis = 4 if interleaved else 3
    split = b.reshape(front, form)
    left, right = (b.squeeze(b.slice_axis(split, axis, i, 1), (axis,)) for i in range(2))
    ways = b.sub(b.mul(left, cosine), b.mul(right, sine)), b.add(b.mul(left, sine), b.mul(right, cosine))
    joined = b.reshape(b.concat([b.expand_dims(way, (axis,)) for way in ways], axis), front.shape)
    return joined if not rest.size else b.concat([joined, rest], 3)


# Grouped queries with a cache


@onnx_op("GroupQueryAttention", domain=MICROSOFT)
def group_query_attention(b: Builder, node: Node) -> tuple[Value | None, ...]:
    """Causal attention of query heads in groups that share a key head, over a cache that the new keys go into."""
    q, k, v = _grouped(b, node)
    batch, _, tokens, _ = q.shape
    total = node.known_scalar(6, "the total sequence length") if node.optional(6) is not None else tokens
    lengths = b.add(b.cast(b.reshape(node.input(5), (batch, 1)), np.int64), 1)
    first = b.full((batch, 1), 0, np.int64) if total == tokens else b.sub(lengths, tokens)
    positions = b.add(b.iota((batch, tokens), 1), first)
    if node.bool("do_rotary", False):
        given = node.optional(9)
        places = positions if given is None else b.reshape(given, (batch, tokens))
        tables = node.input(7), node.input(8)
        interleaved = node.bool("rotary_interleaved", False)
        q, k = (_turned(b, t, places, tables, interleaved=interleaved) for t in (q, k))
    caches = node.optional(3), node.optional(4)
    k, v = (_in_cache(b, cache, new, first, total) for cache, new in zip(caches, (k, v)))
    bias = _visible(b, node, positions, lengths, k.shape[2], q.dtype)
    shared = q, _shared(b, node, k, q.shape[1]), _shared(b, node, v, q.shape[1])
    given = node.optional(10)
    bias = bias if given is None else b.add(bias, given)
    sink, cap = _sink(b, node, q), node.float("softcap", 0.0)
    if sink is None and not cap:
        return _attend(b, node, shared, bias), k, v
    return _attend_to_sink(b, node, shared, bias, sink, cap), k, v


def _sink(b: Builder, node: Node, q: Value) -> Value | None:
    """The score [B, H, M, 1] of a key without a value, which takes its share of the attention; None without one."""
    given, shape = node.optional(11), (*q.shape[:3], 1)
    if given is not None:
        return b.broadcast_to(b.cast(given, q.dtype), shape, (1,))
    return b.full(shape, 0, q.dtype) if node.int("smooth_softmax", 0) > 0 else None


def _attend_to_sink(b: Builder, node: Node, heads: Heads, bias: Value, sink: Value | None, cap: float) -> Value:
    """[B, S, H * D]: attention in single steps, scores bounded by ``cap`` (unless 0), before the bias, and a sink."""
    q, k, v = heads
    scores = b.mul(b.dot_general(q, k, batch=((0, 1), (0, 1)), contract=((3,), (3,))), _scale(node, q.shape[3]))
    if cap:
        scores = b.mul(b.op(hlt.TanhOp, b.div(scores, cap)), cap)
    scores = b.add(scores, bias)
    if sink is not None:
        scores = b.concat([scores, sink], 3)
    weights = b.slice_axis(b.op(hlt.SoftmaxOp, scores, axis=3, log=False), 3, 0, k.shape[2])
    return _merge(b, b.dot_general(weights, v, batch=((0, 1), (0, 1)), contract=((3,), (2,))))


def _grouped(b: Builder, node: Node) -> Heads:
    """Query, key and value from three inputs, or from one that has them side by side."""
    count, groups = node.int("num_heads"), node.int("kv_num_heads")
    x, key = node.input(0), node.optional(1)
    if key is not None:
        return _split(b, node, x, count), _split(b, node, key, groups), _split(b, node, node.input(2), groups)
    parts = _split(b, node, x, count + 2 * groups)
    starts = (0, count), (count, groups), (count + groups, groups)
    q, k, v = (b.slice_axis(parts, 1, start, size) for start, size in starts)
    return q, k, v


def _in_cache(b: Builder, cache: Value | None, new: Value, first: Value, total: int) -> Value:
    """The cache [B, H, P, D], as long as ``total`` at least, with ``new`` from position ``first`` [B, 1] on."""
    if cache is None or not cache.shape[2]:
        return new
    batch, heads, past, depth = cache.shape
    keys, tokens = max(past, total), new.shape[2]
    place = b.sub(b.iota((batch, keys), 1), b.broadcast_to(first, (batch, keys)))
    inside = b.elementwise(hlt.AndOp, b.compare("ge", place, 0), b.compare("lt", place, tokens))
    old = b.minimum(b.iota((batch, keys), 1), past - 1)
    index = b.select(inside, b.add(place, past), old)
    spread = b.broadcast_to(index, (batch, heads, keys, depth), (0, 2))
    return b.op(hlt.GatherElementsOp, b.concat([cache, new], 2), spread, axis=2)


def _visible(b: Builder, node: Node, positions: Value, lengths: Value, keys: int, dtype: np.dtype[np.generic]) -> Value:
    """The term of the scores [B, 1, M, N]: keys up to the query's position, in its window, that the cache holds."""
    batch, tokens = positions.shape
    shape = (batch, 1, tokens, keys)
    key = b.iota(shape, 3)
    query = b.broadcast_to(positions, shape, (0, 2))
    allowed = b.elementwise(hlt.AndOp, b.compare("le", key, query), b.compare("lt", key, _at(b, lengths, shape)))
    window = node.int("local_window_size", -1)
    if window > 0:
        allowed = b.elementwise(hlt.AndOp, allowed, b.compare("gt", key, b.sub(query, window)))
    return _where_allowed(b, allowed, dtype, -math.inf)


def _at(b: Builder, lengths: Value, shape: tuple[int, ...]) -> Value:
    return b.broadcast_to(b.reshape(lengths, (shape[0],)), shape, (0,))


def _shared(b: Builder, node: Node, x: Value, heads: int) -> Value:
    """Each head of ``x`` for all query heads of its group."""
    batch, own, keys, depth = x.shape
    if not own or heads % own:
        raise node.invalid(f"{own} key heads do not divide {heads} query heads")
    spread = b.broadcast_to(x, (batch, own, heads // own, keys, depth), (0, 1, 3, 4))
    return b.reshape(spread, (batch, heads, keys, depth))


# Embeddings


@onnx_op("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_normalization(b: Builder, node: Node) -> tuple[Value | None, ...]:
    """The sum of word, position and segment embeddings, normalised; how many tokens the mask has; that sum."""
    words, segments = node.input(0), node.optional(1)
    batch, tokens = words.shape
    total = b.op(hlt.GatherOp, node.input(2), words, axis=0)
    places = node.optional(8)
    places = b.iota((1, tokens), 1) if places is None else places
    total = b.add(total, b.op(hlt.GatherOp, node.input(3), places, axis=0))
    if segments is not None:
        total = b.add(total, b.op(hlt.GatherOp, node.input(4), segments, axis=0))
    gamma, beta = node.input(5), node.input(6)
    result = b.op(hlt.LayerNormOp, total, gamma, beta, axis=2, epsilon=node.float("epsilon", 1e-12))
    mask = node.optional(7)
    count = b.full((batch,), 0, np.int32) if mask is None else b.reduce("sum", b.cast(mask, np.int32), (1,))
    return result, count, total
