"""A linker: relocatable objects in, an ELF64 shared library out, with no toolchain.

The library has separate read-only, code, relocated-then-read-only and writable segments (never writable and
executable), eager binding, a SysV hash table over its exports, a full ``.symtab`` with the kernels' names for
debuggers and profilers, and a build id. Embedded weights are a read-only segment of their own at the end,
streamed from their file. The same input gives the same bytes.

References: System V ABI (gabi) chapters 4 and 5; the machines' own rules are in ``mlc.codegen.relocations``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack, pack_into

from mlc.codegen.elf import (
    ELF64,
    ET_DYN,
    MAGIC_BYTES,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_TLS,
    SHF_WRITE,
    SHN_ABS,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GROUP,
    SHT_HASH,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_PROGBITS,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    STB_GLOBAL,
    STB_LOCAL,
    STT_FUNC,
    STT_OBJECT,
    ObjectFile,
    Relocation,
    Section,
    StringTable,
    Symbol,
    contents,
    file_header,
)  # fmt: skip
from mlc.codegen.image import Chunk, FileSlice, Image
from mlc.codegen.relocatable import check_exports, resolve
from mlc.codegen.relocations import Use, rules_of

from mlc.errors import InternalError

LIBC_OF = {
    "pthread_create": ("libc.so.6", "libpthread.so.0"),
    "pthread_join": ("libc.so.6", "libpthread.so.0"),
}
"""Sonames that provide an imported symbol; others come from ``libc.so.6`` (before glibc 2.34 threads did
not).
"""

_PT_LOAD, _PT_DYNAMIC, _PT_NOTE, _PT_GNU_STACK, _PT_GNU_RELRO = 1, 2, 4, 0x6474E551, 0x6474E552
_R, _RX, _RW = 4, 5, 6
_RELA_BYTES, _SYMBOL_BYTES, _WORD = 24, 24, 8
_BUILD_ID_BYTES = 20
_STB_MASK_VISIBILITY = 0


@dataclass
class _Output:
    """An output section; ``pieces`` are (object number, section number, offset) of what it is made of."""

    name: str
    type: int
    flags: int
    align: int = 1
    size: int = 0
    entry_size: int = 0
    link: str = ""
    info: int = 0
    pieces: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    address: int = 0
    offset: int = 0
    number: int = 0

    def reserve(self, size: int, align: int) -> int:
        """Space for ``size`` bytes; returns its offset."""
        at = -(-self.size // align) * align
        self.size = at + size
        self.align = max(self.align, align)
        return at


def link_shared(objects: Sequence[ObjectFile], *, exports: Sequence[str], soname: str = "") -> Image:
    """Link objects into a shared library that exports the symbols named, in that order.

    Symbols that no object defines are imported from the C library. Raises InternalError for what the compiler
    should not have produced (symbols defined twice, exports that nobody defines, thread-local data, unknown
    relocations) and UnsupportedError for machines without a rule table.
    """
    return _Linker(objects, exports, soname).run()


def _segments() -> list[tuple[int, list[_Output]]]:
    """Output sections in address order, by segment permission; the names are the linker's vocabulary."""
    read, write, code = SHF_ALLOC, SHF_ALLOC | SHF_WRITE, SHF_ALLOC | SHF_EXECINSTR
    return [
        (_R, [
            _Output(".note.gnu.build-id", SHT_NOTE, read, 4, 16 + _BUILD_ID_BYTES),
            _Output(".hash", SHT_HASH, read, 8, 0, 4, ".dynsym"),
            _Output(".dynsym", SHT_DYNSYM, read, 8, 0, _SYMBOL_BYTES, ".dynstr", 1),
            _Output(".dynstr", SHT_STRTAB, read),
            _Output(".rela.dyn", SHT_RELA, read, 8, 0, _RELA_BYTES, ".dynsym"),
            _Output(".rodata", SHT_PROGBITS, read),
            _Output(".eh_frame", SHT_PROGBITS, read),
        ]),
        (_RX, [_Output(".text", SHT_PROGBITS, code, 16), _Output(".plt", SHT_PROGBITS, code, 16)]),
        (_RW, [
            _Output(".dynamic", SHT_DYNAMIC, write, 8, 0, 16, ".dynstr"),
            _Output(".got", SHT_PROGBITS, write, 8, 0, _WORD),
            _Output(".data.rel.ro", SHT_PROGBITS, write),
        ]),
        (_RW, [_Output(".data", SHT_PROGBITS, write), _Output(".bss", SHT_NOBITS, write)]),
        (_R, [_Output(".mlc.weights", SHT_PROGBITS, read)]),
    ]  # fmt: skip


_RELRO_SEGMENT = 2


def _home(section: Section) -> str:
    """The output section that an input section goes to."""
    if section.flags & SHF_TLS or section.type not in (SHT_PROGBITS, SHT_NOBITS, 0x70000001):
        raise InternalError(f"section {section.name} (type {section.type:#x}) can't be linked")
    if section.flags & SHF_EXECINSTR:
        return ".text"
    if section.flags & SHF_WRITE:
        if section.type == SHT_NOBITS:
            return ".bss"
        return ".data.rel.ro" if section.name.startswith(".data.rel.ro") else ".data"
    if section.name == ".eh_frame":
        return ".eh_frame"
    return ".mlc.weights" if isinstance(section.data, FileSlice) else ".rodata"


class _Linker:
    """One link: collect, scan what the relocations need, lay out, fill in."""

    def __init__(self, objects: Sequence[ObjectFile], exports: Sequence[str], soname: str) -> None:
        if len({obj.machine for obj in objects}) != 1:
            raise InternalError("objects of different machines can't be linked")
        self.objects = objects
        self.machine = objects[0].machine
        self.rules = rules_of(self.machine)
        self.exports = tuple(exports)
        self.found = resolve(objects)
        check_exports(self.found, exports)
        self.segments = _segments()
        self.outputs = {output.name: output for _, group in self.segments for output in group}
        self.homes: dict[tuple[int, int], tuple[_Output, int]] = {}
        self.imports: dict[str, int] = {}
        self.slots: dict[tuple[int, int] | str, int] = {}
        self.stubs: dict[str, int] = {}
        self.words: list[tuple[int, int, Relocation]] = []
        self.strings = StringTable()
        self.soname = soname

    def run(self) -> Image:
        self._collect()
        self._scan()
        self._size_tables()
        end = self._lay_out()
        self.buffer = bytearray(end)
        self._copy_sections()
        self._relocate()
        self._write_tables()
        return self._finish()

    # What goes where

    def _collect(self) -> None:
        """Give every allocated input section its place in an output section."""
        for number, obj in enumerate(self.objects):
            for index, section in enumerate(obj.sections):
                if not section.allocated or section.type in (SHT_NOTE, SHT_GROUP) or not section.size:
                    continue
                output = self.outputs[_home(section)]
                offset = output.reserve(section.size, section.align)
                output.pieces.append((number, index, offset))
                self.homes[number, index] = output, offset

    def _key(self, number: int, index: int) -> tuple[int, int] | str:
        """A symbol's identity over all objects: its name when global, else where it stands."""
        symbol = self.objects[number].symbols[index]
        return (number, index) if symbol.binding == STB_LOCAL else symbol.name

    def _imported(self, symbol: Symbol) -> bool:
        return symbol.binding != STB_LOCAL and symbol.name in self.found.undefined

    def _scan(self) -> None:
        """Find the table slots, call stubs, imports and load-time words that the relocations ask for."""
        for number, index in self.homes:
            obj = self.objects[number]
            section = obj.sections[index]
            for relocation in section.relocations:
                rule = self.rules.rules.get(relocation.type)
                if rule is None:
                    raise InternalError(f"unknown relocation type {relocation.type} in {section.name}")
                symbol = obj.symbols[relocation.symbol]
                imported = self._imported(symbol)
                if imported:
                    self.imports.setdefault(symbol.name, len(self.imports) + 1)
                if rule.use is Use.SLOT or (imported and rule.use is Use.CALL):
                    self.slots.setdefault(self._key(number, relocation.symbol), len(self.slots))
                if imported and rule.use is Use.CALL:
                    self.stubs.setdefault(symbol.name, len(self.stubs))
                elif imported and rule.use is Use.VALUE:
                    raise InternalError(f"code takes the address of {symbol.name} as if it were in this library")
                elif rule.use is Use.WORD:
                    if not section.flags & SHF_WRITE:
                        raise InternalError(f"absolute address in read-only section {section.name}")
                    self.words.append((number, index, relocation))

    def _size_tables(self) -> None:
        """Fix the sizes of all sections that the linker writes itself, and intern their strings."""
        size = self.outputs
        symbols = 1 + len(self.imports) + len(self.exports)
        size[".hash"].size = 4 * (2 + 2 * symbols)
        size[".dynsym"].size = _SYMBOL_BYTES * symbols
        size[".rela.dyn"].size = _RELA_BYTES * (len(self.slots) + len(self.words))
        size[".got"].size = _WORD * len(self.slots)
        size[".plt"].size = self.rules.stub_size * len(self.stubs)
        if size[".eh_frame"].size:
            size[".eh_frame"].reserve(4, 4)  # a zero length ends the list
        for text in (*self.imports, *self.exports, *self._needed(), self.soname):
            self.strings.add(text)
        size[".dynstr"].size = len(self.strings.to_bytes())
        size[".dynamic"].size = 16 * len(self._dynamic_entries())

    def _needed(self) -> list[str]:
        """The libraries to load, without repetition."""
        names = [name for symbol in self.imports for name in LIBC_OF.get(symbol, ("libc.so.6",))]
        return sorted(set(names))

    def _lay_out(self) -> int:
        """Assign addresses and file offsets; returns the end of what is kept in memory.

        Segments follow each other in the file without padding to pages; an address only has to be congruent
        to its offset modulo the page size, so a page at a border is mapped twice.
        """
        page = self.rules.page
        offset = MAGIC_BYTES + ELF64.header.size + 56 * len(self._program_headers())
        address = offset
        end = offset
        for number, (_, group) in enumerate(self.segments):
            if number:
                address = -(-address // page) * page + offset % page
            for output in group:
                padding = -address % output.align
                address, offset = address + padding, offset + padding
                output.address, output.offset = address, offset
                address += output.size
                if output.type != SHT_NOBITS:
                    offset += output.size
                if output.size and output.name != ".mlc.weights":
                    end = offset
        return end

    # What is in it

    def _copy_sections(self) -> None:
        text = self.outputs[".text"]
        self.buffer[text.offset : text.offset + text.size] = self.rules.fill * text.size
        for (number, index), (output, offset) in self.homes.items():
            section = self.objects[number].sections[index]
            if section.type == SHT_NOBITS or output.name == ".mlc.weights":
                continue
            start = output.offset + offset
            self.buffer[start : start + section.size] = contents(section)

    def _address(self, number: int, index: int) -> int:
        """A symbol's address; for an import that of its call stub."""
        symbol = self.objects[number].symbols[index]
        if symbol.binding != STB_LOCAL:
            if symbol.name in self.found.undefined:
                return self.outputs[".plt"].address + self.rules.stub_size * self.stubs[symbol.name]
            number, symbol = self.found.defined[symbol.name]
        return self._symbol_address(number, symbol)

    def _symbol_address(self, number: int, symbol: Symbol) -> int:
        if symbol.section == SHN_ABS:
            return symbol.value
        output, offset = self.homes[number, symbol.section]
        return output.address + offset + symbol.value

    def _slot_address(self, key: tuple[int, int] | str) -> int:
        return self.outputs[".got"].address + _WORD * self.slots[key]

    def _relocate(self) -> None:
        """Apply the relocations that have their values now."""
        for (number, index), (output, offset) in self.homes.items():
            for relocation in self.objects[number].sections[index].relocations:
                rule = self.rules.rules[relocation.type]
                if rule.use is Use.WORD:
                    continue
                if rule.use is Use.SLOT:
                    target = self._slot_address(self._key(number, relocation.symbol))
                else:
                    target = self._address(number, relocation.symbol)
                inside = offset + relocation.offset
                rule.apply(self.buffer, output.offset + inside, target + relocation.addend, output.address + inside)

    def _load_time_relocations(self) -> list[tuple[int, int, int, int]]:
        """(place, type, dynamic symbol, addend) of the slots and words, the relative ones first."""
        found: list[tuple[int, int, int, int]] = []
        for key in self.slots:
            place = self._slot_address(key)
            if isinstance(key, str) and key in self.found.undefined:
                found.append((place, self.rules.slot, self.imports[key], 0))
                continue
            number, symbol = (
                self.found.defined[key] if isinstance(key, str) else (key[0], self.objects[key[0]].symbols[key[1]])
            )
            found.append((place, self.rules.relative, 0, self._symbol_address(number, symbol)))
        for number, index, relocation in self.words:
            output, offset = self.homes[number, index]
            place = output.address + offset + relocation.offset
            symbol = self.objects[number].symbols[relocation.symbol]
            if self._imported(symbol):
                found.append((place, self.rules.symbolic, self.imports[symbol.name], relocation.addend))
                continue
            target = self._address(number, relocation.symbol) + relocation.addend
            found.append((place, self.rules.relative, 0, target))
        return sorted(found, key=lambda entry: (entry[1] != self.rules.relative, entry[0]))

    def _dynamic_entries(self) -> list[tuple[int, int]]:
        at = {name: output.address for name, output in self.outputs.items()}
        rela = self.outputs[".rela.dyn"].size
        relative = len(self.slots) + len(self.words) - sum(self._bound_by_name())
        entries = [(1, self.strings.add(name)) for name in self._needed()]
        if self.soname:
            entries.append((14, self.strings.add(self.soname)))
        entries += [(4, at[".hash"]), (5, at[".dynstr"]), (6, at[".dynsym"])]
        entries += [(10, self.outputs[".dynstr"].size), (11, _SYMBOL_BYTES)]
        if rela:
            entries += [(7, at[".rela.dyn"]), (8, rela), (9, _RELA_BYTES), (0x6FFFFFF9, relative)]
        return [*entries, (30, 8), (0x6FFFFFFB, 1), (0, 0)]  # FLAGS BIND_NOW, FLAGS_1 NOW, NULL

    def _bound_by_name(self) -> list[bool]:
        """For each load-time relocation, whether it needs a symbol looked up."""
        slots = [isinstance(key, str) and key in self.found.undefined for key in self.slots]
        words = [self._imported(self.objects[n].symbols[r.symbol]) for n, _, r in self.words]
        return slots + words

    def _put(self, name: str, data: bytes) -> None:
        output = self.outputs[name]
        assert len(data) == output.size, name
        self.buffer[output.offset : output.offset + len(data)] = data

    def _write_tables(self) -> None:
        """Fill in the sections that the linker makes itself."""
        for name, index in self.stubs.items():
            at = self.rules.stub_size * index
            plt = self.outputs[".plt"]
            self.rules.write_stub(self.buffer, plt.offset + at, self._slot_address(name), plt.address + at)
        relocations = self._load_time_relocations()
        self._put(".rela.dyn", b"".join(ELF64.rela.pack(place, s << 32 | t, a) for place, t, s, a in relocations))
        self._put(".dynstr", self.strings.to_bytes())
        symbols = self._dynamic_symbols()
        self._put(".dynsym", _pack(symbols, self.strings))
        self._put(".hash", _hash_table([symbol.name for symbol in symbols]))
        self._put(".dynamic", b"".join(pack("<QQ", tag, value) for tag, value in self._dynamic_entries()))

    def _number_sections(self) -> list[_Output]:
        """The output sections that exist, numbered from 1."""
        kept = [output for _, group in self.segments for output in group if output.size]
        for number, output in enumerate(kept, 1):
            output.number = number
        return kept

    def _final(self, number: int, symbol: Symbol, info: int) -> Symbol:
        """A defined symbol with its address and output section."""
        home = SHN_ABS if symbol.section == SHN_ABS else self.homes[number, symbol.section][0].number
        return Symbol(symbol.name, self._symbol_address(number, symbol), symbol.size, info, 0, home)

    def _exported(self) -> list[Symbol]:
        defined = [self.found.defined[name] for name in self.exports]
        return [self._final(number, s, STB_GLOBAL << 4 | s.type) for number, s in defined]

    def _undefined(self) -> list[Symbol]:
        return [Symbol(name, 0, 0, self.found.undefined[name].info, 0, SHN_UNDEF) for name in self.imports]

    def _dynamic_symbols(self) -> list[Symbol]:
        self._number_sections()
        return [Symbol("", 0, 0, 0, 0, 0), *self._undefined(), *self._exported()]

    def _debug_symbols(self) -> tuple[list[Symbol], int]:
        """The full symbol table and the number of its local entries."""
        exported = set(self.exports)
        symbols = [Symbol("", 0, 0, 0, 0, 0)]
        for number, obj in enumerate(self.objects):
            for symbol in obj.symbols[1:]:
                if symbol.type not in (STT_FUNC, STT_OBJECT) or (symbol.name in exported and symbol.binding):
                    continue
                if (number, symbol.section) in self.homes and symbol.section < SHN_LORESERVE:
                    symbols.append(self._final(number, symbol, symbol.type))
        return [*symbols, *self._undefined(), *self._exported()], len(symbols)

    def _program_headers(self) -> list[bytes]:
        """PT_LOAD per segment that has content, and the descriptive ones."""
        headers: list[bytes] = []
        for number, (permission, group) in enumerate(self.segments):
            kept = [output for output in group if output.size]
            if not kept:
                continue
            # The first segment also maps the file's headers.
            start, at = (kept[0].address, kept[0].offset) if number else (0, 0)
            end = kept[-1].address + kept[-1].size
            in_file = sum(o.address + o.size - start for o in [k for k in kept if k.type != SHT_NOBITS][-1:])
            if number == _RELRO_SEGMENT:
                padded = -(-end // self.rules.page) * self.rules.page
                headers.append(_program(_PT_GNU_RELRO, _R, at, start, padded - start, padded - start, 1))
                end = padded
            headers.append(_program(_PT_LOAD, permission, at, start, in_file, end - start, self.rules.page))
        for kind, name, permission in (
            (_PT_DYNAMIC, ".dynamic", _RW), (_PT_NOTE, ".note.gnu.build-id", _R),
        ):  # fmt: skip
            o = self.outputs[name]
            headers.append(_program(kind, permission, o.offset, o.address, o.size, o.size, o.align))
        headers.append(_program(_PT_GNU_STACK, _RW, 0, 0, 0, 0, 16))
        return sorted(headers, key=lambda header: header[0] == 0x52 and header[1] == 0xE5)

    def _finish(self) -> Image:
        """Add headers, symbol table and section headers, and stamp the build id."""
        kept = self._number_sections()
        names = StringTable()
        symbols, local_count = self._debug_symbols()
        strings = StringTable()
        table = _pack(symbols, strings)
        string_bytes = strings.to_bytes()
        extra = [
            _Output(".symtab", SHT_SYMTAB, 0, 8, len(table), _SYMBOL_BYTES, ".strtab", local_count),
            _Output(".strtab", SHT_STRTAB, 0, 1, len(string_bytes)),
            _Output(".shstrtab", SHT_STRTAB, 0, 1),
        ]
        everything = [*kept, *extra]
        for number, output in enumerate(everything, 1):
            output.number = number
            names.add(output.name)
        name_bytes = names.to_bytes()
        extra[2].size = len(name_bytes)
        weights, position = self._weights()
        tail: list[bytes] = []
        for output, data in zip(extra, (table, string_bytes, name_bytes), strict=True):
            padding = -position % output.align
            output.offset = position + padding
            tail += [bytes(padding), data]
            position = output.offset + len(data)
        padding = -position % _WORD
        by_name = {output.name: output.number for output in everything}
        records = [bytes(ELF64.section.size)] + [
            ELF64.section.pack(
                names.add(o.name), o.type, o.flags, o.address, o.offset, o.size, by_name.get(o.link, 0),
                o.info, o.align, o.entry_size,
            )
            for o in everything
        ]  # fmt: skip
        tail += [bytes(padding), *records]
        programs = self._program_headers()
        header = file_header(
            ELF64, ET_DYN, self.machine, self.objects[0].flags, position + padding, len(records),
            len(everything), len(programs),
        )  # fmt: skip
        start = header + b"".join(programs)
        self.buffer[: len(start)] = start
        self._stamp(tail, weights)
        return Image((bytes(self.buffer), *weights, b"".join(tail)))

    def _weights(self) -> tuple[list[Chunk], int]:
        """The weights segment's chunks with the padding before them, and the file offset of their end."""
        output = self.outputs[".mlc.weights"]
        if not output.size:
            return [], len(self.buffer)
        chunks: list[Chunk] = []
        position = len(self.buffer)
        for number, index, offset in output.pieces:
            chunks += [bytes(output.offset + offset - position), self.objects[number].sections[index].data]
            position = output.offset + offset + self.objects[number].sections[index].size
        return chunks, position

    def _stamp(self, tail: list[bytes], weights: list[Chunk]) -> None:
        """Write the build id: a digest of everything but the weights, whose own digest is in the code."""
        output = self.outputs[".note.gnu.build-id"]
        at = output.offset
        pack_into("<III4s", self.buffer, at, 4, _BUILD_ID_BYTES, 3, b"GNU\0")
        digest = hashlib.sha256(self.buffer)
        for part in tail:
            digest.update(part)
        self.buffer[at + 16 : at + 16 + _BUILD_ID_BYTES] = digest.digest()[:_BUILD_ID_BYTES]


def _program(kind: int, flags: int, offset: int, address: int, in_file: int, in_memory: int, align: int) -> bytes:
    return pack("<IIQQQQQQ", kind, flags, offset, address, address, in_file, in_memory, align)


def _pack(symbols: Sequence[Symbol], strings: StringTable) -> bytes:
    return b"".join(ELF64.pack_symbol(strings.add(symbol.name), symbol) for symbol in symbols)


def _hash(name: str) -> int:
    """The SysV hash of a symbol name."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value & 0xFFFFFFFF


def _hash_table(names: Sequence[str]) -> bytes:
    """A SysV hash table with as many buckets as symbols; entry 0 is the null symbol."""
    count = len(names)
    buckets, chains = [0] * count, [0] * count
    for index in range(count - 1, 0, -1):
        bucket = _hash(names[index]) % count
        chains[index], buckets[bucket] = buckets[bucket], index
    return pack(f"<{2 + 2 * count}I", count, count, *buckets, *chains)
