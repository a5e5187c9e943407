"""Relocations of AArch64. Reference: ELF for the Arm 64-bit Architecture, section 5.7."""

from __future__ import annotations

from mlc.codegen.targets.relocations.rules import (
    Apply,
    MachineRules,
    Rule,
    Use,
    absolute64,
    patch,
    relative32,
    relative64,
    signed,
    write_words,
)


def _adr_fields(delta: int) -> int:
    return (delta & 3) << 29 | (delta >> 2 & 0x7FFFF) << 5


def _adr(buffer: bytearray, at: int, target: int, place: int) -> None:
    patch(buffer, at, 0x60FFFFE0, _adr_fields(signed(target - place, 21)))


def _adrp(buffer: bytearray, at: int, target: int, place: int) -> None:
    patch(buffer, at, 0x60FFFFE0, _adr_fields(signed((target >> 12) - (place >> 12), 21)))


def _low12(shift: int) -> Apply:
    """The low 12 bits of the address, scaled by the access size, in bits 10..21."""

    def apply(buffer: bytearray, at: int, target: int, place: int) -> None:
        patch(buffer, at, 0x3FFC00, ((target & 0xFFF) >> shift) << 10)

    return apply


def _branch(bits: int, position: int) -> Apply:
    """A word displacement of ``bits`` bits at ``position``."""
    mask = ((1 << bits) - 1) << position

    def apply(buffer: bytearray, at: int, target: int, place: int) -> None:
        patch(buffer, at, mask, signed(target - place, bits + 2) >> 2 << position)

    return apply


def _aarch64_stub(buffer: bytearray, at: int, slot: int, place: int) -> None:
    write_words(buffer, at, (0x90000010, 0xF9400211, 0xD61F0220, 0xD503201F))  # adrp x16; ldr x17, [x16]; br x17; nop
    _adrp(buffer, at, slot, place)
    _low12(3)(buffer, at + 4, slot, place + 4)


RULES = MachineRules(
    rules={
        257: Rule(Use.WORD, absolute64),  # R_AARCH64_ABS64
        260: Rule(Use.VALUE, relative64),  # PREL64
        261: Rule(Use.VALUE, relative32),  # PREL32
        273: Rule(Use.VALUE, _branch(19, 5)),  # LD_PREL_LO19
        274: Rule(Use.VALUE, _adr),  # ADR_PREL_LO21
        275: Rule(Use.VALUE, _adrp),  # ADR_PREL_PG_HI21
        277: Rule(Use.VALUE, _low12(0)),  # ADD_ABS_LO12_NC
        278: Rule(Use.VALUE, _low12(0)),  # LDST8_ABS_LO12_NC
        279: Rule(Use.VALUE, _branch(14, 5)),  # TSTBR14
        280: Rule(Use.VALUE, _branch(19, 5)),  # CONDBR19
        282: Rule(Use.CALL, _branch(26, 0)),  # JUMP26
        283: Rule(Use.CALL, _branch(26, 0)),  # CALL26
        284: Rule(Use.VALUE, _low12(1)),  # LDST16_ABS_LO12_NC
        285: Rule(Use.VALUE, _low12(2)),  # LDST32_ABS_LO12_NC
        286: Rule(Use.VALUE, _low12(3)),  # LDST64_ABS_LO12_NC
        299: Rule(Use.VALUE, _low12(4)),  # LDST128_ABS_LO12_NC
        311: Rule(Use.SLOT, _adrp),  # ADR_GOT_PAGE
        312: Rule(Use.SLOT, _low12(3)),  # LD64_GOT_LO12_NC
        314: Rule(Use.CALL, relative32),  # PLT32
    },
    relative=1027,
    symbolic=257,
    slot=1025,
    page=0x10000,
    stub_size=16,
    write_stub=_aarch64_stub,
    fill=b"\0",
)
