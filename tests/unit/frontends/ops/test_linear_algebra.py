"""Matrix products and Einstein sums against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.errors import ModelError

Build = Callable[..., Any]


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Small integers as floats: all sums are exact."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


EQUATIONS = {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
    "bhid,bhjd->bhij": ((2, 2, 3, 4), (2, 2, 5, 4)),
    "bhij,bhjd->bihd": ((2, 2, 3, 5), (2, 2, 5, 4)),
    "i,j->ij": ((3,), (4,)),
    "i,i->": ((3,), (3,)),
    "i,i": ((3,), (3,)),
    "ij->ji": ((2, 3),),
    "ij->": ((2, 3),),
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "iij->j": ((3, 3, 2),),
    "...ij,...jk->...ik": ((2, 1, 3, 4), (5, 4, 2)),
    "...i,...i->...": ((2, 3), (3,)),
    "b...,b->b...": ((2, 3, 4), (2,)),
    "ij,kj->ik": ((2, 3), (1, 3)),
    "ij,ij->ij": ((2, 1), (2, 3)),
    "i,ij,j->": ((2,), (2, 3), (3,)),
    "ij,jk,kl->li": ((2, 3), (3, 4), (4, 2)),
    "ij,kl->ik": ((2, 3), (4, 5)),
    "a b , b c -> a c": ((2, 3), (3, 4)),
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_is_numpys(build: Build, equation: str) -> None:
    shapes = EQUATIONS[equation]
    names = [f"x{i}" for i in range(len(shapes))]
    inputs = ", ".join(f"float{list(shape)} {name}" for shape, name in zip(shapes, names))
    program = build(f'g ({inputs}) => (float[] y) {{ y = Einsum <equation = "{equation}"> ({", ".join(names)}) }}')
    arrays = [integers(shape, i) for i, shape in enumerate(shapes)]
    np.testing.assert_array_equal(program(*arrays), np.einsum(equation, *arrays))


@pytest.mark.parametrize(
    "equation", ["ij,jk->iz", "ij->i", "ij,jk->ii", "i1,jk->ik", "ij,ik->jk,", "...ij,jk->...ik..."]
)
def test_bad_equations_name_the_node(build: Build, equation: str) -> None:
    node = f'[e] y = Einsum <equation = "{equation}"> (x, z)'
    with pytest.raises(ModelError, match=r"e \(Einsum\)"):
        build(f"g (float[2, 3] x, float[4, 5] z) => (float[] y) {{ {node} }}")


EXTENTS = st.integers(1, 4)


@st.composite
def matmul_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes that numpy.matmul takes: batch dims that broadcast, vectors at either side."""
    batch = draw(st.lists(EXTENTS, max_size=2))
    m, k, n = draw(EXTENTS), draw(EXTENTS), draw(EXTENTS)
    lhs, rhs = (draw(_broadcastable(batch)) for _ in range(2))
    return draw(st.sampled_from(((k,), (*lhs, m, k)))), draw(st.sampled_from(((k,), (*rhs, k, n))))


@st.composite
def _broadcastable(draw: st.DrawFn, batch: list[int]) -> tuple[int, ...]:
    kept = batch[draw(st.integers(0, len(batch))) :]
    return tuple(draw(st.sampled_from((1, extent))) for extent in kept)


@settings(max_examples=40, deadline=None)
@given(shapes=matmul_shapes())
def test_matmul_is_numpys(build: Build, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    lhs, rhs = shapes
    program = build(f"g (float{list(lhs)} a, float{list(rhs)} b) => (float[] y) {{ y = MatMul (a, b) }}")
    a, b = integers(lhs, 0), integers(rhs, 1)
    np.testing.assert_array_equal(program(a, b), np.matmul(a, b))


def test_gemm_transposes_are_contractions(build: Build) -> None:
    """No transpose and no multiplication by one is left."""
    program = build(
        """
        g (float[3, 2] a, float[4, 3] b, float[4] c) => (float[2, 4] y) {
            y = Gemm <transA = 1, transB = 1> (a, b, c)
        }"""
    )
    assert program.names == ["dot_general", "broadcast", "add"]
    a, b, c = integers((3, 2), 0), integers((4, 3), 1), integers((4,), 2)
    np.testing.assert_array_equal(program(a, b, c), a.T @ b.T + c)


def test_inner_dims_must_agree(build: Build) -> None:
    with pytest.raises(ModelError, match=r"m \(MatMul\): inner dims of \[2, 3\] and \[2, 3\] differ"):
        build("g (float[2, 3] x) => (float[] y) { [m] y = MatMul (x, x) }")


def test_fused_matmul(build: Build) -> None:
    program = build(
        """
        g (float[2, 3] a, float[4, 3] b) => (float[2, 4] y) {
            y = com.microsoft.FusedMatMul <transB = 1, alpha = 0.5> (a, b)
        }"""
    )
    a, b = integers((2, 3), 0), integers((4, 3), 1)
    np.testing.assert_array_equal(program(a, b), 0.5 * a @ b.T)
