"""Sequences, which are resolved while importing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlc.errors import ModelError
from mlc.frontends.onnx.node import DataDependentError

Build = Callable[..., Any]


def test_unbind_and_stack_leave_no_sequence(build: Build) -> None:
    """``torch.stack(x.unbind(0)[::-1], 1)`` as exporters write it."""
    program = build(
        """
        g (float[2, 3] x) => (float[3, 2] y) <int64 first = {0}, int64 last = {-1}> {
            parts = SplitToSequence <axis = 0, keepdims = 0> (x)
            a = SequenceAt (parts, last)
            b = SequenceAt (parts, first)
            turned = SequenceConstruct (a, b)
            y = ConcatFromSequence <axis = 1, new_axis = 1> (turned)
        }"""
    )
    assert set(program.names) == {"slice", "reshape", "concat"}
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(program(x), np.stack([x[1], x[0]], 1))


@pytest.mark.parametrize(("size", "parts"), [(2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_parts_of_one_size(build: Build, size: int, parts: list[int]) -> None:
    program = build(
        f"""
        g (float[5] x) => (float[] y, int64 n) <int64 size = {{{size}}}, int64 last = {{-1}}> {{
            s = SplitToSequence (x, size)
            y = SequenceAt (s, last)
            n = SequenceLength (s)
        }}"""
    )
    np.testing.assert_array_equal(program(np.arange(5, dtype=np.float32)), np.arange(5)[-parts[-1] :])


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("[bad] y = SequenceAt (s, three)", ModelError, "position 3 is out of range for a sequence of 2"),
        ("[bad] y = SequenceAt (s, i)", DataDependentError, "the position depends on run-time data"),
        ("[bad] y = SequenceAt (x, three)", ModelError, "input 0 is not a sequence"),
        ("[bad] y = Relu (s)", ModelError, "input 0 is a sequence, not a tensor"),
        ("e = SequenceEmpty ()\n [bad] y = ConcatFromSequence <axis = 0> (e)", ModelError, "is empty"),
        ("y = Identity (s)", ModelError, "output 'y' is a sequence"),
    ],
)
def test_misuse_is_named(build: Build, body: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(
            f"""
            g (float[2] x, int64 i) => (float[] y) <int64 three = {{3}}> {{
                s = SequenceConstruct (x, x)
                {body} }}"""
        )
