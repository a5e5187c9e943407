"""Which instructions the inner loops consist of, on RISC-V with vectors; no hardware is needed."""

from __future__ import annotations

import pytest

from mlc.codegen.targets import find_target
from mlc.testing.assembly import Listing, assembly
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, softmax

TARGETS = ("riscv64", "riscv64-zvl256b")
BY_SCALAR = r"vf(macc|madd)\.vf"


def listing(sample: Sample, target: str = "riscv64") -> Listing:
    return Listing.of(assembly(sample.kernel, find_target(target)))


def products(target: str) -> dict[str, Sample]:
    block = find_target(target).lanes(4)
    return {
        "gemm": gemm(128, 768, 768),
        "conv": conv(30, 128, 128, block=block),
        "pointwise": conv(28, 128, 256, 1, block=block),
    }


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["gemm", "conv", "pointwise"])
def test_products_multiply_by_scalars(name: str, target: str) -> None:
    """Six rows of four vectors, four steps: nothing sets the vector length, broadcasts, moves or spills."""
    loop = listing(products(target)[name], target).busiest_loop(BY_SCALAR)
    assert loop.count(BY_SCALAR) == 6 * 4 * 4
    assert loop.count("vset|vmv|vfmv|vrgather|vslide|vs1r|vl1r|csr") == 0
    assert loop.mnemonics["vle32.v"] == 16
    assert loop.mnemonics["flw"] == 24
    assert loop.count(BY_SCALAR) >= 0.59 * len(loop.instructions)
    assert not loop.stack_accesses


def test_vectors_multiply_and_add_at_once() -> None:
    loop = listing(depthwise(30, 64, block=4)).busiest_loop("vfmacc")
    assert loop.count(r"vf(macc|madd)\.vv") == 14 * 9
    assert loop.count("vset") == 0


@pytest.mark.parametrize("sample", [softmax(64, 512), elementwise(64, 512)], ids=["softmax", "elementwise"])
def test_no_conversion_has_a_rounding_mode_of_its_own(sample: Sample) -> None:
    """They crash QEMU before version 8; see ``codegen/targets/riscv64.py``."""
    assert listing(sample).count(r"vf[wn]?cvt\.(rtz|rod)") == 0
