"""Which instructions the inner loops consist of, on ARMv7; no hardware is needed."""

from __future__ import annotations

import pytest

from mlc.codegen.targets import find_target
from mlc.testing.assembly import Listing, assembly
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gate, gemm

BY_LANE = r"vmla\.f32 q\d+, q\d+, d\d+\[[01]\]"
MEMORY_AND_MOVES = r"vldmia|vstmia|vst1|ldr|str|vorr|vmov|vdup"

PRODUCTS: dict[str, tuple[Sample, int]] = {
    "gemm": (gemm(128, 768, 768), 48),
    "conv": (conv(30, 128, 128, block=4), 48),
    "pointwise": (conv(28, 128, 256, 1, block=4), 46),
}
"""A layer, and the instructions of four steps of its tile of four rows and two vectors at most."""


def listing(sample: Sample) -> Listing:
    return Listing.of(assembly(sample.kernel, find_target("armv7")))


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_multiply_by_lanes(name: str) -> None:
    """32 of at most 48 instructions, two thirds; pointers advance with the loads, nothing is moved or spilled."""
    sample, most = PRODUCTS[name]
    loop = listing(sample).busiest_loop("vmla")
    assert loop.count(BY_LANE) == loop.mnemonics["vmla.f32"] == 32
    assert loop.count(MEMORY_AND_MOVES) == 0
    assert loop.mnemonics["vld1.32"] == 12
    assert len(loop.instructions) <= most
    assert not loop.stack_accesses


def test_vectors_multiply_and_add_at_once() -> None:
    loop = listing(depthwise(30, 64, block=4)).busiest_loop("vmla")
    assert loop.mnemonics["vmla.f32"] == 8 * 9
    assert loop.mnemonics["vmul.f32"] == loop.mnemonics["vadd.f32"] == 0


def test_maximum_is_one_instruction() -> None:
    """NEON's own maximum keeps NaN, as ONNX wants; the rectifier of eight outputs needs no comparison."""
    loop = listing(depthwise(30, 64, block=4)).busiest_loop("vmla")
    assert loop.mnemonics["vmax.f32"] == 8
    assert loop.count("vcgt|vcge|vbsl|vbit") == 0


def test_functions_are_vectors() -> None:
    """Of tanh only the division, which NEON lacks, goes by scalars."""
    loop = listing(elementwise(64, 512)).busiest_loop("vmla|vmul")
    assert loop.mnemonics["vmul.f32"] + loop.mnemonics["vmla.f32"] >= 40
    assert loop.mnemonics["vdiv.f32"] == 16
    assert loop.count("bl|blx") - loop.count("blt") == 0


def test_gates_take_few_instructions() -> None:
    """``x sigmoid(x)`` of four vectors: no rounding in steps, no second power of two; the divisions are scalar."""
    loop = listing(gate(64, 512)).busiest_loop("vmla")
    assert loop.mnemonics["vdiv.f32"] == 16
    assert loop.count("vabs|vneg|vcvt|vbif|vbsl|vcgt") == 0
    assert loop.mnemonics["vshl.i32"] == 4
    assert len(loop.instructions) <= 184
