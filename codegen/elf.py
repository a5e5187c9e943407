"""Relocatable ELF objects, 32 and 64 bit, little-endian: the records, a reader and a writer.

Reference: System V ABI, generic part, chapter 4 (gabi).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from mlc.codegen.image import Chunk, FileSlice, Image, chunk_size
from mlc.errors import InternalError

ET_REL, ET_DYN = 1, 3
EM_386, EM_ARM, EM_X86_64, EM_AARCH64, EM_RISCV = 3, 40, 62, 183, 243

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_HASH, SHT_DYNAMIC = 1, 2, 3, 4, 5, 6
SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_DYNSYM, SHT_GROUP = 7, 8, 9, 11, 17
SHT_LLVM_ADDRSIG = 0x6FFF4C03
SHT_UNWIND = 0x70000001
"""What x86-64 has for ``.eh_frame``."""

SHT_ATTRIBUTES = 0x70000003
"""``.ARM.attributes`` and ``.riscv.attributes``: the build's ABI, the same in all objects of one target."""

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK, SHF_LINK_ORDER, SHF_TLS = 1, 2, 4, 0x40, 0x80, 0x400

STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 0, 1, 2, 3, 4
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2

ELF_FLAGS = {EM_RISCV: 0x5, EM_ARM: 0x05000400}
"""``e_flags`` of libraries and of objects without code: compressed instructions and double-float ABI; EABI 5 and hard
float.
"""


class ElfClass(NamedTuple):
    """The record layouts of one word size; all are little-endian."""

    ident: int
    word: int
    header: Struct
    section: Struct
    symbol: Struct
    rel: Struct
    rela: Struct
    symbol_shift: int
    program: Struct
    dynamic: Struct

    def pack_symbol(self, name: int, symbol: Symbol) -> bytes:
        """One symbol table entry; ``name`` is the offset in the string table."""
        if self.ident == 1:
            return self.symbol.pack(name, symbol.value, symbol.size, symbol.info, symbol.other, symbol.section)
        return self.symbol.pack(name, symbol.info, symbol.other, symbol.section, symbol.value, symbol.size)

    def pack_program(
        self, kind: int, flags: int, offset: int, address: int, in_file: int, in_memory: int, align: int
    ) -> bytes:
        """One program header; the physical address is the virtual one."""
        if self.ident == 1:
            return self.program.pack(kind, offset, address, address, in_file, in_memory, flags, align)
        return self.program.pack(kind, flags, offset, address, address, in_file, in_memory, align)


ELF32 = ElfClass(
    1,
    4,
    Struct("<HHIIIIIHHHHHH"),
    Struct("<10I"),
    Struct("<IIIBBH"),
    Struct("<II"),
    Struct("<IIi"),
    8,
    Struct("<8I"),
    Struct("<II"),
)
ELF64 = ElfClass(
    2,
    8,
    Struct("<HHIQQQIHHHHHH"),
    Struct("<IIQQQQIIQQ"),
    Struct("<IBBHQQ"),
    Struct("<QQ"),
    Struct("<QQq"),
    32,
    Struct("<IIQQQQQQ"),
    Struct("<QQ"),
)
MAGIC_BYTES = 16


def class_of(machine: int) -> ElfClass:
    """The word size of an ``e_machine`` among those that mlc has targets for."""
    return ELF32 if machine in (EM_386, EM_ARM) else ELF64


class Symbol(NamedTuple):
    """A symbol; ``section`` indexes its object's sections (or is an SHN_ constant)."""

    name: str
    value: int
    size: int
    info: int
    other: int
    section: int

    @property
    def binding(self) -> int:
        """Local, global or weak: ``STB_*``."""
        return self.info >> 4

    @property
    def type(self) -> int:
        """What it names: ``STT_*``."""
        return self.info & 15

    @property
    def defined(self) -> bool:
        """Whether it lies in this object."""
        return self.section != SHN_UNDEF


class Relocation(NamedTuple):
    """At byte ``offset`` of its section: a value made of symbol number ``symbol`` and ``addend``.

    Records of ``SHT_REL`` have no addend, the field holds it: here it is 0.
    """

    offset: int
    type: int
    symbol: int
    addend: int


@dataclass
class Section:
    """A section with its content and the relocations that apply to it."""

    name: str
    type: int
    flags: int
    data: Chunk
    size: int
    align: int = 1
    entry_size: int = 0
    link: int = 0
    info: int = 0
    relocations: list[Relocation] = field(default_factory=list[Relocation])

    @property
    def allocated(self) -> bool:
        """Whether it occupies memory at run time."""
        return bool(self.flags & SHF_ALLOC)


@dataclass
class ObjectFile:
    """A relocatable object; section 0 and symbol 0 are the reserved null entries."""

    machine: int
    flags: int
    sections: list[Section]
    symbols: list[Symbol]

    @property
    def layout(self) -> ElfClass:
        """The record layouts of the machine's word size."""
        return class_of(self.machine)


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode()


def parse_object(data: bytes) -> ObjectFile:
    """Read a relocatable object as LLVM writes it. Raises InternalError when it is none."""
    if data[:4] != b"\x7fELF" or data[5] != 1 or data[4] not in (1, 2):
        raise InternalError("not a little-endian ELF object")
    layout = ELF32 if data[4] == 1 else ELF64
    header: tuple[int, ...] = layout.header.unpack_from(data, MAGIC_BYTES)
    kind, machine, _, _, _, table, flags, _, _, _, _, count, names = header
    if kind != ET_REL:
        raise InternalError(f"not a relocatable object: ELF type {kind}")
    view = memoryview(data)
    records: list[tuple[int, ...]] = list(layout.section.iter_unpack(view[table : table + count * layout.section.size]))
    strings = [_bytes_of(view, record) for record in records if record[1] == SHT_STRTAB]
    name_table = _bytes_of(view, records[names]) if names else strings[0]
    sections = [_section(view, record, name_table) for record in records]
    tables = [section for section in sections if section.type == SHT_SYMTAB]
    symbols = _symbols(layout, tables[0], sections) if tables else []
    for section in sections:
        if section.type in (SHT_RELA, SHT_REL):
            sections[section.info].relocations = _relocations(layout, section)
    return ObjectFile(machine, flags, sections, symbols)


def _bytes_of(view: memoryview, record: tuple[int, ...]) -> bytes:
    return bytes(view[record[4] : record[4] + record[5]])


def _section(view: memoryview, record: tuple[int, ...], names: bytes) -> Section:
    name, kind, flags, _, offset, size, link, info, align, entry_size = record
    data = view[offset : offset + size] if kind != SHT_NOBITS else b""
    return Section(_string(names, name), kind, flags, data, size, max(align, 1), entry_size, link, info)


def _symbols(layout: ElfClass, table: Section, sections: Sequence[Section]) -> list[Symbol]:
    names = bytes(contents(sections[table.link]))
    records = layout.symbol.iter_unpack(contents(table))
    if layout is ELF32:
        return [Symbol(_string(names, n), v, z, i, o, x) for n, v, z, i, o, x in records]
    return [Symbol(_string(names, n), v, z, i, o, x) for n, i, o, x, v, z in records]


def contents(section: Section) -> bytes | bytearray | memoryview:
    """A section's bytes; those that are still a slice of a file are not for processing."""
    if isinstance(section.data, FileSlice):
        raise InternalError(f"section {section.name} lies in a file")
    return section.data


def _relocations(layout: ElfClass, section: Section) -> list[Relocation]:
    shift, mask = layout.symbol_shift, (1 << layout.symbol_shift) - 1
    if section.type == SHT_REL:
        return [Relocation(o, i & mask, i >> shift, 0) for o, i in layout.rel.iter_unpack(contents(section))]
    return [Relocation(o, i & mask, i >> shift, a) for o, i, a in layout.rela.iter_unpack(contents(section))]


class StringTable:
    """A string table that stores each string once."""

    def __init__(self) -> None:
        self._offsets: dict[str, int] = {"": 0}
        self._data = bytearray(1)

    def add(self, text: str) -> int:
        """The offset of a string, stored on first use."""
        offset = self._offsets.get(text)
        if offset is None:
            offset = self._offsets[text] = len(self._data)
            self._data += text.encode() + b"\0"
        return offset

    def to_bytes(self) -> bytes:
        """The table as it stands in the file."""
        return bytes(self._data)


def write_sections(
    layout: ElfClass, machine: int, flags: int, sections: Sequence[Section], links: dict[int, int]
) -> Image:
    """A relocatable file: header, contents, section name table, section headers. ``links`` overrides
    ``sh_link``.
    """
    if len(sections) + 1 >= SHN_LORESERVE:
        raise InternalError(f"{len(sections)} sections are more than an ELF object can number")
    names = StringTable()
    name_offsets = [names.add(section.name) for section in sections]
    name_offsets.append(names.add(".shstrtab"))
    table = names.to_bytes()
    chunks: list[Chunk] = [b""]
    position = MAGIC_BYTES + layout.header.size
    records: list[bytes] = []
    for number, section in enumerate([*sections, Section(".shstrtab", SHT_STRTAB, 0, table, len(table))]):
        align = section.align if section.type else 0
        padding = -position % max(align, 1)
        chunks += [bytes(padding), section.data]
        position += padding
        link = links.get(number, section.link if section.type in (SHT_SYMTAB, SHT_REL, SHT_RELA) else 0)
        info = section.info if section.type in (SHT_SYMTAB, SHT_REL, SHT_RELA) else 0
        offset = position if section.type else 0
        records.append(
            layout.section.pack(
                name_offsets[number], section.type, section.flags, 0, offset, section.size, link, info, align,
                section.entry_size,
            )
        )  # fmt: skip
        position += chunk_size(section.data)
    padding = -position % layout.word
    chunks += [bytes(padding), *records]
    chunks[0] = file_header(layout, ET_REL, machine, flags, position + padding, len(records), len(records) - 1)
    return Image(tuple(chunk for chunk in chunks if chunk_size(chunk)))


def file_header(
    layout: ElfClass, kind: int, machine: int, flags: int, sections_at: int, sections: int, names: int,
    programs: int = 0,
) -> bytes:  # fmt: skip
    """The ELF header; program headers, if any, follow it directly."""
    size = MAGIC_BYTES + layout.header.size
    return bytes([0x7F, *b"ELF", layout.ident, 1, 1]).ljust(MAGIC_BYTES, b"\0") + layout.header.pack(
        kind, machine, 1, 0, size if programs else 0, sections_at, flags, size, layout.program.size if programs else
        0, programs, layout.section.size, sections, names,
    )  # fmt: skip
