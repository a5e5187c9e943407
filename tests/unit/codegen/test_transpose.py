"""The butterfly of shuffles that transposes a square of vectors."""

from __future__ import annotations

import re
from math import log2

import pytest
from xdsl.dialects.builtin import f32

from mlc.codegen.emit.lanes import Lanes
from mlc.codegen.emit.writer import Writer
from mlc.codegen.targets import find_target

SHUFFLE = re.compile(r"(%\w+) = shufflevector .*? (%\w+), .*? (%\w+), <\d+ x i32> <(.*)>")


@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_transposes(width: int) -> None:
    out = Writer()
    rows = [f"%r{i}" for i in range(width)]
    results = Lanes(out, find_target("x86-64-v4"), width).transpose(f32, rows)
    values = {f"%r{i}": [(i, lane) for lane in range(width)] for i in range(width)}
    for line in out.lines:
        match = SHUFFLE.search(line)
        assert match is not None
        both = values[match[2]] + values[match[3]]
        values[match[1]] = [both[int(word.split()[1])] for word in match[4].split(", ")]
    assert [values[name] for name in results] == [[(i, row) for i in range(width)] for row in range(width)]
    assert len(out.lines) == width * log2(width)
