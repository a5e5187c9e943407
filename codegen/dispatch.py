"""Several versions of a model in one artefact: the C interface in front of them, as LLVM IR text.

Each version is a whole program of its own, with kernels, steps and arena for its processors; what is exported chooses
one when a context is prepared, by asking each version, the best first, whether the processor suits it. The context
keeps the choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlc.codegen.runtime import context as ctx
from mlc.codegen.targets.platform import Platform

if TYPE_CHECKING:
    from mlc.codegen.program import Program

_ANY_LEVEL = (1 << 31) - 1


def dispatch_ir(program: Program, platform: Platform) -> str:
    """The functions of the C interface, which run on any processor of the architecture, less the constants."""
    parts = (
        _declarations(program),
        _init(program),
        _per_level(program, "i32", "run", "ptr %ctx, ptr %in, ptr %out, ptr %dims, ptr %arena"),
        _per_level(program, "void", "free", "ptr %ctx"),
        _run_frame(program),
        _same_in_all(program),
        _arena_size(program),
    )
    attributes = f"nounwind {platform.unwind} {platform.baseline}"
    text = "\n".join(parts).replace("ATTRIBUTES", attributes)
    return text.replace("NAME", program.name).replace("LONG", platform.long)


def _declarations(program: Program) -> str:
    return "\n".join(
        f"""declare i32 @{level.name}_init(ptr, ptr, LONG, i32) nounwind
declare i32 @{level.name}_run(ptr, ptr, ptr, ptr, ptr) nounwind
declare i32 @{level.name}_run_frame(ptr) nounwind
declare void @{level.name}_free(ptr) nounwind
declare i32 @{level.name}_threads(ptr) nounwind
declare LONG @{level.name}_arena_size(ptr) nounwind
declare i32 @{level.name}_abi_version() nounwind
"""
        for level in program.levels
    )


def _init(program: Program) -> str:
    """NAME_init_level: the versions from the best that is allowed down, until one does not decline the processor."""
    choice, image, size = "", "%given", "%bytes"
    if program.embedded_weights and program.weights_bytes:
        image, size = "%image", "%size"
        choice = f"""  %none = icmp eq ptr %given, null
  %image = select i1 %none, ptr @{program.weights_symbol}, ptr %given
  %size = select i1 %none, LONG {ctx.WEIGHTS_PAYLOAD + program.weights_bytes}, LONG %bytes
"""
    tries: list[str] = []
    for number in reversed(range(len(program.levels))):
        following = f"look{number - 1}" if number else "unsupported"
        tries.append(f"""look{number}:
  %allowed{number} = icmp sge i32 %most, {number}
  br i1 %allowed{number}, label %try{number}, label %{following}
try{number}:
  %status{number} = call i32 @{program.levels[number].name}_init(ptr %ctx, ptr {image}, LONG {size}, i32 %threads)
  store i32 {number}, ptr %level.at, align 4
  %lacks{number} = icmp eq i32 %status{number}, {ctx.CPU_UNSUPPORTED}
  br i1 %lacks{number}, label %{following}, label %out{number}
out{number}:
  ret i32 %status{number}
""")
    return f"""define i32 @NAME_init_level(ptr %ctx, ptr %given, LONG %bytes, i32 %threads, i32 %most) ATTRIBUTES {{
entry:
  %level.at = getelementptr i8, ptr %ctx, i64 {ctx.LEVEL}
{choice}  br label %look{len(program.levels) - 1}
{"".join(tries)}unsupported:
  ret i32 {ctx.CPU_UNSUPPORTED}
}}

define i32 @NAME_init(ptr %ctx, ptr %given, LONG %bytes, i32 %threads) ATTRIBUTES {{
  %status = call i32 @NAME_init_level(ptr %ctx, ptr %given, LONG %bytes, i32 %threads, i32 {_ANY_LEVEL})
  ret i32 %status
}}
"""


def _per_level(program: Program, kind: str, function: str, parameters: str, context: str = "") -> str:
    """A function that calls the same of the context's version; ``context`` computes %ctx where it is no parameter."""
    cases = " ".join(f"i32 {number}, label %level{number}" for number in range(1, len(program.levels)))
    blocks: list[str] = []
    for number, level in enumerate(program.levels):
        result = "" if kind == "void" else f"%result{number} = "
        value = "" if kind == "void" else f" %result{number}"
        call = f"  {result}call {kind} @{level.name}_{function}({parameters})\n  ret {kind}{value}\n"
        blocks.append(f"level{number}:\n{call}")
    return f"""define {kind} @NAME_{function}({parameters}) ATTRIBUTES {{
{context}  %level.at = getelementptr i8, ptr %ctx, i64 {ctx.LEVEL}
  %level = load i32, ptr %level.at, align 4
  switch i32 %level, label %level0 [ {cases} ]
{"".join(blocks)}}}
"""


def _run_frame(program: Program) -> str:
    return _per_level(program, "i32", "run_frame", "ptr %frame", "  %ctx = load ptr, ptr %frame, align 8\n")


def _same_in_all(program: Program) -> str:
    """What the lowest version says for all."""
    lowest = program.levels[0].name
    return f"""define i32 @NAME_level(ptr %ctx) ATTRIBUTES {{
  %level.at = getelementptr i8, ptr %ctx, i64 {ctx.LEVEL}
  %level = load i32, ptr %level.at, align 4
  ret i32 %level
}}

define i32 @NAME_threads(ptr %ctx) ATTRIBUTES {{
  %threads = call i32 @{lowest}_threads(ptr %ctx)
  ret i32 %threads
}}

define i32 @NAME_abi_version() ATTRIBUTES {{
  %version = call i32 @{lowest}_abi_version()
  ret i32 %version
}}
"""


def _arena_size(program: Program) -> str:
    """The most that any version needs: it is asked for without a context, and may be a constant in the header."""
    lines: list[str] = []
    most = "0"
    for number, level in enumerate(program.levels):
        lines.append(f"""  %size{number} = call LONG @{level.name}_arena_size(ptr %dims)
  %larger{number} = icmp ugt LONG %size{number}, {most}
  %most{number} = select i1 %larger{number}, LONG %size{number}, LONG {most}
""")
        most = f"%most{number}"
    return f"""define LONG @NAME_arena_size(ptr %dims) ATTRIBUTES {{
{"".join(lines)}  ret LONG {most}
}}
"""
