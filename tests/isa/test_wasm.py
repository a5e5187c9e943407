"""Which instructions the inner loops consist of, on WebAssembly."""

from __future__ import annotations

import pytest

from mlc.codegen.targets import find_target
from mlc.testing.assembly import Listing, assembly
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, softmax

TARGET = find_target("wasm32")

PRODUCTS = {
    "gemm": gemm(128, 768, 768),
    "conv": conv(30, 128, 128, block=4),
    "pointwise": conv(28, 128, 256, 1, block=4),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_multiply_and_add(name: str) -> None:
    """Four rows of two vectors: 8 products, 8 sums, each row's factor by a broadcasting load, offsets in the loads."""
    loop = Listing.of(assembly(PRODUCTS[name].kernel, TARGET)).busiest_loop("f32x4.mul")
    assert loop.mnemonics["f32x4.mul"] == loop.mnemonics["f32x4.add"] == 8
    assert loop.mnemonics["v128.load32_splat"] == 4
    assert loop.mnemonics["v128.load"] == 2
    assert loop.count("call|v128.store|f32x4.splat|i64") == 0
    assert loop.mnemonics["i32.add"] <= 4


@pytest.mark.parametrize("name", PRODUCTS)
def test_relaxed_products_are_one_instruction(name: str) -> None:
    loop = Listing.of(assembly(PRODUCTS[name].kernel, find_target("wasm32-relaxed"))).busiest_loop("f32x4.relaxed_madd")
    assert loop.mnemonics["f32x4.relaxed_madd"] == 8
    assert loop.count("f32x4.mul|f32x4.add|call|v128.store") == 0


def test_depthwise_loads_at_offsets() -> None:
    loop = Listing.of(assembly(depthwise(30, 64, block=4).kernel, TARGET)).busiest_loop("f32x4.mul")
    assert loop.mnemonics["f32x4.mul"] == loop.mnemonics["f32x4.add"] == 8 * 3
    assert loop.count("call|v128.store|f32x4.splat") == 0
    assert loop.mnemonics["i32.add"] <= 8


@pytest.mark.parametrize("sample", [softmax(64, 128), elementwise(64, 128)], ids=["softmax", "tanh"])
def test_functions_call_nothing(sample: Sample) -> None:
    listing = Listing.of(assembly(sample.kernel, TARGET))
    assert listing.count("call") == 0
    assert listing.mnemonics["f32x4.mul"] > 4
    assert listing.count(r"f32\.mul") <= listing.mnemonics["f32x4.mul"] / 4


def test_rectifiers_are_two_instructions() -> None:
    """``max(x, 0)`` that propagates NaN: a comparison and a mask."""
    listing = Listing.of(assembly(PRODUCTS["conv"].kernel, TARGET))
    assert listing.mnemonics["f32x4.gt"] == listing.mnemonics["v128.andnot"] == 8
    assert listing.count("f32x4.max|v128.bitselect") == 0
