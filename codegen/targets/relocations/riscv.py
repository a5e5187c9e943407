"""Relocations of RISC-V without linker relaxation. Reference: RISC-V ELF psABI, chapter 8.

An address relative to the program counter takes two instructions. The first one's relocation names the symbol; the
second one's names the first instruction, and takes the low bits of the same distance.
"""

from __future__ import annotations

from struct import pack_into, unpack_from

from mlc.codegen.targets.relocations.rules import (
    MachineRules,
    Rule,
    Use,
    absolute64,
    patch,
    relative32,
    signed,
    write_words,
)


def _bits(value: int, fields: tuple[tuple[int, int, int], ...]) -> int:
    """Fields of a value, each ``count`` bits from ``low`` on, moved to where the instruction has them."""
    return sum((value >> low & (1 << count) - 1) << at for low, count, at in fields)


def _high20(buffer: bytearray, at: int, target: int, place: int) -> None:
    """Bits 12 and up, rounded so that the low part is a signed number."""
    patch(buffer, at, 0xFFFFF000, signed(target - place + 0x800, 32))


def _low12_load(buffer: bytearray, at: int, target: int, place: int) -> None:
    patch(buffer, at, 0xFFF00000, _bits(target - place, ((0, 12, 20),)))


def _low12_store(buffer: bytearray, at: int, target: int, place: int) -> None:
    patch(buffer, at, 0xFE000F80, _bits(target - place, ((0, 5, 7), (5, 7, 25))))


def _call(buffer: bytearray, at: int, target: int, place: int) -> None:
    """auipc and jalr side by side."""
    _high20(buffer, at, target, place)
    _low12_load(buffer, at + 4, target, place)


def _branch(buffer: bytearray, at: int, target: int, place: int) -> None:
    distance = signed(target - place, 13)
    patch(buffer, at, 0xFE000F80, _bits(distance, ((11, 1, 7), (1, 4, 8), (5, 6, 25), (12, 1, 31))))


def _jump(buffer: bytearray, at: int, target: int, place: int) -> None:
    distance = signed(target - place, 21)
    patch(buffer, at, 0xFFFFF000, _bits(distance, ((12, 8, 12), (11, 1, 20), (1, 10, 21), (20, 1, 31))))


def _patch16(buffer: bytearray, at: int, mask: int, bits: int) -> None:
    (word,) = unpack_from("<H", buffer, at)
    pack_into("<H", buffer, at, word & ~mask | bits & mask)


def _short_branch(buffer: bytearray, at: int, target: int, place: int) -> None:
    distance = signed(target - place, 9)
    _patch16(buffer, at, 0x1C7C, _bits(distance, ((5, 1, 2), (1, 2, 3), (6, 2, 5), (3, 2, 10), (8, 1, 12))))


def _short_jump(buffer: bytearray, at: int, target: int, place: int) -> None:
    distance = signed(target - place, 12)
    fields = ((5, 1, 2), (1, 3, 3), (7, 1, 6), (6, 1, 7), (10, 1, 8), (8, 2, 9), (4, 1, 11), (11, 1, 12))
    _patch16(buffer, at, 0x1FFC, _bits(distance, fields))


def _stub(buffer: bytearray, at: int, slot: int, place: int) -> None:
    write_words(buffer, at, (0x00000E17, 0x000E3E03, 0x000E0067, 0x00000013))  # auipc t3; ld t3, (t3); jr t3; nop
    _high20(buffer, at, slot, place)
    _low12_load(buffer, at + 4, slot, place)


RULES = MachineRules(
    rules={
        2: Rule(Use.WORD, absolute64),  # R_RISCV_64
        16: Rule(Use.VALUE, _branch),  # BRANCH
        17: Rule(Use.VALUE, _jump),  # JAL
        18: Rule(Use.CALL, _call),  # CALL
        19: Rule(Use.CALL, _call),  # CALL_PLT
        20: Rule(Use.SLOT, _high20),  # GOT_HI20
        23: Rule(Use.VALUE, _high20),  # PCREL_HI20
        24: Rule(Use.PAIR, _low12_load),  # PCREL_LO12_I
        25: Rule(Use.PAIR, _low12_store),  # PCREL_LO12_S
        44: Rule(Use.VALUE, _short_branch),  # RVC_BRANCH
        45: Rule(Use.VALUE, _short_jump),  # RVC_JUMP
        57: Rule(Use.VALUE, relative32),  # 32_PCREL
        59: Rule(Use.CALL, relative32),  # PLT32
    },
    relative=3,
    symbolic=2,
    slot=2,
    page=0x1000,
    stub_size=16,
    write_stub=_stub,
    fill=b"\0",
)
