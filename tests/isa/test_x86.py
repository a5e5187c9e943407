"""Which instructions the inner loops consist of, on x86-64; no hardware is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from xdsl.dialects.builtin import f16, f32, f64, i8, i32
from xdsl.ir import Attribute, SSAValue

from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.dialects.hlt import tensor_type
from mlc.testing.assembly import Listing, assembly, undefined_symbols
from mlc.testing.samples import Sample, conv, depthwise, elementwise, gemm, layer_norm, sample, softmax

CPUS = ("x86-64-v1", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64")
WIDE = {"x86-64-v3": ("ymm", 24), "x86-64-v4": ("zmm", 28)}
"""Vector registers and broadcasts in a loop of four reduction steps: 6 or 7 rows of two vectors."""


def typical(name: str, block: int) -> Sample:
    """A layer of a usual size; ``block`` is the width of a vector."""
    samples = {
        "gemm": lambda: gemm(128, 768, 768),
        "conv": lambda: conv(30, 128, 128, block=block),
        "pointwise": lambda: conv(28, 128, 256, 1, block=block),
        "depthwise": lambda: depthwise(30, 192, block=block),
        "stem": lambda: conv(33, 3, 64, 7),
        "softmax": lambda: softmax(1536, 128),
        "layer_norm": lambda: layer_norm(128, 768),
        "elementwise": lambda: elementwise(128, 3072),
    }
    return samples[name]()


@cache
def listing(name: str, target: str) -> Listing:
    """The assembly of a layer."""
    machine = find_target(target)
    return Listing.of(assembly(typical(name, machine.lanes(4)).kernel, machine))


def vectors(loop: Listing) -> Counter[str]:
    """The instructions of a loop that work on vectors."""
    return Counter(i.mnemonic for i in loop.instructions if "mm" in i.operands)


@pytest.mark.parametrize("name", ["gemm", "conv", "pointwise"])
@pytest.mark.parametrize("target", WIDE)
def test_products_are_multiply_adds_and_what_feeds_them(target: str, name: str) -> None:
    register, broadcasts = WIDE[target]
    loop = listing(name, target).busiest_loop("vfmadd")
    assert vectors(loop) == {"vfmadd231ps": 2 * broadcasts, "vbroadcastss": broadcasts, "vmovups": 8}
    assert all(i.operands.count(f"%{register}") == 3 for i in loop.instructions if i.mnemonic == "vfmadd231ps")
    assert len(loop.instructions) <= 3 * broadcasts + 8 + 10, "more address computation than a loop needs"
    assert not loop.stack_accesses


@pytest.mark.parametrize("name", ["gemm", "conv", "pointwise"])
@pytest.mark.parametrize("target", WIDE)
def test_products_spill_no_vector(target: str, name: str) -> None:
    assert not [i for i in listing(name, target).stack_accesses if "mm" in i.operands]


def test_depthwise_reads_each_element_of_its_window_once() -> None:
    """Two rows of seven outputs: 126 multiply-adds on 9 weights, 4x9 inputs, a bias, and no broadcast."""
    loop = listing("depthwise", "x86-64-v4").busiest_loop("vfmadd")
    counts = vectors(loop)
    assert loop.count("vfmadd") == 14 * 9
    assert loop.count(r"vmovups .*\(.*%zmm\d+$") + loop.count(r"vfmadd\w+ [-\d]*\(") <= 9 + 4 * 9 + 1
    assert loop.count(r"vmovups %zmm\d+,") == 14
    assert counts["vbroadcastss"] == 0
    assert not loop.stack_accesses


@pytest.mark.parametrize("target", WIDE)
def test_softmax_stays_in_vectors(target: str) -> None:
    whole = listing("softmax", target)
    exponentials = whole.busiest_loop("v")
    register, _ = WIDE[target]
    assert exponentials.count(rf"vfmadd.*{register}") >= 56
    assert not whole.stack_accesses
    assert whole.count("call") == 0
    assert exponentials.count("vcvttss2si|vmovss|vmovd ") == 0
    scaled = exponentials.count("vscalefps")
    assert scaled == (16 if target == "x86-64-v4" else 0)


@pytest.mark.parametrize("target", WIDE)
@pytest.mark.parametrize("name", ["elementwise", "layer_norm"])
def test_maps_stay_in_vectors(name: str, target: str) -> None:
    register, _ = WIDE[target]
    loop = listing(name, target).busiest_loop("v")
    arithmetic = [i for i in loop.instructions if i.mnemonic.startswith(("vfmadd", "vadd", "vmul", "vsub", "vdiv"))]
    assert len(arithmetic) >= 12
    assert all(f"%{register}" in i.operands for i in arithmetic)


WORDS = {
    "x86-64:cascadelake": ("u8i8", "vpdpbusd", "zmm", 4 * 7),
    "x86-64:alderlake": ("u8i8", "vpdpbusd", "ymm", 4 * 6),
    "x86-64-v4": ("i16i16", "vpmaddwd", "zmm", 7),
    "x86-64-v3": ("i16i16", "vpmaddwd", "ymm", 5),
}
"""By target: the parts of words, the instruction, its registers, and in an iteration the rows of two vectors."""


@pytest.mark.parametrize("target", WORDS)
def test_integer_products_are_dots_of_words(target: str) -> None:
    """Beside them there are loads, and sums where the instruction does not add."""
    parts, mnemonic, register, rows = WORDS[target]
    types = [tensor_type((128, 192), i32), tensor_type((192, 768), i32)]

    def build(add: Any, x: SSAValue, w: SSAValue) -> SSAValue:
        return add(hlt.DotWordsOp(x, w, parts=parts))

    made = sample("dot", types, build, weights=(1,))
    loop = Listing.of(assembly(made.kernel, find_target(target))).busiest_loop(mnemonic)
    expected = 2 * rows
    assert loop.count(rf"{mnemonic} .*%{register}") == expected
    assert len(loop.instructions) <= (2 if parts == "u8i8" else 3) * expected + 12
    assert not [i for i in loop.stack_accesses if "mm" in i.operands]


Build = Callable[[Any, SSAValue], SSAValue]

SELECTED: dict[str, tuple[Attribute, Build, str]] = {
    "sqrt": (f32, lambda add, x: add(hlt.SqrtOp(x)), "vsqrtps"),
    "floor": (f32, lambda add, x: add(hlt.FloorOp(x)), "vroundps|vrndscaleps"),
    "abs": (f32, lambda add, x: add(hlt.AbsOp(x)), "vandps|vpandd"),
    "divide f64": (f64, lambda add, x: add(hlt.DivOp(x, x)), "vdivpd"),
    "multiply i32": (i32, lambda add, x: add(hlt.MulOp(x, x)), "vpmulld"),
    "maximum i32": (i32, lambda add, x: add(hlt.MaximumOp(x, add(hlt.NegOp(x)))), "vpmaxsd|vpabsd"),
    "i8 to f32": (i8, lambda add, x: add(hlt.CastOp(x, f32)), "vcvtdq2ps"),
    "f16 to f32": (f16, lambda add, x: add(hlt.CastOp(x, f32)), "vcvtph2ps"),
    "f32 to f16": (f32, lambda add, x: add(hlt.CastOp(x, f16)), "vcvtps2ph"),
}
"""Operation, element type, how it is built, and which instruction must do the work at full width."""


@pytest.mark.parametrize("target", WIDE)
@pytest.mark.parametrize("name", SELECTED)
def test_selection(name: str, target: str) -> None:
    element, build, mnemonic = SELECTED[name]
    made = sample("selected", [tensor_type((1024,), element)], build)
    loop = Listing.of(assembly(made.kernel, find_target(target))).busiest_loop("v")
    register, _ = WIDE[target]
    assert loop.count(rf"(?:{mnemonic}) .*%{register}") == 4, "one for each of four vectors"
    assert not loop.stack_accesses


@pytest.mark.parametrize("target", CPUS)
@pytest.mark.parametrize("name", ["gemm", "conv", "depthwise", "stem", "softmax", "layer_norm", "elementwise"])
def test_kernels_need_nothing_from_elsewhere(name: str, target: str) -> None:
    machine = find_target(target)
    assert not undefined_symbols(typical(name, machine.lanes(4)).kernel, machine)
