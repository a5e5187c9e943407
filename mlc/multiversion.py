"""Several versions of one model, for lesser and better processors of one architecture, in one artefact.

Versions differ in how wide their vectors are, and so in how their weights are packed: each has a payload of its own in
the one weights file, shared by those whose payloads are the same bytes. A program that maps the file reads only the
pages of the version that it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlc.codegen.artefact import Artefact
from mlc.codegen.object import compile_ir
from mlc.codegen.program import Program, program_ir
from mlc.codegen.targets import Target
from mlc.codegen.targets.checks import has_check
from mlc.codegen.weights import WeightsImage
from mlc.driver import Built, identifier
from mlc.errors import UnsupportedError


@dataclass(frozen=True)
class Versions:
    """Compiled versions, the least demanding first, and the weights of all: ``bases`` is where each one's begin."""

    built: tuple[Built, ...]
    weights: WeightsImage | None
    bases: tuple[int, ...]

    @staticmethod
    def of(built: Sequence[Built]) -> Versions:
        """The versions with their weights laid one after the other."""
        places: dict[str, int] = {}
        bases: list[int] = []
        size = 0
        for version in built:
            image = version.weights
            digest = image.sha256 if image else ""
            if digest not in places:
                places[digest] = size
                size += len(image.payload) if image else 0
            bases.append(places[digest])
        if not size:
            return Versions(tuple(built), None, tuple(bases))
        joined = WeightsImage.allocate(size)
        for version, base in zip(built, bases):
            if version.weights:
                payload = version.weights.payload
                joined.payload[base : base + len(payload)] = payload
        joined.seal()
        return Versions(tuple(built), joined, tuple(bases))

    def artefact(self, name: str, *, embed: bool = False) -> Artefact:
        """What to ship, with symbols called ``name``: the versions' code and the interface that chooses one."""
        levels = tuple(self._program(name, version, base) for version, base in zip(self.built, self.bases))
        lowest = levels[0]
        front = replace(
            lowest,
            name=name,
            arena_bytes=max(level.arena_bytes for level in levels),
            embedded_weights=embed,
            weights_base=0,
            threads=any(level.threads for level in levels),
            levels=levels,
        )
        (interface,) = compile_ir([(name, program_ir(front))], front.target, jobs=1)
        objects = [self._object(level, version) for level, version in zip(levels, self.built)]
        return Artefact(front, (interface, *objects), self.weights.region.view if self.weights else None)

    def _program(self, name: str, version: Built, base: int) -> Program:
        program = version.program
        return replace(
            program,
            name=identifier(f"{name}_{program.target.designation}"),
            weights_base=base,
            weights_bytes=len(self.weights.payload) if self.weights else 0,
            weights_sha256=self.weights.sha256 if self.weights else "",
            embedded_weights=False,
        )

    def _object(self, level: Program, version: Built) -> bytes:
        """One version as an object whose only global symbols are its interface."""
        (frame,) = compile_ir([(level.name, program_ir(level))], level.target, jobs=1)
        return Artefact(level, (frame, *version.kernels)).relocatable().to_bytes()


def check_levels(targets: Sequence[Target]) -> None:
    """Raise UnsupportedError where code can't ask the processor what it has."""
    if not has_check(targets[0]):
        raise UnsupportedError(f"versions can't be told apart on {targets[0].triple}: its code can't ask for features")
