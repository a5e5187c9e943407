"""Relocations of x86-64. Reference: System V ABI, AMD64 supplement, section 4.4."""

from __future__ import annotations

from struct import pack_into

from mlc.codegen.targets.relocations.rules import MachineRules, Rule, Use, absolute64, relative32, relative64, signed


def _x86_stub(buffer: bytearray, at: int, slot: int, place: int) -> None:
    buffer[at : at + 2] = b"\xff\x25"  # jmp *slot(%rip)
    pack_into("<i", buffer, at + 2, signed(slot - (place + 6), 32))
    buffer[at + 6 : at + 8] = b"\x66\x90"


RULES = MachineRules(
    rules={
        1: Rule(Use.WORD, absolute64),  # R_X86_64_64
        2: Rule(Use.VALUE, relative32),  # PC32
        4: Rule(Use.CALL, relative32),  # PLT32
        9: Rule(Use.SLOT, relative32),  # GOTPCREL
        24: Rule(Use.VALUE, relative64),  # PC64
        41: Rule(Use.SLOT, relative32),  # GOTPCRELX
        42: Rule(Use.SLOT, relative32),  # REX_GOTPCRELX
        43: Rule(Use.SLOT, relative32),  # CODE_4_GOTPCRELX
    },
    relative=8,
    symbolic=1,
    slot=6,
    page=0x1000,
    stub_size=8,
    write_stub=_x86_stub,
    fill=b"\xcc",
)
