"""The estimate of a kernel's cycles: counted instructions, which grow with the work and not with how it is written."""

from __future__ import annotations

import pytest
from xdsl.parser import Parser

from mlc.codegen.targets import find_target
from mlc.dialects.loop import KernelOp
from mlc.lowering.loops.cost import cycles, flops
from mlc.registry import make_context
from mlc.testing.loops import kernel_of, lower_loops

TARGET = find_target("x86-64-v3")

PRODUCT = """
loop.kernel @k {{
^bb0(%a: memref<{m}x{k}xf32>, %b: memref<{k}x{n}xf32>, %c: memref<{m}x{n}xf32>):
  loop.compute ins(%a, %b : memref<{m}x{k}xf32>, memref<{k}x{n}xf32>) outs(%c : memref<{m}x{n}xf32>)
    dims <"m={m} n={n} k={k}:r"> schedule <"{plan}">
    maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"m, n">] init {{
  ^bb1(%x: f32, %y: f32):
    %z = arith.constant 0.0 : f32
    loop.yield %z : f32
  }} map {{
  ^bb2(%x: f32, %y: f32):
    %p = arith.mulf %x, %y : f32
    loop.yield %p : f32
  }} combine {{
  ^bb3(%x: f32, %y: f32):
    %s = arith.addf %x, %y : f32
    loop.yield %s : f32
  }} finish {{
  ^bb4(%x: f32, %y: f32, %s: f32):
    {finish}
    loop.yield %r : f32
  }}
}}
"""

PLAN = "m/4 n/16 k/1 m* n* n@8"


def lowered(m: int, n: int, k: int, *, plan: str = PLAN, finish: str = "%r = arith.negf %s : f32") -> KernelOp:
    """``[m, k] @ [k, n]`` as loops."""
    text = PRODUCT.format(m=m, n=n, k=k, plan=plan, finish=finish)
    kernel = next(iter(Parser(make_context(), text).parse_module().ops))
    assert isinstance(kernel, KernelOp)
    return kernel_of(lower_loops(kernel, TARGET))


def product(m: int, n: int, k: int, *, plan: str = PLAN, finish: str = "%r = arith.negf %s : f32") -> float:
    """The estimate for ``[m, k] @ [k, n]``."""
    return cycles(lowered(m, n, k, plan=plan, finish=finish).body.block.ops, TARGET)


def test_counts_what_a_tile_becomes() -> None:
    """Per step of k: 8 multiply-adds, 4 splats of a, 2 vectors of b, and the loop."""
    one, two = (product(4, 16, k) for k in (64, 128))
    assert (two - one) * TARGET.per_cycle == 64 * (8 + 4 + 2 + 1)


@pytest.mark.parametrize(("m", "n", "k"), [(8, 16, 64), (4, 32, 64), (4, 16, 128)])
def test_grows_with_each_dim(m: int, n: int, k: int) -> None:
    assert product(m, n, k) == pytest.approx(2 * product(4, 16, 64), rel=0.1)


def test_single_elements_cost_as_many_instructions_as_there_are() -> None:
    scalar = product(4, 16, 64, plan="m/1 n/1 k/1")
    assert scalar > 4 * product(4, 16, 64)


def test_a_division_costs_several_operations() -> None:
    divided = product(4, 16, 64, finish="%r = arith.divf %s, %x : f32")
    assert (divided - product(4, 16, 64)) * TARGET.per_cycle >= 7 * 8


@pytest.mark.parametrize("m", [4, 32, 33])
@pytest.mark.parametrize("plan", [PLAN, "n/8 m/2 k/1 m* n* n@8"])
def test_floating_point_operations_are_those_of_the_product(m: int, plan: str) -> None:
    assert flops(lowered(m, 64, 128, plan=plan).body.block.ops) == 2 * m * 64 * 128 + m * 64


def test_numbers_that_only_move_are_no_operations() -> None:
    finish = "%i = arith.bitcast %s : f32 to i32\n    %r = arith.bitcast %i : i32 to f32"
    assert flops(lowered(32, 64, 128, finish=finish).body.block.ops) == 2 * 32 * 64 * 128
