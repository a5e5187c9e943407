"""What one compilation is asked for, and the key under which its result is cached.

Importing this costs nothing: a cached model is found without the compiler.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlc import knobs
from mlc.codegen.processors import available_processors
from mlc.errors import UnsupportedError, UsageError
from mlc.host import file_identity

if TYPE_CHECKING:
    from onnx import ModelProto

    from mlc.codegen.targets import Target
    from mlc.pipeline import Options

Source: TypeAlias = "str | os.PathLike[str] | bytes | ModelProto"
OPT_LEVELS = range(4)
DTYPES = ("f32", "f16")
"""What tensors may be stored in, and sums of products kept in."""


@dataclass(frozen=True)
class TargetChoice:
    """A machine as flags name it: a target's name, LLVM's name of a CPU, and ``+feature,-feature``."""

    name: str = "native"
    mcpu: str = ""
    mattr: str = ""

    def resolve(self) -> Target:
        """The target; UsageError names the nearest of what is unknown."""
        from mlc.codegen.targets import resolve

        return resolve(self.name, self.mcpu, self.mattr)

    def default_threads(self) -> int:
        """As many as this process may use, where the target has threads."""
        if self.name != "native" and not self.resolve().threads:
            return 1
        return available_processors()


@dataclass(frozen=True)
class Request:
    """A model and everything that decides what becomes of it.

    ``shapes`` (by input) and ``dims`` (by symbol) bind symbolic dims, to numbers or to ranges like ``1..512`` whose
    values come with each call; ``threads`` is the number to balance for and to run with, the caller included.
    ``dtype`` is what f32 tensors are stored in between kernels, ``accumulate`` what sums of products of f16 are kept
    in. ``timed``: the code notes how long its calls take, for profiles.
    """

    source: Source
    target: TargetChoice = field(default_factory=TargetChoice)
    shapes: Mapping[str, Sequence[int | str]] = field(default_factory=dict[str, "Sequence[int | str]"])
    dims: Mapping[str, int | str] = field(default_factory=dict[str, "int | str"])
    threads: int = 1
    opt_level: int = 3
    strict: bool = False
    name: str | None = None
    external_root: str | None = None
    dtype: Literal["f32", "f16"] = "f32"
    accumulate: Literal["f32", "f16"] = "f32"
    timed: bool = False

    def __post_init__(self) -> None:
        if any(type(text) is not str for text in (self.target.name, self.target.mcpu, self.target.mattr)):
            raise UsageError("target, mcpu and mattr are texts")
        if not (isinstance(self.source, str | os.PathLike | bytes) or hasattr(self.source, "graph")):
            what = type(self.source).__name__
            raise UsageError(f"a {what} is no model", hint="pass a path, the bytes of a file or an onnx.ModelProto")
        for name, extents in (*self.shapes.items(), *((name, (extent,)) for name, extent in self.dims.items())):
            for extent in extents:
                _check_extent(name, extent)
        if self.opt_level not in OPT_LEVELS:
            raise UsageError(f"optimisation level {self.opt_level!r} is not one of 0, 1, 2, 3")
        if type(self.threads) is not int or self.threads < 1:
            raise UsageError(f"{self.threads!r} is no number of threads", hint="pass 1 or more, or None for all")
        for what, given in (("dtype", self.dtype), ("accumulate", self.accumulate)):
            if given not in DTYPES:
                raise UsageError(f"{what} {given!r} is not one of {', '.join(DTYPES)}")
        if self.accumulate != "f32" and self.dtype == "f32":
            raise UsageError("sums are kept in f32 where tensors are f32", hint="pass dtype f16, too")

    def options(self) -> Options:
        """The same, as the pipeline takes it."""
        from mlc.pipeline import Options

        target = self.target.resolve()
        if self.threads > 1 and not target.threads:
            raise UnsupportedError(
                f"{target.name} code runs on one thread, not {self.threads}", hint="pass --threads=1"
            )
        if self.accumulate == "f16" and not target.computes_half:
            raise UsageError(f"target {target.name} does not compute in f16", hint="leave out accumulate, or add +fp16")
        return Options(
            target, self.threads, self.opt_level, self.strict, self.dtype, self.accumulate, knobs.HANDOUT.get()
        )

    def with_shapes(self, shapes: Mapping[str, Sequence[int]]) -> Request:
        """The request with every shape bound."""
        return replace(self, shapes=dict(shapes), dims={})

    def with_dims(self, dims: Mapping[str, int | str]) -> Request:
        """The request with every dim bound."""
        return replace(self, shapes={}, dims=dict(dims))

    def path(self) -> Path | None:
        """The model's file, if it is one."""
        return Path(os.fspath(self.source)) if isinstance(self.source, str | os.PathLike) else None

    def identity(self) -> str | None:
        """What tells the model from others without reading it (bytes: by their digest); None when unknown."""
        if isinstance(self.source, bytes):
            return hashlib.sha256(self.source).hexdigest()
        path = self.path()
        if path is None:
            return None
        try:
            return f"{os.path.realpath(path)}:{file_identity(os.stat(path))}"
        except (OSError, ValueError):
            return None

    def files(self, loaded: str, identity: str) -> list[list[str]] | None:
        """The external files that were read, each with its identity, from the ``loaded`` model's own identity.

        None when they can't be named, or the model's file is no longer the one of ``identity``.
        """
        path = self.path()
        if path is None:
            return []
        own, *external = loaded.split("\n")
        if own != identity:
            return None
        folders = [path.parent, *([Path(self.external_root)] if self.external_root else [])]
        found: list[list[str]] = []
        for line in external:
            location, *fields = line.rsplit(":", 4)
            place = next((str(f / location) for f in folders if _is(f / location, ":".join(fields))), None)
            if place is None:
                return None
            found.append([os.path.abspath(place), ":".join(fields)])
        return found

    def key(self, identity: str) -> str:
        """The cache key of this request for the model of that identity."""
        from mlc.version import component_versions, source_fingerprint

        parts: dict[str, Any] = {
            "versions": component_versions(),
            "source": source_fingerprint(),
            "machine": processor_fingerprint() if self.target.name == "native" else "",
            "target": [self.target.name, self.target.mcpu, self.target.mattr],
            "shapes": sorted((name, list(shape)) for name, shape in self.shapes.items()),
            "dims": sorted(self.dims.items()),
            "options": [self.threads, self.opt_level, self.strict, self.name, self.external_root],
            "dtype": [self.dtype, self.accumulate],
            "timed": self.timed,
            "handout": knobs.HANDOUT.get(),
            "model": identity,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_extent(name: str, extent: object) -> None:
    if not isinstance(extent, str) and (type(extent) is not int or extent < 0):
        raise UsageError(f"{name!r}: extent {extent!r} is not a whole number of at least 0")


def _is(path: Path, identity: str) -> bool:
    try:
        return file_identity(os.stat(path)) == identity
    except OSError:
        return False


def processor_fingerprint() -> str:
    """What tells this machine's kind of processor, and what its system lets programs use of it, from others."""
    lines = {platform.machine()}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() in _PROCESSOR_FIELDS:
                    lines.add(f"{name.strip()}:{value.strip()}")
    except OSError:
        lines.add(platform.processor())
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


_PROCESSOR_FIELDS = frozenset(
    (
        *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
        *("CPU implementer", "CPU part", "CPU variant", "Features", "isa"),
    )
)
