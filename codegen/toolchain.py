"""Which linker makes a library or a program: our own, the system's C compiler, or the one of the ziglang package."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlc.codegen.targets.base import Target
from mlc.codegen.targets.relocations import rules_of
from mlc.codegen.targets.tools import tools_of
from mlc.errors import UnsupportedError, UsageError, nearest

LINKERS = ("auto", "own", "system", "zig")
_SHARED = ("-shared", "-Wl,-z,now", "-Wl,-z,noexecstack")
_PROGRAM = ("-std=c11", "-O2", "-Wall")

_DRIVERS = ("collect2:", "clang: error: linker")
"""How lines begin that only repeat that the linker failed."""


@dataclass(frozen=True)
class Toolchain:
    """A linker: ``kind`` as ``--linker`` takes it, and the C compiler's command (none for our own linker)."""

    kind: str
    command: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(self.command) or "mlc's own linker"

    def link_shared(self, path: Path, object_file: Path, soname: str, *, libc: bool) -> None:
        """Make the shared library ``path`` of one object; ``libc`` says whether it needs the C library.

        Raises UsageError with what the tool says.
        """
        libraries = ["-pthread"] if libc else ["-nostdlib"]
        self._run(path, [*_SHARED, f"-Wl,-soname,{soname}", str(object_file), *libraries])

    def link_program(self, path: Path, sources: Sequence[Path]) -> None:
        """Compile C sources and link them with objects into a program; raises UsageError with what the tool says."""
        self._run(path, [*_PROGRAM, *map(str, sources), "-pthread"])

    def _run(self, path: Path, arguments: Sequence[str]) -> None:
        """Run the tool; its output appears under ``path`` when it is whole."""
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            made = Path(folder) / path.name
            command = [*self.command, *arguments, "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if done.returncode:
                lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
                told = [line for line in lines if not line.startswith(_DRIVERS)]
                said = next(
                    (line for line in told if "error" in line or "undefined" in line), *told[:1] or ["no reason"]
                )
                raise UsageError(f"{self} failed on {path.name}: {said.strip()}")
            os.replace(made, path)


def find_toolchain(choice: str, target: Target, *, program: bool) -> Toolchain:
    """The linker of that name for a target; ``auto``: the first that is there of own (libraries), system and zig.

    Raises UsageError for an unknown name, and when the one asked for is not there: with what to install.
    """
    if choice not in LINKERS:
        raise UsageError(f"unknown linker {choice!r}", hint=nearest(choice, LINKERS))
    tools = tools_of(target)
    if tools is None:
        raise UnsupportedError(
            f"no linker for {target.triple}", hint="write an object (.o) and link it with that system's tools"
        )
    if choice == "own" and program:
        raise UsageError("mlc's own linker makes libraries, not programs", hint="valid here: auto, system, zig")
    finders = _FINDERS if choice == "auto" else {choice: _FINDERS[choice]}
    for kind, find in finders.items():
        command = find(target, program)
        if command is not None:
            return Toolchain(kind, (*command, *_static(command)) if program else command)
    advice = {"system": f"install {tools.packages} (Debian and Ubuntu)", "zig": "pip install 'mlc-compiler[zig]'"}
    raise UsageError(
        f"no linker for {target.triple} is installed" + ("" if choice == "auto" else f" of kind {choice}"),
        hint=advice.get(choice, " or ".join(advice.values())),
    )


def _static(command: tuple[str, ...]) -> tuple[str, ...]:
    """The flag for programs that need no shared library, where the compiler has the C library as an archive."""
    if command[0] == sys.executable:
        return ("-static",)  # zig makes the library when it is first used
    asked = subprocess.run([*command, "-print-file-name=libc.a"], capture_output=True, text=True, check=False)
    return ("-static",) if Path(asked.stdout.strip()).is_absolute() else ()


def _own(target: Target, program: bool) -> tuple[str, ...] | None:
    if program:
        return None
    try:
        rules_of(target.elf_machine)
    except UnsupportedError:
        return None
    return () if "musl" not in target.triple else None  # it names glibc's files


def _system(target: Target, program: bool) -> tuple[str, ...] | None:
    """A C compiler that makes code for the target: the machine's own, or the GNU cross compiler."""
    tools = tools_of(target)
    if tools is None or "musl" in target.triple:
        return None
    native = platform.machine() == target.triple.partition("-")[0] and sys.platform == "linux"
    names = [*(("cc", "gcc", "clang") if native else ()), f"{tools.gnu}-gcc"]
    path = next(filter(None, map(shutil.which, names)), None)
    return (path,) if path else None


def _zig(target: Target, program: bool) -> tuple[str, ...] | None:
    tools = tools_of(target)
    if tools is None or importlib.util.find_spec("ziglang") is None:
        return None
    # Programs bring their C library along; a library takes the one of the program that loads it.
    libc = "musl" if program or "musl" in target.triple else "gnu"
    return sys.executable, "-m", "ziglang", "cc", "-target", tools.zig.format(libc)


_FINDERS: dict[str, Callable[[Target, bool], tuple[str, ...] | None]] = {"own": _own, "system": _system, "zig": _zig}
