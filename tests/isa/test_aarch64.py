"""Which instructions the inner loops consist of, on AArch64; no hardware is needed."""

from __future__ import annotations

import pytest

from mlc.codegen.targets import find_target
from mlc.testing.assembly import Listing, assembly
from mlc.testing.samples import conv, depthwise, gemm

BY_LANE = r"fmla v\d+\.4s, v\d+\.4s, v\d+\.s\[[0-3]\]"

PRODUCTS = {
    "gemm": gemm(128, 768, 768),
    "conv": conv(30, 128, 128, block=4),
    "pointwise": conv(28, 128, 256, 1, block=4),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_multiply_by_lanes(name: str) -> None:
    """Six rows of three vectors, four steps: 72 multiply-adds by lanes, loads in pairs, no broadcast, no spill."""
    loop = Listing.of(assembly(PRODUCTS[name].kernel, find_target("aarch64"))).busiest_loop("fmla")
    assert loop.count(BY_LANE) == loop.mnemonics["fmla"] == 72
    assert loop.count("dup|ld1r|mov v|fmov") == 0
    assert loop.mnemonics["ldr"] + loop.mnemonics["ldp"] <= 12
    assert len(loop.instructions) <= 92
    assert not loop.stack_accesses


def test_depthwise_multiplies_vectors() -> None:
    loop = Listing.of(assembly(depthwise(30, 64, block=4).kernel, find_target("aarch64"))).busiest_loop("fmla")
    assert loop.mnemonics["fmla"] == 14 * 9
    assert loop.count("dup|ld1r") == 0
