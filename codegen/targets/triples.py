"""Target triples as people write them, brought to the four components without which LLVM misreads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_ARCHITECTURES = {
    "amd64": "x86_64",
    "x86_64": "x86_64",
    "x86-64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "arm": "armv7",
    "armhf": "armv7",
    "armv7": "armv7",
    "armv7a": "armv7",
    "armv7l": "armv7",
    "riscv64": "riscv64",
    "riscv64gc": "riscv64",
    "wasm32": "wasm32",
}
"""How architectures are called -> the first component of mlc's triples."""

_SYSTEMS = {
    "linux": ("unknown-linux-{abi}", "linux"),
    "darwin": ("apple-macosx11.0-macho", "darwin"),
    "macos": ("apple-macosx11.0-macho", "darwin"),
    "macosx": ("apple-macosx11.0-macho", "darwin"),
    "windows": ("pc-windows-{abi}", "windows"),
}
"""How systems are called -> the rest of a triple, and mlc's own name of the system."""

_ABIS = {
    "linux": ("gnu", "musl", "gnueabihf", "musleabihf"),
    "windows": ("msvc", "gnu"),
    "darwin": (),
}
"""What a system's last component may be, the default first."""

_DESKTOP = ("x86_64", "aarch64")
"""Architectures of macOS and Windows."""


@dataclass(frozen=True)
class Triple:
    """A triple that is understood: ``text`` has four components, ``system`` is linux, darwin or windows."""

    architecture: str
    system: str
    text: str

    @property
    def container(self) -> Literal["elf", "macho", "coff"] | None:
        """The format of objects; None where the system does not run on the architecture."""
        if self.system == "linux":
            return "elf"
        if self.architecture not in _DESKTOP:
            return None
        return "macho" if self.system == "darwin" else "coff"


def parse_triple(text: str) -> Triple | None:
    """The triple (or architecture alone: Linux) that ``text`` names; None when it is none that mlc knows.

    ``aarch64-linux-gnu``, ``arm64-apple-macos14`` and ``x86_64-pc-windows-msvc`` are understood alike.
    """
    if text in _ARCHITECTURES:
        architecture, rest = _ARCHITECTURES[text], ["linux"]
    else:
        first, *rest = text.split("-")
        architecture = _ARCHITECTURES.get(first, "")
    found = next((word for word in rest if word.rstrip("0123456789.") in _SYSTEMS), None)
    if not architecture or found is None:
        return None
    shape, system = _SYSTEMS[found.rstrip("0123456789.")]
    abis = _ABIS[system]
    after = rest[rest.index(found) + 1 :]
    if any(word not in abis for word in after) or len(after) > 1:
        return None
    abi = after[0] if after else next(iter(abis), "")
    if architecture == "armv7" and system == "linux" and abi in ("gnu", "musl"):
        abi += "eabihf"
    return Triple(architecture, system, f"{architecture}-{shape.format(abi=abi)}")
