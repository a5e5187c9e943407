"""Which instructions the inner loops consist of, on AArch64; no hardware is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from mlc.codegen.targets import find_target, resolve
from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.testing.assembly import Listing, assembly
from mlc.testing.mca import cycles
from mlc.testing.samples import Sample, conv, depthwise, gate, gemm, half_gemm, sample

BY_LANE = r"fmla v\d+\.4s, v\d+\.4s, v\d+\.s\[[0-3]\]"

PRODUCTS: dict[str, tuple[Sample, int, int]] = {
    "gemm": (gemm(128, 768, 768), 8 * 12, 112),
    "gemm of few columns": (gemm(128, 192, 768), 6 * 12, 90),
    "conv": (conv(30, 128, 128, block=4), 7 * 12, 100),
    "conv, stride 2": (conv(57, 128, 128, block=4, stride=2), 6 * 12, 90),
    "pointwise": (conv(28, 128, 256, 1, block=4), 7 * 12, 98),
}
"""A layer, the multiply-adds of one step of its tile, and the instructions of four steps at most."""

PEAK = {"cortex-a72": 1, "neoverse-n1": 2, "neoverse-n2": 2}
"""Multiply-adds of four lanes that a processor can start per cycle."""


def product_loop(name: str) -> Listing:
    """The loop that does the work of one of `PRODUCTS`."""
    return Listing.of(assembly(PRODUCTS[name][0].kernel, find_target("aarch64"))).busiest_loop("fmla")


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_multiply_by_lanes(name: str) -> None:
    """Whole tiles of multiply-adds by lanes, loads in pairs, no broadcast, no move, no spill."""
    _, tile, most = PRODUCTS[name]
    loop = product_loop(name)
    assert loop.count(BY_LANE) == loop.mnemonics["fmla"] == tile
    assert loop.count("dup|ld1r|mov|fmov") == 0
    assert len(loop.instructions) <= most
    assert not loop.stack_accesses


def test_most_instructions_of_a_product_multiply() -> None:
    """At least 0.85 of them: the rows' factor is packed, so that one vector serves four rows."""
    loop = product_loop("gemm")
    assert loop.count(BY_LANE) >= 0.85 * len(loop.instructions)
    assert loop.mnemonics["ldp"] == 10


@pytest.mark.parametrize(
    ("target", "parts", "mnemonic"),
    [("aarch64:cortex-a76", "i8i8", "sdot"), ("aarch64:neoverse-n2", "u8i8", "sudot")],
)
def test_integer_products_are_dots_by_lane(target: str, parts: str, mnemonic: str) -> None:
    """As many as a product of floats has multiply-adds."""
    types = [tensor_type((128, 192), i32), tensor_type((192, 768), i32)]

    def build(add: Any, x: SSAValue, w: SSAValue) -> SSAValue:
        return add(hlt.DotWordsOp(x, w, parts=parts))

    made = sample("dot", types, build, weights=(1,))
    loop = Listing.of(assembly(made.kernel, find_target(target))).busiest_loop(mnemonic)
    assert loop.count(rf"{mnemonic} .*\.4b\[\d\]") == 96
    assert len(loop.instructions) <= 112
    assert not loop.stack_accesses


def test_rows_left_over_multiply_by_lanes() -> None:
    """29 rows are three tiles of 8 and one of 5, whose rows still come from two vectors."""
    listing = Listing.of(assembly(gemm(29, 768, 256).kernel, find_target("aarch64")))
    tiles = [loop for loop in listing.innermost_loops() if loop.mnemonics["fmla"]]
    assert [loop.count(BY_LANE) for loop in tiles] == [8 * 12, 5 * 12]
    assert all(loop.count("dup|ld1r|mov|fmov") == 0 for loop in tiles)


@pytest.mark.parametrize("cpu", PEAK)
@pytest.mark.parametrize("name", ["gemm", "conv", "pointwise"])
def test_products_run_at_the_peak(name: str, cpu: str) -> None:
    """At least 95 % of the multiply-adds that the processor's units can start."""
    loop, target = product_loop(name), find_target("aarch64")
    assert loop.count(BY_LANE) / PEAK[cpu] >= 0.95 * cycles(loop, target, cpu)


def test_the_analyser_notices_a_slow_loop() -> None:
    """One multiply-add after the other on one register takes a few cycles each."""
    loop, target = product_loop("gemm"), find_target("aarch64")
    chain = [replace(i, operands="v0.4s, v1.4s, v2.s[0]") if i.mnemonic == "fmla" else i for i in loop.instructions]
    took = cycles(Listing(tuple(chain), {}), target, "neoverse-n1")
    assert loop.count(BY_LANE) / PEAK["neoverse-n1"] < 0.5 * took


def test_depthwise_multiplies_vectors() -> None:
    loop = Listing.of(assembly(depthwise(30, 64, block=4).kernel, find_target("aarch64"))).busiest_loop("fmla")
    assert loop.mnemonics["fmla"] == 14 * 9
    assert loop.count("dup|ld1r") == 0


HALF_BY_LANE = r"fmla v\d+\.8h, v\d+\.8h, v\d+\.h\[[0-7]\]"


@pytest.mark.parametrize(("columns", "tile", "most"), [(768, 8 * 12, 124), (192, 6 * 12, 108)])
def test_products_of_stored_halves(columns: int, tile: int, most: int) -> None:
    """f16 becomes f32 a vector at a time, of packed rows while they are packed; the tile is that of f32."""
    loop = Listing.of(assembly(half_gemm(128, columns, 768).kernel, find_target("aarch64"))).busiest_loop("fmla")
    assert loop.count(BY_LANE) == loop.mnemonics["fmla"] == tile
    assert loop.count("dup|ld1r|mov|fmov") == 0
    assert len(loop.instructions) <= most
    assert not loop.stack_accesses


@pytest.mark.parametrize(("columns", "tile"), [(768, 8 * 24), (192, 6 * 24)])
def test_sums_in_halves_multiply_by_lanes(columns: int, tile: int) -> None:
    """Eight steps of a tile of vectors of eight, at least 0.85 of all instructions, where there is f16 arithmetic."""
    kernel = half_gemm(128, columns, 768, accumulate=True).kernel
    loop = Listing.of(assembly(kernel, resolve("aarch64", "cortex-a76"))).busiest_loop("fmla")
    assert loop.count(HALF_BY_LANE) == loop.mnemonics["fmla"] == tile
    assert loop.count("dup|ld1r|mov|fmov|fcvt") == 0
    assert loop.count(HALF_BY_LANE) >= 0.85 * len(loop.instructions)
    assert not loop.stack_accesses


def test_gates_take_few_instructions() -> None:
    """``x sigmoid(x)`` of four vectors, 27 instructions each: one power of two, and the product is in the quotient."""
    loop = Listing.of(assembly(gate(64, 512).kernel, find_target("aarch64"))).busiest_loop("fmla")
    assert loop.mnemonics["fdiv"] == loop.mnemonics["shl"] == 4
    assert loop.count("fneg|fcvtzs|sshr") == 0
    assert len(loop.instructions) <= 4 * 27
    assert not loop.stack_accesses
