"""Artefacts in this process: load a linked library from memory, and run its model with little between.

The same bytes that would be written to disk are loaded with the system's loader, so what is measured and
debugged in process is what ships.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import math
import os
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from mlc.codegen.image import Image, write_atomic
from mlc.codegen.processors import available_processors
from mlc.codegen.runtime import context as ctx
from mlc.codegen.weights import Region, WeightsImage
from mlc.errors import InternalError, MlcError, ModelError, UnsupportedError, UsageError

_dlclose = ctypes.CDLL(None).dlclose
_dlclose.argtypes = [ctypes.c_void_p]
_SERIAL = itertools.count()

Times: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


class _Context:
    """NAME_ctx: its memory, and the end of its threads.

    The session and the library both hold it, so whichever goes first ends the threads before the code is unloaded.
    """

    def __init__(self, memory: Region, free: Callable[[int], None]) -> None:
        self.memory = memory
        self.address = memory.address
        self.open = True
        self._free = free
        _CONTEXTS.add(self)

    @property
    def threads(self) -> ctypes.c_int32:
        """The number of threads, in place."""
        return ctypes.c_int32.from_address(self.address + ctx.THREADS)

    def close(self) -> None:
        """End the threads, once."""
        if self.open:
            self.open = False
            _CONTEXTS.discard(self)
            self._free(self.address)


class Library:
    """A loaded shared library: ``address(symbol)``, and ``close`` to unload it, as does dropping the last reference."""

    def __init__(self, handle: ctypes.CDLL, descriptor: int | None = None) -> None:
        self.contexts: set[_Context] = set()
        self._handle: ctypes.CDLL | None = handle
        # The loader knows libraries by name: while this one lives, its /proc/self/fd number must stay taken.
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> Library:
        """Load a library file, which executes it: load only what you trust. Raises UsageError when that fails."""
        try:
            return cls(ctypes.CDLL(str(path.resolve()), mode=os.RTLD_NOW | os.RTLD_LOCAL))
        except OSError as error:
            raise UsageError(f"can't load {path}: {error}") from error

    @classmethod
    def load(cls, image: Image, name: str = "mlc", *, folder: Path | None = None) -> Library:
        """Load a library from memory, or through a temporary file where the system has no memory files.

        With ``folder`` it is written there and stays, so that a profiler finds the symbols: ``perf`` can't read
        memory files.
        """
        if folder is not None:
            path = folder / f"{name}-{os.getpid()}-{next(_SERIAL)}.so"
            write_atomic(path, image.chunks, mode=0o755)
            return cls.open(path)
        try:
            descriptor = os.memfd_create(f"{name}.{next(_SERIAL)}.so", os.MFD_CLOEXEC)
        except (AttributeError, OSError):
            return cls._load_file(image, name)
        try:
            image.copy_to(descriptor)
            path = f"/proc/self/fd/{descriptor}"
            return cls(ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL), descriptor)
        except OSError:
            os.close(descriptor)
            return cls._load_file(image, name)

    @classmethod
    def _load_file(cls, image: Image, name: str) -> Library:
        """The same through a file that is gone from its folder once loaded."""
        descriptor, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".so")
        try:
            image.copy_to(descriptor)
            os.close(descriptor)
            return cls(ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL))
        except OSError as error:
            raise InternalError(f"the linked library does not load: {error}") from error
        finally:
            os.unlink(path)

    @property
    def handle(self) -> ctypes.CDLL:
        """The ctypes library; raises InternalError once closed."""
        if self._handle is None:
            raise InternalError("the library is closed")
        return self._handle

    def address(self, symbol: str) -> int:
        """A symbol's address; raises UsageError when the library does not export it."""
        try:
            return ctypes.addressof(ctypes.c_char.in_dll(self.handle, symbol))
        except ValueError:
            raise UsageError(f"the library exports no {symbol}") from None

    def close(self) -> None:
        """End its sessions' threads and unload it; nothing of it may be running or be called any more."""
        while self.contexts:
            self.contexts.pop().close()
        if self._handle is not None:
            _dlclose(self._handle._handle)
            self._handle = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


_STATUS_ERRORS: dict[int, tuple[type[MlcError], str]] = {
    ctx.BAD_SHAPE: (UsageError, "a run-time shape is outside the bounds that the model was compiled for"),
    ctx.CPU_UNSUPPORTED: (
        UnsupportedError,
        "this processor lacks features that the artefact was compiled for",
    ),
    ctx.BAD_WEIGHTS: (ModelError, "the weights are missing, cut short, or another model's"),
    ctx.INDEX_RANGE: (ModelError, "an index in the inputs is out of range"),
    ctx.OVERFLOW: (ModelError, "a result is larger than the bound that the model was compiled for"),
    ctx.OPERATOR_FAILED: (ModelError, "the C function of an operator failed"),
}


def raise_status(status: int, name: str | None = None) -> None:
    """Raise the error that a status code stands for; return on OK."""
    if status == ctx.OK:
        return
    kind, message = _STATUS_ERRORS.get(status, (InternalError, f"unknown status {status}"))
    raise kind(message, node=name)


def _unsupported(metadata: dict[str, Any], name: str) -> UnsupportedError:
    """The error for a processor that lacks something, naming what."""
    from mlc.codegen.llvm import host_cpu, host_features

    wanted: list[str] = metadata["target"]["features"]
    missing = [feature for feature in wanted if feature not in host_features()]
    why = f"this processor ({host_cpu()}) lacks {', '.join(missing) or 'features'} that the artefact was compiled for"
    return UnsupportedError(why, node=name, hint="compile it with --target=native, or with --multiversion")


def _checked(status: int) -> int:
    """The result of a bound step: 0, or the error raised."""
    if status:
        raise_status(status)
    return 0


class _Frame:
    """One call's memory: the frame that NAME_run_frame reads, its pointer arrays and an arena."""

    def __init__(self, context: int, counts: tuple[int, int, int], arena_bytes: int) -> None:
        inputs, outputs, dims = counts
        self.dims = (ctypes.c_int64 * max(dims, 1))()
        self.inputs = (ctypes.c_void_p * max(inputs, 1))()
        self.outputs = (ctypes.c_void_p * max(outputs, 1))()
        self.arena = Region.allocate(arena_bytes)
        self.memory = Region.allocate(ctx.FRAME_BYTES)
        self.address = self.memory.address
        slots = (ctypes.c_uint64 * 5).from_address(self.address)
        slots[:] = [
            context, ctypes.addressof(self.inputs), ctypes.addressof(self.outputs), ctypes.addressof(self.dims),
            self.arena.address,
        ]  # fmt: skip


class Session:
    """A loaded model that runs: context, weights and scratch memory around ``NAME_run``.

    ``threads`` counts the caller; 0 takes every processor this process may use (affinity and cgroup quota).
    Calls from several Python threads at once are safe: each gets its own arena, and while one uses the thread
    pool the others run on their own thread alone. In a forked child a session runs single-threaded.

    Raises UnsupportedError when the processor lacks a feature and ModelError when the weights do not match.
    """

    def __init__(self, library: Library, name: str, *, weights: WeightsImage | None = None, threads: int = 0) -> None:
        self.library = library
        self.name = name
        self.weights = weights
        self.metadata: dict[str, Any] = read_metadata(library, name)
        self.arena_bytes: int = self.metadata["arena_bytes"]
        dims: dict[str, Any] = self.metadata.get("dims", {})
        self._given = len(dims.get("dims", ()))
        self._counts = (
            *(len(self.metadata["inputs"]), len(self.metadata["outputs"])),
            self._given + len(dims.get("found", ())),
        )
        memory = Region.allocate(ctx.CONTEXT_BYTES)
        initialize = library.handle[f"{name}_init"]
        initialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32]
        address, size = (weights.address, weights.size) if weights else (None, 0)
        status = initialize(memory.address, address, size, threads or available_processors())
        if status == ctx.CPU_UNSUPPORTED:
            raise _unsupported(self.metadata, name)
        raise_status(status, name)
        free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address(f"{name}_free"))
        self._context = _Context(memory, free)
        library.contexts.add(self._context)
        self._run = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(library.address(f"{name}_run_frame"))
        self._frames: deque[_Frame] = deque()

    @property
    def threads(self) -> int:
        """Threads that run a call, the caller included."""
        return self._context.threads.value

    def _frame(self) -> _Frame:
        if not self._context.open:
            raise UsageError("the session is closed", node=self.name)
        return _Frame(self._context.address, self._counts, self.arena_bytes)

    def run_raw(self, inputs: Sequence[int], outputs: Sequence[int], dims: Sequence[int] = ()) -> list[int]:
        """Run once on buffers given by address, in the order of the metadata; they must be large enough.

        ``dims`` are the values of the dims that the caller gives; those that the model computes are returned.

        Raises the error of the status that the model returns (ModelError for an index out of range, ...).
        """
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._frame()
        frame.inputs[:] = inputs or (None,)
        frame.outputs[:] = outputs or (None,)
        if dims:
            frame.dims[: self._given] = dims
        status = self._run(frame.address)
        found = frame.dims[self._given : self._counts[2]]
        self._frames.append(frame)
        if status:
            raise_status(status, self.name)
        return found

    def bind(self, inputs: Sequence[int], outputs: Sequence[int], dims: Sequence[int] = ()) -> Callable[[], int]:
        """A function without arguments that runs on these buffers: one C call, for loops that count microseconds.

        The caller keeps the buffers alive. The function has its own arena: don't call it from two threads at
        once. It raises as ``run_raw`` does, and must not be called after ``close``.
        """
        frame = self._frame()
        frame.inputs[:] = inputs or (None,)
        frame.outputs[:] = outputs or (None,)
        frame.dims[: self._given] = dims
        result: Any = _checked  # ctypes calls it with the status, cheaper than checking in a function around
        run = ctypes.CFUNCTYPE(result, ctypes.c_void_p)(self.library.address(f"{self.name}_run_frame"))
        step = functools.partial(run, ctypes.c_void_p(frame.address))
        step.__dict__["alive"] = frame, self  # as long as the function
        return step

    def timer(self, inputs: Sequence[int], outputs: Sequence[int], dims: Sequence[int] = ()) -> Callable[[], Times]:
        """A function that runs once on these buffers, and returns what the threads noted of that run.

        That is i64 [threads, kernel calls, 2]: nanoseconds and runs. For programs that were made to note it.
        """
        place: dict[str, Any] = self.metadata["extra"]["times"]
        shape = (place["threads"], len(place["calls"]), 2)
        frame = self._frame()
        noted = np.ctypeslib.as_array(
            (ctypes.c_int64 * math.prod(shape)).from_address(frame.arena.address + place["offset"])
        )
        frame.inputs[:] = inputs or (None,)
        frame.outputs[:] = outputs or (None,)
        frame.dims[: self._given] = dims

        def run() -> Times:
            noted[:] = 0
            raise_status(self._run(frame.address), self.name)
            return noted.reshape(shape).copy()

        return run

    def close(self) -> None:
        """End the worker threads; the library stays loaded."""
        self._frames.clear()
        self.library.contexts.discard(self._context)
        self._context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_frames") and not sys.is_finalizing():
            self.close()


def read_metadata(library: Library, name: str) -> dict[str, Any]:
    """The metadata of model ``name``; raises ModelError when its ABI is another."""
    metadata = json.loads(ctypes.string_at(library.address(f"{name}_metadata")))
    if metadata["abi"] != ctx.ABI_VERSION:
        raise ModelError(f"the artefact has ABI {metadata['abi']}, this mlc loads {ctx.ABI_VERSION}", node=name)
    return metadata


_CONTEXTS: weakref.WeakSet[_Context] = weakref.WeakSet()


def _stay_alone() -> None:
    """The workers did not come along into a forked child: let its sessions run, and end, without them."""
    for context in list(_CONTEXTS):
        context.threads.value = 1


os.register_at_fork(after_in_child=_stay_alone)
