"""From what a user names (a target or triple, a CPU, features) to the one description that is compiled for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from mlc.codegen.targets.base import Target
from mlc.codegen.targets.cpus import Family, families
from mlc.codegen.targets.triples import parse_triple
from mlc.errors import UsageError, nearest

NATIVE = "native"


@lru_cache(maxsize=64)
def resolve(name: str, mcpu: str = "", mattr: str = "") -> Target:
    """The target that ``--target``, ``--mcpu`` and ``--mattr`` ask for.

    A CPU brings its features, cache sizes and order of instructions; with a target that names a level
    (``x86-64-v3``) that level's vector width stays, with an architecture (``x86-64``, ``aarch64-linux-gnu``) or
    ``native`` the widest that the CPU has is taken. Features after that are added and removed with all that they
    imply. Code uses no feature but those of the result, which is what artefacts check when they are loaded.

    Raises UsageError, naming the nearest, for unknown names, and for a CPU without what the target's level needs.
    """
    base, fixed = _base(NATIVE if mcpu == NATIVE else name)
    if mcpu == NATIVE and name != NATIVE:
        raise UsageError(f"--mcpu=native is the machine that runs this, not {name}", hint="leave out --target")
    cpu = "" if mcpu == NATIVE else mcpu
    if not cpu and not mattr:
        return base
    family = _family(base)
    features = base.features
    if cpu:
        features = _cpu_features(base, family, cpu, fixed)
        base = base if fixed else _widest(base, features)
    added, removed = _changes(family, base.features | features, mattr)
    wanted = family.without(features | added, removed)
    if not fixed and not cpu:
        base = replace(_widest(base, wanted), cpu=base.cpu, features=base.features, llvm_features=base.llvm_features)
    return _refined(base, family, cpu, wanted, ":".join((name, mcpu, mattr)))


def _base(name: str) -> tuple[Target, bool]:
    """The target that ``name`` starts from, and whether its vector width is part of the name."""
    from mlc.codegen.targets import all_targets, native_target

    if name == NATIVE:
        return native_target(), False
    targets = all_targets()
    if name in targets:
        return targets[name], name not in _architectures(targets)
    triple = parse_triple(name)
    if triple is None:
        hint = nearest(name, {NATIVE, *targets})
        raise UsageError(f"unknown target {name!r}", hint=f"{hint}; or a triple such as aarch64-linux-gnu")
    found = next((t for t in targets.values() if _architecture(t) == triple.architecture), None)
    if found is None:
        raise UsageError(f"no target for {triple.architecture}", hint=f"valid: {', '.join(targets)}")
    if triple.text == found.triple:
        return found, False
    if triple.system == "linux":
        return replace(found, triple=triple.text, spec=name), False
    if not triple.container:
        raise UsageError(f"no {triple.system} for {triple.architecture}", hint="valid: x86_64 and aarch64")
    # The thread pool makes Linux's system calls.
    return replace(found, triple=triple.text, spec=name, container=triple.container, threads=False), False


def _architectures(targets: Mapping[str, Target]) -> set[str]:
    """Target names that are just an architecture's."""
    return {name for name in targets if parse_triple(name) is not None}


def _architecture(target: Target) -> str:
    return target.triple.partition("-")[0]


def _family(target: Target) -> Family:
    family = families().get(_architecture(target))
    if family is None:
        raise UsageError(f"target {target.name!r} has no choice of CPUs and features")
    return family


def _cpu_features(base: Target, family: Family, name: str, fixed: bool) -> frozenset[str]:
    """What the CPU has, and what the target adds to every CPU of its kind."""
    for other in families().values():
        if other is not family and any(cpu.name == name for cpu in other.cpus):
            if all(cpu.name != name for cpu in family.cpus):
                raise UsageError(f"{name} is no {family.architecture} CPU", hint=f"pass --target={other.architecture}")
    features = family.cpu(name).features
    lacking = sorted((base.features & family.by_name.keys()) - features)
    if fixed and lacking:
        raise UsageError(f"{name} lacks {', '.join(lacking)}, which target {base.name} is compiled for")
    return features


def _widest(base: Target, features: frozenset[str]) -> Target:
    """The last target of the architecture that the features suffice for, on the system of ``base``."""
    from mlc.codegen.targets import all_targets

    same = [t for t in all_targets().values() if _architecture(t) == _architecture(base) and t.features <= features]
    if not same:
        return base
    return replace(same[-1], triple=base.triple, container=base.container, threads=base.threads)


def _changes(family: Family, present: frozenset[str], mattr: str) -> tuple[frozenset[str], frozenset[str]]:
    """The features that ``+a,-b`` adds, with what they imply, and those that it takes away."""
    signs: dict[str, set[str]] = {"+": set(), "-": set()}
    for word in filter(None, mattr.split(",")):
        if word[0] not in signs or len(word) == 1:
            raise UsageError(f"bad feature {word!r} in --mattr", hint="write +dotprod,-fp16")
        name = word[1:]
        signs[word[0]].add(name if name in present else family.feature(name).name)
    return family.closed(signs["+"]), frozenset(signs["-"])


def _refined(base: Target, family: Family, cpu: str, features: frozenset[str], spec: str) -> Target:
    """``base`` with exactly these features, tuned for the CPU."""
    added, removed = sorted(features - base.features), sorted(base.features - features)
    words = [base.llvm_features, *(f"+{name}" for name in added), *(f"-{name}" for name in removed)]
    refined = replace(base.with_features(features), llvm_features=",".join(filter(None, words)), spec=spec)
    if not cpu:
        return refined
    row = family.cpu(cpu)
    tuned = replace(refined, caches=row.caches, in_order=row.in_order)
    return replace(tuned, tune=cpu) if family.tunes else replace(tuned, cpu=cpu)
