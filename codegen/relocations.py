"""What LLVM's position-independent code asks of a linker, per machine, as tables.

References: System V ABI, AMD64 supplement, section 4.4; ELF for the Arm 64-bit Architecture, section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from struct import pack_into, unpack_from
from typing import NamedTuple

from mlc.codegen.elf import EM_AARCH64, EM_X86_64
from mlc.errors import InternalError, UnsupportedError


class Use(Enum):
    """Which address a relocation wants."""

    VALUE = auto()
    """That of the symbol itself, which must lie in the same library."""
    CALL = auto()
    """That of the symbol, or of a stub that jumps to it when another library defines it."""
    SLOT = auto()
    """That of a table slot that holds the symbol's address."""
    WORD = auto()
    """The symbol's absolute address, known when the library is loaded."""


Apply = Callable[[bytearray, int, int, int], None]
"""``(buffer, position, target + addend, place)``: patch the field at ``position``, which will lie at
``place``.
"""


class Rule(NamedTuple):
    """What a relocation refers to, and how it patches its field."""

    use: Use
    apply: Apply


@dataclass(frozen=True)
class MachineRules:
    """How to link for one ``e_machine``: relocation rules, dynamic types, page size, call stubs."""

    rules: dict[int, Rule]
    relative: int
    symbolic: int
    slot: int
    page: int
    stub_size: int
    write_stub: Callable[[bytearray, int, int, int], None]
    fill: bytes


def rules_of(machine: int) -> MachineRules:
    """The rules of an ``e_machine``; raises UnsupportedError where mlc can't link itself."""
    if machine not in _MACHINES:
        raise UnsupportedError(
            f"no built-in linker for ELF machine {machine}",
            hint="write an object (.o) or archive (.a) and link it with the target's toolchain",
        )
    return _MACHINES[machine]


def _signed(value: int, bits: int) -> int:
    """Check that a value fits a signed field of ``bits`` bits."""
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise InternalError(f"relocation out of range: {value:#x} in {bits} bits")
    return value


def _relative32(buffer: bytearray, at: int, target: int, place: int) -> None:
    pack_into("<i", buffer, at, _signed(target - place, 32))


def _relative64(buffer: bytearray, at: int, target: int, place: int) -> None:
    pack_into("<q", buffer, at, target - place)


def _absolute64(buffer: bytearray, at: int, target: int, place: int) -> None:
    pack_into("<Q", buffer, at, target)


def _x86_stub(buffer: bytearray, at: int, slot: int, place: int) -> None:
    buffer[at : at + 2] = b"\xff\x25"  # jmp *slot(%rip)
    pack_into("<i", buffer, at + 2, _signed(slot - (place + 6), 32))
    buffer[at + 6 : at + 8] = b"\x66\x90"


def _patch(buffer: bytearray, at: int, mask: int, bits: int) -> None:
    """Replace the bits of ``mask`` in an instruction."""
    (word,) = unpack_from("<I", buffer, at)
    pack_into("<I", buffer, at, word & ~mask | bits & mask)


def _adr_fields(delta: int) -> int:
    return (delta & 3) << 29 | (delta >> 2 & 0x7FFFF) << 5


def _adr(buffer: bytearray, at: int, target: int, place: int) -> None:
    _patch(buffer, at, 0x60FFFFE0, _adr_fields(_signed(target - place, 21)))


def _adrp(buffer: bytearray, at: int, target: int, place: int) -> None:
    _patch(buffer, at, 0x60FFFFE0, _adr_fields(_signed((target >> 12) - (place >> 12), 21)))


def _low12(shift: int) -> Apply:
    """The low 12 bits of the address, scaled by the access size, in bits 10..21."""

    def apply(buffer: bytearray, at: int, target: int, place: int) -> None:
        _patch(buffer, at, 0x3FFC00, ((target & 0xFFF) >> shift) << 10)

    return apply


def _branch(bits: int, position: int) -> Apply:
    """A word displacement of ``bits`` bits at ``position``."""
    mask = ((1 << bits) - 1) << position

    def apply(buffer: bytearray, at: int, target: int, place: int) -> None:
        _patch(buffer, at, mask, _signed(target - place, bits + 2) >> 2 << position)

    return apply


def _aarch64_stub(buffer: bytearray, at: int, slot: int, place: int) -> None:
    for index, word in enumerate((0x90000010, 0xF9400211, 0xD61F0220, 0xD503201F)):
        pack_into("<I", buffer, at + 4 * index, word)  # adrp x16; ldr x17, [x16]; br x17; nop
    _adrp(buffer, at, slot, place)
    _low12(3)(buffer, at + 4, slot, place + 4)


_X86_64 = MachineRules(
    rules={
        1: Rule(Use.WORD, _absolute64),  # R_X86_64_64
        2: Rule(Use.VALUE, _relative32),  # PC32
        4: Rule(Use.CALL, _relative32),  # PLT32
        9: Rule(Use.SLOT, _relative32),  # GOTPCREL
        24: Rule(Use.VALUE, _relative64),  # PC64
        41: Rule(Use.SLOT, _relative32),  # GOTPCRELX
        42: Rule(Use.SLOT, _relative32),  # REX_GOTPCRELX
        43: Rule(Use.SLOT, _relative32),  # CODE_4_GOTPCRELX
    },
    relative=8,
    symbolic=1,
    slot=6,
    page=0x1000,
    stub_size=8,
    write_stub=_x86_stub,
    fill=b"\xcc",
)

_AARCH64 = MachineRules(
    rules={
        257: Rule(Use.WORD, _absolute64),  # R_AARCH64_ABS64
        260: Rule(Use.VALUE, _relative64),  # PREL64
        261: Rule(Use.VALUE, _relative32),  # PREL32
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
        314: Rule(Use.CALL, _relative32),  # PLT32
    },
    relative=1027,
    symbolic=257,
    slot=1025,
    page=0x10000,
    stub_size=16,
    write_stub=_aarch64_stub,
    fill=b"\0",
)

_MACHINES = {EM_X86_64: _X86_64, EM_AARCH64: _AARCH64}
