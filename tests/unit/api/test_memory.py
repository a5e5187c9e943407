"""Compiling a large model takes little memory of its own: weights go from file to file."""

from __future__ import annotations

import pytest

from benchmarks.figures import measure_memory


@pytest.mark.slow
@pytest.mark.parametrize("cached", [True, False])
def test_weights_are_not_piled_up(cached: bool) -> None:
    found = measure_memory(200, cached=cached)
    own = 1.15 * 200 if not cached else 0
    assert found["peak RssAnon MB"] < own + 150, found
