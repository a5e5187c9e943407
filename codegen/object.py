"""IR text to relocatable objects, in process or through persistent compile workers.

llvmlite holds one lock around LLVM, so several modules compile at once only in several processes. The workers
are plain children (``mlc.codegen.worker``), never forks of the user's process; they start in the background
with ``warm_up`` and live until the parent ends. A worker that dies takes nothing with it but its module.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import IO

from mlc.codegen import llvm
from mlc.codegen.processors import available_processors
from mlc.codegen.targets.base import Target
from mlc.codegen.worker import OK, REPLY, encode_request
from mlc.errors import InternalError

IN_PROCESS_CHARACTERS = 48 << 10
"""IR texts that are smaller than this together compile in process: about 15 ms of LLVM's time."""


def machine_of(target: Target) -> llvm.Machine:
    """The part of a target description that LLVM reads."""
    return llvm.Machine(target.triple, target.cpu, target.llvm_features, target.abi, target.relocation)


def compile_ir(texts: Sequence[tuple[str, str]], target: Target, *, jobs: int | None = None) -> list[bytes]:
    """Compile modules of IR text, given as (name, text), to relocatable objects in the same order.

    ``jobs`` is the number of worker processes, by default one per available processor; 1 compiles in process,
    and so does a batch too small to gain from workers.

    For containers of `LINKED_AS_IR` the modules come back as they are, for `link_ir`.

    Raises InternalError naming the module, with a reproducer written to the temporary folder, when LLVM
    refuses a module or a worker dies on it.
    """
    if target.container in LINKED_AS_IR:
        return [ir.encode() for _, ir in texts]
    machine = machine_of(target)
    jobs = min(jobs or available_processors(), len(texts))
    if jobs <= 1 or sum(len(ir) for _, ir in texts) < IN_PROCESS_CHARACTERS:
        return [_compile_here(machine, name, ir) for name, ir in texts]
    with _POOL.lock:
        return _POOL.compile(texts, machine, jobs)


LINKED_AS_IR = ("macho", "coff")
"""Containers whose objects mlc can't merge: LLVM makes one of all modules."""


def link_ir(name: str, modules: Sequence[bytes], target: Target, exports: Collection[str]) -> bytes:
    """One object of all the modules of IR text, with only ``exports`` to be seen; raises as ``compile_ir`` does."""
    machine = machine_of(target)
    texts = [module.decode() for module in modules]
    try:
        return _compile_here(machine, name, llvm.link_modules(machine, texts, exports))
    except llvm.LlvmError as error:
        raise _refused(machine, name, "\n".join(texts), str(error)) from error


def compile_assembly(name: str, ir: str, target: Target) -> str:
    """The assembly (PTX on NVPTX) of one module, compiled in process; raises as ``compile_ir`` does."""
    machine = machine_of(target)
    try:
        return llvm.emit_assembly(machine, ir)
    except llvm.LlvmError as error:
        raise _refused(machine, name, ir, str(error)) from error


def warm_up(jobs: int | None = None) -> None:
    """Start the compile workers in the background, so that they are ready when the first module is.

    Returns at once: a worker takes about 0.1 s to import LLVM, which the compiler's earlier stages hide.
    """
    with _POOL.lock:
        _POOL.start(jobs or available_processors())


def shut_down() -> None:
    """End the compile workers now; the next parallel ``compile_ir`` starts new ones."""
    with _POOL.lock:
        _POOL.close()


def _compile_here(machine: llvm.Machine, name: str, ir: str) -> bytes:
    try:
        return llvm.emit_object(machine, ir)
    except llvm.LlvmError as error:
        raise _refused(machine, name, ir, str(error)) from error


def _refused(machine: llvm.Machine, name: str, ir: str, why: str) -> InternalError:
    """The error for a module that LLVM did not compile, with its text saved for whoever mends it."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="mlc-reproducer-", suffix=".ll", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"; triple {machine.triple} cpu {machine.cpu} features {machine.features}\n{ir}")
    return InternalError(f"LLVM could not compile this kernel: {why}", node=name, hint=f"reproducer: {file.name}")


@dataclass
class _Worker:
    """One child process and the module it works on."""

    process: subprocess.Popen[bytes]
    stderr: IO[bytes]
    task: int = -1
    reply: bytearray = field(default_factory=bytearray)

    @classmethod
    def start(cls) -> _Worker:
        stderr = tempfile.TemporaryFile()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlc.codegen.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
        )
        return cls(process, stderr)

    def send(self, task: int, machine: llvm.Machine, ir: str) -> None:
        """Hand over one module; a worker that is gone is noticed when its reply ends early."""
        self.task = task
        self.reply.clear()
        assert self.process.stdin is not None
        frame = memoryview(encode_request(machine, ir))
        with contextlib.suppress(BrokenPipeError):
            while frame:
                frame = frame[self.process.stdin.write(frame) :]

    def receive(self) -> tuple[int, bytes] | None:
        """Take what has arrived: the reply when complete, else None. Raises EOFError at the pipe's end."""
        assert self.process.stdout is not None
        piece = os.read(self.process.stdout.fileno(), 1 << 20)
        if not piece:
            raise EOFError
        self.reply += piece
        if len(self.reply) < REPLY.size:
            return None
        status, length = REPLY.unpack_from(self.reply)
        if len(self.reply) < REPLY.size + length:
            return None
        return status, bytes(self.reply[REPLY.size :])

    def last_words(self) -> str:
        """How the process ended and the first lines it wrote to standard error."""
        code = self.process.wait()
        self.stderr.seek(0)
        lines = self.stderr.read(4096).decode(errors="replace").strip().splitlines()
        return " ".join([f"the compile worker ended with status {code}:", *lines[:3]])

    def end(self) -> None:
        """Kill and reap the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.stderr):
            if stream is not None:
                stream.close()


@dataclass
class _Pool:
    """The workers of this process; ``lock`` is held around every use."""

    workers: list[_Worker] = field(default_factory=list[_Worker])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, jobs: int) -> None:
        """Have at least ``jobs`` live workers."""
        for dead in [worker for worker in self.workers if worker.process.poll() is not None]:
            dead.end()
            self.workers.remove(dead)
        while len(self.workers) < jobs:
            self.workers.append(_Worker.start())

    def close(self) -> None:
        """End all workers."""
        while self.workers:
            self.workers.pop().end()

    def compile(self, texts: Sequence[tuple[str, str]], machine: llvm.Machine, jobs: int) -> list[bytes]:
        """Compile the modules, the largest first, each on the next worker that is free."""
        self.start(jobs)
        waiting = sorted(range(len(texts)), key=lambda task: len(texts[task][1]))
        objects = [b""] * len(texts)
        try:
            with selectors.DefaultSelector() as selector:
                for worker in self.workers[:jobs]:
                    assert worker.process.stdout is not None
                    selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
                    task = waiting.pop()
                    worker.send(task, machine, texts[task][1])
                while selector.get_map():
                    for key, _ in selector.select():
                        worker = key.data
                        reply = _reply_of(worker, texts, machine)
                        if reply is None:
                            continue
                        objects[worker.task] = reply
                        if waiting:
                            task = waiting.pop()
                            worker.send(task, machine, texts[task][1])
                        else:
                            selector.unregister(key.fileobj)
        except BaseException:
            self.close()  # other workers may be in the middle of a module: none of their replies is wanted
            raise
        return objects


def _reply_of(worker: _Worker, texts: Sequence[tuple[str, str]], machine: llvm.Machine) -> bytes | None:
    """The object a worker sent, None while incomplete; raises InternalError for a refusal or a death."""
    name, ir = texts[worker.task]
    try:
        reply = worker.receive()
    except EOFError:
        raise _refused(machine, name, ir, worker.last_words()) from None
    if reply is None:
        return None
    status, payload = reply
    if status != OK:
        raise _refused(machine, name, ir, payload.decode(errors="replace"))
    return payload


def _forget_after_fork() -> None:
    """A forked child must not talk to its parent's workers, nor keep their pipes open."""
    for worker in _POOL.workers:
        for stream in (worker.process.stdin, worker.process.stdout, worker.stderr):
            if stream is not None:
                stream.close()
        worker.process.returncode = 0  # not this process's child: nothing to wait for
    _POOL.workers = []
    _POOL.lock = threading.Lock()


_POOL = _Pool()
atexit.register(shut_down)
os.register_at_fork(after_in_child=_forget_after_fork)
