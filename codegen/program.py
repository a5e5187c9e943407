"""A compiled model's frame: the C interface and the steps that call the kernels, as LLVM IR text.

A kernel is ``void K(ptr a0, .., ptr aN, index thread, index threads)`` in a module of its own, an index being as
wide as an address; all threads call it and each does its share. The program's module holds what is left:
``NAME_init`` and its sisters (``mlc.codegen.header`` documents them), the steps with a barrier where data crosses
threads, and the thread pool.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlc.codegen.borders import Borders, border_ir
from mlc.codegen.dispatch import dispatch_ir
from mlc.codegen.metadata import metadata_json
from mlc.codegen.runtime import context as ctx
from mlc.codegen.runtime.clock import IMPORT, clock_ir
from mlc.codegen.runtime.pool import pool_ir
from mlc.codegen.runtime.steps import steps_ir
from mlc.codegen.steps import Call, Step, calls_within
from mlc.codegen.targets.base import Target
from mlc.codegen.targets.checks import cpu_check_ir
from mlc.codegen.targets.platform import Platform, platform_of
from mlc.errors import InternalError, UnsupportedError, UsageError

POOL_IMPORTS = ("pthread_create", "pthread_join", "syscall")
"""What the thread pool needs of the C library."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ITEM_BYTES = {"bool": 1, "int4": 1, "uint4": 1, "int2": 1, "uint2": 1, "bfloat16": 2}
_NARROW_FLOAT = re.compile(r"float[468]_")


def item_bytes(dtype: str) -> int:
    """Bytes of one element of a NumPy (or ml_dtypes) type name."""
    if dtype in _ITEM_BYTES:
        return _ITEM_BYTES[dtype]
    if _NARROW_FLOAT.match(dtype):
        return 1
    bits = re.search(r"\d+\Z", dtype)
    if bits is None:
        raise InternalError(f"dtype {dtype} has no size")
    return int(bits.group()) // 8


@dataclass(frozen=True)
class TensorSpec:
    """A model's input or output: name, NumPy name of the element type, shape; it lies dense in row-major
    order.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        size = item_bytes(self.dtype)
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True)
class Program:
    """Everything about a compiled model but its kernels' code.

    ``name`` prefixes the exported symbols; ``weights_sha256`` is the hexadecimal digest that the weights file
    must carry; ``threads`` says whether the pool is emitted (without it the code needs no C library);
    ``embedded_weights``: the weights file is linked in as the symbol ``NAME_weights``; ``weights_base`` is where in
    the payload this program's own weights begin. ``borders``: some dims get their values at run time; shapes of
    tensors are the greatest then. ``symbols`` are the C functions of operators that the user brings. ``times`` is
    where in the arena each thread notes how long its calls take, for profiles: an entry (`mlc.codegen.runtime.clock`)
    per call.

    With ``levels`` this is several programs behind one interface, the least demanding first: `mlc.codegen.dispatch`.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    steps: tuple[Step, ...]
    arena_bytes: int
    weights_bytes: int
    weights_sha256: str
    target: Target
    threads: bool = True
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    embedded_weights: bool = False
    weights_base: int = 0
    levels: tuple[Program, ...] = ()
    symbols: tuple[str, ...] = ()
    borders: Borders | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        if not _IDENTIFIER.match(self.name):
            raise UsageError(f"{self.name!r} is not a C identifier", hint="choose the symbol prefix with --name")
        if self.weights_bytes and len(self.weights_sha256) != 64:
            raise InternalError("the weights' SHA-256 must be 64 hexadecimal digits")
        for what, size in (("weights", self.weights_bytes), ("scratch memory", self.arena_bytes)):
            if size >= 1 << 8 * self.target.pointer_bytes - 1:
                raise UnsupportedError(
                    f"the model has {size:,} bytes of {what}, more than {self.target.name} can address",
                    hint="choose a 64-bit target or smaller shapes",
                )

    @property
    def calls(self) -> list[Call]:
        """All kernel calls."""
        return calls_within(self.steps)

    @property
    def exports(self) -> tuple[str, ...]:
        """The symbols of the C interface."""
        functions = ("init", "run", "run_frame", "free", "threads", "arena_size", "abi_version", "metadata")
        choosing = ("init_level", "level") if self.levels else ()
        return tuple(f"{self.name}_{function}" for function in (*functions, *choosing))

    @property
    def imports(self) -> tuple[str, ...]:
        """The symbols of other libraries that the code may need: the C library's, and those of ``symbols``."""
        pool = POOL_IMPORTS if self.threads else ()
        clock = () if self.times is None else (IMPORT,)
        return (*pool, *clock, *self.symbols)

    @property
    def weights_symbol(self) -> str:
        """The symbol that embedded weights are linked in as."""
        return f"{self.name}_weights"


def program_ir(program: Program) -> str:
    """The program's module as IR text; link it with the kernels' objects, exporting ``program.exports``."""
    platform = platform_of(program.target)
    if program.levels:
        return f"{dispatch_ir(program, platform)}\n{_constants(program)}"
    parts = [
        _kernel_declarations(program.calls, program.target.index),
        steps_ir(program, platform.unwind),
        _execute(program, platform.unwind),
        _entry_points(program, platform),
        cpu_check_ir(program.name, program.target, platform.baseline),
        _init(program, platform),
        _constants(program),
    ]
    if program.borders is not None:
        parts.append(border_ir(program, program.borders, platform.unwind))
    if program.threads:
        parts.append(pool_ir(program.name, platform))
    if program.times is not None:
        parts.append(clock_ir(program.name, platform))
    return "\n".join(parts)


def _kernel_declarations(calls: Sequence[Call], index: str) -> str:
    arity: dict[str, int] = {}
    for call in calls:
        if arity.setdefault(call.kernel, len(call.args)) != len(call.args):
            raise InternalError(f"kernel {call.kernel} is called with different numbers of arguments")
    return "".join(
        f"declare void @{kernel}({'ptr, ' * count}{index}, {index}) nounwind\n" for kernel, count in arity.items()
    )


def _execute(program: Program, unwind: str) -> str:
    """One call: on the pool if it is free, else (another thread runs this context) alone."""
    name = program.name
    alone = f"  call void @{name}_steps(ptr %frame, i32 0, i32 1)\n"
    status = f"""  %status.at = getelementptr i8, ptr %frame, i64 {ctx.FRAME_STATUS}
"""
    result = "  %status = load i32, ptr %status.at, align 4\n  ret i32 %status\n"
    title = f"i32 @{name}_run_frame" if program.borders is None else f"internal i32 @{name}_execute"
    head = f"define {title}(ptr %frame) nounwind {unwind} {{\n"
    reset = "  store i32 0, ptr %status.at, align 4\n"
    if not program.threads:
        return f"\n{head}{status}{reset}{alone}{result}}}\n"
    return f"""
{head}entry:
{status}{reset}  %ctx = load ptr, ptr %frame, align 8
  %threads.at = getelementptr i8, ptr %ctx, i64 {ctx.THREADS}
  %threads = load i32, ptr %threads.at, align 4
  %several = icmp sgt i32 %threads, 1
  br i1 %several, label %try, label %alone
try:
  %lock = getelementptr i8, ptr %ctx, i64 {ctx.LOCK}
  %taken = cmpxchg ptr %lock, i32 0, i32 1 acquire monotonic, align 4
  %mine = extractvalue {{ i32, i1 }} %taken, 1
  br i1 %mine, label %together, label %alone
together:
  call void @{name}_fork(ptr %ctx, ptr %frame, i32 %threads)
  store atomic i32 0, ptr %lock release, align 4
  br label %out
alone:
{alone}  br label %out
out:
{result}}}
"""


def _entry_points(program: Program, platform: Platform) -> str:
    """The functions of the C interface that are a few lines each."""
    name, long, unwind = program.name, platform.long, platform.unwind
    slots = {
        "ctx": ctx.FRAME_CONTEXT, "in": ctx.FRAME_INPUTS, "out": ctx.FRAME_OUTPUTS, "dims": ctx.FRAME_DIMS,
        "arena": ctx.FRAME_ARENA,
    }  # fmt: skip
    stores = "".join(
        f"  %{slot}.at = getelementptr i8, ptr %frame, i64 {offset}\n  store ptr %{slot}, ptr %{slot}.at, align 8\n"
        for slot, offset in slots.items()
    )
    stop = ""
    if program.threads:
        stop = f"  call void @{name}_stop(ptr %ctx)\n"
    return f"""
define i32 @{name}_run(ptr %ctx, ptr %in, ptr %out, ptr %dims, ptr %arena) nounwind {unwind} {{
  %frame = alloca [{ctx.FRAME_BYTES} x i8], align {ctx.CACHE_LINE}
{stores}  %status = call i32 @{name}_run_frame(ptr %frame)
  ret i32 %status
}}

define void @{name}_free(ptr %ctx) nounwind {unwind} {{
{stop}  ret void
}}

define i32 @{name}_threads(ptr %ctx) nounwind {{
  %at = getelementptr i8, ptr %ctx, i64 {ctx.THREADS}
  %threads = load i32, ptr %at, align 4
  ret i32 %threads
}}

define {long} @{name}_arena_size(ptr %dims) nounwind {{
  ret {long} {program.arena_bytes}
}}

define i32 @{name}_abi_version() nounwind {{
  ret i32 {ctx.ABI_VERSION}
}}
"""


def _init(program: Program, platform: Platform) -> str:
    """NAME_init: every check before anything is started. It runs on any processor of the architecture."""
    name, long, unwind = program.name, platform.long, platform.unwind
    cleared = "".join(
        f"  %w{offset} = getelementptr i8, ptr %ctx, i64 {offset}\n  store i64 0, ptr %w{offset}, align 8\n"
        for offset in (ctx.WEIGHTS, ctx.LOCK, ctx.STOP, ctx.JOB, ctx.FORK, ctx.BARRIER, ctx.DONE)
    )
    start = f"  call void @{name}_start(ptr %ctx, i32 %threads)\n" if program.threads else ""
    image, size, choice = "%given", "%given.bytes", ""
    if program.embedded_weights and program.weights_bytes:
        image, size = "%image", "%image.bytes"
        choice = f"""  %none = icmp eq ptr %given, null
  %image = select i1 %none, ptr @{program.weights_symbol}, ptr %given
  %image.bytes = select i1 %none, {long} {ctx.WEIGHTS_PAYLOAD + program.weights_bytes}, {long} %given.bytes
"""
    return f"""
define i32 @{name}_init(ptr %ctx, ptr %given, {long} %given.bytes, i32 %threads) nounwind {unwind}
    {platform.baseline} {{
{cleared}  %threads.at = getelementptr i8, ptr %ctx, i64 {ctx.THREADS}
  store i32 1, ptr %threads.at, align 4
  %cpu.ok = call i1 @{name}_cpu_ok()
  br i1 %cpu.ok, label %supported, label %unsupported
unsupported:
  ret i32 {ctx.CPU_UNSUPPORTED}
supported:
{choice}{_weights_check(program, platform.long, image, size)}{start}  ret i32 {ctx.OK}
bad:
  ret i32 {ctx.BAD_WEIGHTS}
}}
"""


def _weights_check(program: Program, long: str, image: str, size: str) -> str:
    """Length, alignment, and the header up to the digest; then the payload's address goes to the context."""
    if not program.weights_bytes:
        return "  br label %good\ngood:\n"
    digest = bytes.fromhex(program.weights_sha256)
    header = ctx.WEIGHTS_HEADER.pack(
        ctx.WEIGHTS_MAGIC, ctx.ABI_VERSION, ctx.WEIGHTS_PAYLOAD, program.weights_bytes, digest
    )
    words = [int.from_bytes(header[at : at + 8], "little", signed=True) for at in range(0, 56, 8)]
    least = ctx.WEIGHTS_PAYLOAD + program.weights_bytes
    compare = "".join(
        f"""  %h{i}.at = getelementptr i64, ptr {image}, i64 {i}
  %h{i} = load i64, ptr %h{i}.at, align 8
  %d{i} = xor i64 %h{i}, {word}
  %a{i} = or i64 {f"%a{i - 1}" if i else "0"}, %d{i}
"""
        for i, word in enumerate(words)
    )
    return f"""  %null = icmp eq ptr {image}, null
  %short = icmp ult {long} {size}, {least}
  %number = ptrtoint ptr {image} to {long}
  %low = and {long} %number, {ctx.CACHE_LINE - 1}
  %askew = icmp ne {long} %low, 0
  %unfit = or i1 %null, %short
  %unusable = or i1 %unfit, %askew
  br i1 %unusable, label %bad, label %look
look:
{compare}  %same = icmp eq i64 %a{len(words) - 1}, 0
  br i1 %same, label %good, label %bad
good:
  %payload = getelementptr i8, ptr {image}, i64 {ctx.WEIGHTS_PAYLOAD + program.weights_base}
  store ptr %payload, ptr %ctx, align 8
"""


def _constants(program: Program) -> str:
    text = metadata_json(program).encode("ascii")
    quoted = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in text)
    constants = f'@{program.name}_metadata = constant [{len(text) + 1} x i8] c"{quoted}\\00", align 1\n'
    if program.embedded_weights and program.weights_bytes:
        size = ctx.WEIGHTS_PAYLOAD + program.weights_bytes
        constants += f"@{program.weights_symbol} = external constant [{size} x i8]\n"
    return constants
