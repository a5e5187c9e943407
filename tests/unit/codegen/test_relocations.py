"""Patched instruction fields say the target, read back bit by bit as the manuals number them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.codegen.elf import EM_ARM, EM_RISCV
from mlc.codegen.targets.relocations import Rule, rules_of
from mlc.errors import InternalError

RISCV, ARM = rules_of(EM_RISCV).rules, rules_of(EM_ARM).rules
ADDRESSES = st.integers(1 << 12, 1 << 24).map(lambda a: a & ~3)


def scattered(word: int, *bits: int) -> int:
    """The number whose bits, from the highest, are those bits of an instruction, in two's complement."""
    value = sum((word >> bit & 1) << len(bits) - 1 - i for i, bit in enumerate(bits))
    return value - (1 << len(bits)) if value >> len(bits) - 1 else value


def patched(rules: dict[int, Rule], kind: int, original: int, target: int, place: int, size: str = "<I") -> int:
    buffer = bytearray(struct.pack(size, original))
    rules[kind].apply(buffer, 0, target, place)
    return int(struct.unpack(size, buffer)[0])


@given(target=ADDRESSES, place=ADDRESSES)
@settings(max_examples=50, deadline=None)
def test_riscv_pairs_add_up(target: int, place: int) -> None:
    """auipc and an instruction with twelve bits, in the forms of loads and of stores."""
    high = patched(RISCV, 23, 0x00000517, target, place)
    load = patched(RISCV, 24, 0x00053503, target, place)
    store = patched(RISCV, 25, 0x00A53023, target, place)
    upper = scattered(high, *range(31, 11, -1)) << 12
    assert place + upper + scattered(load, *range(31, 19, -1)) == target
    assert place + upper + scattered(store, *range(31, 24, -1), *range(11, 6, -1)) == target
    assert (high & 0xFFF, load & 0xFFFFF, store & 0x1FFF07F) == (0x517, 0x53503, 0xA53023 & 0x1FFF07F)


@given(distance=st.integers(-100, 100))
@settings(max_examples=50, deadline=None)
def test_riscv_jumps_and_branches(distance: int) -> None:
    place = 1 << 16
    target = place + 2 * distance
    jump = patched(RISCV, 17, 0x6F, target, place)
    assert 2 * scattered(jump, 31, *range(19, 11, -1), 20, *range(30, 20, -1)) == target - place
    branch = patched(RISCV, 16, 0x63, target, place)
    assert 2 * scattered(branch, 31, 7, *range(30, 24, -1), *range(11, 7, -1)) == target - place
    short = patched(RISCV, 44, 0xC001, target, place, "<H")
    assert 2 * scattered(short, 12, 6, 5, 2, 11, 10, 4, 3) == target - place
    near = patched(RISCV, 45, 0xA001, target, place, "<H")
    assert 2 * scattered(near, 12, 8, 10, 9, 6, 7, 2, 11, 5, 4, 3) == target - place
    assert (short & 0xE003, near & 0xE003) == (0xC001, 0xA001)


@given(target=ADDRESSES, place=ADDRESSES, addend=st.integers(-128, 127))
@settings(max_examples=50, deadline=None)
def test_arm_fields_hold_addends_first(target: int, place: int, addend: int) -> None:
    call = struct.pack("<I", 0xEB000000 | addend & 0xFFFFFF)
    assert ARM[28].read is not None
    assert ARM[28].read(call, 0) == 4 * addend
    word = patched(ARM, 28, 0xEB000000, target, place)
    assert place + 4 * scattered(word, *range(23, -1, -1)) == target
    low, high = (patched(ARM, kind, original, target, place) for kind, original in ((45, 0xE3000000), (46, 0xE3400000)))
    halves = [scattered(w, *range(19, 15, -1), *range(11, -1, -1)) & 0xFFFF for w in (low, high)]
    assert halves[0] | halves[1] << 16 == (target - place) & 0xFFFFFFFF
    assert ARM[45].read is not None
    assert ARM[45].read(struct.pack("<I", low), 0) & 0xFFFF == halves[0]


@pytest.mark.parametrize(("rules", "kind"), [(RISCV, 17), (RISCV, 45), (RISCV, 23), (ARM, 28), (ARM, 3)])
def test_out_of_range_is_an_error(rules: dict[int, Rule], kind: int) -> None:
    with pytest.raises(InternalError, match="out of range"):
        patched(rules, kind, 0, 1 << 40, 0)
