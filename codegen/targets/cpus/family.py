"""What a family of processors is: features with what each enables, and CPUs with the features they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mlc.codegen.targets.base import Caches
from mlc.errors import UsageError, nearest


@dataclass(frozen=True)
class Feature:
    """A processor feature by LLVM's name: ``text`` says what it enables, ``implies`` what it can't be without.

    ``aliases`` are other names that people know it by.
    """

    name: str
    text: str
    implies: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cpu:
    """A processor by LLVM's name, with those of its features that the family lists."""

    name: str
    features: frozenset[str]
    caches: Caches = field(default_factory=Caches)
    in_order: bool = False


@dataclass(frozen=True)
class Family:
    """The processors of one architecture, which is the first component of a triple.

    ``tunes`` says whether LLVM can order instructions for one CPU while using the features of another
    (``tune-cpu``); where it can't, a CPU's name stands for its features too.
    """

    architecture: str
    features: tuple[Feature, ...]
    cpus: tuple[Cpu, ...]
    tunes: bool = True

    @cached_property
    def by_name(self) -> Mapping[str, Feature]:
        """Features by LLVM's name and by every alias."""
        return {name: feature for feature in self.features for name in (feature.name, *feature.aliases)}

    def cpu(self, name: str) -> Cpu:
        """The CPU of that name; UsageError names the nearest."""
        found = next((cpu for cpu in self.cpus if cpu.name == name), None)
        if found is None:
            hint = nearest(name, [cpu.name for cpu in self.cpus])
            raise UsageError(f"unknown {self.architecture} CPU {name!r}", hint=hint)
        return found

    def feature(self, name: str) -> Feature:
        """The feature of that name or alias; UsageError names the nearest."""
        if name not in self.by_name:
            raise UsageError(f"unknown {self.architecture} feature {name!r}", hint=nearest(name, self.by_name))
        return self.by_name[name]

    def closed(self, names: Iterable[str]) -> frozenset[str]:
        """The features and all that they imply."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.by_name[name].implies if name in self.by_name else ()
        return frozenset(found)

    def without(self, names: frozenset[str], removed: Iterable[str]) -> frozenset[str]:
        """The features less some, and less what can't be without those."""
        gone = frozenset(removed)
        return frozenset(name for name in names if not self.closed([name]) & gone)
