"""A linker: relocatable objects in, an ELF shared library out, with no toolchain.

The library has separate read-only, code, relocated-then-read-only and writable segments (never writable and
executable), eager binding, a SysV hash table over its exports, a full ``.symtab`` with the kernels' names for
debuggers and profilers, and a build id. Embedded weights are a read-only segment of their own at the end,
streamed from their file. The same input gives the same bytes.

References: System V ABI (gabi) chapters 4 and 5; the machines' own rules are in ``mlc.codegen.targets.relocations``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mlc.codegen.elf import (
    SHF_EXECINSTR,
    SHF_TLS,
    SHF_WRITE,
    SHN_ABS,
    SHN_UNDEF,
    SHT_GROUP,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_PROGBITS,
    SHT_UNWIND,
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
)  # fmt: skip
from mlc.codegen.image import Chunk, FileSlice, Image
from mlc.codegen.relocatable import check_exports, resolve
from mlc.codegen.sharedfile import (
    NULL_SYMBOL,
    OutputSection,
    SharedFile,
    hash_table,
    hash_table_bytes,
    pack_symbols,
)  # fmt: skip
from mlc.codegen.targets.relocations import Apply, Rule, Use, rules_of
from mlc.errors import InternalError

LIBC = "libc.so.6"
OLD_THREADS = "libpthread.so.0"
"""Where the thread functions were before glibc 2.34; later it is an empty library."""
_THREAD_SYMBOLS = {"pthread_create", "pthread_join"}

_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_RELAENT = 1, 4, 5, 6, 7, 8, 9
_DT_STRSZ, _DT_SYMENT, _DT_SONAME, _DT_FLAGS, _DT_RELACOUNT, _DT_FLAGS_1 = 10, 11, 14, 30, 0x6FFFFFF9, 0x6FFFFFFB
_DT_REL, _DT_RELSZ, _DT_RELENT, _DT_RELCOUNT = 17, 18, 19, 0x6FFFFFFA
_DF_BIND_NOW, _DF_1_NOW = 8, 1


def link_shared(
    objects: Sequence[ObjectFile], *, exports: Sequence[str], soname: str = "", elsewhere: Collection[str] = ()
) -> Image:
    """Link objects into a shared library that exports the symbols named, in that order.

    Symbols that no object defines are imported: those ``elsewhere`` from whatever library of the process has them, the
    others from the C library. Raises InternalError for what the compiler
    should not have produced (symbols defined twice, exports that nobody defines, thread-local data, unknown
    relocations) and UnsupportedError for machines without a rule table.
    """
    return _Linker(objects, exports, soname, frozenset(elsewhere)).run()


def _home(section: Section) -> str:
    """The output section that an input section goes to."""
    if section.flags & SHF_TLS or section.type not in (SHT_PROGBITS, SHT_NOBITS, SHT_UNWIND):
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


_Key = tuple[int, int] | str
"""A symbol's identity over all objects: its name when global, else (object number, symbol number)."""


class _Linker:
    """One link: collect, scan what the relocations need, lay out, fill in."""

    def __init__(
        self, objects: Sequence[ObjectFile], exports: Sequence[str], soname: str, elsewhere: frozenset[str]
    ) -> None:
        if len({obj.machine for obj in objects}) != 1:
            raise InternalError("objects of different machines can't be linked")
        self.objects = objects
        self.exports = exports
        self.soname = soname
        self.elsewhere = elsewhere
        self.found = resolve(objects)
        check_exports(self.found, exports)
        self.rules = rules_of(objects[0].machine)
        self.file = SharedFile(objects[0].machine, self.rules)
        self.layout = self.file.layout
        self.strings = StringTable()
        # (object number, section number) -> where the section lies
        self.homes: dict[tuple[int, int], tuple[OutputSection, int]] = {}
        self.imports: dict[str, int] = {}
        self.slots: dict[_Key, int] = {}
        self.stubs: dict[str, int] = {}
        self.words: list[tuple[int, int, Relocation]] = []
        self.relocations: dict[tuple[int, int], list[Relocation]] = {}

    def run(self) -> Image:
        self._collect()
        self._scan()
        self._size_tables()
        self.file.lay_out()
        self._copy_sections()
        self._relocate()
        self._write_tables()
        symbols, local_symbols = self._debug_symbols()
        return self.file.finish(symbols, local_symbols, self._weights())

    def _collect(self) -> None:
        """Give every allocated input section its place in an output section."""
        for number, obj in enumerate(self.objects):
            for index, section in enumerate(obj.sections):
                if section.allocated and section.size and section.type not in self._unlinked:
                    output = self.file.sections[_home(section)]
                    self.homes[number, index] = output, output.reserve(section.size, section.align)
                    self.relocations[number, index] = self._relocations(section)

    @property
    def _unlinked(self) -> frozenset[int]:
        return self.rules.unlinked | {SHT_NOTE, SHT_GROUP}

    def _relocations(self, section: Section) -> list[Relocation]:
        """A section's relocations with their addends. Raises InternalError for a type that no rule is known for."""
        for kind in dict.fromkeys(entry.type for entry in section.relocations):
            if kind not in self.rules.rules:
                raise InternalError(f"unknown relocation type {kind} in {section.name}")
        if self.rules.explicit_addends:
            return section.relocations
        content = contents(section) if section.relocations else b""
        readers = {kind: rule.read for kind, rule in self.rules.rules.items() if rule.read is not None}
        return [entry._replace(addend=readers[entry.type](content, entry.offset)) for entry in section.relocations]

    def _symbol(self, number: int, index: int) -> tuple[_Key, bool]:
        """A symbol's identity, and whether another library defines it."""
        symbol = self.objects[number].symbols[index]
        if symbol.binding == STB_LOCAL:
            return (number, index), False
        return symbol.name, symbol.name in self.found.undefined

    def _scan(self) -> None:
        """Find the table slots, call stubs, imports and load-time words that the relocations ask for."""
        for (number, index), relocations in self.relocations.items():
            section = self.objects[number].sections[index]
            for kind, symbol in dict.fromkeys((entry.type, entry.symbol) for entry in relocations):
                rule = self.rules.rules[kind]
                if rule.use is Use.WORD and not section.flags & SHF_WRITE:
                    raise InternalError(f"absolute address in read-only section {section.name}")
                self._note_use(rule, *self._symbol(number, symbol))
            self.words += [(number, index, entry) for entry in relocations if self._is_word(entry)]

    def _is_word(self, relocation: Relocation) -> bool:
        return self.rules.rules[relocation.type].use is Use.WORD

    def _note_use(self, rule: Rule, key: _Key, imported: bool) -> None:
        if rule.use is Use.NOTHING:
            return
        if imported:
            self.imports.setdefault(str(key), len(self.imports) + 1)
        if rule.use is Use.SLOT:
            self.slots.setdefault(key, len(self.slots))
        elif imported and rule.use is Use.CALL:
            self.slots.setdefault(key, len(self.slots))
            self.stubs.setdefault(str(key), len(self.stubs))
        elif imported and rule.use is Use.VALUE:
            raise InternalError(f"code takes the address of {key} as if it were in this library")

    def _size_tables(self) -> None:
        """Fix the sizes of all sections that the linker writes itself, and intern their strings."""
        sections, layout = self.file.sections, self.layout
        symbols = 1 + len(self.imports) + len(self.exports)
        sections[".hash"].size = hash_table_bytes(symbols)
        sections[".dynsym"].size = layout.symbol.size * symbols
        self.file.relocations.size = self.file.relocations.entry_size * (len(self.slots) + len(self.words))
        sections[".got"].size = layout.word * len(self.slots)
        sections[".plt"].size = self.rules.stub_size * len(self.stubs)
        if sections[".eh_frame"].size:
            sections[".eh_frame"].reserve(4, 4)  # a zero length ends the list
        for text in (*self.imports, *self.exports, *self._needed(), self.soname):
            self.strings.add(text)
        sections[".dynstr"].size = len(self.strings.to_bytes())
        sections[".dynamic"].size = layout.dynamic.size * len(self._dynamic_entries(0))

    def _needed(self) -> list[str]:
        """The libraries to load."""
        if self.imports.keys() <= self.elsewhere:
            return []
        return [LIBC, OLD_THREADS] if _THREAD_SYMBOLS & self.imports.keys() else [LIBC]

    def _copy_sections(self) -> None:
        for (number, index), (output, offset) in self.homes.items():
            section = self.objects[number].sections[index]
            if section.type != SHT_NOBITS and not isinstance(section.data, FileSlice):
                start = output.offset + offset
                self.file.buffer[start : start + section.size] = section.data

    def _address(self, key: _Key) -> int:
        """A symbol's address; for an import that of its call stub."""
        if isinstance(key, tuple):
            return self._place(key[0], self.objects[key[0]].symbols[key[1]])
        if key in self.found.undefined:
            return self.file.sections[".plt"].address + self.rules.stub_size * self.stubs[key]
        return self._place(*self.found.defined[key])

    def _place(self, number: int, symbol: Symbol) -> int:
        if symbol.section == SHN_ABS:
            return symbol.value
        output, offset = self.homes[number, symbol.section]
        return output.address + offset + symbol.value

    def _slot_address(self, key: _Key) -> int:
        return self.file.sections[".got"].address + self.layout.word * self.slots[key]

    def _relocate(self) -> None:
        """Apply the relocations that have their values now."""
        buffer = self.file.buffer
        for (number, index), relocations in self.relocations.items():
            output, offset = self.homes[number, index]
            targets = {
                pair: self._rule_and_target(number, *pair)
                for pair in dict.fromkeys((entry.type, entry.symbol) for entry in relocations)
            }
            at, place = output.offset + offset, output.address + offset
            begun = {entry.offset: entry for entry in relocations} if self._has_pairs else {}
            for inside, kind, symbol, addend in relocations:
                apply, target = targets[kind, symbol]
                if apply is None:
                    continue
                if self.rules.rules[kind].use is not Use.PAIR:
                    apply(buffer, at + inside, target + addend, place + inside)
                    continue
                first = begun[self.objects[number].symbols[symbol].value]
                _, whole = targets[first.type, first.symbol]
                apply(buffer, at + inside, whole + first.addend, place + first.offset)

    @property
    def _has_pairs(self) -> bool:
        return any(rule.use is Use.PAIR for rule in self.rules.rules.values())

    def _rule_and_target(self, number: int, kind: int, symbol: int) -> tuple[Apply | None, int]:
        """How to apply a relocation and the address it wants; None for what the loader will do."""
        rule = self.rules.rules[kind]
        if rule.use in (Use.WORD, Use.NOTHING):
            return None, 0
        key, _ = self._symbol(number, symbol)
        return rule.apply, self._slot_address(key) if rule.use is Use.SLOT else self._address(key)

    def _load_time_relocations(self) -> list[tuple[int, int, int, int]]:
        """(place, type, dynamic symbol, addend) of the slots and words, the relative ones first."""
        entries = [self._load_time(self._slot_address(key), key, 0, self.rules.slot) for key in self.slots]
        for number, index, relocation in self.words:
            output, offset = self.homes[number, index]
            place = output.address + offset + relocation.offset
            key, _ = self._symbol(number, relocation.symbol)
            entries.append(self._load_time(place, key, relocation.addend, self.rules.symbolic))
        return sorted(entries, key=lambda entry: (entry[1] != self.rules.relative, entry[0]))

    def _load_time(self, place: int, key: _Key, addend: int, by_name: int) -> tuple[int, int, int, int]:
        """The relocation that puts a symbol's address at ``place``: looked up by name if another library has it."""
        if isinstance(key, str) and key in self.found.undefined:
            return place, by_name, self.imports[key], addend
        return place, self.rules.relative, 0, self._address(key) + addend

    def _load_time_record(self, place: int, kind: int, symbol: int, addend: int) -> bytes:
        """A dynamic relocation; where records have no addend, it goes to the place itself."""
        info = symbol << self.layout.symbol_shift | kind
        if self.rules.explicit_addends:
            return self.layout.rela.pack(place, info, addend)
        self.file.put_word(place, addend)
        return self.layout.rel.pack(place, info)

    def _dynamic_entries(self, relative: int) -> list[tuple[int, int]]:
        """The dynamic section; ``relative`` counts the relocations that need no symbol."""
        sections = self.file.sections
        entries = [(_DT_NEEDED, self.strings.add(name)) for name in self._needed()]
        if self.soname:
            entries.append((_DT_SONAME, self.strings.add(self.soname)))
        entries += [(_DT_HASH, sections[".hash"].address), (_DT_STRTAB, sections[".dynstr"].address)]
        entries += [(_DT_SYMTAB, sections[".dynsym"].address), (_DT_STRSZ, sections[".dynstr"].size)]
        entries += [(_DT_SYMENT, self.layout.symbol.size)]
        table = self.file.relocations
        if table.size:
            tags = (_DT_RELA, _DT_RELASZ, _DT_RELAENT, _DT_RELACOUNT)
            if not self.rules.explicit_addends:
                tags = (_DT_REL, _DT_RELSZ, _DT_RELENT, _DT_RELCOUNT)
            entries += zip(tags, (table.address, table.size, table.entry_size, relative))
        return [*entries, (_DT_FLAGS, _DF_BIND_NOW), (_DT_FLAGS_1, _DF_1_NOW), (0, 0)]

    def _write_tables(self) -> None:
        """Fill in the sections that the linker makes itself."""
        put = self.file.put
        plt = self.file.sections[".plt"]
        for name, index in self.stubs.items():
            at = self.rules.stub_size * index
            self.rules.write_stub(self.file.buffer, plt.offset + at, self._slot_address(name), plt.address + at)
        entries = self._load_time_relocations()
        put(self.file.relocations.name, b"".join(self._load_time_record(*entry) for entry in entries))
        put(".dynstr", self.strings.to_bytes())
        symbols = [NULL_SYMBOL, *self._undefined(), *self._exported()]
        put(".dynsym", pack_symbols(self.layout, symbols, self.strings))
        put(".hash", hash_table([symbol.name for symbol in symbols]))
        relative = sum(entry[1] == self.rules.relative for entry in entries)
        put(".dynamic", b"".join(self.layout.dynamic.pack(*entry) for entry in self._dynamic_entries(relative)))

    def _final(self, number: int, symbol: Symbol, info: int) -> Symbol:
        """A defined symbol with its address and output section."""
        home = SHN_ABS if symbol.section == SHN_ABS else self.homes[number, symbol.section][0].number
        return Symbol(symbol.name, self._place(number, symbol), symbol.size, info, 0, home)

    def _exported(self) -> list[Symbol]:
        defined = [self.found.defined[name] for name in self.exports]
        return [self._final(number, s, STB_GLOBAL << 4 | s.type) for number, s in defined]

    def _undefined(self) -> list[Symbol]:
        return [Symbol(name, 0, 0, self.found.undefined[name].info, 0, SHN_UNDEF) for name in self.imports]

    def _debug_symbols(self) -> tuple[list[Symbol], int]:
        """The full symbol table and the number of its local entries."""
        exported = set(self.exports)
        symbols = [NULL_SYMBOL]
        for number, obj in enumerate(self.objects):
            for symbol in obj.symbols:
                listed = symbol.binding != STB_LOCAL and symbol.name in exported
                if symbol.type in (STT_FUNC, STT_OBJECT) and (number, symbol.section) in self.homes and not listed:
                    symbols.append(self._final(number, symbol, symbol.type))
        return [*symbols, *self._undefined(), *self._exported()], len(symbols)

    def _weights(self) -> list[Chunk]:
        """The streamed segment from the end of the rest on, with its padding."""
        chunks: list[Chunk] = []
        position = len(self.file.buffer)
        for (number, index), (output, offset) in self.homes.items():
            section = self.objects[number].sections[index]
            if isinstance(section.data, FileSlice):
                chunks += [bytes(output.offset + offset - position), section.data]
                position = output.offset + offset + section.size
        return chunks
