"""The checks at the borders between levels notice what should not be there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from mlc.errors import InternalError
from mlc.registry import make_context
from mlc.specs import check_fused, check_kernels, check_scheduled

FUSED = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = hlt.fusion(%a = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    %b = hlt.neg %a : tensor<4xf32>
    hlt.yield %b : tensor<4xf32>
  }
  func.return %y : tensor<4xf32>
}
"""
LOOSE = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = hlt.neg %x : tensor<4xf32>
  func.return %y : tensor<4xf32>
}
"""
COMPUTE = """
loop.kernel @k {
^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<4xf32>) outs(%y : memref<4xf32>) dims <"a=4">
    maps [#loop.map<"a">, #loop.map<"a">] init { } map { } combine { } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}
"""
UNKNOWN = """
func.func @main(%x: memref<?xf32>) {
  func.return
}
"""
EXP = """
loop.kernel @k {
^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
  loop.tile(%x : memref<4xf32>) outs(%y : memref<4xf32>) axes <"a=4">
    access [#loop.access<"0 |  | a:4">, #loop.access<"0 |  | a:4">] {
  ^bb1(%e: f32):
    %f = math.exp %e : f32
    loop.yield %f : f32
  }
}
"""


def parsed(text: str) -> ModuleOp:
    return Parser(make_context(), text).parse_module()


@pytest.mark.parametrize(
    ("check", "text", "what"),
    [
        (check_fused, LOOSE, "in no fusion"),
        (check_kernels, LOOSE, "not lowered"),
        (check_kernels, UNKNOWN, "unknown extent"),
        (check_scheduled, COMPUTE, "loop.compute is left"),
        (check_scheduled, EXP, "math.exp was not expanded"),
    ],
    ids=["loose operation", "hlt in kernels", "unknown extent", "compute left", "exp left"],
)
def test_refuses(check: Callable[[ModuleOp], None], text: str, what: str) -> None:
    with pytest.raises(InternalError, match=what):
        check(parsed(text))


@pytest.mark.parametrize(
    ("check", "text"),
    [(check_fused, FUSED), (check_kernels, COMPUTE), (check_scheduled, EXP.replace("math.exp", "math.absf"))],
    ids=["fused", "kernels", "scheduled"],
)
def test_accepts(check: Callable[[ModuleOp], None], text: str) -> None:
    check(parsed(text))
