"""An ELF shared library as a file: its sections and segments, their layout, headers and symbol tables.

``mlc.codegen.link`` decides what goes into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack, pack_into

from mlc.codegen.elf import (
    ELF_FLAGS,
    ET_DYN,
    MAGIC_BYTES,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_HASH,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    ElfClass,
    StringTable,
    Symbol,
    class_of,
    file_header,
)  # fmt: skip
from mlc.codegen.image import Chunk, Image, chunk_size
from mlc.codegen.targets.relocations import MachineRules

NULL_SYMBOL = Symbol("", 0, 0, 0, 0, 0)

_PT_LOAD, _PT_DYNAMIC, _PT_NOTE, _PT_GNU_STACK, _PT_GNU_RELRO = 1, 2, 4, 0x6474E551, 0x6474E552
_R, _RX, _RW = 4, 5, 6
_BUILD_ID_BYTES = 20
_BUILD_ID_NOTE = pack("<III4s", 4, _BUILD_ID_BYTES, 3, b"GNU\0")


@dataclass
class OutputSection:
    """A section of the library; ``link`` names the section that ``sh_link`` refers to."""

    name: str
    type: int
    flags: int = 0
    align: int = 1
    size: int = 0
    entry_size: int = 0
    link: str = ""
    info: int = 0
    address: int = 0
    offset: int = 0
    number: int = 0

    def reserve(self, size: int, align: int) -> int:
        """Space for ``size`` bytes; returns its offset in the section."""
        at = _align(self.size, align)
        self.size = at + size
        self.align = max(self.align, align)
        return at

    @property
    def in_file(self) -> bool:
        """Whether it has content; zeros (``SHT_NOBITS``) have none."""
        return self.type != SHT_NOBITS


@dataclass
class Segment:
    """Sections that are mapped together; ``relro``: writable only while the library is loaded."""

    permission: int
    sections: list[OutputSection]
    relro: bool = False
    streamed: bool = False

    @property
    def kept(self) -> list[OutputSection]:
        """The sections that are not empty."""
        return [section for section in self.sections if section.size]


def _segments(layout: ElfClass, relocations: OutputSection) -> list[Segment]:
    """All there can be, in address order."""
    word, symbol = layout.word, layout.symbol.size
    read, write, code = SHF_ALLOC, SHF_ALLOC | SHF_WRITE, SHF_ALLOC | SHF_EXECINSTR
    return [
        Segment(_R, [
            OutputSection(".note.gnu.build-id", SHT_NOTE, read, 4, len(_BUILD_ID_NOTE) + _BUILD_ID_BYTES),
            OutputSection(".hash", SHT_HASH, read, word, 0, 4, ".dynsym"),
            OutputSection(".dynsym", SHT_DYNSYM, read, word, 0, symbol, ".dynstr", 1),
            OutputSection(".dynstr", SHT_STRTAB, read),
            relocations,
            OutputSection(".rodata", SHT_PROGBITS, read),
            OutputSection(".eh_frame", SHT_PROGBITS, read),
        ]),
        Segment(_RX, [OutputSection(".text", SHT_PROGBITS, code, 16), OutputSection(".plt", SHT_PROGBITS, code, 16)]),
        Segment(_RW, [
            OutputSection(".dynamic", SHT_DYNAMIC, write, word, 0, layout.dynamic.size, ".dynstr"),
            OutputSection(".got", SHT_PROGBITS, write, word, 0, word),
            OutputSection(".data.rel.ro", SHT_PROGBITS, write),
        ], relro=True),
        Segment(_RW, [OutputSection(".data", SHT_PROGBITS, write), OutputSection(".bss", SHT_NOBITS, write)]),
        Segment(_R, [OutputSection(".mlc.weights", SHT_PROGBITS, read)], streamed=True),
    ]  # fmt: skip


@dataclass
class SharedFile:
    """The library in the making: fix the sizes, ``lay_out``, fill ``buffer``, ``finish``."""

    machine: int
    rules: MachineRules
    layout: ElfClass = field(init=False)
    relocations: OutputSection = field(init=False)
    segments: list[Segment] = field(init=False)
    sections: dict[str, OutputSection] = field(init=False)
    buffer: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.layout = layout = class_of(self.machine)
        self.relocations = (
            OutputSection(".rela.dyn", SHT_RELA, SHF_ALLOC, layout.word, 0, layout.rela.size, ".dynsym")
            if self.rules.explicit_addends
            else OutputSection(".rel.dyn", SHT_REL, SHF_ALLOC, layout.word, 0, layout.rel.size, ".dynsym")
        )
        self.segments = _segments(layout, self.relocations)
        self.sections = {section.name: section for segment in self.segments for section in segment.sections}

    def lay_out(self) -> None:
        """Assign numbers, addresses and file offsets, and make the buffer.

        Segments follow each other in the file without padding to pages: an address only has to be congruent to
        its offset modulo the page size, so a page at a border is mapped twice.
        """
        page = self.rules.page
        kept = [section for segment in self.segments for section in segment.kept]
        for number, section in enumerate(kept, 1):
            section.number = number
        headers = self.layout.header.size + self.layout.program.size * self._program_count()
        address = offset = in_memory = MAGIC_BYTES + headers
        for index, segment in enumerate(self.segments):
            if index:
                address = _align(address, page) + offset % page
            for section in segment.sections:
                padding = -address % section.align
                address, offset = address + padding, offset + padding
                section.address, section.offset = address, offset
                address += section.size
                if section.in_file:
                    offset += section.size
                if section.size and not segment.streamed:
                    in_memory = offset
        self.buffer = bytearray(in_memory)
        text = self.sections[".text"]
        self.buffer[text.offset : text.offset + text.size] = self.rules.fill * text.size

    def put(self, name: str, data: bytes) -> None:
        """Fill a whole section."""
        section = self.sections[name]
        assert len(data) == section.size, name
        self.buffer[section.offset : section.offset + len(data)] = data

    def put_word(self, address: int, value: int) -> None:
        """Write an address-sized value where the library has ``address``."""
        home = next(s for s in self.sections.values() if s.in_file and s.address <= address < s.address + s.size)
        word = self.layout.word
        at = home.offset + address - home.address
        self.buffer[at : at + word] = (value & (1 << 8 * word) - 1).to_bytes(word, "little")

    def finish(self, symbols: Sequence[Symbol], local_symbols: int, streamed: Sequence[Chunk]) -> Image:
        """Add headers, the full symbol table and section headers, and stamp the build id.

        ``streamed`` are the chunks of the streamed segment, from the buffer's end on.
        """
        position = len(self.buffer) + sum(map(chunk_size, streamed))
        tail, table_at, count = self._tail(symbols, local_symbols, position)
        programs = self._program_headers()
        flags = ELF_FLAGS.get(self.machine, 0)
        header = file_header(self.layout, ET_DYN, self.machine, flags, table_at, count, count - 1, len(programs))
        start = header + b"".join(programs)
        self.buffer[: len(start)] = start
        self._stamp(tail)
        return Image((bytes(self.buffer), *streamed, tail))

    def _tail(self, symbols: Sequence[Symbol], local_symbols: int, position: int) -> tuple[bytes, int, int]:
        """What follows the mapped part, the offset of the section headers in it, and their number."""
        strings, word = StringTable(), self.layout.word
        table = pack_symbols(self.layout, symbols, strings)
        text = strings.to_bytes()
        symtab = OutputSection(
            ".symtab", SHT_SYMTAB, 0, word, len(table), self.layout.symbol.size, ".strtab", local_symbols
        )
        strtab = OutputSection(".strtab", SHT_STRTAB, size=len(text))
        shstrtab = OutputSection(".shstrtab", SHT_STRTAB)
        everything = [*(s for segment in self.segments for s in segment.kept), symtab, strtab, shstrtab]
        names = StringTable()
        name_offsets = [names.add(section.name) for section in everything]
        name_text = names.to_bytes()
        shstrtab.size = len(name_text)
        numbers = {section.name: number for number, section in enumerate(everything, 1)}
        tail = bytearray()
        for section, data in ((symtab, table), (strtab, text), (shstrtab, name_text)):
            tail += bytes(-(position + len(tail)) % section.align)
            section.offset = position + len(tail)
            tail += data
        tail += bytes(-(position + len(tail)) % word)
        table_at = position + len(tail)
        tail += bytes(self.layout.section.size)
        for name, s in zip(name_offsets, everything, strict=True):
            link = numbers.get(s.link, 0)
            tail += self.layout.section.pack(
                name, s.type, s.flags, s.address, s.offset, s.size, link, s.info, s.align, s.entry_size
            )
        return bytes(tail), table_at, 1 + len(everything)

    def _stamp(self, tail: bytes) -> None:
        """Write the build id: a digest of everything but the weights, whose own digest is in the code."""
        at = self.sections[".note.gnu.build-id"].offset
        pack_into(f"{len(_BUILD_ID_NOTE)}s", self.buffer, at, _BUILD_ID_NOTE)
        digest = hashlib.sha256(self.buffer)
        digest.update(tail)
        at += len(_BUILD_ID_NOTE)
        self.buffer[at : at + _BUILD_ID_BYTES] = digest.digest()[:_BUILD_ID_BYTES]

    def _program_count(self) -> int:
        return len(self._program_headers())

    def _program_headers(self) -> list[bytes]:
        """PT_LOAD per segment that has content, in address order, then the descriptive ones."""
        page, program = self.rules.page, self.layout.pack_program
        loads: list[bytes] = []
        others: list[bytes] = []
        for index, segment in enumerate(self.segments):
            kept = segment.kept
            if not kept:
                continue
            # The first segment also maps the file's headers.
            start, offset = (kept[0].address, kept[0].offset) if index else (0, 0)
            end = kept[-1].address + kept[-1].size
            in_file = max((s.address + s.size - start for s in kept if s.in_file), default=0)
            if segment.relro:
                end = _align(end, page)  # protection works on whole pages
                others.append(program(_PT_GNU_RELRO, _R, offset, start, end - start, end - start, 1))
            loads.append(program(_PT_LOAD, segment.permission, offset, start, in_file, end - start, page))
        for kind, permission, name in ((_PT_DYNAMIC, _RW, ".dynamic"), (_PT_NOTE, _R, ".note.gnu.build-id")):
            s = self.sections[name]
            others.append(program(kind, permission, s.offset, s.address, s.size, s.size, s.align))
        return [*loads, *others, program(_PT_GNU_STACK, _RW, 0, 0, 0, 0, 16)]


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def pack_symbols(layout: ElfClass, symbols: Sequence[Symbol], strings: StringTable) -> bytes:
    """A symbol table, its names added to ``strings``."""
    return b"".join(layout.pack_symbol(strings.add(symbol.name), symbol) for symbol in symbols)


def hash_table_bytes(symbols: int) -> int:
    """Size of the hash table over that many symbols, the null symbol included."""
    return 4 * (2 + 2 * symbols)


def hash_table(names: Sequence[str]) -> bytes:
    """A SysV hash table with as many buckets as symbols; entry 0 is the null symbol."""
    count = len(names)
    buckets, chains = [0] * count, [0] * count
    for index in range(count - 1, 0, -1):
        bucket = _hash(names[index]) % count
        chains[index], buckets[bucket] = buckets[bucket], index
    return pack(f"<{2 + 2 * count}I", count, count, *buckets, *chains)


def _hash(name: str) -> int:
    """The SysV hash of a symbol name."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value
