"""Which targets go into one artefact, to be chosen among when it is loaded."""

from __future__ import annotations

from mlc.codegen.targets.base import Target
from mlc.codegen.targets.resolve import resolve
from mlc.errors import UnsupportedError, UsageError, nearest

DEFAULT = "auto"


def levels_of(base: Target, choice: str = DEFAULT) -> tuple[Target, ...]:
    """The versions for the architecture and system of ``base``, the least demanding first.

    ``choice`` is a list: names of targets, ends of names (``v3``), or designations (``aarch64:cortex-a76``);
    ``auto`` takes each target of the architecture that brings wider vectors or more registers than those before.

    Raises UsageError for unknown names and for fewer than two, UnsupportedError where there is nothing to choose.
    """
    from mlc.codegen.targets import all_targets

    architecture = base.triple.partition("-")[0]
    same = [t for t in all_targets().values() if t.triple.partition("-")[0] == architecture and t.kind == "cpu"]
    found = _distinct(same) if choice == DEFAULT else [_named(word, same) for word in choice.split(",") if word]
    other = next((target for target in found if target.triple != base.triple), None)
    if other is not None:
        raise UsageError(f"version {other.designation} is for {other.triple}, not {base.triple}")
    if choice == DEFAULT and len(found) < 2:
        raise UnsupportedError(
            f"mlc has no levels for {architecture}",
            hint=f"name the versions: --multiversion={base.name},{base.name}:CPU",
        )
    if len({target.designation for target in found}) < 2:
        raise UsageError("--multiversion needs at least two versions", hint=f"valid: {', '.join(t.name for t in same)}")
    return tuple(sorted(found, key=lambda target: (len(target.features), target.vector_bytes)))


def _distinct(targets: list[Target]) -> list[Target]:
    """Those whose vectors are wider or more than the one's before."""
    kept: list[Target] = []
    for target in targets:
        shape = target.vector_bytes, target.registers
        if not kept or shape != (kept[-1].vector_bytes, kept[-1].registers):
            kept.append(target)
    return kept


def _named(word: str, same: list[Target]) -> Target:
    if ":" in word:
        return resolve(*word.split(":", 2))
    matches = [t for t in same if t.name == word or t.name.endswith(f"-{word}")]
    if len(matches) != 1:
        raise UsageError(f"unknown version {word!r} in --multiversion", hint=nearest(word, [t.name for t in same]))
    return matches[0]
