"""Relocations of ARM in ARM state, whose addends stand in the fields. Reference: ELF for the Arm Architecture,
section 5.6.
"""

from __future__ import annotations

from struct import unpack_from

from mlc.codegen.targets.relocations.rules import (
    MachineRules,
    Rule,
    Use,
    absolute32,
    nothing,
    patch,
    relative32,
    signed,
    write_words,
)

_SHT_ARM_EXIDX = 0x70000001
"""The unwind table, which needs functions of the compiler's library."""


def _word(content: bytes | bytearray | memoryview, at: int) -> int:
    return unpack_from("<i", content, at)[0]


def _no_addend(content: bytes | bytearray | memoryview, at: int) -> int:
    return 0


def _branch(buffer: bytearray, at: int, target: int, place: int) -> None:
    patch(buffer, at, 0xFFFFFF, signed(target - place, 26) >> 2)


def _branch_addend(content: bytes | bytearray | memoryview, at: int) -> int:
    field = _word(content, at) & 0xFFFFFF
    return (field ^ 0x800000) - 0x800000 << 2


def _immediate16(buffer: bytearray, at: int, value: int) -> None:
    """The operand of movw and movt: four bits and twelve."""
    patch(buffer, at, 0xF0FFF, (value & 0xF000) << 4 | value & 0xFFF)


def _movw(buffer: bytearray, at: int, target: int, place: int) -> None:
    _immediate16(buffer, at, target - place)


def _movt(buffer: bytearray, at: int, target: int, place: int) -> None:
    _immediate16(buffer, at, target - place >> 16)


def _mov_addend(content: bytes | bytearray | memoryview, at: int) -> int:
    word = _word(content, at)
    field = (word >> 4 & 0xF000) | word & 0xFFF
    return (field ^ 0x8000) - 0x8000


def _stub(buffer: bytearray, at: int, slot: int, place: int) -> None:
    write_words(buffer, at, (0xE59FC004, 0xE08FC00C, 0xE59CF000))  # ldr ip, [pc, #4]; add ip, pc, ip; ldr pc, [ip]
    relative32(buffer, at + 12, slot, place + 12)


RULES = MachineRules(
    rules={
        0: Rule(Use.NOTHING, nothing, _no_addend),  # R_ARM_NONE
        2: Rule(Use.WORD, absolute32, _word),  # ABS32
        3: Rule(Use.VALUE, relative32, _word),  # REL32
        28: Rule(Use.CALL, _branch, _branch_addend),  # CALL
        29: Rule(Use.CALL, _branch, _branch_addend),  # JUMP24
        45: Rule(Use.VALUE, _movw, _mov_addend),  # MOVW_PREL_NC
        46: Rule(Use.VALUE, _movt, _mov_addend),  # MOVT_PREL
        96: Rule(Use.SLOT, relative32, _word),  # GOT_PREL
    },
    relative=23,
    symbolic=2,
    slot=21,
    page=0x1000,
    stub_size=16,
    write_stub=_stub,
    fill=b"\0",
    explicit_addends=False,
    unlinked=frozenset({_SHT_ARM_EXIDX}),
)
