"""Several relocatable objects made one (``ld -r``), and objects made of data.

Merging keeps every input section as a section of its own and only renumbers symbols and sections, so it needs
to understand no machine's relocations: it serves all ELF targets. ``mlc.codegen.link`` makes shared
libraries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mlc.codegen.elf import (
    ELF_FLAGS,
    SHF_ALLOC,
    SHF_INFO_LINK,
    SHF_LINK_ORDER,
    SHN_COMMON,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_ATTRIBUTES,
    SHT_GROUP,
    SHT_LLVM_ADDRSIG,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    STB_GLOBAL,
    STB_LOCAL,
    STB_WEAK,
    STT_FILE,
    STT_FUNC,
    STT_OBJECT,
    STT_SECTION,
    ObjectFile,
    Section,
    StringTable,
    Symbol,
    contents,
    write_sections,
)  # fmt: skip
from mlc.codegen.image import Chunk, Image, chunk_size
from mlc.errors import InternalError


def data_object(symbol: str, content: Chunk, machine: int, *, section: str, align: int = 4096) -> ObjectFile:
    """An object with one read-only section and one global symbol of that size, its content not yet read."""
    size = chunk_size(content)
    return ObjectFile(
        machine,
        ELF_FLAGS.get(machine, 0),
        [Section("", 0, 0, b"", 0), Section(section, SHT_PROGBITS, SHF_ALLOC, content, size, align)],
        [Symbol("", 0, 0, 0, 0, 0), Symbol(symbol, 0, size, STB_GLOBAL << 4 | STT_OBJECT, 0, 1)],
    )


@dataclass
class Definitions:
    """Who defines what over several objects: name -> (object number, symbol)."""

    defined: dict[str, tuple[int, Symbol]] = field(default_factory=dict[str, tuple[int, Symbol]])
    undefined: dict[str, Symbol] = field(default_factory=dict[str, Symbol])


def resolve(objects: Sequence[ObjectFile]) -> Definitions:
    """Match undefined symbols with definitions. Raises InternalError for a symbol defined twice or COMMON."""
    found = Definitions()
    for number, obj in enumerate(objects):
        for symbol in obj.symbols[1:]:
            if symbol.binding == STB_LOCAL:
                continue
            if not symbol.defined:
                known = found.undefined.get(symbol.name)
                if known is None or known.binding == STB_WEAK:
                    found.undefined[symbol.name] = symbol
            elif symbol.name in found.defined or symbol.section == SHN_COMMON:
                raise InternalError(f"symbol {symbol.name} is defined twice, or is COMMON")
            else:
                found.defined[symbol.name] = number, symbol
    for name in found.defined:
        found.undefined.pop(name, None)
    return found


def check_exports(found: Definitions, exports: Iterable[str]) -> None:
    """Raise InternalError when a symbol that is to be exported is not defined."""
    missing = [name for name in exports if name not in found.defined]
    if missing:
        raise InternalError(f"exported but defined in no object: {', '.join(missing)}")


def check_imports(objects: Sequence[ObjectFile], imports: Iterable[str]) -> None:
    """Raise InternalError, naming the caller, when objects need a symbol that is not in ``imports``.

    LLVM turns what a machine lacks (``frem``, rounding on old x86, half precision) into calls of the C or compiler
    library, silently.
    """
    foreign = resolve(objects).undefined.keys() - set(imports)
    for obj in objects:
        for symbol in obj.symbols[1:]:
            if symbol.name in foreign and not symbol.defined:
                callers = [other.name for other in obj.symbols if other.defined and other.type == STT_FUNC]
                raise InternalError(
                    f"the code needs {symbol.name} of another library", node=", ".join(callers[:3]) or None
                )


def merge_objects(objects: Sequence[ObjectFile], *, exports: Sequence[str]) -> Image:
    """One relocatable object out of several; symbols that are not in ``exports`` become local.

    The same input gives the same bytes. Raises InternalError for symbols defined twice, exports that nobody
    defines, and machines that differ.
    """
    if len({obj.machine for obj in objects}) != 1:
        raise InternalError("objects of different machines can't be merged")
    return _Merger(objects, frozenset(exports)).run()


_DROPPED_TYPES = {SHT_SYMTAB, SHT_STRTAB, SHT_REL, SHT_RELA, SHT_GROUP, SHT_LLVM_ADDRSIG}
_DROPPED_NAMES = {".comment", ".note.GNU-stack"}


class _Merger:
    """The state of one merge: output sections with their relocation sections, and the renumbering."""

    def __init__(self, objects: Sequence[ObjectFile], exports: frozenset[str]) -> None:
        self.objects = objects
        self.exports = exports
        self.layout = objects[0].layout
        self.found = resolve(objects)
        check_exports(self.found, exports)
        self.sections: list[Section] = [Section("", 0, 0, b"", 0)]
        self.section_number: dict[tuple[int, int], int] = {}
        self.symbols: list[Symbol] = [Symbol("", 0, 0, 0, 0, 0)]
        self.symbol_number: dict[tuple[int, int], int] = {}
        self.global_number: dict[str, int] = {}

    def run(self) -> Image:
        for number, obj in enumerate(self.objects):
            self._take_sections(number, obj)
        self.sections.append(Section(".note.GNU-stack", SHT_PROGBITS, 0, b"", 0))
        for number, obj in enumerate(self.objects):
            self._take_symbols(number, obj, STB_LOCAL)
        locals_ = len(self.symbols)
        for number, obj in enumerate(self.objects):
            self._take_symbols(number, obj, STB_GLOBAL)
        symbol_table = len(self.sections) + sum(map(self._relocated, range(len(self.objects))))
        for number, obj in enumerate(self.objects):
            self._take_relocations(number, obj, symbol_table)
        return self._write(symbol_table, locals_)

    def _take_sections(self, number: int, obj: ObjectFile) -> None:
        occupied = {symbol.section for symbol in obj.symbols if symbol.type not in (STT_SECTION, STT_FILE)}
        for index, section in enumerate(obj.sections):
            if section.type in _DROPPED_TYPES or section.name in _DROPPED_NAMES or not section.type:
                continue
            if section.type == SHT_ATTRIBUTES and number:
                continue
            if section.size or index in occupied:
                self.section_number[number, index] = len(self.sections)
                self.sections.append(section)

    def _becomes_local(self, symbol: Symbol) -> bool:
        hidden = symbol.defined and symbol.name not in self.exports
        return symbol.binding == STB_LOCAL or hidden

    def _take_symbols(self, number: int, obj: ObjectFile, binding: int) -> None:
        """Renumber the symbols that end up local, or those that end up global."""
        for index, symbol in enumerate(obj.symbols):
            if not index or symbol.type == STT_FILE:
                continue
            local = self._becomes_local(symbol) and symbol.name not in self.found.undefined
            if local != (binding == STB_LOCAL):
                continue
            is_global = symbol.binding != STB_LOCAL
            if not symbol.defined:
                if symbol.name in self.found.undefined and symbol.name not in self.global_number:
                    self._add_global(symbol, SHN_UNDEF)
                continue
            section = symbol.section
            if section < SHN_LORESERVE:
                section = self.section_number.get((number, symbol.section), -1)
            if section < 0:
                continue  # a section symbol of a dropped section
            moved = symbol._replace(section=section)
            if not local:
                self._add_global(moved, section)
                continue
            if is_global:
                self.global_number[symbol.name] = len(self.symbols)
                moved = moved._replace(info=symbol.type, other=0)
            self.symbol_number[number, index] = len(self.symbols)
            self.symbols.append(moved)

    def _add_global(self, symbol: Symbol, section: int) -> None:
        self.global_number[symbol.name] = len(self.symbols)
        self.symbols.append(symbol._replace(section=section))

    def _final_number(self, number: int, index: int) -> int:
        symbol = self.objects[number].symbols[index]
        if symbol.binding == STB_LOCAL:
            return self.symbol_number[number, index] if index else 0
        return self.global_number[symbol.name]

    def _relocated(self, number: int) -> int:
        """How many relocation sections of an object are kept."""
        return sum(
            section.type in (SHT_REL, SHT_RELA) and (number, section.info) in self.section_number
            for section in self.objects[number].sections
        )

    def _take_relocations(self, number: int, obj: ObjectFile, symbol_table: int) -> None:
        for section in obj.sections:
            target = self.section_number.get((number, section.info))
            if section.type not in (SHT_REL, SHT_RELA) or target is None:
                continue
            data = self._renumbered(number, section)
            moved = Section(section.name, section.type, SHF_INFO_LINK, data, len(data), self.layout.word)
            moved.entry_size, moved.link, moved.info = section.entry_size, symbol_table, target
            self.sections.append(moved)

    def _renumbered(self, number: int, section: Section) -> bytes:
        """Relocation entries with their symbol numbers exchanged, all else as it was."""
        record = self.layout.rela if section.type == SHT_RELA else self.layout.rel
        shift, mask = self.layout.symbol_shift, (1 << self.layout.symbol_shift) - 1
        return b"".join(
            record.pack(offset, self._final_number(number, info >> shift) << shift | info & mask, *addend)
            for offset, info, *addend in record.iter_unpack(contents(section))
        )

    def _write(self, symbol_table: int, locals_: int) -> Image:
        names = StringTable()
        packed = b"".join(self.layout.pack_symbol(names.add(symbol.name), symbol) for symbol in self.symbols)
        strings = names.to_bytes()
        assert len(self.sections) == symbol_table
        self.sections += [
            Section(".symtab", SHT_SYMTAB, 0, packed, len(packed), self.layout.word, self.layout.symbol.size),
            Section(".strtab", SHT_STRTAB, 0, strings, len(strings)),
        ]
        self.sections[symbol_table].link, self.sections[symbol_table].info = symbol_table + 1, locals_
        first = self.objects[0]
        return write_sections(self.layout, first.machine, first.flags, self.sections, self._links())

    def _links(self) -> dict[int, int]:
        """``sh_link`` of the sections that follow another one (SHF_LINK_ORDER), in output numbers."""
        return {
            final: self.section_number[number, self.objects[number].sections[index].link]
            for (number, index), final in self.section_number.items()
            if self.objects[number].sections[index].flags & SHF_LINK_ORDER
        }
