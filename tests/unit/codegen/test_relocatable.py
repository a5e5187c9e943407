"""Merged objects and archives."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from mlc.codegen.archive import Member, archive
from mlc.codegen.elf import parse_object
from mlc.codegen.image import FileSlice, Image
from mlc.codegen.object import compile_ir
from mlc.codegen.relocatable import data_object, merge_objects
from mlc.codegen.targets.base import Target
from mlc.errors import InternalError, UnsupportedError

MAIN = """
@blob = external constant [16 x i8]
@three = internal constant [4 x double] [double 3.0, double 3.5, double 4.0, double 4.5]
declare i32 @helper(i32)
declare i32 @outside(i32)
define i32 @entry(i32 %x) {
  %a = call i32 @helper(i32 %x)
  %b = call i32 @outside(i32 %a)
  %at = getelementptr i8, ptr @blob, i32 %x
  %c = load i8, ptr %at
  %d = zext i8 %c to i32
  %e = add i32 %b, %d
  %t.at = getelementptr double, ptr @three, i32 %x
  %t = load double, ptr %t.at
  %u = fptosi double %t to i32
  %r = add i32 %e, %u
  ret i32 %r
}
"""
HELPER = "define i32 @helper(i32 %x) {\n  %r = mul i32 %x, 100\n  ret i32 %r\n}\n"


def _merge(target: Target, blob: Path) -> Image:
    objects = [parse_object(data) for data in compile_ir([("main", MAIN), ("helper", HELPER)], target)]
    content = FileSlice(blob, 0, 16)
    objects.append(data_object("blob", content, target.elf_machine, section=".mlc.weights"))
    return merge_objects(objects, exports=("entry",))


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(bytes(range(1, 17)))
    return path


def _symbols(image: Image) -> dict[str, Any]:
    table: Any = ELFFile(BytesIO(image.to_bytes())).get_section_by_name(".symtab")
    return {symbol.name: symbol for symbol in table.iter_symbols() if symbol.name}


def test_only_exports_are_global(any_target: Target, blob: Path) -> None:
    symbols = _symbols(_merge(any_target, blob))
    visible = {name for name, symbol in symbols.items() if symbol["st_info"]["bind"] != "STB_LOCAL"}
    assert visible - {"__aeabi_unwind_cpp_pr0"} == {"entry", "outside"}
    assert symbols["outside"]["st_shndx"] == "SHN_UNDEF"
    assert symbols["helper"]["st_shndx"] != "SHN_UNDEF"


def test_no_relocation_is_lost(any_target: Target, blob: Path) -> None:
    """Every relocation of the inputs that are kept is there, against a symbol of the same name."""
    merged: Any = ELFFile(BytesIO(_merge(any_target, blob).to_bytes()))
    inputs: list[Any] = [
        ELFFile(BytesIO(data)) for data in compile_ir([("main", MAIN), ("helper", HELPER)], any_target)
    ]
    assert _relocations(merged) == sorted(entry for elf in inputs for entry in _relocations(elf))
    assert merged["e_flags"] == inputs[0]["e_flags"]


def _relocations(elf: Any) -> list[tuple[str, int, int, str]]:
    table = elf.get_section_by_name(".symtab")
    found: list[tuple[str, int, int, str]] = []
    for section in elf.iter_sections():
        if section["sh_type"] not in ("SHT_REL", "SHT_RELA") or "addrsig" in section.name:
            continue
        for entry in section.iter_relocations():
            symbol = table.get_symbol(entry["r_info_sym"])
            name = symbol.name or elf.get_section(symbol["st_shndx"]).name
            found.append((section.name, entry["r_offset"], entry["r_info_type"], name))
    return sorted(found)


def test_same_input_same_bytes(any_target: Target, blob: Path) -> None:
    assert _merge(any_target, blob).to_bytes() == _merge(any_target, blob).to_bytes()


def test_merged_again(any_target: Target, blob: Path) -> None:
    """What was merged can be read and merged once more."""
    once = _merge(any_target, blob).to_bytes()
    twice = merge_objects([parse_object(once)], exports=("entry",))
    assert _symbols(twice).keys() == _symbols(Image((once,))).keys()


def test_refusals(x86_64: Target) -> None:
    helper = parse_object(compile_ir([("helper", HELPER)], x86_64)[0])
    with pytest.raises(InternalError, match="defined twice"):
        merge_objects([helper, helper], exports=())
    with pytest.raises(InternalError, match="defined in no object"):
        merge_objects([helper], exports=("entry",))
    with pytest.raises(InternalError, match="different machines"):
        merge_objects([helper, data_object("w", b"1", 183, section=".rodata")], exports=())


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("form", ["object", "archive"])
def test_a_system_linker_takes_it(x86_64: Target, blob: Path, tmp_path: Path, form: str) -> None:
    image = _merge(x86_64, blob)
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\nint entry(int); int outside(int x) { return x + 1000; }\n"
        'int main(void) { return printf("%d", entry(2)) < 0; }\n'
    )
    if form == "archive":
        image = archive([Member("a_member_with_a_long_name.o", image, ("entry",))])
    path = tmp_path / f"toy.{form[0]}"
    path.write_bytes(image.to_bytes())
    command = ["gcc", "-Wl,--fatal-warnings", "-o", "toy", "main.c", path.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    result = subprocess.run([str(tmp_path / "toy")], capture_output=True, text=True, check=True)
    assert result.stdout == str(200 + 1000 + 3 + 4)


def _data(symbol: str, content: bytes) -> Image:
    return merge_objects([data_object(symbol, content, 62, section=".rodata")], exports=(symbol,))


@pytest.mark.skipif(shutil.which("ar") is None, reason="needs binutils")
def test_archives_list_members_and_symbols(tmp_path: Path) -> None:
    names = ["short.o", "exactly_15_ch.o", "a_name_longer_than_the_field.o", "another_long_member.o"]
    members = [Member(name, _data(f"s{i}", b"x" * (i + 1)), (f"s{i}",)) for i, name in enumerate(names)]
    path = tmp_path / "lib.a"
    path.write_bytes(archive(members).to_bytes())
    listing = subprocess.run(["ar", "t", str(path)], capture_output=True, text=True, check=True)
    assert listing.stdout.split() == names
    index = subprocess.run(["nm", "-s", str(path)], capture_output=True, text=True, check=True).stdout
    assert [f"s{i} in {name}" in index for i, name in enumerate(names)] == [True] * 4


def test_archives_refuse_what_their_index_cannot_say(tmp_path: Path) -> None:
    huge = Image((FileSlice(tmp_path / "absent", 0, 5 << 30),))
    with pytest.raises(UnsupportedError, match="4 GiB"):
        archive([Member("weights.o", huge, ()), Member("code.o", Image((b"x",)), ("run",))])
