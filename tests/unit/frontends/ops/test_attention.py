"""Attention: which form it takes in hlt, and values against the formula written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.dialects import hlt
from mlc.errors import ModelError

Build = Callable[..., Any]
Array = np.ndarray[Any, Any]


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def formula(q: Array, k: Array, v: Array, allowed: Array, cap: float = 0.0) -> Array:
    """Attention in float64; a query that sees no key yields zero."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[3])
    scores = cap * np.tanh(scores / cap) if cap else scores
    weights = np.where(allowed, np.exp(scores), 0.0)
    total = weights.sum(3, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ v


CASES = st.fixed_dictionaries(
    {
        "queries": st.integers(1, 4),
        "past": st.integers(0, 3),
        "causal": st.booleans(),
        "masked": st.booleans(),
        "cap": st.sampled_from((0.0, 2.0)),
    }
)


@settings(max_examples=30, deadline=None)
@given(case=CASES)
def test_attention_is_the_formula(build: Build, case: dict[str, Any]) -> None:
    queries, past, seen = case["queries"], case["past"], case["queries"] + case["past"]
    inputs = [f"float[2, 4, {queries}, 8] q", *(f"float[2, 2, {queries}, 8] {name}" for name in "kv")]
    inputs += [f"bool[{queries}, {seen}] m"] if case["masked"] else []
    inputs += [f"float[2, 2, {past}, 8] pk", f"float[2, 2, {past}, 8] pv"] if past else []
    arguments = f"q, k, v, {'m' if case['masked'] else ''}, {'pk, pv' if past else ''}".rstrip(", ")
    program = build(
        f"""
        g ({", ".join(inputs)}) => (float[] y) {{
            y = Attention <is_causal = {int(case["causal"])}, softcap = {case["cap"]}> ({arguments}) }}"""
    )
    fused = any(isinstance(op, hlt.AttentionOp) for op in program)
    assert fused == (case["cap"] == 0)
    q, k, v = normal(2, 4, queries, 8), normal(2, 2, queries, 8), normal(2, 2, queries, 8) + 1
    mask = np.random.default_rng(0).random((queries, seen)) > 0.4
    cache = [normal(2, 2, past, 8) - 1, normal(2, 2, past, 8)]
    result = program(q, k, v, *([mask] if case["masked"] else []), *(cache if past else []))
    allowed = mask if case["masked"] else np.ones_like(mask)
    if case["causal"]:
        allowed = allowed & np.tri(queries, seen, past, dtype=np.bool_)
    keys, values = (np.concatenate([old, new], 2).repeat(2, axis=1) for old, new in zip(cache, (k, v)))
    np.testing.assert_allclose(result, formula(q, keys, values, allowed, case["cap"]), rtol=1e-5, atol=1e-6)


def test_packed_heads_are_split(build: Build) -> None:
    packed = build(
        """
        g (float[2, 3, 8] q, float[2, 5, 4] k, float[2, 5, 6] v) => (float[] y) {
            y = Attention <q_num_heads = 4, kv_num_heads = 2> (q, k, v) }"""
    )
    q, k, v = normal(2, 3, 8), normal(2, 5, 4), normal(2, 5, 6)
    result = packed(q, k, v)
    q, k, v = (x.reshape(2, x.shape[1], n, -1).transpose(0, 2, 1, 3) for x, n in ((q, 4), (k, 2), (v, 2)))
    expected = formula(q, k.repeat(2, axis=1), v.repeat(2, axis=1), np.ones((), np.bool_))
    np.testing.assert_allclose(result, expected.transpose(0, 2, 1, 3).reshape(2, 3, 12), rtol=1e-5, atol=1e-6)


def test_plain_causality_is_left_to_the_operation(build: Build) -> None:
    program = build("g (float[1, 1, 4, 8] q) => (float[] y) { y = Attention <is_causal = 1> (q, q, q) }")
    (attention,) = program
    assert isinstance(attention, hlt.AttentionOp)
    assert attention.causal
    assert attention.mask is None


@pytest.mark.parametrize(
    ("shape", "attributes", "message"),
    [
        ("1, 4, 10", "q_num_heads = 3, kv_num_heads = 3", "q_num_heads 3 does not divide"),
        ("1, 4, 12", "q_num_heads = 3, kv_num_heads = 2", "2 key heads do not divide 3"),
        ("1, 4, 12", "kv_num_heads = 2", "q_num_heads is missing"),
        ("1, 1, 4, 8", "left_window_size = -2", "window sizes"),
        ("1, 1, 4, 8", "softcap = 1.0, qk_matmul_output_mode = 4", "not 0 to 3"),
    ],
)
def test_bad_attention_is_named(build: Build, shape: str, attributes: str, message: str) -> None:
    with pytest.raises(ModelError, match=rf"bad \(Attention\).*{message}"):
        build(f"g (float[{shape}] q) => (float[] y) {{ [bad] y = Attention <{attributes}> (q, q, q) }}")
