"""The cache on disk: whole compiled models by what they were made from, and kernels by their IR.

    FOLDER/models/KEY/     model.so, model.weights, and manifest.json with the digests of both
    FOLDER/kernels/KEY     the SHA-256 of an object, then the object

What lies here is code, so the folder must belong to this user alone, entries appear whole (written aside, then
renamed) and are checked against their digests when read. Entries are used by nobody else: whatever is odd about one
counts as absent. The least recently used go when the folder grows beyond ``MLC_CACHE_BYTES``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlc import knobs
from mlc.codegen.image import Image, write_atomic
from mlc.codegen.jit import Library, Session
from mlc.codegen.weights import WeightsImage
from mlc.errors import MlcError
from mlc.host import file_identity

if TYPE_CHECKING:
    from mlc.codegen.targets import Target

LIBRARY, WEIGHTS, MANIFEST = "model.so", "model.weights", "manifest.json"
DIGEST_BYTES = 32
ABANDONED_SECONDS = 3600
"""Age from which an unfinished entry belongs to nobody any more."""

_LOG = logging.getLogger("mlc.cache")


@dataclass(frozen=True)
class Cache:
    """The cache in ``folder``, which holds at most ``limit`` bytes after `trim`."""

    folder: Path
    limit: int

    @staticmethod
    def open() -> Cache | None:
        """The user's cache; None when it is turned off or can't be used, which is logged."""
        if knobs.NO_CACHE.get():
            return None
        folder = knobs.CACHE_DIR.get()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            for name in ("models", "kernels", "unfinished"):
                (folder / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            _LOG.warning("warning: no cache: %s: %s", folder, error.strerror)
            return None
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            _LOG.warning("warning: no cache: others may write to %s (chmod 700 it, or choose MLC_CACHE_DIR)", folder)
            return None
        return Cache(folder, knobs.CACHE_BYTES.get())

    # --- models

    def session(self, key: str, threads: int) -> Session | None:
        """The model of that key, ready to run; None when there is none that is intact."""
        entry = self.folder / "models" / key
        try:
            manifest = json.loads((entry / MANIFEST).read_bytes())
            if not _same_files(manifest["files"]) or not _same_operators(manifest["operators"]):
                return None
            code = (entry / LIBRARY).read_bytes()
            if hashlib.sha256(code).hexdigest() != manifest["library"]:
                return None
            weights = WeightsImage.open(entry / WEIGHTS) if manifest["weights"] else None
            if weights is not None and weights.sha256 != manifest["weights"]:
                return None
            session = Session(Library.load(Image((code,))), manifest["name"], weights=weights, threads=threads)
        except (OSError, ValueError, LookupError, TypeError, MlcError):
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)
        return session

    @contextmanager
    def draft(self) -> Generator[Path]:
        """A new folder to put an entry's files in; it is removed at the end unless `publish` took it."""
        folder = self.folder / "unfinished" / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, draft: Path, key: str, manifest: dict[str, Any]) -> None:
        """Make a draft the entry of ``key``, with what it must say of itself."""
        entry = self.folder / "models" / key
        manifest = {**manifest, "library": hashlib.sha256((draft / LIBRARY).read_bytes()).hexdigest()}
        (draft / MANIFEST).write_text(json.dumps(manifest))
        try:
            shutil.rmtree(entry, ignore_errors=True)
            draft.rename(entry)
        except OSError as error:  # another process was quicker
            _LOG.info("not cached: %s: %s", entry, error.strerror)
        self.trim()

    # --- kernels

    def kernel_key(self, ir: str, target: Target) -> str:
        """The key of a module's object: its text, LLVM's version, and the part of the target that LLVM reads."""
        from mlc.version import component_versions

        machine = f"{target.container}\0{target.triple}\0{target.cpu}\0{target.llvm_features}"
        return hashlib.sha256(f"{component_versions()['llvmlite']}\0{machine}\0{ir}".encode()).hexdigest()

    def kernel(self, key: str) -> bytes | None:
        """The object of that key, if it is there and intact."""
        path = self.folder / "kernels" / key
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, content = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None

    def keep_kernel(self, key: str, content: bytes) -> None:
        """Put an object there; a full disk is no error."""
        with contextlib.suppress(MlcError):
            write_atomic(self.folder / "kernels" / key, [hashlib.sha256(content).digest(), content], mode=0o600)

    # --- size

    def trim(self) -> None:
        """Remove the least recently used entries until the cache is within its limit."""
        now = time.time()
        for draft in (self.folder / "unfinished").iterdir():
            with contextlib.suppress(OSError):
                if now - draft.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(draft, ignore_errors=True)
        entries = sorted(self._entries())
        total = sum(size for _, _, size in entries)
        for _, path, size in entries:
            if total <= self.limit:
                return
            total -= size
            _remove(path)

    def _entries(self) -> Iterator[tuple[float, Path, int]]:
        """Time of last use, path and bytes of every entry."""
        for kind in ("models", "kernels"):
            for path in (self.folder / kind).iterdir():
                with contextlib.suppress(OSError):
                    files = list(path.iterdir()) if path.is_dir() else [path]
                    yield path.stat().st_mtime, path, sum(file.stat().st_size for file in files)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _same_operators(operators: list[list[str]]) -> bool:
    """Whether custom operators, each with its digest, are still what they were; none is before their table is there."""
    registry = sys.modules.get("mlc.frontends.onnx.registry")
    now: list[list[str]] = registry.custom_operators() if registry and operators else []
    return all(operator in now for operator in operators)


def _same_files(files: list[list[str]]) -> bool:
    """Whether files, each with its identity, are still what they were."""
    return all(file_identity(os.stat(path)) == identity for path, identity in files)
